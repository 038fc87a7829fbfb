//! Ports for hosts that nobody else uses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use super::DemoError;

/// Where to look: above what services use by custom, below what systems hand out to outgoing connections.
const FIRST: u16 = 20_000;
const RANGE: u16 = 12_000;
/// Most places tried: a machine where so many are taken has other worries.
const TRIES: u16 = 1_000;

/// Finds `runs` of `length` free ports in a row on loopback; the first of each is free for TCP as well.
///
/// They are held until all are found and then let go, so that another program may still come in between. A
/// host that meets one says so.
pub(super) fn free(runs: usize, length: u16) -> Result<Vec<SocketAddr>, DemoError> {
    let random = getrandom::u32().map_err(DemoError::Entropy)?;
    let offset = u16::try_from(random % u32::from(RANGE)).unwrap_or_default();
    let mut held = Vec::new();
    let mut found = Vec::new();
    let mut place = 0;
    for _ in 0..TRIES {
        if found.len() == runs {
            return Ok(found);
        }
        let first = FIRST + (offset + place) % (RANGE - length);
        match hold(first, length) {
            Some(sockets) => {
                held.push(sockets);
                found.push(SocketAddr::from((Ipv4Addr::LOCALHOST, first)));
                place = (place + length) % RANGE;
            }
            None => place = (place + 1) % RANGE,
        }
    }
    Err(DemoError::Ports { needed: runs, length })
}

fn hold(first: u16, length: u16) -> Option<(TcpListener, Vec<UdpSocket>)> {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).ok()?;
    let udp = (first..first + length).map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)));
    Some((tcp, udp.collect::<Result<_, _>>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_ports_do_not_overlap() {
        let found = free(5, 3).unwrap();
        let mut ports: Vec<_> = found.iter().flat_map(|first| first.port()..first.port() + 3).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 15);
    }

    #[test]
    fn a_taken_port_is_not_free() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(hold(port - 1, 2).is_none());
    }
}
