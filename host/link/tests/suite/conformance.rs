//! What every transport must do. Each story is told over all of them; the twin's in paused time.

use std::time::Duration;

use bytes::Bytes;
use colony_link::{ConnectError, Connection, Expect, LinkConfig, LinkError, RecvError, Rights, Role, SendError};
use tokio::time::Instant;

use crate::world::{Kind, World, frame, soon};

macro_rules! over_all_transports {
    ($($story:ident)*) => {
        #[cfg(feature = "quic")]
        mod over_quic {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::Kind::Quic).await;
            })*
        }
        mod over_memory {
            $(#[tokio::test(start_paused = true)]
            async fn $story() {
                super::$story(super::Kind::Memory).await;
            })*
        }
    };
}

over_all_transports! {
    frames_arrive_whole_and_in_order
    a_frame_at_the_limit_arrives_and_one_above_it_is_refused
    a_frame_above_the_readers_limit_ends_that_stream_only
    an_empty_frame_is_refused
    a_full_queue_says_full_and_has_room_when_the_reader_reads
    after_the_peer_closed_everything_says_closed
    a_dropped_receiver_closes_its_sender
    a_dropped_sender_ends_the_stream_after_its_last_frame
    recv_loses_nothing_when_it_is_cancelled
    a_stream_is_accepted_before_its_first_frame
    many_streams_carry_their_own_frames
    streams_above_the_limit_wait_for_a_place
    datagrams_arrive_and_long_ones_are_refused
    each_side_knows_the_other
    another_host_than_expected_is_refused
    nobody_there_is_unreachable_after_the_handshake_timeout
    a_silent_peer_ends_the_connection_after_the_idle_timeout
    a_short_cut_only_delays
    a_closed_transport_ends_its_connections_and_its_accept_loop
    a_connection_that_everybody_dropped_is_closed
    a_stream_keeps_its_connection_alive
}

/// Limits small enough to be reached.
fn small() -> LinkConfig {
    LinkConfig {
        max_frame: 32 << 10,
        send_queue_frames: 4,
        send_queue_bytes: 256 << 10,
        stream_window: 64 << 10,
        max_streams: 4,
        ..LinkConfig::default()
    }
}

/// Times short enough to be waited for.
fn quick() -> LinkConfig {
    LinkConfig {
        idle_timeout: Duration::from_millis(800),
        keep_alive: Duration::from_millis(100),
        handshake_timeout: Duration::from_millis(300),
        ..LinkConfig::default()
    }
}

async fn frames_arrive_whole_and_in_order(kind: Kind) {
    const COUNT: u32 = 20_000;
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    let length = |number: u32| if number.is_multiple_of(1000) { 50_000 } else { 4 + number as usize % 300 };

    let (sender, _back) = here.open().await.unwrap();
    let send = async {
        for number in 0..COUNT {
            sender.send_wait(frame(number, length(number))).await.unwrap();
        }
        sender.finish().await
    };
    let receive = async {
        let (_back, mut receiver) = there.accept_stream().await.unwrap();
        for number in 0..COUNT {
            let got = receiver.recv().await.unwrap().expect("a frame");
            assert_eq!(got, frame(number, length(number)), "frame {number}");
        }
        assert_eq!(receiver.recv().await, Ok(None));
        assert_eq!(receiver.recv().await, Ok(None), "the end stays the end");
    };
    let (finished, ()) = soon(async { tokio::join!(send, receive) }).await;
    assert_eq!(finished, Ok(()));
}

async fn a_frame_at_the_limit_arrives_and_one_above_it_is_refused(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    let limit = LinkConfig::default().max_frame;

    let (sender, _back) = here.open().await.unwrap();
    let refused = sender.send(frame(1, limit + 1));
    assert_eq!(refused, Err(SendError::TooLarge { len: limit + 1, limit }));
    sender.send(frame(2, limit)).unwrap();
    sender.send(frame(3, 10)).unwrap();

    let (_back, mut receiver) = soon(there.accept_stream()).await.unwrap();
    assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(2, limit))));
    assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(3, 10))));
}

async fn a_frame_above_the_readers_limit_ends_that_stream_only(kind: Kind) {
    let strict = LinkConfig { max_frame: 1000, ..LinkConfig::default() };
    let world = World::with_configs(kind, LinkConfig::default(), strict).await;
    let (here, there) = world.connect().await;

    let (bad, _back) = here.open().await.unwrap();
    bad.send(frame(1, 1000)).unwrap();
    bad.send(frame(2, 1001)).unwrap();
    let (_back, mut receiver) = soon(there.accept_stream()).await.unwrap();
    let refused = RecvError::TooLarge { len: 1001, limit: 1000 };
    assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(1, 1000))));
    assert_eq!(soon(receiver.recv()).await, Err(refused.clone()));
    assert_eq!(soon(receiver.recv()).await, Err(refused));
    // The sender learns of it, and the connection is none the worse.
    soon(bad.closed()).await;
    exchange(&here, &there).await;
}

async fn an_empty_frame_is_refused(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, _there) = world.connect().await;
    let (sender, _back) = here.open().await.unwrap();
    assert_eq!(sender.send(Bytes::new()), Err(SendError::Empty));
    assert_eq!(sender.send_wait(Bytes::new()).await, Err(SendError::Empty));
}

async fn a_full_queue_says_full_and_has_room_when_the_reader_reads(kind: Kind) {
    let config = small();
    let world = World::new(kind, config.clone()).await;
    let (here, there) = world.connect().await;
    let (sender, _back) = here.open().await.unwrap();
    let (_back, mut receiver) = soon(there.accept_stream()).await.unwrap();

    // The window takes a few frames and the queue four; then nothing moves.
    let mut taken = 0;
    while soon(tokio::time::timeout(Duration::from_millis(500), sender.send_wait(frame(taken, 32 << 10)))).await.is_ok()
    {
        taken += 1;
        assert!(taken < 100, "a bounded queue takes frames without end");
    }
    assert_eq!(sender.send(frame(taken, 1)), Err(SendError::Full));
    assert_eq!(sender.backlog(), config.send_queue_frames);

    let send = async { sender.send_wait(frame(taken, 32 << 10)).await };
    let receive = async {
        for number in 0..=taken {
            assert_eq!(receiver.recv().await, Ok(Some(frame(number, 32 << 10))));
        }
    };
    let (sent, ()) = soon(async { tokio::join!(send, receive) }).await;
    assert_eq!(sent, Ok(()));
}

async fn after_the_peer_closed_everything_says_closed(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    let (sender, mut receiver) = here.open().await.unwrap();
    let (_far_sender, mut far_receiver) = soon(there.accept_stream()).await.unwrap();

    there.close(7, "enough");
    let told = LinkError::ClosedByPeer { code: 7, reason: "enough".into() };
    assert_eq!(soon(here.closed()).await, told);
    assert_eq!(here.close_reason(), Some(told.clone()));
    assert_eq!(soon(there.closed()).await, LinkError::ClosedHere);

    soon(sender.closed()).await;
    assert!(!sender.is_open());
    assert_eq!(sender.send(frame(1, 1)), Err(SendError::Closed));
    assert_eq!(sender.send_wait(frame(1, 1)).await, Err(SendError::Closed));
    assert_eq!(soon(receiver.recv()).await, Err(RecvError::Lost(told.clone())));
    assert_eq!(soon(far_receiver.recv()).await, Err(RecvError::Lost(LinkError::ClosedHere)));
    assert_eq!(soon(here.open()).await.err(), Some(told.clone()));
    assert_eq!(soon(here.accept_stream()).await.err(), Some(told.clone()));
    assert_eq!(here.send_datagram(frame(1, 1)), Err(told.clone()));
    assert_eq!(soon(here.recv_datagram()).await, Err(told));
    assert_eq!(soon(sender.finish()).await, Err(SendError::Closed));
}

async fn a_dropped_receiver_closes_its_sender(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    let (sender, _back) = here.open().await.unwrap();
    let (_back, receiver) = soon(there.accept_stream()).await.unwrap();
    drop(receiver);
    soon(sender.closed()).await;
    assert_eq!(sender.send(frame(1, 1)), Err(SendError::Closed));
    exchange(&here, &there).await;
}

async fn a_dropped_sender_ends_the_stream_after_its_last_frame(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    let (sender, _back) = here.open().await.unwrap();
    let clone = sender.clone();
    sender.send(frame(1, 100)).unwrap();
    drop(sender);
    clone.send(frame(2, 100)).unwrap();
    drop(clone);
    let (_back, mut receiver) = soon(there.accept_stream()).await.unwrap();
    assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(1, 100))));
    assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(2, 100))));
    assert_eq!(soon(receiver.recv()).await, Ok(None));
}

async fn recv_loses_nothing_when_it_is_cancelled(kind: Kind) {
    const COUNT: u32 = 200;
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    let (sender, _back) = here.open().await.unwrap();
    let (_back, mut receiver) = soon(there.accept_stream()).await.unwrap();
    let send = async {
        for number in 0..COUNT {
            sender.send_wait(frame(number, 20_000)).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let receive = async {
        let mut number = 0;
        while number < COUNT {
            tokio::select! {
                biased;
                got = receiver.recv() => {
                    assert_eq!(got, Ok(Some(frame(number, 20_000))));
                    number += 1;
                }
                () = tokio::task::yield_now() => {}
            }
        }
    };
    soon(async { tokio::join!(send, receive) }).await;
}

async fn a_stream_is_accepted_before_its_first_frame(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    let (_sender, mut receiver) = here.open().await.unwrap();
    let (far_sender, _far_receiver) = soon(there.accept_stream()).await.unwrap();
    far_sender.send(frame(1, 10)).unwrap();
    assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(1, 10))));
}

async fn many_streams_carry_their_own_frames(kind: Kind) {
    const STREAMS: u32 = 200;
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    let echo = tokio::spawn(async move {
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let (sender, mut receiver) = there.accept_stream().await.unwrap();
            streams.push(tokio::spawn(async move {
                while let Some(got) = receiver.recv().await.unwrap() {
                    sender.send_wait(got).await.unwrap();
                }
                sender.finish().await.unwrap();
            }));
        }
        for stream in streams {
            stream.await.unwrap();
        }
    });
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        let (sender, receiver) = soon(here.open()).await.unwrap();
        for round in 0..10 {
            sender.send(frame(number * 10 + round, 100)).unwrap();
        }
        streams.push((number, receiver));
    }
    for (number, mut receiver) in streams {
        for round in 0..10 {
            assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(number * 10 + round, 100))));
        }
        assert_eq!(soon(receiver.recv()).await, Ok(None));
    }
    soon(echo).await.unwrap();
}

async fn streams_above_the_limit_wait_for_a_place(kind: Kind) {
    let world = World::new(kind, small()).await;
    let (here, there) = world.connect().await;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..small().max_streams {
        ours.push(soon(here.open()).await.unwrap());
        theirs.push(soon(there.accept_stream()).await.unwrap());
    }
    let fifth = tokio::time::timeout(Duration::from_millis(200), here.open()).await;
    assert!(fifth.is_err(), "a stream above the limit was opened");

    ours.pop();
    theirs.pop();
    soon(here.open()).await.unwrap();
}

async fn datagrams_arrive_and_long_ones_are_refused(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    for number in 0..10 {
        here.send_datagram(frame(number, 500)).unwrap();
        assert_eq!(soon(there.recv_datagram()).await, Ok(frame(number, 500)));
    }
    let limit = here.max_datagram_size();
    assert!(limit >= 1100, "{limit} is below what is promised");
    here.send_datagram(frame(1, limit)).unwrap();
    assert_eq!(soon(there.recv_datagram()).await.map(|got| got.len()), Ok(limit));
    let refused = here.send_datagram(frame(1, 10_000));
    assert!(matches!(refused, Err(LinkError::DatagramTooLarge { len: 10_000, .. })), "{refused:?}");
    exchange(&here, &there).await;
}

async fn each_side_knows_the_other(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    assert_eq!((here.peer().name.as_str(), here.peer().role), ("h2", Role::Host));
    assert_eq!((there.peer().name.as_str(), there.peer().role), ("h1", Role::Host));
    assert_eq!(here.peer().rights, Rights::ALL);
    assert_eq!(here.remote_addr(), world.h2_addr);
    assert_eq!(there.remote_addr(), world.h1.local_addr());
    assert_eq!(world.h2.local_addr(), world.h2_addr);
}

async fn another_host_than_expected_is_refused(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let expected = Expect::Host("h3".into());
    let error = soon(world.h1.connect(world.h2_addr, expected.clone())).await.unwrap_err();
    match &error {
        ConnectError::UnexpectedHost { expected: asked, got, .. } => {
            assert_eq!((asked, got.as_str()), (&expected, "host `h2`"));
        }
        other => panic!("{other}"),
    }
    assert_eq!(error.to_string(), format!("{}: expected host `h3`, got host `h2`", world.h2_addr));

    let dialed = soon(world.h1.connect(world.h2_addr, Expect::Host("h2".into())));
    let (dialed, _accepted) = soon(async { tokio::join!(dialed, world.h2.accept()) }).await;
    assert_eq!(dialed.unwrap().peer().name, "h2");

    let bad_name = soon(world.h1.connect(world.h2_addr, Expect::Host("H 2".into()))).await;
    assert!(matches!(bad_name, Err(ConnectError::BadName(_))), "{bad_name:?}");
}

async fn nobody_there_is_unreachable_after_the_handshake_timeout(kind: Kind) {
    let world = World::new(kind, quick()).await;
    let gone = world.h2_addr;
    world.h2.close();
    soon(world.h2.drained()).await;
    drop(world.h2);
    let begun = Instant::now();
    let error = soon(world.h1.connect(gone, Expect::AnyHost)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(begun.elapsed() >= quick().handshake_timeout);
}

async fn a_silent_peer_ends_the_connection_after_the_idle_timeout(kind: Kind) {
    let world = World::cuttable(kind, quick()).await;
    let (here, there) = world.connect().await;
    let (sender, mut receiver) = here.open().await.unwrap();
    let _theirs = soon(there.accept_stream()).await.unwrap();
    // Idle for longer than the timeout is nothing: the ends keep in touch.
    tokio::time::sleep(quick().idle_timeout * 2).await;
    assert_eq!(here.close_reason(), None);

    world.cut();
    let begun = Instant::now();
    assert_eq!(soon(here.closed()).await, LinkError::Silent);
    assert_eq!(soon(there.closed()).await, LinkError::Silent);
    assert!(begun.elapsed() >= quick().idle_timeout - quick().keep_alive * 2, "{:?}", begun.elapsed());
    soon(sender.closed()).await;
    assert_eq!(soon(receiver.recv()).await, Err(RecvError::Lost(LinkError::Silent)));
}

async fn a_short_cut_only_delays(kind: Kind) {
    let config = LinkConfig { idle_timeout: Duration::from_secs(20), ..LinkConfig::default() };
    let world = World::cuttable(kind, config).await;
    let (here, there) = world.connect().await;
    let (sender, _back) = here.open().await.unwrap();
    let (_back, mut receiver) = soon(there.accept_stream()).await.unwrap();

    world.cut();
    here.send_datagram(frame(9, 10)).unwrap();
    sender.send(frame(1, 5000)).unwrap();
    let early = tokio::time::timeout(Duration::from_millis(300), receiver.recv()).await;
    assert!(early.is_err(), "a frame passed a cut: {early:?}");
    world.mend();
    assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(1, 5000))));
    let datagram = tokio::time::timeout(Duration::from_millis(100), there.recv_datagram()).await;
    assert!(datagram.is_err(), "a datagram outlived a cut");
}

async fn a_closed_transport_ends_its_connections_and_its_accept_loop(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    world.h2.close();
    world.h2.close();
    let told = soon(here.closed()).await;
    assert_eq!(told, LinkError::ClosedByPeer { code: 0, reason: "leaving".into() });
    assert_eq!(soon(there.closed()).await, LinkError::ClosedHere);
    assert!(soon(world.h2.accept()).await.is_none());
    soon(world.h2.drained()).await;
    let from_closed = soon(world.h2.connect(world.h1.local_addr(), Expect::AnyHost)).await;
    assert!(matches!(from_closed, Err(ConnectError::Closed { .. })), "{from_closed:?}");
}

async fn a_connection_that_everybody_dropped_is_closed(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    let clone = here.clone();
    drop(here);
    exchange(&clone, &there).await;
    drop(clone);
    let told = soon(there.closed()).await;
    assert_eq!(told, LinkError::ClosedByPeer { code: 0, reason: String::new() });
}

async fn a_stream_keeps_its_connection_alive(kind: Kind) {
    let world = World::new(kind, LinkConfig::default()).await;
    let (here, there) = world.connect().await;
    let (sender, back) = here.open().await.unwrap();
    let (_back, mut receiver) = soon(there.accept_stream()).await.unwrap();
    drop((here, back));
    sender.send(frame(1, 10)).unwrap();
    assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(1, 10))));
}

/// Shows that a connection works.
pub(crate) async fn exchange(here: &Connection, there: &Connection) {
    let (sender, mut receiver) = soon(here.open()).await.unwrap();
    let (far_sender, mut far_receiver) = soon(there.accept_stream()).await.unwrap();
    sender.send(frame(1, 100)).unwrap();
    assert_eq!(soon(far_receiver.recv()).await, Ok(Some(frame(1, 100))));
    far_sender.send(frame(2, 100)).unwrap();
    assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(2, 100))));
}
