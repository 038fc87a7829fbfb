//! Processes that were declared dead and run (`PROTOCOL.md` 7): what becomes of the copies they kept.

use bytes::Bytes;
use colony_core::group::{Command, Outcome, Refusal as GroupRefusal, State};
use colony_wire::StartId;
use colony_wire::client::Refusal;
use colony_wire::control::Fate;

use crate::calls::{blob, request};
use crate::world::{A, B, C, COLONY, World, world};

/// `PROTOCOL.md` 7; C14: from the moment it hears of its death it answers nobody, and drops nothing.
#[test]
fn who_is_told_to_be_dead_serves_nobody_and_keeps_its_copies() {
    let mut w = world(&[A, B]);
    let waiting = w.ask(A, request(1, blob("k", "v")));
    w.declare_dead(A);
    let dead = w.reborn(A);
    assert_eq!(w.refusal(waiting), Some(&Refusal::Deposed));
    let caller = w.ask(A, request(2, blob("k", "v")));
    assert!(matches!(w.refusal(caller), Some(Refusal::NotPrimary { .. })));
    assert!(!w.holds(A));
    assert_eq!(w.hosts[A].shard.kept().map(|(start, _)| start).collect::<Vec<_>>(), [dead]);
}

/// `PROTOCOL.md` 7; C14.
///
/// Bug: a host that slept and was told when it woke that it is dead still asked others to confirm its reign.
/// Cause: whatever comes first after a sleep makes every reign doubt, and that came before what it was told.
/// Fix: it hears of its death first.
#[test]
fn who_wakes_to_hear_that_it_is_dead_says_nothing_as_the_dead() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.tick(A);
    w.quiet();
    w.pass(5_000);
    w.declare_dead(A);
    let dead = w.reborn(A);
    assert!(w.take(|envelope| envelope.message.from == dead).is_empty());
}

/// `PROTOCOL.md` 7: the set went on without it, so nothing it holds beyond the set was acknowledged.
#[test]
fn a_discarded_copy_is_dropped_and_a_new_one_is_begun_where_it_is_wanted() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.declare_dead(A);
    let dead = w.reborn(A);
    w.want(&[B, A]);
    w.tell_all();
    assert!(!w.holds(A), "no other copy is begun before the fate of the kept one is known");
    assert_eq!(w.fate(A), Fate::Discard);
    w.hear_fate(A, dead, Fate::Discard);
    w.run(200);
    assert!(w.entry().is_in_sync(w.start(A)));
    assert_eq!(w.value(B, "k"), Some(Bytes::from("v")));
}

fn last_copy_declared_dead() -> (World, StartId) {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    w.declare_dead(A);
    let dead = w.reborn(A);
    assert_eq!(w.fate(A), Fate::Restore);
    assert_eq!(w.restore(A), Some(Outcome::Applied));
    (w, dead)
}

/// `PROTOCOL.md` 7; C14, C18: the last in-sync copy goes on under the new start, with all it acknowledged.
#[test]
fn the_last_copy_is_restored_when_the_table_is_heard_first() {
    let (mut w, dead) = last_copy_declared_dead();
    w.tell(A);
    assert_eq!(w.value(A, "k"), Some(Bytes::from("v")), "the entry itself gives it back");
    w.hear_fate(A, dead, Fate::Restore);
    assert_eq!(w.value(A, "k"), Some(Bytes::from("v")));
}

/// `PROTOCOL.md` 7; C14, C18: the other order.
#[test]
fn the_last_copy_is_restored_when_its_fate_is_heard_first() {
    let (mut w, dead) = last_copy_declared_dead();
    w.hear_fate(A, dead, Fate::Restore);
    let early = w.ask(A, request(2, blob("k", "v")));
    assert!(matches!(w.refusal(early), Some(Refusal::NotPrimary { .. })), "it serves nothing before the table says so");
    w.tell(A);
    assert_eq!(w.value(A, "k"), Some(Bytes::from("v")));
}

/// `PROTOCOL.md` 7; C14, C18.
///
/// Bug: the last good copy was dropped, and an empty one reigned in its place.
/// Cause: its fate was heard before the entry that declared the old start dead; that entry does not concern
/// the new start. Fix: the copy is kept until the entry is heard that holds the new start in sync.
#[test]
fn a_restored_copy_outlives_entries_older_than_its_restoration() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    w.declare_dead(A);
    let of_the_death = w.entry();
    let dead = w.reborn(A);
    assert_eq!(w.restore(A), Some(Outcome::Applied));
    w.hear_fate(A, dead, Fate::Restore);
    w.tell_entry(A, of_the_death);
    assert_eq!(w.kept(A), 1);
    w.tell(A);
    assert_eq!(w.value(A, "k"), Some(Bytes::from("v")));
}

/// `PROTOCOL.md` 7; C14, C18.
///
/// Bug: as above. Cause: the guard ended with the first entry that concerned the new start, which may only
/// have wanted a copy there. Fix: it ends when the new start is in sync.
#[test]
fn a_restored_copy_outlives_plans_older_than_its_restoration() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    w.declare_dead(A);
    let dead = w.reborn(A);
    let mut older = Vec::new();
    for wanted in [A, C] {
        w.want(&[wanted]);
        older.push(w.entry());
    }
    assert_eq!(w.restore(A), Some(Outcome::Applied));
    w.hear_fate(A, dead, Fate::Restore);
    for entry in older {
        w.tell_entry(A, entry);
        assert_eq!(w.kept(A), 1);
    }
    w.tell(A);
    assert_eq!(w.value(A, "k"), Some(Bytes::from("v")));
}

/// `PROTOCOL.md` 7; C14, C18: declared dead twice before it heard that it was restored in between.
#[test]
fn a_copy_restored_for_a_start_that_is_gone_too_is_restored_again() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    w.declare_dead(A);
    let dead = w.reborn(A);
    assert_eq!(w.restore(A), Some(Outcome::Applied));
    let of_the_first = w.entry();
    w.declare_dead(A);
    w.reborn(A);
    assert_eq!(w.fate(A), Fate::Restore);
    assert_eq!(w.restore(A), Some(Outcome::Applied));
    w.hear_fate(A, dead, Fate::Restore);
    w.tell_entry(A, of_the_first);
    assert_eq!(w.kept(A), 1);
    w.tell(A);
    assert_eq!(w.value(A, "k"), Some(Bytes::from("v")));
    assert_eq!(w.fate(A), Fate::Restore, "asked again, the answer is the same");
}

/// `PROTOCOL.md` 7: while none of the set that went on runs, its copy may be the best there will ever be.
#[test]
fn a_copy_whose_fate_is_not_known_is_kept_until_it_is() {
    let mut w = world(&[A, B]);
    w.declare_dead(A);
    let dead = w.reborn(A);
    w.declare_dead(B);
    assert_eq!(w.fate(A), Fate::Wait);
    w.hear_fate(A, dead, Fate::Wait);
    assert_eq!(w.hosts[A].shard.kept().count(), 1);
    let dead_too = w.reborn(B);
    assert_eq!(w.restore(B), Some(Outcome::Applied));
    w.hear_fate(B, dead_too, Fate::Restore);
    assert_eq!(w.fate(A), Fate::Discard);
    w.hear_fate(A, dead, Fate::Discard);
    assert_eq!(w.hosts[A].shard.kept().count(), 0);
}

/// `PROTOCOL.md` 7: a fate that was asked for under an earlier start is not this copy's.
#[test]
fn a_fate_of_another_start_changes_nothing() {
    let mut w = world(&[A, B]);
    let other = w.start(B);
    w.declare_dead(A);
    w.reborn(A);
    w.hear_fate(A, other, Fate::Discard);
    assert_eq!(w.hosts[A].shard.kept().count(), 1);
}

/// `PROTOCOL.md` 5.1: a primary alone in the set goes on until it hears of its death; what it acknowledged
/// meanwhile is in the copy that is restored.
#[test]
fn what_the_last_copy_acknowledged_after_its_death_is_restored_too() {
    let mut w = world(&[A]);
    w.declare_dead(A);
    assert!(w.entry().primary.is_none());
    w.done(A, request(1, blob("k", "unaware")));
    let dead = w.reborn(A);
    assert_eq!(w.restore(A), Some(Outcome::Applied));
    w.tell(A);
    w.hear_fate(A, dead, Fate::Restore);
    assert_eq!(w.value(A, "k"), Some(Bytes::from("unaware")));
}

/// `PROTOCOL.md` 7.
///
/// Bug: a state that had not heard of a death, or not of the colony, said that the copy may be dropped.
/// Cause: it was asked of whoever leads, who may not have applied its log yet. Fix: such a state waits.
#[test]
fn a_state_that_has_not_heard_of_the_death_decides_nothing() {
    let mut w = world(&[A, B]);
    let lagging = w.group.clone();
    w.declare_dead(A);
    let dead = w.reborn(A);
    assert_eq!(lagging.fate(COLONY, &[dead], w.start(A)), Fate::Wait, "it is up, as far as this state knows");
    assert_eq!(State::default().fate(COLONY, &[dead], w.start(A)), Fate::Wait);
}

/// `PROTOCOL.md` 7; C12, C14: dead is final for a start.
///
/// Bug: a second copy of an old admission, applied late, declared the living process of that name dead.
/// Cause: the record of the dead start went when its successor was admitted. Fix: an admission that was
/// decided before the last one of its name is void.
#[test]
fn a_late_join_never_revives_a_dead_start() {
    let mut w = world(&[B]);
    let old = w.member(A);
    w.declare_dead(A);
    w.reborn(A);
    let late = w.apply(&Command::Join { member: old.clone(), deviations: Vec::new(), plugins: Vec::new() });
    assert_eq!(late, Outcome::Refused(GroupRefusal::Dead(old.start)));
    assert!(w.group.is_up(w.start(A)));
}

/// `PROTOCOL.md` 7.
///
/// Bug: a process that was declared dead dropped its copy although no other was left. Cause: it heard the table, which
/// did not name it any more, before it heard of its own death. Fix: a copy that left the set is kept when the entry says
/// that all who are in it are dead.
#[test]
fn a_copy_is_not_dropped_for_a_set_that_is_dead() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.run(100);
    w.kill(B);
    w.declare_dead(A);
    w.declare_dead(B);
    w.tell(A);
    assert_eq!(w.kept(A), 1);
    let dead = w.reborn(A);
    w.tell(A);
    assert_eq!((w.kept(A), w.fate(A)), (1, Fate::Wait));
    assert!(w.entry().is_unaccounted(dead));
}
