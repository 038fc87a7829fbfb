//! How lives end, and how long that is remembered (`PROTOCOL.md` 1, 8; D4).

use colony_core::colony::Settings;
use colony_core::group::Entry;
use colony_wire::admin::Policy;
use colony_wire::client::Refusal;
use colony_wire::op::Change;
use colony_wire::peer::PeerBody;
use colony_wire::session::{EndKind, Mutation};

use crate::calls::{attributes, blob, change, delete, delete_as, key, request, save};
use crate::world::{A, B, C, World, world, world_with};

fn tombstones(w: &World, host: usize) -> usize {
    w.replica(host).store().ends().tombstones().count()
}

fn gone(ended: EndKind) -> Refusal {
    Refusal::Gone { ended: Some(ended) }
}

/// `PROTOCOL.md` 10; C29: why a life ended is part of the log: a logout, and what is done in the user's stead.
#[test]
fn a_delete_is_logged_with_its_kind() {
    for kind in [EndKind::Logout, EndKind::Revoke] {
        let mut w = world(&[A, B]);
        w.done(A, request(1, blob("k", "v")));
        w.done(A, request(2, delete_as("k", kind)));
        let last = w.replica(A).op(w.replica(A).committed()).unwrap();
        assert_eq!(last.change, Change::End { key: key("k"), kind });
    }
}

/// I11; C29: the end of a life stays in the logged state, without the key.
#[test]
fn an_ended_life_leaves_a_tombstone_in_every_copy() {
    let mut w = world(&[A, B]);
    let made = w.done(A, request(1, blob("k", "v")));
    let ended = w.done(A, request(2, delete("k")));
    w.tick(A);
    w.deliver(B);
    for host in [A, B] {
        let stays: Vec<_> = w.replica(host).store().ends().tombstones().cloned().collect();
        assert_eq!(stays.len(), 1);
        assert_eq!((stays[0].life, stays[0].ended, stays[0].kind), (made.life, ended.version, EndKind::Logout));
    }
    w.quiet();
}

/// `PROTOCOL.md` 3.2: whoever holds on to a life that has ended is told how it ended, also when another
/// life has begun at the key.
#[test]
fn a_save_or_touch_of_an_ended_life_is_told_how_it_ended() {
    let mut w = world(&[A]);
    let first = w.done(A, request(1, attributes("k", &[("n", "0")])));
    w.done(A, request(2, delete_as("k", EndKind::Revoke)));
    let touched = w.ask(A, request(3, Mutation::Touch { key: key("k"), ttl: None }));
    assert_eq!(w.refusal(touched), Some(&gone(EndKind::Revoke)));
    let second = w.done(A, request(4, attributes("k", &[("n", "0")])));
    w.done(A, request(5, delete_as("k", EndKind::Logout)));
    w.done(A, request(6, attributes("k", &[("n", "0")])));
    for (number, base, ended) in [(7, first, EndKind::Revoke), (8, second, EndKind::Logout)] {
        let late = w.ask(A, request(number, save("k", base, vec![change("n", "1")])));
        assert_eq!(w.refusal(late), Some(&gone(ended)));
    }
    w.run(40);
    let later = w.ask(A, request(9, save("k", first, vec![change("n", "1")])));
    assert_eq!(w.refusal(later), Some(&Refusal::Gone { ended: None }), "it is remembered no longer than needed");
}

/// `PROTOCOL.md` 4: that a life has ended is told to nobody before it is so.
#[test]
fn how_a_life_ends_is_not_told_before_its_end_is_committed() {
    let mut w = world(&[A, B]);
    let base = w.done(A, request(1, attributes("k", &[("n", "0")])));
    let out = w.ask(A, request(2, delete("k")));
    let late = w.ask(A, request(3, save("k", base, vec![change("n", "1")])));
    let again = w.ask(A, request(4, attributes("k", &[("n", "2")])));
    let later = w.ask(A, request(5, save("k", base, vec![change("n", "1")])));
    assert_eq!((w.answer(out), w.answer(late), w.answer(again), w.answer(later)), (None, None, None, None));
    w.quiet();
    assert!(w.is_done(out) && w.is_done(again));
    assert_eq!(w.refusal(late), Some(&gone(EndKind::Logout)));
    assert_eq!(w.refusal(later), Some(&gone(EndKind::Logout)));
}

/// `PROTOCOL.md` 8; C29: a tombstone goes when every copy has committed the end, by an op, and not before.
#[test]
fn a_tombstone_goes_once_every_copy_is_past_it() {
    let mut w = world(&[A, B, C]);
    w.done(A, request(1, blob("k", "v")));
    w.done(A, request(2, delete("k")));
    for _ in 0..10 {
        w.tick(A);
        w.deliver(B);
        w.lose_to(C);
        w.deliver(A);
    }
    assert_eq!((tombstones(&w, A), tombstones(&w, B)), (1, 1), "C is not known to know");
    w.run(100);
    assert_eq!((tombstones(&w, A), tombstones(&w, B), tombstones(&w, C)), (0, 0, 0));
    assert_eq!(w.replica(A).store().ends().floor(), None);
    let forgets = (1..=w.replica(A).committed().0).filter_map(|seq| w.replica(A).op(colony_wire::Seq(seq)));
    let forgets = forgets.filter(|op| matches!(op.change, Change::Forget { .. })).count();
    assert_eq!(forgets, 1, "it is logged once");
}

/// `PROTOCOL.md` 6.2, 8; I12: a copy that is to be counts too, and gets the tombstones with its snapshot.
#[test]
fn a_copy_that_catches_up_holds_tombstones_back_and_gets_them() {
    let mut w = world_with(&[A, B], Policy::default(), Settings { log_kept: 0, ..Settings::default() });
    w.done(A, request(1, blob("k", "v")));
    w.kill(C);
    w.want(&[A, B, C]);
    w.tell_all();
    w.done(A, request(2, delete("k")));
    w.run(2_000);
    assert_eq!((tombstones(&w, A), tombstones(&w, B)), (1, 1), "C is wanted and has nothing yet");
    w.wake(C);
    w.tell(C);
    let mut had_it = false;
    for _ in 0..50 {
        w.tick(A);
        for host in [C, A, B] {
            w.deliver(host);
            had_it |= w.holds(C) && tombstones(&w, C) == 1;
        }
        w.check();
    }
    assert!(had_it, "its first state has the tombstone");
    w.run(500);
    let Entry { in_sync, .. } = w.entry();
    assert_eq!((in_sync.len(), tombstones(&w, A), tombstones(&w, C)), (3, 0, 0));
}

/// I11; C29, `PROTOCOL.md` 8: a promoted copy knows what has ended, and remembers it for as long as the copy of
/// its predecessor may come back.
#[test]
fn tombstones_survive_a_promotion() {
    let mut w = world(&[A, B, C]);
    let base = w.done(A, request(1, attributes("k", &[("n", "0")])));
    w.ask(A, request(2, delete("k")));
    w.take(|envelope| matches!(envelope.body(), PeerBody::Appended { .. }));
    w.deliver(B);
    w.deliver(C);
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    w.quiet();
    let late = w.ask(B, request(3, save("k", base, vec![change("n", "1")])));
    assert_eq!(w.refusal(late), Some(&gone(EndKind::Logout)));
    w.run(3_000);
    assert_eq!((tombstones(&w, B), tombstones(&w, C)), (1, 1), "A was in sync and may still hold its copy");
    w.wake(A);
    let dead = w.reborn(A);
    w.tell_all();
    w.hear_fate(A, dead, w.fate(A));
    w.run(3_000);
    assert_eq!((tombstones(&w, B), tombstones(&w, C)), (0, 0), "A has said that its copy is dropped");
}
