//! How a copy stands, as people are told.

use colony_core::colony::{Lag, Part};
use colony_wire::Reign;

use crate::calls::{blob, request};
use crate::world::{A, B, C, world};

/// C28: the primary tells of its slowest peer in sync, of nobody at rest, and its peers of none.
#[test]
fn the_slowest_peer_in_sync_is_told_with_its_lag() {
    let mut w = world(&[A, B, C]);
    w.run(40);
    let standing = w.replica(A).standing();
    assert_eq!((standing.part, standing.is_serving, standing.reign), (Part::Primary, true, Reign(1)));
    assert_eq!((standing.sessions, standing.uncommitted), (0, 0));
    assert!(matches!(standing.lag, Some(Lag { ops: 0, bytes: 0, .. })), "{standing:?}");
    assert_eq!(standing.catching_up, None);

    for (number, name) in (1..).zip(["k1", "k2"]) {
        w.ask(A, request(number, blob(name, "v")));
        w.deliver(B);
        w.lose_to(C);
        w.deliver(A);
    }
    let standing = w.replica(A).standing();
    assert_eq!((standing.sessions, standing.uncommitted), (0, 2));
    let lag = standing.lag.expect("C is behind");
    assert_eq!((lag.peer, lag.ops), (w.start(C), 2));
    assert!(lag.bytes > 0, "{lag:?}");

    let standing = w.replica(B).standing();
    assert_eq!((standing.part, standing.is_serving, standing.lag), (Part::Secondary, false, None));
    w.run(200);
    let standing = w.replica(A).standing();
    assert_eq!((standing.sessions, standing.uncommitted), (2, 0));
    assert!(matches!(standing.lag, Some(Lag { ops: 0, .. })), "{standing:?}");
}

/// A copy that catches up is told apart from those in sync: it holds up nothing.
#[test]
fn a_peer_that_catches_up_is_told_by_itself() {
    let mut w = world(&[A, B]);
    for (number, name) in (1..).zip(["k1", "k2", "k3"]) {
        w.done(A, request(number, blob(name, "v")));
    }
    w.want(&[A, B, C]);
    w.tell(A);
    let standing = w.replica(A).standing();
    let lag = standing.catching_up.expect("C is to hold a copy");
    assert_eq!(lag.peer, w.start(C));
    assert!(lag.ops >= 3, "{lag:?}");
    assert!(matches!(standing.lag, Some(Lag { ops: 0, .. })), "{standing:?}");
    w.tell(C);
    assert_eq!(w.replica(C).standing().part, Part::CatchingUp);
}
