//! A namespace that asks for a least number of copies (`PROTOCOL.md` 3.8).

use bytes::Bytes;
use colony_core::colony::Settings;
use colony_core::group::Command;
use colony_wire::admin::{OnPartition, Policy};
use colony_wire::client::{Refusal, ReplyBody};
use colony_wire::control::Fate;
use colony_wire::session::{Content, Mutation, Precondition};

use crate::calls::{blob, key, request};
use crate::world::{A, B, C, World, world_with};

fn strict(holders: &[usize]) -> World {
    world_with(
        holders,
        Policy { min_in_sync: 2, on_partition: OnPartition::Strict, ..Policy::default() },
        Settings::default(),
    )
}

const SHORT: Refusal = Refusal::TooFewCopies { have: 1, min: 2 };

/// A silent peer is not dropped below the least: nothing is acknowledged, and whoever asks is told why.
#[test]
fn below_the_least_nothing_is_acknowledged_and_it_says_so() {
    let mut w = strict(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.kill(B);
    let under_way = w.ask(A, request(2, blob("k", "w")));
    w.run(1_000);
    assert_eq!(w.answer(under_way), None, "it may yet be acknowledged");
    assert_eq!(w.entry().in_sync.len(), 2);
    let refused = w.ask(A, request(3, blob("k", "x")));
    assert_eq!(w.refusal(refused), Some(&SHORT));
    assert_eq!(w.value(A, "k"), Some(Bytes::from("v")), "what is committed is read");
    w.declare_dead(B);
    w.run(500);
    assert_eq!((w.entry().in_sync.len(), w.answer(under_way)), (2, None), "the dead start stays");
}

/// Bug: the first write after a death in an idle colony waited for its deadline, and its outcome was unknown. Cause: a
/// peer that owed nothing was not known to be silent. Fix: the entry says which of the set are dead.
#[test]
fn the_first_write_after_a_death_is_refused_at_once() {
    let mut w = strict(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.kill(B);
    w.declare_dead(B);
    w.tell(A);
    let refused = w.ask(A, request(2, blob("k", "w")));
    assert_eq!(w.refusal(refused), Some(&SHORT));
    let read = w.confirm(A, "k");
    assert_eq!(w.refusal(read), Some(&SHORT), "nor can the reign be confirmed without the dead");
}

/// One entry puts a caught-up peer in the place of the dead one, also before the barrier could be committed:
/// the peer that comes in has the barrier, so it lacks nothing that was acknowledged before.
#[test]
fn a_caught_up_peer_takes_the_place_of_the_dead_in_one_entry() {
    let mut w = strict(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    w.run(1_000);
    assert!(!w.replica(B).is_serving());
    assert_eq!(w.read(B, "k"), ReplyBody::Refused(SHORT), "not even the barrier is committed");
    let cfg = w.entry().cfg;
    w.want(&[B, C]);
    w.tell_all();
    w.run(1_000);
    assert_eq!(w.entry().in_sync, [w.start(B), w.start(C)]);
    assert_eq!(w.entry().cfg.0, cfg.0 + 2, "the plan, and one exchange");
    assert!(w.replica(B).is_serving());
    assert_eq!(w.value(B, "k"), Some(Bytes::from("v")));
    w.done(B, request(2, blob("k", "w")));
}

/// A process that only seemed dead holds an in-sync copy still: it is in the set again under its new start, and
/// the colony goes on without copying anything.
#[test]
fn a_copy_that_only_seemed_dead_counts_again() {
    let mut w = strict(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.declare_dead(B);
    w.tell(A);
    let dead = w.reborn(B);
    w.tell_all();
    assert_eq!(w.fate(B), Fate::Restore);
    w.restore(B);
    w.hear_fate(B, dead, Fate::Restore);
    w.tell_all();
    w.run(500);
    assert_eq!(w.entry().in_sync, [w.start(A), w.start(B)]);
    w.done(A, request(2, blob("k", "w")));
    w.run(100);
    assert_eq!(w.replica(A).position(), w.replica(B).position());
}

/// Both seemed dead: the first that comes back reigns, the second joins it, and nothing is lost.
#[test]
fn two_that_seemed_dead_come_back_one_after_the_other() {
    let mut w = strict(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.declare_dead(A);
    w.declare_dead(B);
    let dead = w.reborn(B);
    assert_eq!(w.fate(B), Fate::Restore);
    w.restore(B);
    w.hear_fate(B, dead, Fate::Restore);
    w.tell(B);
    w.run(500);
    assert_eq!(w.read(B, "k"), ReplyBody::Refused(SHORT));
    let dead = w.reborn(A);
    w.restore(A);
    w.hear_fate(A, dead, Fate::Restore);
    w.tell_all();
    w.run(500);
    assert_eq!(w.entry().primary, Some(w.start(B)));
    assert_eq!(w.value(B, "k"), Some(Bytes::from("v")));
    w.done(B, request(2, blob("k", "w")));
}

/// Bug: a colony whose set held two dead starts took nobody in any more, though both hosts ran again and had
/// caught up. Cause: whoever was added drove out the earlier process of its host beside the silent start that
/// the primary named, which left one too few, so the group refused it, again and again. Fix: the earlier
/// process goes first, and of those named only as many as the least allows.
#[test]
fn two_dead_starts_are_replaced_one_after_the_other() {
    let policy = Policy { min_in_sync: 3, on_partition: OnPartition::Strict, ..Policy::default() };
    let mut w = world_with(&[A, B, C], policy, Settings::default());
    w.done(A, request(1, blob("k", "v")));
    for host in [B, C] {
        w.kill(host);
        w.declare_dead(host);
        w.restart(host);
    }
    let under_way = w.ask(A, request(2, blob("k", "w")));
    w.run(500);
    // C comes in while B, the first of the two, is the silent one that is named.
    w.want(&[A, C]);
    w.tell_all();
    w.run(1_000);
    assert!(w.entry().is_in_sync(w.start(C)), "{:?}", w.entry());
    w.want(&[A, C, B]);
    w.tell_all();
    w.run(1_000);
    assert_eq!(w.entry().in_sync, [w.start(A), w.start(C), w.start(B)]);
    assert!(w.is_done(under_way));
}

/// Bug: a colony never served again though a caught-up peer was there for the place of the dead one. Cause: a
/// peer was proposed for that place and then lost to the primary alone; what was proposed again named only the
/// dead one, below the least, so it was refused for ever, and nothing else was proposed meanwhile. Fix: what is
/// proposed again keeps to the least as well, and so makes the first proposal void.
#[test]
fn a_proposal_whose_peer_fell_silent_blocks_no_other() {
    let mut w = strict(&[A, B]);
    let content = Content::Blob(Bytes::from("v"));
    let put =
        Mutation::Put { key: key("t"), content, tags: Vec::new(), ttl: Some(3_000), precondition: Precondition::None };
    w.done(A, request(1, put));
    w.kill(B);
    w.declare_dead(B);
    let under_way = w.ask(A, request(2, blob("k", "w")));
    w.run(500);
    w.restart(B);
    w.want(&[A, C, B]);
    w.tell_all();
    // C has caught up and is proposed; the proposal is lost, and from then on A and C do not hear each other.
    let c = w.start(C);
    let is_of = |command: &Command| matches!(command, Command::ChangeInSync { add, .. } if *add == Some(c));
    for _ in 0..100 {
        if w.proposals.iter().any(is_of) {
            break;
        }
        w.lose_to(B);
        w.tick(A);
        w.lose_to(B);
        w.quiet();
    }
    assert!(w.proposals.iter().any(is_of));
    // While it is lost again and again, a session expires: C owes an answer from then on.
    for round in 0..600 {
        w.tick(A);
        w.take(|envelope| envelope.message.to == c || envelope.message.from == c);
        w.quiet();
        if round < 200 {
            w.proposals.clear();
        }
        if !w.decide().is_empty() {
            w.tell(A);
            w.tell(B);
        }
    }
    assert_eq!(w.entry().in_sync, [w.start(A), w.start(B)]);
    assert!(w.is_done(under_way));
}

/// Bug: a start stayed unaccounted for though its process was known to be gone. Cause: it left the set only
/// after the next process of its host had joined, and the join accounts for those alone that left before.
/// Fix: whoever leaves is accounted for at once if a later process of its host is up and does not claim it.
#[test]
fn a_start_whose_process_is_gone_leaves_nothing_to_account_for() {
    let mut w = strict(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.kill(B);
    w.declare_dead(B);
    w.restart(B);
    w.want(&[A, B]);
    w.tell_all();
    w.run(3_000);
    assert_eq!(w.entry().in_sync, [w.start(A), w.start(B)]);
    assert!(w.entry().unaccounted.is_empty(), "{:?}", w.entry());
}
