//! Catching up while writes flow (`PROTOCOL.md` 6).

use std::collections::BTreeSet;

use colony_core::colony::{Lane, Settings};
use colony_wire::admin::Policy;
use colony_wire::peer::PeerBody;
use colony_wire::session::{Content, Mutation, Precondition};

use crate::calls::{blob, key, request};
use crate::world::{A, B, Envelope, World, world, world_with};

/// Larger than half a batch, so that every op travels by itself.
const LARGE: usize = 200 * 1024;

fn large(name: &'static str) -> Mutation {
    let content = Content::Blob(vec![7; LARGE].into());
    Mutation::Put { key: key(name), content, tags: Vec::new(), ttl: None, precondition: Precondition::None }
}

/// What a state consists of and its pieces, and nothing else, travel on a connection of their own
/// (`PROTOCOL.md` 6.2).
pub(crate) fn is_bulk(envelope: &Envelope) -> bool {
    assert_eq!(envelope.body().is_bulk(), envelope.lane == Lane::Bulk);
    envelope.lane == Lane::Bulk
}

pub(crate) fn is_chunk(envelope: &Envelope) -> bool {
    is_bulk(envelope) && matches!(envelope.body(), PeerBody::Chunk(_))
}

fn is_append(envelope: &Envelope) -> bool {
    matches!(envelope.body(), PeerBody::Append(_))
}

/// A alone, with a log that forgets almost at once, so that others need a snapshot of some chunks.
fn forgetful() -> World {
    let settings = Settings { log_kept: 1, ..Settings::default() };
    let mut w = world_with(&[A], Policy::default(), settings);
    for (number, name) in (1..).zip(["k1", "k2", "k3", "k4", "k5"]) {
        w.done(A, request(number, large(name)));
    }
    w.want(&[A, B]);
    w.tell_all();
    w
}

/// Until the chunks of a transfer to B are under way.
fn until_chunks(w: &mut World) {
    for host in [B, A, B, A] {
        w.deliver(host);
    }
    assert!(w.bag.iter().any(is_chunk));
}

impl World {
    fn assert_caught_up(&self) {
        assert!(self.entry().is_in_sync(self.start(B)), "B never gets in sync");
        assert_eq!(self.replica(B).prepared(), self.replica(A).prepared());
    }
}

/// `PROTOCOL.md` 6.1, 6.3; A13, C23.
#[test]
fn a_copy_catches_up_by_log_and_then_counts() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    w.want(&[A, B]);
    w.tell_all();
    w.quiet();
    assert!(!w.entry().is_in_sync(w.start(B)), "only the group's commit makes it count");
    w.run(60);
    w.assert_caught_up();
}

/// `PROTOCOL.md` 6.2, 6.3; A13: what is written while the snapshot travels streams beside it.
#[test]
fn a_copy_catches_up_by_snapshot_and_the_ops_streamed_beside_it() {
    let mut w = forgetful();
    until_chunks(&mut w);
    let chunks = w.take(is_chunk);
    w.bag.clear();
    for envelope in chunks {
        w.arrive(envelope);
        let number = 10 + w.replica(A).prepared().0;
        w.ask(A, request(number, blob("during", "v")));
    }
    w.run(60);
    w.assert_caught_up();
    assert_eq!(w.replica(B).store().len(), 6);
    assert_eq!(w.replica(B).store().digest(), w.replica(A).store().digest());
}

/// `PROTOCOL.md` 3.5, 6.3: while the group may already have added it, its acknowledgement is needed.
#[test]
fn while_an_addition_is_open_both_sets_must_acknowledge() {
    let mut w = world(&[A]);
    w.want(&[A, B]);
    w.tell_all();
    w.quiet();
    w.tick(A);
    assert_eq!(w.proposals.len(), 1, "B has caught up and is proposed");
    let caller = w.ask(A, request(1, blob("k", "v")));
    assert_eq!(w.answer(caller), None, "the group may have added B");
    w.quiet();
    assert!(w.is_done(caller));
}

/// `PROTOCOL.md` 3.5, 6.3: also when it falls silent, until the group has decided.
#[test]
fn a_proposed_copy_that_falls_silent_is_needed_until_the_group_decides() {
    let mut w = world(&[A]);
    w.want(&[A, B]);
    w.tell_all();
    w.quiet();
    w.tick(A);
    w.proposals.clear();
    w.kill(B);
    let caller = w.ask(A, request(1, blob("k", "v")));
    for _ in 0..100 {
        w.tick(A);
        w.lose_to(B);
    }
    assert_eq!(w.answer(caller), None);
    w.decide();
    w.tell(A);
    w.tick(A);
    assert!(w.is_done(caller), "the opposite was asked on the same entry, and is decided");
}

/// `PROTOCOL.md` 6.3: one that falls silent before it is proposed is simply no longer needed.
#[test]
fn a_copy_that_falls_silent_before_it_is_proposed_holds_nobody_up() {
    let mut w = forgetful();
    until_chunks(&mut w);
    w.kill(B);
    w.bag.clear();
    let caller = w.ask(A, request(9, blob("k", "v")));
    assert!(w.is_done(caller));
}

/// `PROTOCOL.md` 6.2: chunks are lost and damaged.
#[test]
fn a_lost_and_a_damaged_chunk_are_sent_again() {
    let mut w = forgetful();
    until_chunks(&mut w);
    let mut chunks = w.take(is_chunk);
    chunks.remove(1);
    if let PeerBody::Chunk(chunk) = &mut chunks[1].message.body {
        chunk.crc ^= 1;
    }
    w.bag.extend(chunks);
    w.run(600);
    w.assert_caught_up();
}

/// `PROTOCOL.md` 6.2 (nothing waits for ever).
///
/// Bug: a copy never caught up. Cause: of two chunks that overtook each other the later one was refused, upon
/// which the primary asked anew where the log stands; the copy, having begun to collect by then, put the
/// question aside as an op for later. Fix: whatever does not follow is answered, also while collecting.
#[test]
fn a_chunk_that_overtakes_the_first_one_does_not_end_the_catch_up() {
    let mut w = forgetful();
    until_chunks(&mut w);
    let mut chunks = w.take(is_chunk);
    chunks.swap(0, 1);
    w.bag.extend(chunks);
    w.run(600);
    w.assert_caught_up();
}

/// `PROTOCOL.md` 6.2, 6.3.
///
/// Bug: a copy never caught up. Cause: the primary had begun anew with it (wanted no more, wanted again), and
/// the copy, still collecting the former transfer, answered nothing. Fix: as above.
#[test]
fn a_transfer_given_up_does_not_mute_the_copy() {
    let mut w = forgetful();
    until_chunks(&mut w);
    let first = w.take(is_chunk).remove(0);
    w.arrive(first);
    w.bag.clear();
    w.want(&[A]);
    w.tell(A);
    w.want(&[A, B]);
    w.tell(A);
    w.tell(B);
    w.run(600);
    w.assert_caught_up();
}

/// `PROTOCOL.md` 6.2.
///
/// Bug: as above. Cause: a doubled first chunk of a transfer long installed made the copy collect again.
#[test]
fn a_doubled_chunk_of_an_installed_transfer_does_not_mute_the_copy() {
    let mut w = forgetful();
    until_chunks(&mut w);
    let doubled = w.bag.iter().find(|e| is_chunk(e)).unwrap().clone();
    w.run(200);
    w.assert_caught_up();
    w.arrive(doubled);
    w.ask(A, request(20, blob("k", "lost on the way")));
    w.lose_to(B);
    w.ask(A, request(21, blob("k", "v")));
    w.deliver(B);
    assert!(w.bag.iter().any(|e| matches!(e.body(), PeerBody::Mismatch { .. })), "it says what it lacks");
}

/// `PROTOCOL.md` 3.3, 3.6.
///
/// Bug: ops lost on the way to a copy that catches up were never sent again; once it was counted on, a write
/// could wait for ever. Cause: the commit position, told at every tick to one that cannot take it, put the
/// repetition off every time. Fix: telling is no sending, and only what can be taken is told.
#[test]
fn telling_the_commit_position_does_not_put_off_what_was_lost() {
    let mut w = world(&[A]);
    for (number, name) in (1..).zip(["k1", "k2", "k3", "k4"]) {
        w.done(A, request(number, large(name)));
    }
    w.want(&[A, B]);
    w.tell_all();
    for _ in 0..6 {
        w.deliver(B);
        w.deliver(A);
        if w.bag.iter().filter(|e| is_append(e)).count() > 1 {
            break;
        }
    }
    w.take(is_append);
    w.run(1_000);
    w.assert_caught_up();
}

/// `PROTOCOL.md` 6.2, 6.3.
///
/// Bug: under steady writes a transfer was followed by another without end. Cause: the ops sent before the
/// first chunk were thrown away, and after the transfer the log had forgotten them. Fix: a copy keeps what
/// streams in from the moment it streams.
#[test]
fn writes_during_a_transfer_do_not_make_it_start_again() {
    let mut w = forgetful();
    w.deliver(B);
    let mismatch = w.take(|e| matches!(e.body(), PeerBody::Mismatch { .. })).remove(0);
    let mut number = 100;
    let mut write = |w: &mut World| {
        number += 1;
        w.ask(A, request(number, blob("k", "v")));
    };
    w.arrive(mismatch);
    let mut transfers = BTreeSet::new();
    for _ in 0..200 {
        write(&mut w);
        // Replication is faster than bulk.
        let ops = w.take(|e| !is_bulk(e));
        ops.into_iter().for_each(|envelope| w.arrive(envelope));
        if let Some(next) = w.bag.iter().position(is_bulk) {
            let envelope = w.bag.remove(next);
            if let PeerBody::Chunk(chunk) = envelope.body() {
                transfers.insert(chunk.transfer);
            }
            w.arrive(envelope);
        }
        w.tick(A);
        w.decide();
        w.tell_all();
    }
    assert!(w.entry().is_in_sync(w.start(B)), "B never gets in sync");
    assert_eq!(transfers.len(), 1);
}
