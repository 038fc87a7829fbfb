//! Who is in the in-sync set, and who decides (`PROTOCOL.md` 3.5, 3.7).

use bytes::Bytes;
use colony_core::colony::Settings;
use colony_core::group::{Command, Outcome};

use crate::calls::{blob, request, request_of};
use crate::world::{A, B, C, World, world};

/// A's peers hear nothing and answer nothing for so long; A ticks.
fn silence(w: &mut World, millis: u64) {
    for _ in 0..millis / 20 {
        w.tick(A);
        w.bag.clear();
    }
}

/// `PROTOCOL.md` 3.7; I4: a write that a silent peer lacks waits until the group has taken the peer out.
#[test]
fn a_silent_peer_is_dropped_by_the_group_before_anything_is_acknowledged_without_it() {
    let mut w = world(&[A, B]);
    let caller = w.ask(A, request(1, blob("k", "v")));
    silence(&mut w, 1_000);
    assert_eq!(w.answer(caller), None);
    assert!(w.proposals.iter().all(|command| matches!(command, Command::ChangeInSync { add: None, .. })));
    w.decide();
    assert_eq!(w.entry().in_sync, [w.start(A)]);
    assert_eq!(w.answer(caller), None, "A has not heard of it");
    w.tell(A);
    assert!(w.is_done(caller));
}

/// `PROTOCOL.md` 3.7: silence is counted from what is owed; who owes nothing is not silent.
#[test]
fn a_peer_that_owes_nothing_is_left_alone() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.run(100);
    silence(&mut w, 2_000);
    assert!(w.proposals.is_empty());
}

/// `PROTOCOL.md` 5.1; I4: removal and promotion are decided on the same entry: one of them is void.
#[test]
fn a_removal_and_a_promotion_never_both_hold() {
    let mut w = world(&[A, B]);
    let caller = w.ask(A, request(1, blob("k", "v")));
    silence(&mut w, 400);
    w.declare_dead(A);
    assert!(w.decide().iter().all(|outcome| matches!(outcome, Outcome::Refused(_))));
    assert_eq!((w.entry().primary, w.entry().in_sync), (Some(w.start(B)), vec![w.start(B)]));
    w.tell(A);
    assert!(w.refusal(caller).is_some(), "it was never acknowledged");
}

/// `PROTOCOL.md` 3.5, 6.3; C36: who fell silent and is wanted comes back by itself.
#[test]
fn a_peer_that_was_dropped_catches_up_and_counts_again() {
    let mut w = world(&[A, B]);
    w.ask(A, request(1, blob("k", "v")));
    silence(&mut w, 400);
    w.decide();
    w.tell_all();
    assert!(!w.entry().is_in_sync(w.start(B)));
    w.run(500);
    assert!(w.entry().is_in_sync(w.start(B)));
    assert_eq!(w.replica(B).committed(), w.replica(A).committed());
}

/// `PROTOCOL.md` 13.
///
/// Bug: a primary that had been stopped for a moment had all its peers removed, though their answers lay in
/// its own queue. Cause: it counted its own pause as their silence. Fix: after a late tick silence is counted
/// anew.
#[test]
fn a_primary_that_slept_accuses_nobody() {
    let mut w = world(&[A, B, C]);
    let caller = w.ask(A, request(1, blob("k", "v")));
    w.deliver(B);
    w.deliver(C);
    w.pass(1_000);
    w.tick(A);
    assert!(w.proposals.is_empty());
    w.quiet();
    assert!(w.is_done(caller));
}

/// `PROTOCOL.md` 13: whatever comes first when it wakes.
#[test]
fn a_primary_that_slept_accuses_nobody_whatever_it_hears_first() {
    let mut w = world(&[A, B, C]);
    w.run(100);
    let caller = w.ask(A, request(1, blob("k", "v")));
    w.tick(A);
    w.deliver(B);
    w.deliver(C);
    w.pass(1_000);
    w.ask(A, request_of(2, 1, 1, blob("k", "w")));
    w.tick(A);
    assert!(w.proposals.is_empty());
    w.quiet();
    assert!(w.is_done(caller));
}

/// `PROTOCOL.md` 3.5, 3.7, 13; C30: without a leader of the group the data path goes on.
#[test]
fn writes_go_on_while_nobody_decides() {
    let mut w = world(&[A, B]);
    w.want(&[A, B, C]);
    w.tell_all();
    for number in 1..=20 {
        w.done(A, request(number, blob("k", "v")));
        w.tick(A);
        w.quiet();
    }
    assert!(!w.proposals.is_empty(), "C is proposed all the while");
    assert_eq!(w.value(A, "k"), Some(Bytes::from("v")));
}

/// `PROTOCOL.md` 3.7.
///
/// Bug: after the network was away for a second copies were removed from the set that answered at once when they were asked.
/// Cause: what was not answered was sent again ever more seldom, and so a copy could be silent for `replica_timeout` for want
/// of a question. Fix: one in sync is asked again before that.
#[test]
fn who_is_in_sync_is_asked_again_before_its_silence_counts() {
    let mut w = world(&[A, B]);
    w.ask(A, request(1, blob("k", "v")));
    let (mut asked, mut longest) = (w.now.0, 0);
    for _ in 0..100 {
        w.pass(20);
        w.tick(A);
        if w.bag.iter().any(|envelope| envelope.message.to == w.start(B)) {
            longest = longest.max(w.now.0 - asked);
            asked = w.now.0;
        }
        w.lose_to(B);
    }
    let timeout = Settings::default().replica_timeout.as_micros();
    assert!(u128::from(longest) < timeout, "{longest} us");
}
