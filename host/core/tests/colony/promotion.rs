//! What a reign takes over from the one before (`PROTOCOL.md` 5).

use bytes::Bytes;
use colony_core::group::{Command, Outcome};
use colony_wire::Seq;
use colony_wire::client::Refusal;
use colony_wire::control::Fate;
use colony_wire::op::Change;
use colony_wire::peer::PeerBody;

use crate::calls::{blob, request};
use crate::world::{A, B, C, COLONY, world};

/// `PROTOCOL.md` 5.1, 5.3; C38, I4: what was acknowledged is in whichever peer is promoted.
#[test]
fn a_promotion_keeps_what_was_acknowledged() {
    for heir in [B, C] {
        let mut w = world(&[A, B, C]);
        w.done(A, request(1, blob("k", "v")));
        w.kill(A);
        w.declare_dead(A);
        if heir == C {
            w.kill(B);
            w.declare_dead(B);
        }
        w.tell_all();
        w.run(100);
        assert_eq!(w.entry().primary, Some(w.start(heir)));
        assert_eq!(w.value(heir, "k"), Some(Bytes::from("v")));
    }
}

/// `PROTOCOL.md` 5.3: the suffix may have been acknowledged, so it is proposed again under its positions.
#[test]
fn a_suffix_that_was_not_known_to_be_committed_is_kept_with_its_positions() {
    let mut w = world(&[A, B, C]);
    let caller = w.ask(A, request(1, blob("k", "v")));
    w.deliver(B);
    w.deliver(C);
    w.deliver(A);
    assert!(w.is_done(caller));
    w.lose_to(B);
    w.lose_to(C);
    let acknowledged = w.replica(A).prepared();
    assert!(w.replica(B).committed() < acknowledged);
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    w.run(100);
    assert_eq!(w.found(B, "k").version.seq, acknowledged);
    assert_eq!(w.found(B, "k").version.reign.0, 1);
}

/// `PROTOCOL.md` 3.4, 5.4; I3: what the new primary does not have goes, everywhere.
#[test]
fn a_log_that_diverged_is_truncated_and_follows() {
    let mut w = world(&[A, B, C]);
    w.ask(A, request(1, blob("k", "only C has it")));
    w.lose_to(B);
    w.deliver(C);
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    let longer = w.replica(C).prepared();
    w.run(200);
    assert_eq!(w.value(B, "k"), None);
    let at = w.replica(C).op(longer).expect("the place is taken");
    assert_eq!((at.position.reign, &at.change), (w.entry().reign, &Change::Barrier));
}

/// `PROTOCOL.md` 3.4: what lies beyond the last matched place is of an earlier reign and may have to go.
#[test]
fn a_copy_acknowledges_only_what_it_has_matched() {
    let mut w = world(&[A, B, C]);
    w.ask(A, request(1, blob("k", "only C has it")));
    w.lose_to(B);
    w.deliver(C);
    w.declare_dead(A);
    w.tell(B);
    w.tell(C);
    w.bag.retain(|envelope| matches!(envelope.body(), PeerBody::Append(append) if append.reign.0 == 2));
    // As if the primary had only a commit position to tell.
    let mut empty = w.bag.pop().expect("B proposes its barrier to C");
    if let PeerBody::Append(append) = &mut empty.message.body {
        append.ops.clear();
    }
    w.bag.clear();
    w.arrive(empty);
    let acknowledged = w.bag.iter().find_map(|envelope| match envelope.body() {
        PeerBody::Appended { prepared, .. } => Some(*prepared),
        _ => None,
    });
    assert_eq!(acknowledged, Some(Seq(w.replica(C).prepared().0 - 1)));
}

/// `PROTOCOL.md` 3.4; I3: a batch is taken only behind the op that it follows on, place *and* reign.
#[test]
fn a_batch_behind_an_op_of_another_reign_is_not_taken() {
    let mut w = world(&[A, B, C]);
    for number in 1..=3 {
        w.ask(A, request(number, blob("k", "only C has it")));
    }
    w.lose_to(B);
    w.deliver(C);
    // C sleeps through the second reign, in which its places are given to other ops.
    w.kill(A);
    w.kill(C);
    w.declare_dead(A);
    w.tell(B);
    w.run(500);
    w.wake(A);
    let dead = w.reborn(A);
    w.hear_fate(A, dead, Fate::Discard);
    w.want(&[B, C, A]);
    w.tell(B);
    w.tell(A);
    w.run(200);
    let (cfg, from, to) = (w.entry().cfg, w.start(B), w.start(A));
    assert_eq!(w.apply(&Command::Swap { colony: COLONY, cfg, from, to }), Outcome::Applied);
    w.wake(C);
    w.tell_all();
    w.lose_to(B);
    w.deliver(C);
    assert!(w.bag.iter().any(|envelope| matches!(envelope.body(), PeerBody::Mismatch { .. })));
    w.run(400);
    assert_eq!(w.replica(C).committed(), w.replica(A).committed());
    assert_eq!(w.replica(C).history(), w.replica(A).history());
}

/// `PROTOCOL.md` 3.4, 5.3: twice within one round trip, the first heir's barrier seen by nobody.
#[test]
fn two_promotions_in_a_row_keep_what_was_acknowledged() {
    let mut w = world(&[A, B, C]);
    w.done(A, request(1, blob("k", "v")));
    w.kill(A);
    w.declare_dead(A);
    w.tell(B);
    w.bag.clear();
    w.declare_dead(B);
    w.kill(B);
    w.tell(C);
    w.run(100);
    assert_eq!(w.value(C, "k"), Some(Bytes::from("v")));
    assert_eq!(w.replica(C).reign().0, 3);
}

/// `PROTOCOL.md` 3.4, 5.4: a late batch of the old reign does not come between.
#[test]
fn a_late_batch_of_an_earlier_reign_is_not_taken() {
    let mut w = world(&[A, B, C]);
    w.ask(A, request(1, blob("k", "late")));
    let late = w.take(|_| true);
    w.declare_dead(A);
    w.tell(B);
    w.tell(C);
    w.run(100);
    let before = (w.replica(B).prepared(), w.replica(C).prepared());
    late.into_iter().for_each(|envelope| w.arrive(envelope));
    assert_eq!((w.replica(B).prepared(), w.replica(C).prepared()), before);
    w.quiet();
    assert!(!w.replica(A).is_serving(), "their answer tells it of the higher reign");
}

/// `PROTOCOL.md` 0, 5.5; C18: nobody in sync runs: the colony says so, and not that nothing is there.
#[test]
fn a_colony_without_a_candidate_is_offline_and_never_empty() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    w.kill(A);
    w.declare_dead(A);
    w.want(&[B]);
    w.tell_all();
    w.run(500);
    assert_eq!(w.entry().primary, None);
    let caller = w.ask(B, request(2, blob("k", "v")));
    assert_eq!(w.refusal(caller), Some(&Refusal::Offline));
}

/// `PROTOCOL.md` 5.1, 5.2; I5: a copy that catches up is never promoted, however near it is.
#[test]
fn only_an_in_sync_start_is_promoted() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    w.want(&[A, B]);
    w.tell_all();
    w.quiet();
    assert_eq!(w.replica(B).prepared(), w.replica(A).prepared());
    w.declare_dead(A);
    assert_eq!((w.entry().primary, w.entry().in_sync), (None, vec![w.start(A)]));
}
