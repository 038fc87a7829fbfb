//! What only the twin does: faults on demand, in paused time, the same for the same seed.

use std::net::SocketAddr;
use std::time::Duration;

use colony_link::memory::{BindError, MemoryNet, MemoryTransport};
use colony_link::{ConnectError, Expect, LinkConfig, LinkError, PeerIdentity, Rights, Transport};
use tokio::time::Instant;

use crate::conformance::exchange;
use crate::world::{connect, frame, soon};

const MS: Duration = Duration::from_millis(1);

fn host(net: &MemoryNet, name: &str) -> MemoryTransport {
    net.bind(SocketAddr::from(([127, 0, 0, 1], 0)), PeerIdentity::host(name)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn frames_take_as_long_as_they_are_told_to() {
    let net = MemoryNet::new(1);
    net.set_delay("a", "b", 30 * MS..=30 * MS);
    net.set_delay("b", "a", 5 * MS..=5 * MS);
    let (a, b) = (host(&net, "a"), host(&net, "b"));
    let begun = Instant::now();
    let (here, there) = connect(&a, &b, b.local_addr()).await;
    assert_eq!(begun.elapsed(), 35 * MS, "a handshake is one round trip");

    let (sender, _back) = here.open().await.unwrap();
    let (_back, mut receiver) = soon(there.accept_stream()).await.unwrap();
    let begun = Instant::now();
    sender.send(frame(1, 10)).unwrap();
    soon(receiver.recv()).await.unwrap();
    assert!((30 * MS..=31 * MS).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn loss_delays_streams_and_loses_datagrams() {
    let net = MemoryNet::new(1);
    let (a, b) = (host(&net, "a"), host(&net, "b"));
    let (here, there) = connect(&a, &b, b.local_addr()).await;
    net.set_loss("a", "b", 0.5);
    let (sender, _back) = here.open().await.unwrap();
    let (_back, mut receiver) = soon(there.accept_stream()).await.unwrap();
    for number in 0..100 {
        sender.send(frame(number, 10)).unwrap();
        here.send_datagram(frame(number, 10)).unwrap();
    }
    for number in 0..100 {
        assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(number, 10))));
    }
    let mut arrived = 0;
    while tokio::time::timeout(Duration::from_secs(1), there.recv_datagram()).await.is_ok() {
        arrived += 1;
    }
    assert!((20..=80).contains(&arrived), "{arrived} of 100 at a loss of one half");
}

#[tokio::test(start_paused = true)]
async fn a_cut_one_way_ends_both_sides_one_after_the_other() {
    let net = MemoryNet::new(1);
    let (a, b) = (host(&net, "a"), host(&net, "b"));
    let (here, there) = connect(&a, &b, b.local_addr()).await;
    let idle = LinkConfig::default().idle_timeout;
    let begun = Instant::now();
    net.cut_one_way("a", "b");
    // The way back works as long as the other end lives.
    there.send_datagram(frame(1, 10)).unwrap();
    assert_eq!(soon(here.recv_datagram()).await, Ok(frame(1, 10)));
    here.send_datagram(frame(2, 10)).unwrap();

    assert_eq!(soon(there.closed()).await, LinkError::Silent);
    assert_eq!(begun.elapsed(), idle);
    assert_eq!(here.close_reason(), None, "it hears the other until that gives up");
    assert_eq!(soon(here.closed()).await, LinkError::Silent);
    assert_eq!(begun.elapsed(), idle * 2);
}

#[tokio::test(start_paused = true)]
async fn a_dial_into_a_cut_waits_for_its_end_or_fails() {
    let net = MemoryNet::new(1);
    let (a, b) = (host(&net, "a"), host(&net, "b"));
    net.cut_one_way("b", "a");
    let error = soon(a.connect(b.local_addr(), Expect::AnyHost)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");

    let mend = async {
        tokio::time::sleep(100 * MS).await;
        net.mend_one_way("b", "a");
    };
    let (dialed, ()) = soon(async { tokio::join!(a.connect(b.local_addr(), Expect::AnyHost), mend) }).await;
    dialed.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_split_parts_the_sides_and_nobody_else() {
    let net = MemoryNet::new(1);
    let (a, b, c) = (host(&net, "a"), host(&net, "b"), host(&net, "c"));
    let (ab, _ba) = connect(&a, &b, b.local_addr()).await;
    let (ac, ca) = connect(&a, &c, c.local_addr()).await;
    net.split(&["a", "c"], &["b"]);
    assert_eq!(soon(ab.closed()).await, LinkError::Silent);
    exchange(&ac, &ca).await;
    net.mend_all();
    let (here, there) = connect(&a, &b, b.local_addr()).await;
    exchange(&here, &there).await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_host_is_reset_and_its_address_is_free() {
    let net = MemoryNet::new(1);
    let (a, b) = (host(&net, "a"), host(&net, "b"));
    let addr = b.local_addr();
    let (here, there) = connect(&a, &b, addr).await;
    let taken = net.bind(addr, PeerIdentity::host("b")).unwrap_err();
    assert_eq!(taken, BindError::InUse { addr });

    net.kill("b");
    assert_eq!(soon(here.closed()).await, LinkError::Reset);
    assert_eq!(soon(there.closed()).await, LinkError::ClosedHere);
    assert!(soon(b.accept()).await.is_none());

    let again = net.bind(addr, PeerIdentity::host("b")).unwrap();
    drop(b);
    let (here, there) = connect(&a, &again, addr).await;
    exchange(&here, &there).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_is_known_by_name_and_rights_and_cannot_be_dialed() {
    let net = MemoryNet::new(1);
    let a = host(&net, "a");
    let client = net.client(PeerIdentity::client("shop", Rights::READ_WRITE), LinkConfig::default()).unwrap();
    let (_here, there) = connect(&client, &a, a.local_addr()).await;
    assert_eq!(*there.peer(), PeerIdentity::client("shop", Rights::READ_WRITE));
    assert!(soon(client.accept()).await.is_none());
    let error = soon(a.connect(client.local_addr(), Expect::AnyHost)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[test]
fn the_same_seed_takes_the_same_course() {
    let course = |seed: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let net = MemoryNet::new(seed);
            net.set_default_delay(MS..=40 * MS);
            net.set_loss("a", "b", 0.3);
            let (a, b) = (host(&net, "a"), host(&net, "b"));
            let begun = Instant::now();
            let (here, there) = connect(&a, &b, b.local_addr()).await;
            let (sender, _back) = here.open().await.unwrap();
            let (_back, mut receiver) = soon(there.accept_stream()).await.unwrap();
            let mut times = Vec::new();
            for number in 0..50 {
                sender.send(frame(number, 10)).unwrap();
                here.send_datagram(frame(number, 10)).unwrap();
                soon(receiver.recv()).await.unwrap();
                times.push(begun.elapsed());
            }
            let mut datagrams = Vec::new();
            while let Ok(Ok(got)) = tokio::time::timeout(Duration::from_secs(1), there.recv_datagram()).await {
                datagrams.push(got);
            }
            (times, datagrams)
        })
    };
    assert_eq!(course(7), course(7));
    assert_ne!(course(7), course(8));
}
