//! What readers and refused writers are told: committed state only (`PROTOCOL.md` 4).

use bytes::Bytes;
use colony_wire::client::{Read, Refusal, ReplyBody, Request, RequestBody};
use colony_wire::session::{EndKind, Mutation, Precondition};
use colony_wire::{LineageId, Position, Reign, Seq};

use crate::calls::{blob, delete, key, request, request_of};
use crate::world::{A, B, C, COLONY, world};

/// `PROTOCOL.md` 4: what is prepared is not read.
#[test]
fn a_read_sees_what_is_committed_and_nothing_more() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "old")));
    w.ask(A, request(2, blob("k", "new")));
    assert_eq!(w.value(A, "k"), Some(Bytes::from("old")));
    w.quiet();
    assert_eq!(w.value(A, "k"), Some(Bytes::from("new")));
}

/// `PROTOCOL.md` 4, 5.3: what the reign before it acknowledged may not be committed here yet.
#[test]
fn a_new_primary_reads_nothing_before_its_barrier_is_committed() {
    let mut w = world(&[A, B, C]);
    w.declare_dead(A);
    w.tell(B);
    assert_eq!(w.read(B, "k"), ReplyBody::Refused(Refusal::NotReady));
    let caller = w.ask(B, request(1, blob("k", "v")));
    assert_eq!(w.refusal(caller), Some(&Refusal::NotReady));
    w.tell(C);
    w.run(200);
    assert!(w.replica(B).is_serving());
    assert_eq!(w.read(B, "k"), ReplyBody::Absent);
}

/// `PROTOCOL.md` 4; I7: a reader never goes backward, not even at a primary that does not know it was deposed.
#[test]
fn a_token_beyond_what_is_covered_is_behind() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.kill(A);
    w.declare_dead(A);
    w.tell(B);
    w.run(100);
    let caller = w.ask(B, request(2, blob("k", "newer")));
    w.run(100);
    let seen = w.seen(caller);
    assert!(seen.is_some_and(|seen| seen.reign == w.entry().reign));
    assert!(matches!(w.read_after(B, "k", seen), ReplyBody::Found(_)));
    w.wake(A);
    assert_eq!(w.read_after(A, "k", seen), ReplyBody::Refused(Refusal::Behind));
}

/// `PROTOCOL.md` 1, 4: a place that another reign took is not covered, however high the log goes.
#[test]
fn a_token_of_a_place_that_another_reign_took_is_behind() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    let covered = w.replica(A).position().unwrap();
    let other = Position { reign: Reign(covered.reign.0 + 1), seq: Seq(1), ..covered };
    assert!(matches!(w.read_after(A, "k", Some(covered)), ReplyBody::Found(_)));
    assert_eq!(w.read_after(A, "k", Some(other)), ReplyBody::Refused(Refusal::Behind));
}

/// `PROTOCOL.md` 4; I11.
///
/// Bug: somebody was told that a session is gone, or that it exists, on the word of a change that was then
/// lost with its reign: a confirmed logout that never happened. Cause: changes are judged by prepared state,
/// and refusals went out at once. Fix: an answer waits for the change that it was judged by.
#[test]
fn what_a_change_not_committed_did_is_told_to_nobody() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.ask(A, request(2, delete("k")));
    let second = w.ask(A, request_of(2, 1, 1, delete("k")));
    let touch = w.ask(A, request_of(3, 1, 1, Mutation::Touch { key: key("k"), ttl: None }));
    assert_eq!((w.answer(second), w.answer(touch)), (None, None));
    w.quiet();
    assert_eq!(w.refusal(second), Some(&Refusal::NotFound));
    assert_eq!(w.refusal(touch), Some(&Refusal::Gone { ended: Some(EndKind::Logout) }));
}

/// `PROTOCOL.md` 3.1, 4: if the reign ends first, the answer is to ask again.
#[test]
fn an_answer_judged_by_a_lost_change_is_never_given() {
    let mut w = world(&[A, B]);
    let put = |client| {
        let Mutation::Put { key, content, tags, ttl, .. } = blob("k", "v") else { unreachable!() };
        request_of(client, 1, 1, Mutation::Put { key, content, tags, ttl, precondition: Precondition::Absent })
    };
    w.ask(A, put(1));
    let second = w.ask(A, put(2));
    assert_eq!(w.answer(second), None);
    w.lose_to(B);
    w.declare_dead(A);
    w.tell_all();
    assert!(matches!(w.refusal(second), Some(Refusal::NotPrimary { .. })));
    w.run(400);
    assert_eq!(w.value(B, "k"), None);
}

/// Bug: a client that had seen what was lost with an island read `Behind` until it connected anew. Cause: a position of another
/// side was taken for one that is to be taken in yet, whether or not anybody was left who could bring it. Fix: where every process
/// that ever had the colony in sync is here, nobody is, and it is said that the lineage is lost. Whether they are here is asked.
#[test]
fn what_was_seen_on_a_side_of_which_nobody_is_left_is_lost() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    let seen = Position { lineage: LineageId(9), reign: Reign(2), seq: Seq(9) };
    let read = || {
        let body = RequestBody::Get { key: key("k"), read: Read::Token };
        Request { colony: COLONY, deadline_ms: 5_000, token: seen.into(), body, attempt: None }
    };
    let caller = w.ask(A, read());
    assert_eq!(w.answer(caller), None, "B may have gone on in that island");
    w.quiet();
    assert_eq!(w.refusal(caller), Some(&Refusal::LineageLost));
    w.kill(B);
    w.declare_dead(B);
    w.tell(A);
    w.run(100);
    let caller = w.ask(A, read());
    assert_eq!(w.refusal(caller), Some(&Refusal::Behind), "B may bring it");
    w.restart(B);
    w.tell(A);
    let caller = w.ask(A, read());
    w.quiet();
    let nonce = w.group_reads.pop().map(|(_, nonce)| nonce);
    if let Some(nonce) = nonce {
        w.hear_group_read(A, nonce);
    }
    w.quiet();
    assert_eq!(w.refusal(caller), Some(&Refusal::LineageLost), "what B had is gone with its process");
}
