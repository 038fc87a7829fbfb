//! Concurrent saves of one session (`PROTOCOL.md` 3.2, 10).

use bytes::Bytes;
use colony_core::colony::{Input, Settings};
use colony_core::merge::{Resolution, Ticket};
use colony_wire::admin::{MergeBy, OnConflict, OnPluginFailure, Policy};
use colony_wire::client::{Done, Refusal, ReplyBody};
use colony_wire::session::{AttributeChange, EndKind};

use crate::calls::{attributes, blob, change, delete, request, request_of, save, save_with};
use crate::world::{A, B, World, world_with};

/// A cart at `n = 0`, which another client has set to 1 since `Done`.
fn overtaken(policy: Policy) -> (World, Done) {
    let mut w = world_with(&[A, B], policy, Settings::default());
    let base = w.done(A, request(1, attributes("cart", &[("n", "0"), ("m", "0")])));
    w.done(A, request(2, save("cart", base, vec![change("n", "1")])));
    (w, base)
}

fn by_plugin() -> Policy {
    Policy { merge: MergeBy::Plugin("cart".into()), ..Policy::default() }
}

fn zero() -> Option<Vec<AttributeChange>> {
    Some(vec![change("n", "0")])
}

impl World {
    fn ticket(&self) -> Ticket {
        self.merges.last().expect("a question was asked").1
    }

    fn decide_merge(&mut self, ticket: Ticket, resolution: Resolution) {
        self.feed(A, Input::Merged { ticket, answer: Ok(resolution) });
    }
}

/// `PROTOCOL.md` 3.2; C40: attributes that nobody else changed are simply taken.
#[test]
fn a_save_of_what_nobody_changed_is_taken() {
    let (mut w, base) = overtaken(Policy { on_conflict: OnConflict::Reject, ..Policy::default() });
    w.done(A, request(3, save("cart", base, vec![change("m", "5")])));
    assert_eq!(w.attribute(A, "cart", "n"), Some(Bytes::from("1")));
    assert_eq!(w.attribute(A, "cart", "m"), Some(Bytes::from("5")));
}

/// `PROTOCOL.md` 3.2: the namespace decides.
#[test]
fn a_save_over_a_newer_value_is_refused_or_wins_as_the_namespace_says() {
    let (mut w, base) = overtaken(Policy { on_conflict: OnConflict::Reject, ..Policy::default() });
    let version = w.found(A, "cart").version;
    let refused = w.ask(A, request(3, save("cart", base, vec![change("n", "9")])));
    assert_eq!(w.refusal(refused), Some(&Refusal::Changed { version }));

    let (mut w, base) = overtaken(Policy { on_conflict: OnConflict::Overwrite, ..Policy::default() });
    w.done(A, request(3, save("cart", base, vec![change("n", "9")])));
    assert_eq!(w.attribute(A, "cart", "n"), Some(Bytes::from("9")));
}

/// `PROTOCOL.md` 3.2, 10; D4, C40: ask for the base, ask who merges, replicate the result and not the call.
#[test]
fn a_conflict_asks_for_the_base_and_then_the_plugin_and_replicates_its_result() {
    let (mut w, base) = overtaken(by_plugin());
    let bare = w.ask(A, request(3, save("cart", base, vec![change("n", "2")])));
    assert_eq!(w.answer(bare), Some(&ReplyBody::NeedBase { attributes: vec!["n".into()] }));
    let full = w.ask(A, request(3, save_with("cart", base, vec![change("n", "2"), change("m", "7")], zero())));
    assert_eq!(w.answer(full), None);
    assert_eq!(w.merges.last().unwrap().2.attributes, ["n"]);
    w.decide_merge(w.ticket(), Resolution::Attributes(vec![change("n", "3")]));
    w.quiet();
    assert!(matches!(w.answer(full), Some(ReplyBody::Done(Done { merged: true, .. }))));
    w.run(40);
    assert_eq!(w.attribute(A, "cart", "n"), Some(Bytes::from("3")));
    assert_eq!(w.attribute(A, "cart", "m"), Some(Bytes::from("7")), "what was not in conflict is taken with it");
    assert_eq!(w.replica(B).store().digest(), w.replica(A).store().digest());
}

/// `PROTOCOL.md` 10: a plugin that fails decides nothing; the built-in does.
#[test]
fn a_merge_that_fails_falls_back_to_the_later_write() {
    let (mut w, base) = overtaken(by_plugin());
    let caller = w.ask(A, request(3, save_with("cart", base, vec![change("n", "2")], zero())));
    let ticket = w.ticket();
    w.feed(A, Input::Merged { ticket, answer: Err("trapped".into()) });
    w.quiet();
    assert!(w.is_done(caller));
    assert_eq!(w.attribute(A, "cart", "n"), Some(Bytes::from("2")));
}

/// `PROTOCOL.md` 10: a namespace may prefer a refused save to one that the built-in decided. The client is told what
/// was wrong, nothing changes, and who waited behind it goes on.
#[test]
fn a_namespace_may_refuse_a_save_that_its_plugin_did_not_merge() {
    let policy = Policy { on_plugin_failure: OnPluginFailure::Refuse, ..by_plugin() };
    let (mut w, base) = overtaken(policy);
    let parked = w.ask(A, request(3, save_with("cart", base, vec![change("n", "2"), change("m", "7")], zero())));
    let behind = w.ask(A, request_of(2, 1, 1, attributes("other", &[("n", "x")])));
    let ticket = w.ticket();
    w.feed(A, Input::Merged { ticket, answer: Err("trapped".into()) });
    w.quiet();
    assert_eq!(w.refusal(parked), Some(&Refusal::NotMerged { why: "trapped".into() }));
    assert!(w.is_done(behind));
    assert_eq!(w.attribute(A, "cart", "n"), Some(Bytes::from("1")));
    assert_eq!(w.attribute(A, "cart", "m"), Some(Bytes::from("0")), "nothing of the save is taken");

    // A nonsensical answer is no answer, and a good one is taken.
    for (number, resolution, done) in [
        (4, Resolution::Attributes(vec![change("m", "9")]), false),
        (5, Resolution::Attributes(vec![change("n", "9")]), true),
    ] {
        let again = w.ask(A, request(number, save_with("cart", base, vec![change("n", "2")], zero())));
        w.decide_merge(w.ticket(), resolution);
        w.quiet();
        assert_eq!(w.is_done(again), done);
        assert_eq!(matches!(w.refusal(again), Some(Refusal::NotMerged { .. })), !done);
    }
    assert_eq!(w.attribute(A, "cart", "n"), Some(Bytes::from("9")));
}

/// `PROTOCOL.md` 3.2; I11: a life that ended takes no more saves, and neither does the one after it.
#[test]
fn a_save_based_on_another_life_is_gone() {
    let (mut w, base) = overtaken(Policy::default());
    w.done(A, request(3, delete("cart")));
    let after_end = w.ask(A, request(4, save("cart", base, vec![change("m", "5")])));
    assert_eq!(w.refusal(after_end), Some(&Refusal::Gone { ended: Some(EndKind::Logout) }));
    w.done(A, request(5, attributes("cart", &[("n", "0")])));
    let into_the_next = w.ask(A, request(6, save("cart", base, vec![change("m", "5")])));
    assert_eq!(w.refusal(into_the_next), Some(&Refusal::Gone { ended: Some(EndKind::Logout) }));
}

/// `PROTOCOL.md` 1, 3.2: a base that was lost with its reign counts as older than everything.
#[test]
fn a_save_based_on_what_was_lost_conflicts_with_everything() {
    let (mut w, base) = overtaken(Policy { on_conflict: OnConflict::Reject, ..Policy::default() });
    let mut lost = base;
    lost.version.reign.0 += 7;
    let caller = w.ask(A, request(3, save("cart", lost, vec![change("m", "5")])));
    assert!(matches!(w.refusal(caller), Some(Refusal::Changed { .. })));
}

/// `PROTOCOL.md` 3.2: the session waits for its merge, in order; the colony does not.
#[test]
fn what_comes_behind_a_parked_save_waits_and_keeps_its_order() {
    let (mut w, base) = overtaken(by_plugin());
    let parked = w.ask(A, request_of(1, 3, 3, save_with("cart", base, vec![change("n", "2")], zero())));
    let second = w.ask(A, request_of(2, 1, 1, attributes("cart", &[("n", "second")])));
    let third = w.ask(A, request_of(3, 1, 1, attributes("cart", &[("n", "third")])));
    let other = w.ask(A, request_of(4, 1, 1, blob("another", "v")));
    w.quiet();
    assert!(w.is_done(other));
    assert_eq!((w.answer(parked), w.answer(second), w.answer(third)), (None, None, None));
    w.decide_merge(w.ticket(), Resolution::KeepTheirs);
    w.quiet();
    assert!(w.is_done(parked) && w.is_done(second) && w.is_done(third));
    assert_eq!(w.attribute(A, "cart", "n"), Some(Bytes::from("third")));
}

/// `PROTOCOL.md` 10, 12.
///
/// Bug: a repetition of a request that waited behind a merge was refused as surely not done, and then the
/// first attempt was done. Cause: a bound was asked before the queues. Fix: the queues are asked first.
#[test]
fn a_repetition_of_a_queued_request_joins_it() {
    let settings = Settings { max_uncommitted: 1, ..Settings::default() };
    let mut w = world_with(&[A, B], by_plugin(), settings);
    let base = w.done(A, request(1, attributes("cart", &[("n", "0")])));
    w.done(A, request(2, save("cart", base, vec![change("n", "1")])));
    w.ask(A, request(3, save_with("cart", base, vec![change("n", "2")], zero())));
    let queued = w.ask(A, request_of(2, 1, 1, attributes("cart", &[("n", "queued")])));
    let ticket = w.ticket();
    w.ask(A, request_of(3, 1, 1, blob("another", "fills the bound")));
    let again = w.ask(A, request_of(2, 1, 1, attributes("cart", &[("n", "queued")])));
    assert_eq!(w.answer(again), None, "it waits where the first attempt waits");
    assert_eq!(w.refusal(queued), Some(&Refusal::Deposed));
    w.quiet();
    w.decide_merge(ticket, Resolution::KeepOurs);
    w.quiet();
    assert!(w.answer(again).is_some());
}

/// `PROTOCOL.md` 3.1: behind a merge nobody waits beyond the deadline of the call.
#[test]
fn who_waits_behind_a_merge_is_refused_when_the_deadline_passes() {
    let (mut w, base) = overtaken(by_plugin());
    w.ask(A, request(3, save_with("cart", base, vec![change("n", "2")], zero())));
    let mut hasty = request_of(2, 1, 1, attributes("cart", &[("n", "x")]));
    hasty.deadline_ms = 100;
    let hasty = w.ask(A, hasty);
    w.run(200);
    assert_eq!(w.refusal(hasty), Some(&Refusal::Late));
}

/// `PROTOCOL.md` 3.1, 10.
///
/// Bug: a merge that was never answered held its session up for the rest of the reign, and every hand-over.
/// Cause: only those who waited behind it had a deadline. Fix: so has the save that was asked about.
#[test]
fn a_merge_that_is_never_answered_ends_with_the_deadline_of_the_call() {
    let (mut w, base) = overtaken(by_plugin());
    let lost = w.ask(A, request(3, save_with("cart", base, vec![change("n", "2")], zero())));
    let ticket = w.ticket();
    w.run(4_000);
    let behind = w.ask(A, request_of(2, 1, 1, attributes("cart", &[("n", "behind")])));
    assert_eq!((w.answer(lost), w.answer(behind)), (None, None));
    w.run(1_200);
    assert_eq!(w.refusal(lost), Some(&Refusal::Late));
    assert!(w.is_done(behind));
    w.decide_merge(ticket, Resolution::KeepTheirs);
    w.run(40);
    assert_eq!(w.attribute(A, "cart", "n"), Some(Bytes::from("behind")));
}

/// `PROTOCOL.md` 10: tickets die with the reign; who waited asks the next primary.
#[test]
fn a_merge_decided_after_the_reign_changes_nothing() {
    let (mut w, base) = overtaken(by_plugin());
    let parked = w.ask(A, request(3, save_with("cart", base, vec![change("n", "2")], zero())));
    let ticket = w.ticket();
    w.declare_dead(A);
    w.tell_all();
    assert!(matches!(w.refusal(parked), Some(Refusal::NotPrimary { .. })));
    w.decide_merge(ticket, Resolution::KeepTheirs);
    w.run(200);
    assert_eq!(w.attribute(B, "cart", "n"), Some(Bytes::from("1")));
}

/// `PROTOCOL.md` 3.2; I11.
///
/// Bug: an old save brought an attribute back that had been removed since. Cause: a session that had been a
/// blob for a while had forgotten its removals. Fix: it counts every name as removed when it became a blob.
#[test]
fn a_detour_over_a_blob_does_not_forget_removals() {
    let mut w = world_with(&[A], Policy { on_conflict: OnConflict::Reject, ..Policy::default() }, Settings::default());
    let base = w.done(A, request(1, attributes("cart", &[("old", "0")])));
    w.done(A, request(2, blob("cart", "a blob")));
    w.done(A, request(3, attributes("cart", &[("new", "0")])));
    let caller = w.ask(A, request(4, save("cart", base, vec![change("old", "back")])));
    assert!(matches!(w.refusal(caller), Some(Refusal::Changed { .. })));
}
