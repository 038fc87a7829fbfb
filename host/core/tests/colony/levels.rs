//! What a reader or writer may ask for beyond the ordinary: `confirm`, `primary`, `durable` (`PROTOCOL.md` 3.9, 4).

use bytes::Bytes;
use colony_core::colony::Settings;
use colony_wire::admin::{OnConflict, Policy};
use colony_wire::client::{Ack, Read, Refusal, ReplyBody, Request, RequestBody};
use colony_wire::peer::PeerBody;
use colony_wire::session::{Content, SessionView};

use crate::calls::{attributes, blob, change, key, request, save};
use crate::world::{A, B, C, COLONY, World, world, world_with};

/// A write that is to be acknowledged at this level.
fn at_level(number: u64, value: &'static str, ack: Ack) -> Request {
    let mut request = request(number, blob("k", value));
    if let RequestBody::Mutate { ack: level, .. } = &mut request.body {
        *level = ack;
    }
    request
}

/// The value that a confirmed read came back with.
fn confirmed(w: &World, caller: colony_core::colony::Caller) -> Option<Bytes> {
    match w.answer(caller) {
        Some(ReplyBody::Found(SessionView { content: Content::Blob(bytes), .. })) => Some(bytes.clone()),
        _ => None,
    }
}

/// I8: every peer that could reign instead is asked anew for every reader that comes.
#[test]
fn a_confirmed_read_waits_for_every_in_sync_peer() {
    let mut w = world(&[A, B, C]);
    w.done(A, request(1, blob("k", "v")));
    let read = w.confirm(A, "k");
    assert_eq!(w.answer(read), None);
    w.deliver(B);
    w.deliver(A);
    assert_eq!(w.answer(read), None, "C has not answered");
    w.quiet();
    assert_eq!(confirmed(&w, read), Some(Bytes::from("v")));
}

/// I8: an answer to a question that was asked before the read began proves nothing for it: duplicated
/// answers counted for a later read made etcd serve stale ones.
#[test]
fn an_answer_to_an_earlier_question_confirms_no_later_read() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "old")));
    let first = w.confirm(A, "k");
    w.deliver(B);
    // The answer is under way twice; a second reader comes between the two.
    let answers = w.take(|envelope| matches!(envelope.body(), PeerBody::Confirmed { .. }));
    w.arrive(answers[0].clone());
    assert!(confirmed(&w, first).is_some());
    let second = w.confirm(A, "k");
    w.arrive(answers[0].clone());
    assert_eq!(w.answer(second), None);
    let third = w.confirm(A, "k");
    w.quiet();
    assert!(confirmed(&w, second).is_some() && confirmed(&w, third).is_some());
}

/// I8: a primary that was deposed without knowing it cannot answer: its successor is among those it asks.
#[test]
fn a_deposed_primary_confirms_nothing() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "old")));
    w.declare_dead(A);
    w.tell(B);
    w.tick(B);
    w.quiet();
    w.done(B, request(2, blob("k", "new")));
    let read = w.confirm(A, "k");
    w.quiet();
    assert_eq!(w.answer(read), None);
    w.tell(A);
    assert!(matches!(w.refusal(read), Some(Refusal::NotPrimary { .. })));
}

/// `PROTOCOL.md` 4: alone in the set there is nobody to ask but the group, and only its present word counts.
#[test]
fn alone_in_the_set_the_group_confirms() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    let read = w.confirm(A, "k");
    assert_eq!(w.answer(read), None);
    let (host, nonce) = w.group_reads[0];
    w.hear_group_read(host, nonce + 1);
    assert_eq!(w.answer(read), None, "another question's answer");
    w.hear_group_read(host, nonce);
    assert_eq!(confirmed(&w, read), Some(Bytes::from("v")));

    let late = w.confirm(A, "k");
    let (host, nonce) = w.group_reads[1];
    w.declare_dead(A);
    w.hear_group_read(host, nonce);
    assert_eq!(w.answer(late), None, "the group does not hold it for the primary any more");
}

/// `PROTOCOL.md` 3.5, 4: while an addition may be decided already, the peer it adds is asked too.
#[test]
fn a_peer_that_may_be_in_the_set_is_asked_too() {
    let mut w = world(&[A]);
    w.want(&[A, B]);
    w.tell_all();
    for _ in 0..10 {
        w.tick(A);
        w.quiet();
    }
    assert!(!w.proposals.is_empty(), "the addition is proposed and not decided");
    let read = w.confirm(A, "k");
    assert!(w.group_reads.is_empty(), "it is not alone");
    w.lose_to(B);
    w.quiet();
    assert_eq!(w.answer(read), None);
    w.pass(200);
    w.tick(A);
    w.quiet();
    assert_eq!(w.answer(read), Some(&ReplyBody::Absent), "the question goes out again");
}

/// `PROTOCOL.md` 4: a host that slept longer than it takes to replace it answers nothing, not even an
/// ordinary read, before its reign is confirmed.
#[test]
fn a_host_that_slept_confirms_before_it_answers_anything() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.tick(A);
    w.quiet();
    w.pass(5_000);
    assert_eq!(w.read(A, "k"), ReplyBody::Refused(Refusal::NotReady));
    let write = w.ask(A, request(2, blob("k", "w")));
    assert_eq!(w.refusal(write), Some(&Refusal::NotReady));
    w.quiet();
    assert_eq!(w.value(A, "k"), Some(Bytes::from("v")));
}

/// `PROTOCOL.md` 3.9: the primary's own word is given at once, says what it is, and moves no read token.
#[test]
fn level_primary_is_acknowledged_at_the_primarys_append() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "old")));
    let before = w.replica(A).position();
    let caller = w.ask(A, at_level(2, "new", Ack::Primary));
    let Some(ReplyBody::Done(done)) = w.answer(caller).cloned() else { panic!("it is answered at once") };
    assert_eq!((done.ack, done.copies), (Ack::Primary, 1));
    assert_eq!(w.seen(caller), before, "the last committed position");
    assert_eq!(w.value(A, "k"), Some(Bytes::from("old")), "and reads see committed state only");
    w.quiet();
    assert_eq!(w.value(A, "k"), Some(Bytes::from("new")));
    assert_eq!(w.found(A, "k").version, done.version);
    // A repetition hears how far it has come by now.
    let again = w.done(A, at_level(2, "new", Ack::Primary));
    assert_eq!((again.ack, again.version), (Ack::InSync, done.version));
}

#[test]
fn level_durable_is_refused_by_name() {
    let mut w = world(&[A, B]);
    let caller = w.ask(A, at_level(1, "v", Ack::Durable));
    assert_eq!(w.refusal(caller), Some(&Refusal::NotDurable));
    w.quiet();
    assert_eq!(w.value(A, "k"), None);
}

/// `PROTOCOL.md` 4: whoever asks for anything gets what the host holds, whatever they have seen.
#[test]
fn any_is_answered_without_regard_to_the_token() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    let mut token = w.replica(A).position().unwrap();
    token.reign.0 += 1;
    let body = RequestBody::Get { key: key("k"), read: Read::Any };
    let caller = w.ask(A, Request { colony: COLONY, deadline_ms: 100, token: token.into(), body, attempt: None });
    assert!(confirmed(&w, caller).is_some());
}

/// Readers whose time is over are told; nobody waits for ever.
#[test]
fn a_confirmed_read_ends_with_its_deadline() {
    let mut w = world(&[A, B]);
    w.kill(B);
    let read = w.confirm(A, "k");
    w.lose_to(B);
    for _ in 0..300 {
        w.tick(A);
        w.lose_to(B);
    }
    assert_eq!(w.refusal(read), Some(&Refusal::Late));
}

/// Bug: whoever saved twice at level `primary` was told that somebody else had changed the session meanwhile.
/// Cause: the version of the first save was not committed yet, so the history did not cover it, and it counted
/// as older than everything. Fix: a version that stands in the log before the save is as good.
#[test]
fn a_save_based_on_an_own_change_that_is_not_committed_yet_conflicts_with_nobody() {
    let policy = Policy { on_conflict: OnConflict::Reject, ..Policy::default() };
    let mut w = world_with(&[A, B], policy, Settings::default());
    let made = w.done(A, request(1, attributes("k", &[("n", "1")])));
    let at_once = |number, base| {
        let mut request = request(number, save("k", base, vec![change("n", "2")]));
        if let RequestBody::Mutate { ack, .. } = &mut request.body {
            *ack = Ack::Primary;
        }
        request
    };
    let first = w.ask(A, at_once(2, made));
    let Some(ReplyBody::Done(first)) = w.answer(first).cloned() else { panic!("it is answered at once") };
    let second = w.ask(A, request(3, save("k", first, vec![change("n", "3")])));
    w.quiet();
    assert!(w.is_done(second), "{:?}", w.answer(second));
    assert_eq!(w.attribute(A, "k", "n"), Some(Bytes::from("3")));
    // What was given up with a reign is no base, wherever it stood.
    let other = colony_wire::Position { reign: colony_wire::Reign(9), ..first.version };
    let third = w.ask(A, at_once(4, colony_wire::client::Done { version: other, ..first }));
    assert!(matches!(w.refusal(third), Some(Refusal::Changed { .. })));
}
