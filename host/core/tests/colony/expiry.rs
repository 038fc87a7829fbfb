//! Time to live (`PROTOCOL.md` 11): one decides, by an op; nobody trusts a clock.

use bytes::Bytes;
use colony_wire::client::{Refusal, ReplyBody};
use colony_wire::op::Change;
use colony_wire::session::{Content, EndKind, Mutation, Precondition};

use crate::calls::{key, request};
use crate::world::{A, B, C, World, world};

fn for_a_second(name: &'static str) -> Mutation {
    let content = Content::Blob(Bytes::from("v"));
    Mutation::Put { key: key(name), content, tags: Vec::new(), ttl: Some(1_000), precondition: Precondition::None }
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
    let last = w.replica(A).op(w.replica(A).committed()).unwrap();
    assert_eq!(last.change, Change::End { key: key("k"), kind: EndKind::Expiry });
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
        w.done(A, request(number, Mutation::Touch { key: key("k"), ttl: Some(1_000) }));
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
    let touch = w.ask(B, request(2, Mutation::Touch { key: key("k"), ttl: None }));
    assert_eq!(w.refusal(touch), Some(&Refusal::NotFound));
}
