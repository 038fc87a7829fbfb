//! An operator lets a colony go on from a stale copy, and copies that left the set are accounted for
//! (`PROTOCOL.md` 5.5, 8).

use bytes::Bytes;
use colony_core::group::{Command, Outcome};
use colony_wire::LineageId;
use colony_wire::client::{Refusal, ReplyBody};
use colony_wire::control::Fate;

use crate::calls::{blob, request};
use crate::world::{A, B, C, COLONY, World, world};

fn accept(w: &mut World, host: usize) -> Outcome {
    let (cfg, to) = (w.entry().cfg, w.start(host));
    let command = Command::AcceptStale { colony: COLONY, cfg, to, lineage: LineageId(99) };
    w.apply(&command)
}

/// A colony whose only in-sync host is gone, and a copy on C that lacks the newest change.
fn with_a_stale_copy() -> World {
    let mut w = world(&[A, B, C]);
    w.done(A, request(1, blob("k", "old")));
    w.run(100);
    w.kill(C);
    let caller = w.ask(A, request(2, blob("k", "new")));
    w.run(1_000);
    assert!(w.is_done(caller) && !w.entry().is_in_sync(w.start(C)));
    w.kill(A);
    w.kill(B);
    w.declare_dead(A);
    w.declare_dead(B);
    w.wake(C);
    w
}

/// C18: without an operator the colony stays offline, whoever holds a copy.
#[test]
fn a_stale_copy_is_never_promoted_by_itself() {
    let mut w = with_a_stale_copy();
    w.tell(C);
    w.run(2_000);
    assert_eq!(w.entry().primary, None);
    assert_eq!(w.read(C, "k"), ReplyBody::Refused(Refusal::Offline));
}

/// `PROTOCOL.md` 5.5: positions of the accepted copy's own time are of another lineage, so what was lost is never
/// taken for what is written now; whoever has seen it is told once that it is lost.
#[test]
fn an_accepted_copy_begins_a_lineage_of_its_own() {
    let mut w = with_a_stale_copy();
    let lost = w.replica(A).position();
    assert_eq!(accept(&mut w, C), Outcome::Applied);
    w.tell(C);
    w.run(500);
    assert_eq!(w.value(C, "k"), Some(Bytes::from("old")));
    assert_eq!(w.read_after(C, "k", lost), ReplyBody::Refused(Refusal::LineageLost));
    let kept = w.replica(C).history().entries()[0];
    let seen = colony_wire::Position { lineage: kept.0, reign: kept.1, seq: colony_wire::Seq(1) };
    assert!(matches!(w.read_after(C, "k", Some(seen)), ReplyBody::Found(_)), "what it covers is not lost");
    let done = w.done(C, request(3, blob("k", "newest")));
    assert_eq!(done.version.lineage, LineageId(99));
}

/// `PROTOCOL.md` 7, 9: a copy that may hold what the accepted one lacks is never thrown away for it.
#[test]
fn a_copy_that_may_be_ahead_is_kept() {
    let mut w = with_a_stale_copy();
    accept(&mut w, C);
    w.wake(A);
    let dead = w.reborn(A);
    w.tell_all();
    let fate = w.fate(A);
    assert_eq!(fate, Fate::Wait);
    w.hear_fate(A, dead, fate);
    w.want(&[C, A]);
    w.tell_all();
    w.run(1_000);
    assert_eq!(w.kept(A), 1);
    assert!(w.entry().is_unaccounted(dead));
}

/// Bug (foreseen): a catching-up copy that was ahead of the accepted one would have had to truncate what it had
/// committed. Cause: the colony's path is another one now. Fix: a copy of another lineage begins anew, or is
/// kept if it was in sync once.
#[test]
fn a_copy_of_the_path_that_was_given_up_begins_anew() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    w.want(&[A, B]);
    w.tell_all();
    for _ in 0..5 {
        w.tick(A);
        w.quiet();
    }
    w.proposals.clear();
    assert!(w.replica(B).position().is_some() && !w.entry().is_in_sync(w.start(B)));
    w.kill(A);
    w.declare_dead(A);
    w.want(&[B, C]);
    w.tell_all();
    assert_eq!(accept(&mut w, C), Outcome::Applied, "an empty copy, by an operator's word");
    w.tell_all();
    w.run(1_000);
    assert_eq!(w.entry().in_sync, [w.start(C), w.start(B)]);
    assert_eq!((w.value(C, "k"), w.replica(B).store().len()), (None, 0));
}

/// `PROTOCOL.md` 8: a process says which copies it dropped, until the group has heard it.
#[test]
fn a_dropped_copy_is_accounted_for() {
    let mut w = world(&[A, B, C]);
    w.want(&[A, B]);
    w.tell_all();
    w.run(200);
    assert!(!w.holds(C));
    assert!(w.entry().is_unaccounted(w.start(C)));
    w.proposals.clear();
    w.run(2_000);
    assert!(w.entry().unaccounted.is_empty());
}

/// Bug: the accepted copy was thrown away and the colony served an empty one. Cause: the copy was kept under a
/// start that had been declared dead, and its fate (it is the colony's now) was heard before the entry that says
/// so; by the older entry the process had no business with the colony. Fix: a copy is restored by the entry that
/// holds its process in sync, never before that is heard.
#[test]
fn an_accepted_copy_outlives_a_fate_that_overtakes_the_table() {
    let mut w = with_a_stale_copy();
    w.declare_dead(C);
    let dead = w.reborn(C);
    w.tell(C);
    assert_eq!(w.kept(C), 1);
    assert_eq!(accept(&mut w, C), Outcome::Applied);
    assert_eq!(w.fate(C), Fate::Restore);
    w.hear_fate(C, dead, Fate::Restore);
    w.tell(C);
    w.run(500);
    assert_eq!(w.value(C, "k"), Some(Bytes::from("old")));
}

/// Bug: the accepted copy was thrown away. Cause: its host was declared dead before it had heard of its
/// acceptance, so the first entry of the new lineage that it heard named no primary, and it took its copy for
/// one of the path that was given up. Fix: a start in sync holds the path it is in sync in.
#[test]
fn an_accepted_copy_outlives_a_death_before_it_hears_of_its_acceptance() {
    let mut w = with_a_stale_copy();
    assert_eq!(accept(&mut w, C), Outcome::Applied);
    w.declare_dead(C);
    w.tell(C);
    let dead = w.reborn(C);
    assert_eq!(w.fate(C), Fate::Restore);
    w.restore(C);
    w.hear_fate(C, dead, Fate::Restore);
    w.tell(C);
    w.run(500);
    assert_eq!(w.value(C, "k"), Some(Bytes::from("old")));
}

/// Bug: an answer to what the group held before a copy was accepted dropped that copy. Cause: a fate does not
/// say of which entry it speaks. Fix: an entry that holds the process in sync outweighs it.
#[test]
fn a_late_discard_drops_no_accepted_copy() {
    let mut w = with_a_stale_copy();
    w.declare_dead(C);
    let dead = w.reborn(C);
    accept(&mut w, C);
    w.tell(C);
    w.hear_fate(C, dead, Fate::Discard);
    w.run(500);
    assert_eq!(w.value(C, "k"), Some(Bytes::from("old")));
}

/// Bug: a copy that may be ahead of the accepted one was dropped. Cause: it was kept under a start that lives,
/// and only starts the process had lost were looked for among those that are waited for. Fix: the present one
/// is looked for as well.
#[test]
fn a_copy_that_may_be_ahead_is_kept_by_a_process_that_was_never_declared_dead() {
    let mut w = world(&[A, B, C]);
    w.done(A, request(1, blob("k", "old")));
    // B leaves the set and goes on catching up; then A, the last in sync, is gone.
    for host in [B, C] {
        w.kill(host);
    }
    let caller = w.ask(A, request(2, blob("k", "new")));
    w.run(1_000);
    assert!(w.is_done(caller));
    w.kill(A);
    w.declare_dead(A);
    w.wake(B);
    w.wake(C);
    w.tell(B);
    w.tell(C);
    assert!(w.entry().is_unaccounted(w.start(B)));
    accept(&mut w, C);
    w.tell_all();
    assert_eq!(w.kept(B), 1);
    let held_as = w.hosts[B].shard.kept().next().map(|(start, _)| start).unwrap();
    let fate = w.fate(B);
    w.hear_fate(B, held_as, fate);
    assert_eq!((fate, w.kept(B)), (Fate::Wait, 1));
}

/// Bug: the accepted copy itself was waited for as one that may be ahead, so after a second death its host kept it
/// for ever instead of taking part again. Cause: it had left the set under a start that its process lost. Fix: a
/// process holds one copy of a colony, so accepting it accounts for every start the process had.
#[test]
fn an_accepted_copy_is_not_waited_for_under_an_earlier_start() {
    let mut w = with_a_stale_copy();
    w.declare_dead(C);
    let dead = w.reborn(C);
    w.tell(C);
    assert!(w.entry().is_unaccounted(dead));
    assert_eq!(accept(&mut w, C), Outcome::Applied);
    assert!(!w.entry().is_unaccounted(dead), "{:?}", w.entry());
    assert!(w.entry().unaccounted.iter().all(|one| one.ahead), "the lost ones may be ahead");
}
