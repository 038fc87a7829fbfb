//! The normal write, and what fences it.

use bytes::Bytes;
use colony_core::colony::{Input, Settings};
use colony_core::group::{Command, Outcome};
use colony_wire::Seq;
use colony_wire::admin::Policy;
use colony_wire::client::Refusal;
use colony_wire::peer::PeerBody;

use crate::calls::{blob, request};
use crate::world::{A, B, C, COLONY, world, world_with};

/// `PROTOCOL.md` 3.5, 3.6; C28: the reply waits for every in-sync copy and says how many there are.
#[test]
fn a_write_is_answered_once_every_in_sync_copy_holds_it() {
    let mut w = world(&[A, B, C]);
    let caller = w.ask(A, request(1, blob("k", "v")));
    assert_eq!(w.answer(caller), None);
    w.deliver(B);
    w.deliver(A);
    assert_eq!(w.answer(caller), None, "C does not hold it");
    w.deliver(C);
    w.deliver(A);
    assert!(w.is_done(caller));
    assert_eq!(w.value(A, "k"), Some(Bytes::from("v")));
    w.run(40);
    for host in [A, B, C] {
        assert_eq!(w.replica(host).committed(), w.replica(A).prepared(), "the secondaries are told");
    }
}

/// `PROTOCOL.md` 3.1: who is not primary says so and does nothing.
#[test]
fn a_secondary_refuses_and_names_the_reign() {
    let mut w = world(&[A, B]);
    let caller = w.ask(B, request(1, blob("k", "v")));
    assert_eq!(w.refusal(caller), Some(&Refusal::NotPrimary { reign: w.entry().reign }));
    assert!(w.bag.is_empty());
}

/// `PROTOCOL.md` 3.4, 3.5; C38: what B acknowledged to A before it followed C counts for nothing after.
#[test]
fn a_late_ack_of_a_lower_reign_never_commits() {
    let mut w = world(&[A, B, C]);
    let first = w.ask(A, request(1, blob("k", "v")));
    w.deliver(B);
    w.lose_to(C);
    let late = w.take(|e| matches!(e.body(), PeerBody::Appended { .. }));
    let swap = Command::Swap { colony: COLONY, cfg: w.entry().cfg, from: w.start(A), to: w.start(B) };
    assert_eq!(w.apply(&swap), Outcome::Applied);
    w.tell(B);
    w.tell(A);
    assert_eq!(w.refusal(first), Some(&Refusal::Deposed));
    w.lose_to(A);
    w.lose_to(C);
    let committed = w.replica(B).committed();
    for envelope in late {
        w.arrive(envelope);
    }
    assert_eq!((w.replica(A).committed(), w.replica(B).committed()), (committed, committed));
}

/// `PROTOCOL.md` 3.4: the promoted copy refuses its predecessor, which stops answering.
#[test]
fn a_deposed_primary_is_refused_and_serves_nobody() {
    let mut w = world(&[A, B]);
    w.declare_dead(A);
    w.tell(B);
    w.lose_to(A);
    let caller = w.ask(A, request(1, blob("k", "lost")));
    w.quiet();
    assert_eq!(w.answer(caller), None, "B refuses the reign, so it is never acknowledged");
    let second = w.ask(A, request(2, blob("k", "later")));
    assert_eq!(w.refusal(second), Some(&Refusal::NotPrimary { reign: w.entry().reign }));
    w.tell(A);
    assert_eq!(w.refusal(caller), Some(&Refusal::Deposed));
    w.run(100);
    assert_eq!(w.value(B, "k"), None);
}

/// `PROTOCOL.md` 3.3, 3.4: loss, doubling and disorder cost time and nothing else.
#[test]
fn lost_doubled_and_reordered_batches_end_in_one_order() {
    let mut w = world(&[A, B]);
    let values = (1..).zip(["a", "b", "c", "d"]);
    let callers: Vec<_> = values.map(|(number, value)| w.ask(A, request(number, blob("k", value)))).collect();
    let batches = w.take(|_| true);
    let disorder: Vec<_> = [3, 1, 1, 3].iter().map(|index| batches[*index].clone()).collect();
    w.bag = disorder;
    w.quiet();
    w.run(300);
    assert!(callers.iter().all(|caller| w.is_done(*caller)));
    assert_eq!(w.value(A, "k"), Some(Bytes::from("d")));
    assert_eq!(w.replica(B).committed(), w.replica(A).committed());
    assert!(w.entry().is_in_sync(w.start(B)));
}

/// `PROTOCOL.md` 3.5: a colony on one host commits by itself.
#[test]
fn a_single_copy_commits_at_once() {
    let mut w = world(&[A]);
    let caller = w.ask(A, request(1, blob("k", "v")));
    assert!(w.is_done(caller));
    assert_eq!(w.replica(A).committed(), Seq(2), "the barrier and the write");
}

/// What is asked one after the other goes to a copy at once, and is acknowledged at once.
#[test]
fn changes_that_are_gathered_go_together() {
    let mut w = world_with(&[A, B], Policy::default(), Settings { gather: true, ..Settings::default() });
    w.run(100);
    let callers = [1, 2, 3].map(|number| w.ask(A, request(number, blob("k", "v"))));
    assert!(w.bag.is_empty(), "more may come");
    w.feed(A, Input::Flush);
    let sent: Vec<usize> = w.bag.iter().filter_map(|e| appended(e.body())).collect();
    assert_eq!(sent, [3]);
    w.deliver(B);
    assert_eq!(w.bag.len(), 1, "one acknowledgement");
    w.deliver(A);
    assert!(callers.into_iter().all(|caller| w.is_done(caller)));
}

/// Who hands in no more and does not say so has its change done all the same.
#[test]
fn what_is_gathered_waits_for_no_longer_than_a_tick() {
    let mut w = world_with(&[A, B], Policy::default(), Settings { gather: true, ..Settings::default() });
    w.run(100);
    let caller = w.ask(A, request(1, blob("k", "v")));
    w.run(20);
    assert!(w.is_done(caller));
}

fn appended(body: &PeerBody) -> Option<usize> {
    match body {
        PeerBody::Append(append) => Some(append.ops.len()),
        _ => None,
    }
}
