//! Ports for hosts that nobody else uses.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Where to look: above what services use by custom, below what systems hand out to outgoing connections, and apart
/// from where a demo looks that may run beside the tests.
const FIRST: u16 = 10_000;
const RANGE: u16 = 10_000;

/// Finds `runs` of `length` free ports in a row on loopback, for UDP and for TCP.
///
/// They are held until all are found and then let go.
///
/// # Panics
/// If a whole range of ports has not as many.
#[must_use]
pub fn free_ports(runs: usize, length: u16) -> Vec<SocketAddr> {
    let random = RandomState::new().build_hasher().finish();
    let offset = u16::try_from(random % u64::from(RANGE)).unwrap_or_default();
    let (mut held, mut found) = (Vec::new(), Vec::new());
    let mut place = 0;
    while found.len() < runs {
        assert!(place + length <= RANGE, "there are no {runs} runs of {length} free ports on loopback");
        let first = FIRST + (offset + place) % (RANGE - length);
        match hold(first, length) {
            Some(sockets) => {
                held.push(sockets);
                found.push(SocketAddr::from((Ipv4Addr::LOCALHOST, first)));
                place += length;
            }
            None => place += 1,
        }
    }
    found
}

fn hold(first: u16, length: u16) -> Option<(Vec<TcpListener>, Vec<UdpSocket>)> {
    let tcp = (first..first + length).map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    let udp = (first..first + length).map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)));
    Some((tcp.collect::<Result<_, _>>().ok()?, udp.collect::<Result<_, _>>().ok()?))
}
