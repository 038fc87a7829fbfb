//! What each peer is sent (`PROTOCOL.md` 3.3, 3.4, 6).

use std::time::Duration;

use colony_wire::peer::{Append, Chunk, PeerBody};
use colony_wire::{Cfg, Reign, Seq, StartId};

use super::progress::{Progress, Stage, Transfer};
use super::{Desk, Primary};
use crate::colony::io::Lane;
use crate::colony::snapshot;

/// Longest wait before chunks are sent again: a slow link must not fill with copies of them.
const PATIENCE_MAX: Duration = Duration::from_secs(5);

/// What a peer acknowledges.
pub(in crate::colony) struct Ack {
    /// The newest table entry its copy knows to exist.
    pub(in crate::colony) cfg: Cfg,
    /// The table entry its copy was begun on.
    pub(in crate::colony) begun: Cfg,
    /// It holds the log up to here.
    pub(in crate::colony) prepared: Seq,
    /// It knows everything up to here to be committed.
    pub(in crate::colony) committed: Seq,
}

impl Primary {
    /// Every start of in_sync and want is a peer; others are none any more.
    pub(super) fn meet_peers(&mut self, desk: &Desk<'_>) {
        let entry = desk.entry;
        self.peers.retain(|start, _| entry.concerns(*start));
        for start in entry.in_sync.iter().chain(&entry.want).filter(|start| **start != desk.me) {
            self.peers.entry(*start).or_insert_with(|| Progress::new(desk.holding.prepared(), desk.now.mono));
        }
    }

    pub(super) fn send_what_is_due(&mut self, desk: &mut Desk<'_>) {
        for (start, peer) in &mut self.peers {
            send_ops(desk, self.reign, *start, peer);
            send_chunks(desk, self.reign, *start, peer);
        }
    }

    /// What was not answered in time goes out again.
    pub(super) fn send_again(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now.mono;
        let again = desk.settings.resend_after;
        let prepared = desk.holding.prepared();
        for peer in self.peers.values_mut() {
            match &mut peer.stage {
                Stage::Probing { out } if Self::is_over(now, peer.sent, again) => *out = false,
                Stage::Streaming if peer.matched < prepared && Self::is_over(now, peer.sent, again) => {
                    peer.probe_from(peer.matched.next());
                }
                Stage::Snapshot(transfer) if Self::is_over(now, transfer.moved, transfer.patience) => {
                    transfer.sent = transfer.taken;
                    transfer.moved = now;
                    transfer.patience = (transfer.patience * 2).min(PATIENCE_MAX);
                }
                _ => {}
            }
        }
    }

    /// How many committed ops the log keeps: more while a peer catches up, so that it can go on from its
    /// snapshot, or from what it has.
    pub(super) fn log_kept(&self, desk: &Desk<'_>) -> usize {
        let at = self.peers.iter().filter_map(|(start, peer)| match &peer.stage {
            Stage::Snapshot(transfer) => Some(transfer.at),
            Stage::Probing { .. } | Stage::Streaming if peer.matched > Seq(0) && !desk.entry.is_in_sync(*start) => {
                Some(peer.matched)
            }
            Stage::Probing { .. } | Stage::Streaming => None,
        });
        let since = at.min().map_or(0, |at| desk.holding.prepared().0.saturating_sub(at.0));
        desk.settings.log_kept.max(usize::try_from(since).unwrap_or(usize::MAX).min(desk.settings.max_buffered))
    }

    /// This host slept: every peer is counted as heard of just now.
    pub(in crate::colony) fn forgive(&mut self, desk: &Desk<'_>) {
        for peer in self.peers.values_mut() {
            peer.heard = desk.now.mono;
            peer.owes_since = peer.owes_since.map(|_| desk.now.mono);
        }
    }

    /// What a peer must know and no batch of ops tells it: the commit position, and, if it is to be added to
    /// the set, the entry that it is to be added on.
    pub(super) fn tell_news(&mut self, desk: &mut Desk<'_>) {
        let committed = desk.holding.committed();
        let entry = desk.entry;
        for (start, peer) in &mut self.peers {
            let lacks_entry = !entry.is_in_sync(*start) && peer.knows < entry.cfg;
            if matches!(peer.stage, Stage::Streaming) && (peer.told < committed.min(peer.matched) || lacks_entry) {
                let next = peer.matched.next();
                send_batch(desk, self.reign, *start, peer, next, Batch::Empty);
            }
        }
    }

    /// A peer holds the log up to here.
    ///
    /// A process that dropped its copy and began another is the same start in the same reign; what the lost
    /// copy acknowledged must not count for the new one. A younger copy is known by the entry it was begun
    /// on. That no younger one is about to take its place, the proposal to add it makes sure of: it stands
    /// on an entry that the copy knew when it acknowledged, and a copy is not dropped for an older entry
    /// than it knows.
    pub(in crate::colony) fn appended(&mut self, desk: &mut Desk<'_>, from: StartId, ack: Ack) {
        let Ack { cfg, begun, prepared, committed } = ack;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if begun != peer.begun && !mutant!(desk.settings, TrustLostCopy) {
            if begun < peer.begun {
                return;
            }
            *peer = Progress { begun, ..Progress::new(prepared.next(), desk.now.mono) };
        }
        peer.knows = peer.knows.max(cfg);
        peer.heard = desk.now.mono;
        peer.told = peer.told.max(committed);
        if prepared > desk.holding.prepared() {
            return;
        }
        if prepared > peer.matched {
            peer.matched = prepared;
            peer.owes_since = (peer.matched < peer.next).then_some(desk.now.mono);
        }
        peer.next = peer.next.max(peer.matched.next());
        if peer.matched >= desk.holding.prepared() {
            peer.owes_since = None;
        }
        match &peer.stage {
            Stage::Snapshot(transfer) if peer.matched < transfer.at => {}
            Stage::Probing { .. } if prepared < peer.matched => {}
            _ => peer.stage = Stage::Streaming,
        }
        self.settle(desk);
    }

    /// A peer's log does not follow: go back to the last op both have (`PROTOCOL.md` 5.4).
    pub(in crate::colony) fn mismatch(
        &mut self,
        desk: &mut Desk<'_>,
        from: StartId,
        begun: Cfg,
        epochs: &[(Reign, Seq)],
    ) {
        let common = desk.holding.common_with(epochs);
        let forgotten = desk.holding.log.base();
        let committed = desk.holding.committed();
        let now = desk.now.mono;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if begun < peer.begun {
            return;
        }
        if begun > peer.begun {
            *peer = Progress { begun, ..Progress::new(desk.holding.prepared(), now) };
        }
        peer.heard = now;
        if matches!(peer.stage, Stage::Snapshot(_)) {
            return;
        }
        // What it acknowledged in this reign it has; an older answer may say less.
        let next = common.max(peer.matched).next();
        if next <= forgotten {
            let id = desk.next_serial();
            let chunks = if mutant!(desk.settings, SnapshotAtPrepared) {
                let mut ahead = desk.holding.clone();
                ahead.commit_to(ahead.prepared(), usize::MAX, now);
                snapshot::cut(&ahead.store, desk.settings, now)
            } else {
                snapshot::cut(&desk.holding.store, desk.settings, now)
            };
            let Some(chunks) = chunks else { return };
            let patience = desk.settings.resend_after;
            peer.stage =
                Stage::Snapshot(Transfer { id, at: committed, chunks, taken: 0, sent: 0, moved: now, patience });
            peer.next = committed.next();
        } else if peer.next != next || !matches!(peer.stage, Stage::Probing { .. }) {
            peer.probe_from(next);
        }
        self.settle(desk);
    }

    /// A peer took chunks of a snapshot.
    pub(in crate::colony) fn chunk_taken(&mut self, desk: &mut Desk<'_>, from: StartId, id: u64, index: u32) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.heard = desk.now.mono;
        if let Stage::Snapshot(transfer) = &mut peer.stage
            && transfer.id == id
            && index < transfer.sent
            && index >= transfer.taken
        {
            transfer.taken = index + 1;
            transfer.patience = desk.settings.resend_after.max(desk.now.mono.since(transfer.moved) * 2);
            transfer.moved = desk.now.mono;
        }
        self.settle(desk);
    }

    /// A peer cannot use a transfer: find out anew where it stands.
    pub(in crate::colony) fn chunk_refused(&mut self, desk: &mut Desk<'_>, from: StartId, id: u64) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.heard = desk.now.mono;
        // A refusal before anything was taken says only that a later chunk overtook the first.
        if matches!(&peer.stage, Stage::Snapshot(transfer) if transfer.id == id && transfer.taken > 0) {
            peer.probe_from(desk.holding.prepared().max(Seq(1)));
        }
        self.settle(desk);
    }
}

/// Sends the ops a peer has not been sent.
fn send_ops(desk: &mut Desk<'_>, reign: Reign, to: StartId, peer: &mut Progress) {
    match peer.stage {
        Stage::Probing { out: true } => return,
        Stage::Probing { out: false } => {
            let first = peer.next.max(desk.holding.log.base().next());
            send_batch(desk, reign, to, peer, first, Batch::Ops);
            peer.stage = Stage::Probing { out: true };
            return;
        }
        Stage::Streaming | Stage::Snapshot(_) => {}
    }
    let prepared = desk.holding.prepared();
    let window = Seq(peer.matched.0.saturating_add(desk.settings.max_uncommitted as u64));
    while peer.next <= prepared && (peer.next <= window || matches!(peer.stage, Stage::Snapshot(_))) {
        if peer.next <= desk.holding.log.base() {
            peer.probe_from(peer.next);
            return;
        }
        let first = peer.next;
        let sent = send_batch(desk, reign, to, peer, first, Batch::Ops);
        peer.next = Seq(first.0 + sent);
    }
}

/// What a batch carries besides the commit position.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Batch {
    Ops,
    Empty,
}

/// Sends one batch; says how many ops it had.
fn send_batch(desk: &mut Desk<'_>, reign: Reign, to: StartId, peer: &mut Progress, first: Seq, batch: Batch) -> u64 {
    let Some(prev_reign) = desk.holding.log.reign_at(Seq(first.0.saturating_sub(1))) else { return 0 };
    let ops = if batch == Batch::Ops { desk.holding.log.batch(first) } else { Vec::new() };
    let sent = ops.len() as u64;
    let commit = desk.holding.committed();
    if batch == Batch::Ops {
        peer.sent = desk.now.mono;
    }
    if sent > 0 {
        peer.owes_since.get_or_insert(desk.now.mono);
    }
    let append = Append { reign, cfg: desk.entry.cfg, first, prev_reign, commit, ops };
    desk.send(to, Lane::Replication, PeerBody::Append(append));
    sent
}

/// Sends as many chunks as the window allows.
fn send_chunks(desk: &mut Desk<'_>, reign: Reign, to: StartId, peer: &mut Progress) {
    let Stage::Snapshot(transfer) = &mut peer.stage else { return };
    let count = u32::try_from(transfer.chunks.len()).unwrap_or(u32::MAX);
    let id = transfer.id;
    let cfg = desk.entry.cfg;
    while transfer.sent < count && transfer.sent < transfer.taken + desk.settings.chunk_window {
        let Some(bytes) = transfer.chunks.get(transfer.sent as usize).cloned() else { return };
        let index = transfer.sent;
        transfer.sent += 1;
        let crc = crc32fast::hash(&bytes);
        desk.send(to, Lane::Bulk, PeerBody::Chunk(Chunk { reign, cfg, transfer: id, index, count, crc, bytes }));
    }
}
