//! Time to live (`PROTOCOL.md` 11): one decides, by an op; nobody trusts a clock.

use bytes::Bytes;
use colony_core::colony::Settings;
use colony_wire::Seq;
use colony_wire::admin::Policy;
use colony_wire::client::{Refusal, ReplyBody};
use colony_wire::op::Change;
use colony_wire::session::{Content, EndKind, Key, Mutation, Precondition};

use crate::calls::{key, request, request_of};
use crate::world::{A, B, C, World, world, world_with};

fn living(name: &'static str, ttl: Option<u64>) -> Mutation {
    let content = Content::Blob(Bytes::from("v"));
    Mutation::Put { key: key(name), content, tags: Vec::new(), ttl, precondition: Precondition::None }
}

fn for_a_second(name: &'static str) -> Mutation {
    living(name, Some(1_000))
}

fn touch(ttl: Option<u64>) -> Mutation {
    Mutation::Touch { key: key("k"), ttl }
}

fn is_held(w: &World, host: usize) -> bool {
    w.replica(host).store().get(&key("k")).is_some()
}

/// `PROTOCOL.md` 11; C29: the end of a session is an op of the log like any other.
#[test]
fn a_session_expires_by_an_op_of_the_primary() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, for_a_second("k")));
    w.run(900);
    assert!(is_held(&w, A));
    w.run(1_200);
    let mut log = (1..=w.replica(A).committed().0).filter_map(|seq| w.replica(A).op(Seq(seq)));
    assert!(log.any(|op| op.change == Change::End { key: key("k"), kind: EndKind::Expiry }));
    assert!(!is_held(&w, A) && !is_held(&w, B));
    assert_eq!(w.read(A, "k"), ReplyBody::Absent);
}

/// `PROTOCOL.md` 11; C29: a secondary ends nothing by its own clock, and an expiry that is not committed
/// has not happened.
#[test]
fn no_copy_expires_by_its_own_clock() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, for_a_second("k")));
    w.run(40);
    w.pass(60_000);
    for _ in 0..100 {
        w.tick(B);
    }
    assert!(is_held(&w, B));
    for _ in 0..100 {
        w.tick(A);
        w.lose_to(B);
    }
    assert!(is_held(&w, A), "B does not hold the end of it, so it is not committed");
}

/// `PROTOCOL.md` 11: a use restarts the time to live, in every copy.
#[test]
fn a_touch_puts_the_end_off() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, for_a_second("k")));
    for number in 2..=5 {
        w.run(800);
        w.done(A, request(number, touch(Some(1_000))));
    }
    assert!(is_held(&w, A));
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    w.run(800);
    assert!(is_held(&w, B));
}

/// `PROTOCOL.md` 11: clocks differ, so a new primary gives every session a little longer.
#[test]
fn a_promotion_pads_deadlines_and_still_ends_what_is_over() {
    let mut w = world(&[A, B, C]);
    w.done(A, request(1, for_a_second("k")));
    w.kill(A);
    w.pass(1_000);
    w.declare_dead(A);
    w.tell_all();
    w.run(500);
    assert!(matches!(w.read(B, "k"), ReplyBody::Found(_)));
    w.run(2_000);
    assert_eq!(w.read(B, "k"), ReplyBody::Absent);
    let touch = w.ask(B, request(2, touch(None)));
    assert_eq!(
        w.refusal(touch),
        Some(&Refusal::Gone { ended: Some(EndKind::Expiry) }),
        "A's copy is not accounted for"
    );
}

/// `PROTOCOL.md` 11: a host that was stopped, or whose clock leaps, has aged no session by it; protocol
/// timers go by the monotonic clock and see the leap.
#[test]
fn a_clock_that_leaps_ages_no_session() {
    let mut w = world(&[A, B]);
    let content = Content::Blob(Bytes::from("v"));
    w.done(
        A,
        request(
            1,
            Mutation::Put {
                key: key("k"),
                content,
                tags: Vec::new(),
                ttl: Some(10_000),
                precondition: Precondition::None,
            },
        ),
    );
    w.pass(3_600_000);
    w.run(200);
    let left = w.found(A, "k").expires_in.unwrap();
    assert!((8_000..=9_000).contains(&left), "an hour counts for a second: {left} ms are left");
    w.run(8_500);
    assert!(is_held(&w, A));
    w.run(500);
    assert!(!is_held(&w, A), "and it ends by the time that was lived through");
}

/// `PROTOCOL.md` 11: a touch that moves the end by less than a tenth of the time to live is done at the primary
/// alone; those that add up to a tenth are logged.
#[test]
fn touches_are_coalesced() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, living("k", Some(10_000))));
    w.run(900);
    let before = w.replica(A).prepared();
    let done = w.done(A, request(2, touch(Some(10_000))));
    let view = w.found(A, "k");
    assert_eq!(w.replica(A).prepared(), before, "it is not logged");
    assert_eq!((done.version, done.life, done.copies), (view.version, view.life, 2));
    assert_eq!(view.expires_in, Some(10_000));
    w.run(200);
    w.done(A, request(3, touch(Some(10_000))));
    assert_eq!(w.replica(A).prepared(), before.next(), "1.1 s after the last one that was logged");
    w.done(A, request(4, touch(Some(9_999))));
    assert_eq!(w.replica(A).prepared(), before.next().next(), "another time to live is always logged");
}

/// `PROTOCOL.md` 11: to touch what never ends changes nothing.
#[test]
fn a_touch_of_a_session_that_never_ends_is_not_logged() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, living("k", None)));
    let before = w.replica(A).prepared();
    w.done(A, request(2, touch(None)));
    assert_eq!(w.replica(A).prepared(), before);
}

/// `PROTOCOL.md` 11: what a touch promised holds, also if the primary that did not log it is gone.
#[test]
fn a_promoted_copy_keeps_what_touches_promised_that_were_not_logged() {
    let settings = Settings { promotion_pad: std::time::Duration::ZERO, ..Settings::default() };
    let mut w = world_with(&[A, B], Policy::default(), settings);
    w.done(A, request(1, living("k", Some(10_000))));
    w.run(960);
    w.done(A, request(2, touch(Some(10_000))));
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    w.run(9_900);
    assert!(is_held(&w, B), "10.86 s after it was made, 9.9 s after it was touched");
    let before = w.replica(B).prepared();
    w.done(B, request(3, touch(Some(10_000))));
    assert_eq!(w.replica(B).prepared(), before.next(), "the first touch of a reign is logged");
}

/// `PROTOCOL.md` 4, 11: a touch that is not logged is done on the word of a change that may yet be lost, so its
/// answer waits for that.
#[test]
fn a_touch_of_what_is_not_committed_waits() {
    let mut w = world(&[A, B]);
    w.ask(A, request(1, living("k", Some(10_000))));
    let before = w.replica(A).prepared();
    let first = w.ask(A, request_of(2, 1, 1, touch(Some(10_000))));
    assert_eq!((w.answer(first), w.replica(A).prepared()), (None, before));
    w.quiet();
    assert!(w.is_done(first));

    w.ask(A, request(2, living("k", Some(20_000))));
    let second = w.ask(A, request_of(2, 2, 2, touch(Some(20_000))));
    w.lose_to(B);
    w.declare_dead(A);
    w.tell_all();
    assert!(matches!(w.refusal(second), Some(Refusal::NotPrimary { .. })));
}

/// A colony on A and B with this many sessions that live for a second.
fn crowd(sessions: u64) -> World {
    let mut w = world(&[A, B]);
    for number in 0..sessions {
        let name = Key::new(format!("k{number}")).unwrap();
        let content = Content::Blob(Bytes::from("v"));
        let put =
            Mutation::Put { key: name, content, tags: Vec::new(), ttl: Some(1_000), precondition: Precondition::None };
        w.done(A, request(1 + number, put));
    }
    w.tick(A);
    w.quiet();
    w
}

/// `PROTOCOL.md` 11: sessions that come due while their primary runs end, however many they are.
#[test]
fn what_is_due_ends_whatever_the_number() {
    let mut w = crowd(100);
    w.run(1_200);
    assert_eq!((w.replica(A).store().len(), w.held.len()), (0, 0));
}

/// `PROTOCOL.md` 11: what came due while there was no primary ends a fifth a minute, and the host says so.
#[test]
fn what_came_due_in_an_outage_is_held_and_told() {
    let mut w = crowd(100);
    w.kill(A);
    w.run(5_000);
    w.declare_dead(A);
    w.tell_all();
    w.run(500);
    assert_eq!((w.replica(B).store().len(), &w.held[..]), (80, &[80][..]));
    w.done(B, request(500, living("k", Some(1_000))));
    w.run(50_000);
    assert_eq!((w.replica(B).store().len(), w.held.len()), (80, 1), "what is dated in the window ends as it is due");
    w.run(10_000);
    assert_eq!((w.replica(B).store().len(), &w.held[1..]), (64, &[64][..]), "a fifth of those, at least 16");
}

/// `PROTOCOL.md` 11: in a small colony an outage is made up for at once.
#[test]
fn a_handful_that_came_due_in_an_outage_ends() {
    let mut w = crowd(16);
    w.kill(A);
    w.run(5_000);
    w.declare_dead(A);
    w.tell_all();
    w.run(500);
    assert_eq!((w.replica(B).store().len(), w.held.len()), (0, 0));
}
