//! A host that drops its copy and begins another under the same start (`PROTOCOL.md` 1, 3.4, 6.5).

use bytes::Bytes;
use colony_core::group::Outcome;
use colony_wire::peer::PeerBody;

use crate::calls::{blob, request};
use crate::world::{A, B, C, World, world};

/// B held everything; then placement went elsewhere, so that it is about to leave the set.
fn about_to_leave() -> World {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.run(100);
    w.want(&[A]);
    w.tell(A);
    w
}

/// `PROTOCOL.md` 6.5: it adds before it removes, and who is out of the table drops its copy.
#[test]
fn a_copy_that_is_not_wanted_leaves_the_set_and_is_dropped() {
    let mut w = about_to_leave();
    assert_eq!(w.decide(), [Outcome::Applied]);
    assert!(!w.entry().concerns(w.start(B)));
    w.tell(B);
    assert!(!w.holds(B));
}

/// `PROTOCOL.md` 6.5; C6: the copy that leaves goes only once all that are wanted are in sync.
#[test]
fn a_move_adds_before_it_removes() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.want(&[A, C]);
    w.tell_all();
    for _ in 0..50 {
        w.run(20);
        assert!(w.entry().in_sync.len() >= 2, "never fewer than before");
    }
    assert_eq!(w.entry().in_sync, [w.start(A), w.start(C)]);
    assert!(!w.holds(B));
}

/// `PROTOCOL.md` 3.5, 6.3; I4.
///
/// Bug: what a dropped copy had acknowledged counted for the empty one begun after it by the same start in
/// the same reign. Cause: an acknowledgement named the start and the reign, which are the same. Fix: it names
/// the newest table entry its copy knows to exist, and counts only from the one since which it is a peer.
#[test]
fn an_old_acknowledgement_of_a_dropped_copy_does_not_count() {
    let mut w = world(&[A, B]);
    w.ask(A, request(1, blob("k", "v")));
    w.deliver(B);
    let old = w.take(|e| matches!(e.body(), PeerBody::Appended { .. }));
    for envelope in old.clone() {
        w.arrive(envelope);
    }
    w.want(&[A]);
    w.tell(A);
    w.decide();
    w.tell_all();
    assert!(!w.holds(B));
    w.want(&[A, B]);
    w.tell_all();
    w.lose_to(B);
    for envelope in old {
        w.arrive(envelope);
    }
    w.tick(A);
    assert!(w.proposals.is_empty(), "nothing says that the new copy holds anything");
    w.run(400);
    assert!(w.entry().is_in_sync(w.start(B)));
    assert_eq!(w.replica(B).committed(), w.replica(A).committed());
}

/// `PROTOCOL.md` 3.5, 6.3; I4.
///
/// Bug: a primary that heard only the newer of two entries went on counting what the copy dropped at the
/// older one had acknowledged, and had the empty one that followed it put into the in-sync set.
/// Cause: a peer of both entries it heard looked like one copy. Fix: who is not in sync by an entry that does
/// not follow on the last one heard is met anew.
#[test]
fn a_skipped_entry_never_lets_a_lost_copy_count() {
    let mut w = about_to_leave();
    w.decide();
    w.tell(B);
    assert!(!w.holds(B));
    w.want(&[A, B]);
    w.tell(B);
    assert!(w.holds(B));
    w.tell(A);
    assert!(w.proposals.is_empty(), "nothing says that the new copy holds anything");
    w.run(400);
    assert!(w.entry().is_in_sync(w.start(B)));
    assert_eq!(w.replica(B).committed(), w.replica(A).committed());
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    w.run(100);
    assert_eq!(w.value(B, "k"), Some(Bytes::from("v")));
}

/// `PROTOCOL.md` 1, 6.5: the primary has named the entry that wants the copy again; the one before it, heard
/// late, does not drop the copy.
#[test]
fn an_entry_older_than_what_the_primary_named_drops_no_copy() {
    let mut w = about_to_leave();
    w.decide();
    let unwanted = w.entry();
    w.tell(A);
    w.want(&[A, B]);
    w.tell(A);
    w.quiet();
    assert_eq!(w.replica(B).prepared(), w.replica(A).prepared());
    w.tell_entry(B, unwanted);
    assert!(w.holds(B));
    w.run(200);
    assert!(w.entry().is_in_sync(w.start(B)));
}

/// `PROTOCOL.md` 1: entries come in any order; an old one changes nothing.
#[test]
fn an_older_entry_is_passed_over() {
    let mut w = world(&[A, B]);
    let old = w.entry();
    w.want(&[B, A]);
    w.tell_all();
    let newer = w.replica(B).entry().clone();
    w.tell_entry(B, old);
    assert_eq!(w.replica(B).entry(), &newer);
}
