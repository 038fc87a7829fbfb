//! The TCP connection whose end tells of a dead process.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use colony_link::sentinel::{
    Broken, DialError, HELLO_LEN_MAX, HelloError, ListenError, Probe, SentinelConnection, SentinelListener, dial, probe,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::soon;

const LIMIT: Duration = Duration::from_secs(10);

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn listener() -> SentinelListener {
    SentinelListener::bind(any(), Bytes::from_static(b"listener")).await.unwrap()
}

async fn pair(listener: &SentinelListener) -> (SentinelConnection, SentinelConnection) {
    let hello = Bytes::from_static(b"dialer");
    let (dialed, accepted) =
        soon(async { tokio::join!(dial(listener.local_addr(), &hello, LIMIT), listener.accept()) }).await;
    let ((theirs, dialed), (ours, accepted)) = (dialed.unwrap(), accepted.unwrap());
    assert_eq!((theirs.as_ref(), ours.as_ref()), (b"listener".as_ref(), b"dialer".as_ref()));
    (dialed, accepted)
}

#[tokio::test]
async fn both_sides_hear_the_others_hello_and_its_end_at_once() {
    let listener = listener().await;
    for dropped_by_dialer in [true, false] {
        let (dialed, accepted) = pair(&listener).await;
        let (left, right) = if dropped_by_dialer { (dialed, accepted) } else { (accepted, dialed) };
        let quiet = tokio::time::timeout(Duration::from_millis(50), right.broken()).await;
        assert!(quiet.is_err(), "{quiet:?}");
        let begun = Instant::now();
        drop(left);
        assert_eq!(soon(right.broken()).await, Broken::Eof);
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(soon(right.broken()).await, Broken::Eof, "it says the same when asked again");
    }
}

#[tokio::test]
async fn the_end_of_a_listeners_process_shows_as_eof() {
    let (addr_out, addr_in) = tokio::sync::oneshot::channel();
    let (die_out, die_in) = tokio::sync::oneshot::channel::<()>();
    let doomed = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = listener().await;
            addr_out.send(listener.local_addr()).unwrap();
            let _accepted = listener.accept().await;
            let _ = die_in.await;
        });
    });
    let addr = soon(addr_in).await.unwrap();
    let (_, connection) = dial(addr, &Bytes::from_static(b"x"), LIMIT).await.unwrap();
    assert_eq!(probe(addr, LIMIT).await, Probe::Accepted);
    die_out.send(()).unwrap();
    assert_eq!(soon(connection.broken()).await, Broken::Eof);
    tokio::task::spawn_blocking(move || doomed.join().unwrap()).await.unwrap();
    assert_eq!(probe(addr, LIMIT).await, Probe::Refused);
}

#[tokio::test]
async fn a_garbage_greeting_closes_that_connection_only() {
    let listener = listener().await;
    let addr = listener.local_addr();
    let (mut good, _accepted) = pair(&listener).await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"cls1\x00", b"cls1\xff", &[0; 100], b"cls"] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        // What is left of it is the listener's hello, then its end.
        let mut rest = Vec::new();
        let _ = soon(stream.read_to_end(&mut rest)).await;
        assert!(rest.len() <= 13, "{rest:?}");
    }
    let quiet = tokio::time::timeout(Duration::from_millis(50), good.broken()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    // And none of them was handed out: the next that is, is a good one.
    (good, _) = pair(&listener).await;
    drop(good);
}

#[tokio::test]
async fn a_word_after_the_greeting_is_garbage() {
    let listener = listener().await;
    let mut stream = TcpStream::connect(listener.local_addr()).await.unwrap();
    stream.write_all(b"cls1\x01x").await.unwrap();
    let (hello, connection) = soon(listener.accept()).await.unwrap();
    assert_eq!(hello.as_ref(), b"x");
    stream.write_all(b"!").await.unwrap();
    assert_eq!(soon(connection.broken()).await, Broken::Garbage);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed_in_time() {
    let listener = listener().await;
    let mut mute = TcpStream::connect(listener.local_addr()).await.unwrap();
    let mut rest = Vec::new();
    soon(mute.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"cls1\x08listener");
}

#[tokio::test]
async fn a_hello_has_a_length() {
    for len in [0, HELLO_LEN_MAX + 1] {
        let hello = Bytes::from(vec![1; len]);
        let bound = SentinelListener::bind(any(), hello.clone()).await;
        assert!(matches!(bound, Err(ListenError::Hello(HelloError::Length(_)))), "{bound:?}");
        let listener = listener().await;
        let dialed = dial(listener.local_addr(), &hello, LIMIT).await;
        assert!(matches!(dialed, Err(DialError::Greeting { .. })), "{dialed:?}");
    }
}

#[tokio::test]
async fn a_dial_says_why_it_failed() {
    let free = TcpListener::bind(any()).await.unwrap();
    let addr = free.local_addr().unwrap();
    let hello = Bytes::from_static(b"x");

    // The kernel takes the connection; nobody greets.
    let silent = dial(addr, &hello, Duration::from_millis(100)).await;
    assert!(matches!(silent, Err(DialError::Silent { .. })), "{silent:?}");
    let in_use = SentinelListener::bind(addr, hello.clone()).await.unwrap_err();
    assert_eq!(in_use.to_string(), format!("{addr} (TCP) is in use by another process"));
    drop(free);
    let refused = dial(addr, &hello, LIMIT).await;
    assert!(matches!(refused, Err(DialError::Refused { .. })), "{refused:?}");
}
