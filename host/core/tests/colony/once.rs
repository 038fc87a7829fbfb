//! Exactly once (`PROTOCOL.md` 12): a request takes effect once, however often and to whomever it is sent.

use std::time::Duration;

use bytes::Bytes;
use colony_core::colony::Settings;
use colony_wire::admin::Policy;
use colony_wire::client::{Refusal, ReplyBody};

use crate::calls::{blob, delete, request, request_of};
use crate::world::{A, B, world, world_with};

/// `PROTOCOL.md` 3.1, 12.
#[test]
fn a_repetition_of_a_done_request_gets_the_same_answer_and_changes_nothing() {
    let mut w = world(&[A, B]);
    let first = w.done(A, request(1, blob("k", "v")));
    w.done(A, request_of(2, 1, 1, blob("k", "later")));
    let end = w.replica(A).prepared();
    assert_eq!(w.done(A, request(1, blob("k", "v"))), first);
    assert_eq!(w.replica(A).prepared(), end);
    assert_eq!(w.value(A, "k"), Some(Bytes::from("later")));
}

/// `PROTOCOL.md` 3.1, 12: the newest attempt gets the answer, the one before it learns that it is not it.
#[test]
fn a_repetition_of_a_prepared_request_waits_for_its_commit() {
    let mut w = world(&[A, B]);
    let first = w.ask(A, request(1, blob("k", "v")));
    let end = w.replica(A).prepared();
    let second = w.ask(A, request(1, blob("k", "v")));
    assert_eq!(w.replica(A).prepared(), end);
    w.quiet();
    assert!(w.is_done(second));
    assert_eq!(w.refusal(first), Some(&Refusal::Deposed));
}

/// `PROTOCOL.md` 5.3, 12: the record travels with the op, so the heir answers for its predecessor.
#[test]
fn a_repetition_after_a_promotion_is_answered_from_the_record() {
    let mut w = world(&[A, B]);
    let caller = w.ask(A, request(1, blob("k", "v")));
    w.deliver(B);
    w.lose_to(A);
    assert_eq!(w.answer(caller), None);
    w.declare_dead(A);
    w.tell_all();
    w.run(100);
    let end = w.replica(B).prepared();
    let done = w.done(B, request(1, blob("k", "v")));
    assert_eq!((w.replica(B).prepared(), done.version.reign.0), (end, 1));
}

/// `PROTOCOL.md` 3.1, 12: what did not survive the reign is new to the heir.
#[test]
fn a_request_lost_with_its_reign_is_done_by_the_next() {
    let mut w = world(&[A, B]);
    w.ask(A, request(1, blob("k", "v")));
    w.lose_to(B);
    w.declare_dead(A);
    w.tell_all();
    w.run(100);
    assert_eq!(w.value(B, "k"), None);
    let done = w.done(B, request(1, blob("k", "v")));
    assert_eq!(done.version.reign, w.entry().reign);
}

/// `PROTOCOL.md` 12: an op that was inherited and is not committed yet is waited for, not done again.
#[test]
fn a_repetition_of_an_inherited_request_is_not_done_again() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.ask(A, request(2, delete("k")));
    w.deliver(B);
    w.lose_to(A);
    w.declare_dead(A);
    w.tell_all();
    w.run(100);
    w.done(B, request_of(2, 1, 1, blob("k", "another life")));
    w.done(B, request(2, delete("k")));
    assert_eq!(w.value(B, "k"), Some(Bytes::from("another life")));
}

/// `PROTOCOL.md` 6.2, 12: records are part of the state that travels.
#[test]
fn a_repetition_at_one_who_caught_up_by_snapshot_is_answered_from_the_record() {
    let mut w = world_with(&[A], Policy::default(), Settings { log_kept: 0, ..Settings::default() });
    let first = w.done(A, request(1, blob("k", "v")));
    w.want(&[B, A]);
    w.tell_all();
    w.run(400);
    assert_eq!(w.entry().primary, Some(w.start(B)));
    let again = w.done(B, request(1, blob("k", "v")));
    assert_eq!((again.version, again.life), (first.version, first.life));
}

/// `PROTOCOL.md` 12: below the client's mark nothing is kept, and nothing is done.
#[test]
fn a_request_below_the_clients_mark_is_unknown() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.done(A, request(2, blob("k", "w")));
    let late = w.ask(A, request(1, blob("k", "v")));
    assert_eq!(w.refusal(late), Some(&Refusal::Unknown));
}

/// `PROTOCOL.md` 12.
///
/// Bug: a repetition that came after its record had expired was done again. Cause: with its last record the
/// client itself was forgotten, and with it the mark of what had expired. Fix: the mark outlives the records.
#[test]
fn an_expired_answer_is_unknown_also_if_the_client_was_idle() {
    let settings = Settings { record_ttl: Duration::from_millis(500), ..Settings::default() };
    let mut w = world_with(&[A, B], Policy::default(), settings);
    w.done(A, request(1, blob("k", "v")));
    w.run(3_000);
    let late = w.ask(A, request(1, blob("k", "v")));
    assert_eq!(w.refusal(late), Some(&Refusal::Unknown));
}

/// `PROTOCOL.md` 12.
///
/// Bug: a client that had many requests out at once, and all answers, was refused until the records expired.
/// Cause: its next request, which carries the mark that would have dropped them, was refused for them.
/// Fix: only records at or above the mark that a request carries count against it.
#[test]
fn answered_requests_do_not_count_against_the_next() {
    let mut w = world_with(&[A, B], Policy::default(), Settings { max_records: 4, ..Settings::default() });
    for number in 1..=4 {
        w.done(A, request_of(1, number, 1, blob("k", "v")));
    }
    let fifth = w.ask(A, request_of(1, 5, 1, blob("k", "v")));
    assert!(matches!(w.answer(fifth), Some(ReplyBody::Refused(Refusal::Busy { .. }))), "all of them are unanswered");
    w.done(A, request_of(1, 5, 5, blob("k", "v")));
}

/// `PROTOCOL.md` 3.1: what comes after its deadline is not done.
#[test]
fn a_call_whose_deadline_has_passed_is_not_done() {
    let mut w = world(&[A]);
    let mut late = request(1, blob("k", "v"));
    late.deadline_ms = 0;
    let caller = w.ask(A, late);
    assert_eq!(w.refusal(caller), Some(&Refusal::Late));
    assert_eq!(w.value(A, "k"), None);
}
