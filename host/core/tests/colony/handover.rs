//! A reign handed to an in-sync peer (`PROTOCOL.md` 6.5).

use bytes::Bytes;
use colony_core::group::{Command, Outcome};
use colony_wire::client::Refusal;

use crate::calls::{blob, request};
use crate::world::{A, B, C, World, world};

/// A reigns, all is in sync, and placement wants B to reign; A has just heard of it.
fn about_to_hand_over() -> World {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.run(100);
    w.want(&[B, A]);
    w.tell(A);
    w
}

/// `PROTOCOL.md` 6.5; C44: roles are swapped, no state moves, nothing is lost.
#[test]
fn a_reign_is_handed_to_the_peer_that_placement_wants() {
    let mut w = about_to_hand_over();
    w.run(100);
    assert_eq!(w.entry().primary, Some(w.start(B)));
    assert_eq!(w.entry().in_sync, [w.start(B), w.start(A)]);
    assert_eq!(w.value(B, "k"), Some(Bytes::from("v")));
    let late = w.ask(A, request(2, blob("k", "v")));
    assert_eq!(w.refusal(late), Some(&Refusal::NotPrimary { reign: w.entry().reign }));
}

/// `PROTOCOL.md` 6.5: stop, flush, all acknowledged, and only then the group is asked.
#[test]
fn a_handover_is_proposed_only_when_everything_is_held_everywhere() {
    let mut w = world(&[A, B]);
    let caller = w.ask(A, request(1, blob("k", "v")));
    w.want(&[B, A]);
    w.tell(A);
    assert!(w.proposals.is_empty());
    let late = w.ask(A, request(2, blob("k", "w")));
    w.quiet();
    assert!(w.is_done(caller));
    assert!(matches!(w.proposals.as_slice(), [Command::Swap { .. }]));
    assert!(!w.is_done(late) && w.refusal(late).is_none(), "it waits for the swap");
    w.run(100);
    assert_eq!(w.refusal(late), Some(&Refusal::NotPrimary { reign: w.entry().reign }));
}

/// C8: what comes during a hand-over waits a moment and is told where to go, or is carried out if the hand-over comes
/// to nothing; asked again meanwhile, it is one request.
#[test]
fn what_comes_during_a_handover_waits_for_its_end() {
    let mut w = about_to_hand_over();
    let first = w.ask(A, request(2, blob("k", "w")));
    let again = w.ask(A, request(2, blob("k", "w")));
    assert_eq!(w.refusal(first), Some(&Refusal::Deposed), "the newest attempt gets the answer");
    w.want(&[A, B]);
    w.tell(A);
    w.quiet();
    assert!(w.is_done(again));
    assert_eq!(w.value(A, "k"), Some(Bytes::from("w")));
}

/// `PROTOCOL.md` 6.5: not to one who lacks a copy, and not before all that are wanted have one.
#[test]
fn nobody_takes_over_before_all_that_are_wanted_are_in_sync() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    w.want(&[B, C]);
    w.tell_all();
    for _ in 0..100 {
        w.run(20);
        let entry = w.entry();
        assert!(entry.primary == Some(w.start(A)) || entry.is_in_sync(w.start(B)) && entry.is_in_sync(w.start(C)));
    }
    assert_eq!((w.entry().primary, w.entry().in_sync.len()), (Some(w.start(B)), 2));
    assert!(!w.holds(A));
    assert_eq!(w.value(B, "k"), Some(Bytes::from("v")));
}

/// `PROTOCOL.md` 6.5: the entry changed in between: the swap is void, and the reign goes on.
#[test]
fn a_handover_overtaken_by_another_entry_is_void() {
    let mut w = about_to_hand_over();
    assert!(matches!(w.proposals.as_slice(), [Command::Swap { .. }]));
    w.want(&[A, B]);
    assert!(w.decide().iter().all(|outcome| matches!(outcome, Outcome::Refused(_))));
    w.tell(A);
    w.done(A, request(2, blob("k", "w")));
    assert_eq!(w.entry().primary, Some(w.start(A)));
}

/// `PROTOCOL.md` 6.5: the heir died first; who hands over goes on to reign.
#[test]
fn a_handover_to_one_who_died_is_given_up() {
    let mut w = about_to_hand_over();
    w.kill(B);
    w.declare_dead(B);
    w.decide();
    w.tell(A);
    let caller = w.ask(A, request(2, blob("k", "w")));
    assert!(w.is_done(caller));
}

/// `PROTOCOL.md` 6.5, 7; C30.
///
/// Bug: without a leader of the group a colony that was being handed over took no writes for as long.
/// Cause: once proposed, it waited for the answer. Fix: the wait has an end. Whatever is acknowledged then is
/// held by the heir as well, so it does no harm if the swap is decided after all.
#[test]
fn a_handover_that_nobody_decides_does_not_stop_the_colony() {
    let mut w = about_to_hand_over();
    let swap = w.proposals[0].clone();
    let mut served = 0;
    for number in 2..=150 {
        let caller = w.ask(A, request(number, blob("k", "w")));
        w.quiet();
        served += usize::from(w.is_done(caller));
        w.tick(A);
        w.quiet();
    }
    assert!(served > 50, "served {served} of 149 in three seconds");
    assert_eq!(w.apply(&swap), Outcome::Applied, "late, and as good as ever");
    w.tell_all();
    w.run(100);
    assert_eq!(w.value(B, "k"), Some(Bytes::from("w")));
}
