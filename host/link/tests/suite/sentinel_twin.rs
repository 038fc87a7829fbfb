//! Sentinels in memory do what those over TCP do, and what the network is told.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use colony_link::memory::MemoryNet;
use colony_link::sentinel::{
    Broken, DialError, ListenError, Probe, SentinelConnection, SentinelListener, Sentinels, TcpSentinels,
};
use colony_link::{Expect, PeerIdentity, Transport};
use tokio::time::{Instant, timeout};

use crate::world::soon;

const LIMIT: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn hello(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn pair(
    from: &dyn Sentinels,
    to: &dyn Sentinels,
    at: SocketAddr,
) -> (SentinelListener, SentinelConnection, SentinelConnection) {
    let listener = to.listen(at, hello("listener")).await.unwrap();
    let addr = listener.local_addr();
    let (dialed, accepted) =
        soon(async { tokio::join!(from.dial(addr, hello("dialer"), LIMIT), listener.accept()) }).await;
    let ((theirs, dialed), (ours, accepted)) = (dialed.unwrap(), accepted.unwrap());
    assert_eq!((theirs, ours), (hello("listener"), hello("dialer")));
    (listener, dialed, accepted)
}

/// What holds for both.
async fn conforms(from: &dyn Sentinels, to: &dyn Sentinels, at: SocketAddr) {
    let (listener, dialed, accepted) = pair(from, to, at).await;
    let addr = listener.local_addr();
    assert_eq!(from.probe(addr, LIMIT).await, Probe::Accepted);
    let second = to.listen(addr, hello("second")).await;
    assert!(matches!(second, Err(ListenError::InUse { .. })), "{second:?}");
    let mute = from.dial(addr, Bytes::new(), LIMIT).await;
    assert!(matches!(mute, Err(DialError::Greeting { .. })), "{mute:?}");
    assert!(timeout(20 * MS, accepted.broken()).await.is_err(), "nothing has ended");
    drop(dialed);
    assert_eq!(soon(accepted.broken()).await, Broken::Eof);
    assert_eq!(soon(accepted.broken()).await, Broken::Eof, "it says the same when asked again");
    drop(listener);
    // The end of a listener takes its runtime a turn, and what a machine took meanwhile it resets.
    soon(async {
        while from.probe(addr, LIMIT).await != Probe::Refused {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let refused = from.dial(addr, hello("dialer"), LIMIT).await;
    assert!(matches!(refused, Err(DialError::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn sentinels_over_tcp_conform() {
    // Nobody else on the machine is at this address: a port that was given up is not taken by others at once.
    conforms(&TcpSentinels, &TcpSentinels, SocketAddr::from(([127, 77, 1, 1], 0))).await;
}

#[tokio::test(start_paused = true)]
async fn sentinels_in_memory_conform() {
    let net = MemoryNet::new(1);
    conforms(&net.sentinels("a"), &net.sentinels("b"), B).await;
}

const B: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)), 7400);

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_not_there_is_silence() {
    let net = MemoryNet::new(1);
    assert_eq!(net.sentinels("a").probe(B, LIMIT).await, Probe::Silent);
    let silent = net.sentinels("a").dial(B, hello("x"), LIMIT).await;
    assert!(matches!(silent, Err(DialError::Silent { .. })), "{silent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_killed_host_breaks_its_connections_and_its_machine_refuses() {
    let net = MemoryNet::new(1);
    net.set_delay("b", "a", 30 * MS..=30 * MS);
    let (a, b) = (net.sentinels("a"), net.sentinels("b"));
    let (_listener, dialed, _accepted) = pair(&a, &b, B).await;
    net.kill("b");
    let begun = Instant::now();
    assert_eq!(soon(dialed.broken()).await, Broken::Eof);
    assert_eq!(begun.elapsed(), 30 * MS, "word of it takes its time");
    assert_eq!(a.probe(B, LIMIT).await, Probe::Refused);
    assert!(b.listen(B, hello("again")).await.is_ok(), "its address is free");
}

#[tokio::test(start_paused = true)]
async fn an_end_behind_a_cut_is_heard_of_when_it_is_mended() {
    let net = MemoryNet::new(1);
    let (a, b) = (net.sentinels("a"), net.sentinels("b"));
    let (_listener, dialed, accepted) = pair(&a, &b, B).await;
    net.cut_one_way("b", "a");
    assert!(timeout(60 * LIMIT, accepted.broken()).await.is_err(), "a cut ends no connection");
    net.kill("b");
    assert!(timeout(60 * LIMIT, dialed.broken()).await.is_err(), "no word gets through");
    assert_eq!(a.probe(B, LIMIT).await, Probe::Silent, "nor an answer");
    net.mend_one_way("b", "a");
    assert_eq!(soon(dialed.broken()).await, Broken::Eof);
}

#[tokio::test(start_paused = true)]
async fn the_machine_of_a_stopped_process_answers_for_it() {
    let net = MemoryNet::new(1);
    let (a, b) = (net.sentinels("a"), net.sentinels("b"));
    let (_listener, dialed, _accepted) = pair(&a, &b, B).await;
    net.stop("b");
    assert!(timeout(60 * LIMIT, dialed.broken()).await.is_err(), "its connections stay");
    assert_eq!(a.probe(B, LIMIT).await, Probe::Accepted);
    let ungreeted = a.dial(B, hello("x"), LIMIT).await;
    assert!(matches!(ungreeted, Err(DialError::Silent { .. })), "{ungreeted:?}");
    net.resume("b");
    assert!(a.dial(B, hello("x"), LIMIT).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nothing_passes_to_or_from_a_stopped_process() {
    let net = MemoryNet::new(1);
    let a = net.bind(SocketAddr::from(([10, 0, 0, 1], 7400)), PeerIdentity::host("a")).unwrap();
    let _b = net.bind(B, PeerIdentity::host("b")).unwrap();
    net.stop("b");
    let dialed = timeout(60 * LIMIT, a.connect(B, Expect::AnyHost)).await;
    assert!(matches!(dialed, Ok(Err(_))), "{dialed:?}");
    net.resume("b");
    assert!(a.connect(B, Expect::AnyHost).await.is_ok());
}
