//! The links of a cluster on one machine, which can be cut: every datagram to a host goes through here.
//!
//! Hosts behind it advertise addresses of this process, as behind a port mapping. Whoever sends is known by the port it
//! sends from: a host sends from the ports that it listens on, a client of one side from one that was named. What goes
//! between sides while the links are cut is thrown away, and nobody is told; so it is in a network.
//!
//! The sentinels' TCP connections pass all the time. They are idle: a real split leaves them open as well.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time;

use super::{DemoError, ports};

/// Largest datagram.
const DATAGRAM: usize = 65_536;
/// Senders to one port at most: a few hosts and clients. What others send is thrown away.
const SENDERS_MAX: usize = 256;
/// Pause after the system refuses a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The links. Dropped, nothing passes any more.
#[derive(Debug)]
pub(super) struct Links {
    cut: Arc<Mutex<Cut>>,
    /// For each host: where it listens, and where others reach it.
    places: Vec<(SocketAddr, SocketAddr)>,
    _tasks: JoinSet<()>,
}

/// Who is on which side.
#[derive(Debug)]
struct Cut {
    /// First port of each host, by place, and how many follow.
    listens: Vec<u16>,
    length: u16,
    /// The side of each host; nothing is cut if this is empty.
    sides: Vec<usize>,
    /// Clients that stay on a side, by the port that they send from.
    clients: HashMap<u16, usize>,
}

impl Cut {
    /// Whether what was sent from this port reaches this host, and its answer the sender. Whoever is on no side reaches
    /// everybody.
    fn lets(&self, sender: u16, host: usize) -> bool {
        let is_of = |first: &u16| (*first..first.saturating_add(self.length)).contains(&sender);
        let from = match self.listens.iter().position(is_of) {
            Some(place) => self.sides.get(place),
            None => self.clients.get(&sender),
        };
        match (from, self.sides.get(host)) {
            (Some(from), Some(to)) => from == to,
            _ => true,
        }
    }
}

fn lock(cut: &Mutex<Cut>) -> MutexGuard<'_, Cut> {
    cut.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Links {
    /// Links to so many hosts of `length` ports each.
    pub(super) async fn start(hosts: usize, length: u16) -> Result<Self, DemoError> {
        let found = ports::free(2 * hosts, length)?;
        let (listens, reached) = found.split_at(hosts);
        let cut = Arc::new(Mutex::new(Cut {
            listens: listens.iter().map(SocketAddr::port).collect(),
            length,
            sides: Vec::new(),
            clients: HashMap::new(),
        }));
        let failed = || DemoError::io("open a port for a link");
        let mut tasks = JoinSet::new();
        for (host, (listen, reached)) in listens.iter().zip(reached).enumerate() {
            for offset in 0..length {
                let at = |first: &SocketAddr| SocketAddr::new(first.ip(), first.port().saturating_add(offset));
                let front = UdpSocket::bind(at(reached)).await.map_err(failed())?;
                let port = Port { front: Arc::new(front), to: at(listen), host, cut: Arc::clone(&cut) };
                tasks.spawn(port.pass());
            }
            let sentinels = TcpListener::bind(reached).await.map_err(failed())?;
            tasks.spawn(pass_sentinels(sentinels, *listen));
        }
        let places = listens.iter().copied().zip(reached.iter().copied()).collect();
        Ok(Self { cut, places, _tasks: tasks })
    }

    /// For each host: where it listens, and where others reach it.
    pub(super) fn places(&self) -> &[(SocketAddr, SocketAddr)] {
        &self.places
    }

    /// The client that sends from this port reaches the hosts of this side only while the links are cut.
    pub(super) fn stays(&self, client: u16, side: usize) {
        lock(&self.cut).clients.insert(client, side);
    }

    /// From now on nobody hears anybody of another side. Named is the side of each host.
    pub(super) fn cut(&self, sides: Vec<usize>) {
        lock(&self.cut).sides = sides;
    }

    /// Everybody hears everybody again.
    pub(super) fn mend(&self) {
        lock(&self.cut).sides.clear();
    }
}

/// One port of a host.
struct Port {
    /// Where others send to.
    front: Arc<UdpSocket>,
    /// Where the host listens.
    to: SocketAddr,
    host: usize,
    cut: Arc<Mutex<Cut>>,
}

impl Port {
    /// Passes datagrams, for ever. Each sender has a socket of its own towards the host, by which its answers are known.
    async fn pass(self) {
        let mut senders: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut answers = JoinSet::new();
        let mut datagram = vec![0; DATAGRAM];
        loop {
            // An error is of one datagram, as when the one before found nobody.
            let Ok((length, from)) = self.front.recv_from(&mut datagram).await else { continue };
            if !lock(&self.cut).lets(from.port(), self.host) {
                continue;
            }
            let is_full = senders.len() >= SENDERS_MAX;
            let back = match senders.entry(from) {
                Entry::Occupied(known) => Arc::clone(known.get()),
                Entry::Vacant(_) if is_full => continue,
                Entry::Vacant(new) => {
                    let Ok(back) = towards(self.to).await else { continue };
                    let back = Arc::new(back);
                    let (front, cut) = (Arc::clone(&self.front), Arc::clone(&self.cut));
                    answers.spawn(answer(Arc::clone(&back), front, from, self.host, cut));
                    Arc::clone(new.insert(back))
                }
            };
            let _ = back.send(datagram.get(..length).unwrap_or_default()).await;
        }
    }
}

async fn towards(host: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(host).await?;
    Ok(socket)
}

/// Passes what a host says to one sender.
async fn answer(back: Arc<UdpSocket>, front: Arc<UdpSocket>, to: SocketAddr, host: usize, cut: Arc<Mutex<Cut>>) {
    let mut datagram = vec![0; DATAGRAM];
    loop {
        let Ok(length) = back.recv(&mut datagram).await else { continue };
        if lock(&cut).lets(to.port(), host) {
            let _ = front.send_to(datagram.get(..length).unwrap_or_default(), to).await;
        }
    }
}

async fn pass_sentinels(listener: TcpListener, host: SocketAddr) {
    let mut open = JoinSet::new();
    loop {
        let Ok((mut from, _)) = listener.accept().await else {
            // For lack of file descriptors as a rule: trying again at once would only burn time.
            time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        while open.try_join_next().is_some() {}
        if open.len() >= SENDERS_MAX {
            continue;
        }
        open.spawn(async move {
            // Whoever finds nobody here is told so by the end of the connection.
            if let Ok(mut to) = TcpStream::connect(host).await {
                let _ = io::copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far longer than a datagram takes on one machine.
    const SILENCE: Duration = Duration::from_millis(100);

    fn cut(sides: &[usize]) -> Cut {
        Cut { listens: vec![100, 110, 120], length: 3, sides: sides.to_vec(), clients: [(7, 0), (8, 1)].into() }
    }

    #[test]
    fn while_nothing_is_cut_everybody_reaches_everybody() {
        let whole = cut(&[]);
        assert!([100, 112, 7, 8, 9].into_iter().all(|sender| (0..3).all(|host| whole.lets(sender, host))));
    }

    #[test]
    fn hosts_and_clients_reach_their_own_side_only() {
        let cut = cut(&[0, 1, 1]);
        assert!(cut.lets(100, 0) && cut.lets(102, 0) && !cut.lets(100, 1) && !cut.lets(121, 0) && cut.lets(111, 2));
        assert!(cut.lets(7, 0) && !cut.lets(7, 1) && cut.lets(8, 2) && !cut.lets(8, 0));
        assert!(cut.lets(9, 0) && cut.lets(103, 2), "on no side");
    }

    #[tokio::test]
    async fn a_datagram_passes_and_its_answer_comes_back_until_the_link_is_cut() {
        let links = Links::start(1, 1).await.unwrap();
        let (listen, reached) = links.places()[0];
        let host = UdpSocket::bind(listen).await.unwrap();
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut buffer = [0; 16];
        client.send_to(b"one", reached).await.unwrap();
        let (length, from_link) = host.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"one");
        host.send_to(b"two", from_link).await.unwrap();
        let (length, from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], from), (&b"two"[..], reached));

        links.stays(client.local_addr().unwrap().port(), 1);
        links.cut(vec![0]);
        host.send_to(b"lost", from_link).await.unwrap();
        let silence = time::timeout(SILENCE, client.recv_from(&mut buffer)).await;
        assert!(silence.is_err(), "the answer passed");
        links.mend();
        host.send_to(b"three", from_link).await.unwrap();
        let (length, _) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"three");
    }
}
