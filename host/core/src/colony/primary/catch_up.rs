//! A peer that is too far behind for the log is sent the state (`PROTOCOL.md` 6.2).

use std::time::Duration;

use colony_wire::limits::MAX_SNAPSHOT_BYTES;
use colony_wire::peer::{Chunk, Offer, PeerBody};
use colony_wire::{Reign, Seq, StartId};

use super::progress::{Progress, Stage, TooLarge};
use super::{Desk, Primary};
use crate::Time;
use crate::colony::io::{Lane, Output};
use crate::colony::snapshot;
use crate::colony::transfer::Transfer;

/// A state that is too large is reported again after this time: often enough to be seen, not to fill a log.
const REPORT_AGAIN_AFTER: Duration = Duration::from_secs(60);

impl Primary {
    /// A peer says which parts of the offered state it lacks.
    pub(in crate::colony) fn wanted(&mut self, desk: &mut Desk<'_>, from: StartId, id: u64, parts: &[u8]) {
        if let Some(transfer) = self.transfer_to(desk, from, id) {
            transfer.wanted(parts, desk.now.mono);
        }
        self.settle(desk);
    }

    /// A peer took chunks of a snapshot.
    pub(in crate::colony) fn chunk_taken(&mut self, desk: &mut Desk<'_>, from: StartId, id: u64, index: u32) {
        if let Some(transfer) = self.transfer_to(desk, from, id) {
            transfer.taken(index, desk.settings.resend_after, desk.now.mono);
        }
        self.settle(desk);
    }

    /// A peer cannot use a transfer: find out anew where it stands.
    pub(in crate::colony) fn chunk_refused(&mut self, desk: &mut Desk<'_>, from: StartId, id: u64) {
        if self.transfer_to(desk, from, id).is_some()
            && let Some(peer) = self.peers.get_mut(&from)
        {
            peer.probe_from(desk.holding.prepared().max(Seq(1)));
        }
        self.settle(desk);
    }

    /// Whether a state is on its way to this process.
    pub(in crate::colony) fn sends_state_to(&self, start: StartId) -> bool {
        self.peers.get(&start).is_some_and(|peer| matches!(peer.stage, Stage::Snapshot(_)))
    }

    /// The transfer that a peer, heard of just now, speaks of.
    fn transfer_to(&mut self, desk: &Desk<'_>, from: StartId, id: u64) -> Option<&mut Transfer> {
        let peer = self.peers.get_mut(&from)?;
        peer.heard = desk.now.mono;
        match &mut peer.stage {
            Stage::Snapshot(transfer) if transfer.id == id => Some(transfer),
            Stage::Snapshot(_) | Stage::Probing { .. } | Stage::Streaming => None,
        }
    }
}

/// Begins a transfer to a peer whose log would have to go on at `next`; if it is not its turn yet, or the state is
/// too large, the peer is asked again after a while.
pub(super) fn begin(desk: &mut Desk<'_>, to: StartId, peer: &mut Progress, next: Seq) {
    let now = desk.now.mono;
    let limit = desk.settings.max_snapshot_bytes.min(MAX_SNAPSHOT_BYTES);
    let about = desk.holding.store.bytes();
    // Encoding a state only to find that it is too large stalls the shard: that is done once a minute, or when its
    // sessions have become fewer.
    let is_known = peer.too_large.is_some_and(|found| about >= found.about && !is_over(found, now));
    if about > limit || is_known {
        peer.wait_from(next, now);
        return report(desk, to, peer, about, limit);
    }
    if !desk.throttle.admit((desk.colony, to), desk.settings, now) {
        return peer.wait_from(next, now);
    }
    let snapshot = snapshot::cut(&desk.holding.store, desk.settings, desk.session_time);
    #[cfg(feature = "mutants")]
    let snapshot = if mutant!(desk.settings, SnapshotAtPrepared) { desk.cut_ahead() } else { snapshot };
    if snapshot.bytes() > limit {
        peer.wait_from(next, now);
        return report(desk, to, peer, about, limit);
    }
    peer.too_large = None;
    let id = desk.next_serial();
    peer.next = snapshot.at.next();
    peer.stage = Stage::Snapshot(Transfer::new(id, snapshot, now, desk.settings.resend_after));
}

fn report(desk: &mut Desk<'_>, to: StartId, peer: &mut Progress, about: u64, limit: u64) {
    let now = desk.now.mono;
    let before = peer.too_large;
    let is_due = before.is_none_or(|found| is_over(found, now));
    let reported = before.filter(|_| !is_due).map_or(now, |found| found.reported);
    let about = before.map_or(about, |found| found.about.min(about));
    peer.too_large = Some(TooLarge { reported, about });
    if is_due {
        desk.out.push(Output::TooLarge { colony: desk.colony, to, bytes: about, limit });
    }
}

/// Whether it is time to look, and to report, again.
fn is_over(found: TooLarge, now: Time) -> bool {
    now.since(found.reported) >= REPORT_AGAIN_AFTER
}

/// Sends the offer, or as many chunks as the window and the bandwidth allow.
pub(super) fn send(desk: &mut Desk<'_>, reign: Reign, to: StartId, peer: &mut Progress) {
    let Stage::Snapshot(transfer) = &mut peer.stage else { return };
    let (id, cfg, now) = (transfer.id, desk.entry.cfg, desk.now.mono);
    if let Some(parts) = transfer.due_offer() {
        let offer = Offer { reign, cfg, transfer: id, at: transfer.at, parts };
        desk.send(to, Lane::Bulk, PeerBody::Offer(offer));
    }
    while let Some((index, bytes)) = transfer.next_chunk(desk.settings.chunk_window) {
        if !desk.throttle.spend((desk.colony, to), bytes.len(), desk.settings, now) {
            return transfer.note_throttled(now);
        }
        transfer.note_sent();
        let crc = crc32fast::hash(&bytes);
        desk.send(to, Lane::Bulk, PeerBody::Chunk(Chunk { reign, cfg, transfer: id, index, crc, bytes }));
    }
}
