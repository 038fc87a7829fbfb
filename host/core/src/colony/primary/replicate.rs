//! What each peer is sent (`PROTOCOL.md` 3.3, 3.4, 6).

use std::time::Duration;

use colony_wire::peer::{Append, PeerBody};
use colony_wire::{Cfg, Reign, Seq, StartId};

use super::progress::{Progress, Stage};
use super::{Desk, Primary, catch_up};
use crate::colony::io::Lane;

/// What a peer says it holds.
pub(in crate::colony) struct Held {
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
            catch_up::send(desk, self.reign, *start, peer);
        }
    }

    /// What was not answered in time goes out again.
    pub(super) fn send_again(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now.mono;
        let prepared = desk.holding.prepared();
        for (start, peer) in &mut self.peers {
            peer.pace.tick(now, desk.settings);
            let is_late = peer.is_late(now, desk.settings.resend_after, desk.entry.is_in_sync(*start));
            match &mut peer.stage {
                Stage::Probing { out: out @ true } if is_late => {
                    *out = false;
                    peer.note_sent_again();
                }
                Stage::Streaming if peer.matched < prepared && is_late => {
                    peer.probe_from(peer.matched.next());
                    peer.note_sent_again();
                }
                Stage::Snapshot(transfer) if transfer.stands_still(now) => {
                    peer.probe_from(prepared.max(Seq(1)));
                }
                Stage::Snapshot(transfer) => transfer.send_again(now),
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
    pub(in crate::colony) fn forgive(&mut self, desk: &mut Desk<'_>, slept: Duration) {
        if slept > desk.settings.doubt_after {
            self.doubt(desk);
        }
        for peer in self.peers.values_mut() {
            peer.heard = desk.now.mono;
            peer.owes_since = peer.owes_since.map(|_| desk.now.mono);
            peer.sent_again = 0;
            peer.pace.forgive();
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
    pub(in crate::colony) fn appended(&mut self, desk: &mut Desk<'_>, from: StartId, held: Held) {
        let Held { cfg, begun, prepared, committed } = held;
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
            peer.goes_forward(prepared, desk.now.mono);
        }
        peer.pace.acknowledged(peer.matched, desk.now.mono, desk.settings);
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
        let now = desk.now.mono;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if begun < peer.begun {
            return;
        }
        if begun > peer.begun {
            *peer = Progress { begun, ..Progress::new(desk.holding.prepared(), now) };
        }
        peer.heard = now;
        // It answers: that it holds no more than before is not its fault, it may wait for its turn to be sent a snapshot.
        peer.sent_again = 0;
        if matches!(peer.stage, Stage::Snapshot(_)) {
            return;
        }
        // What it acknowledged in this reign it has; an older answer may say less.
        let next = common.max(peer.matched).next();
        if next <= forgotten {
            catch_up::begin(desk, from, peer, next);
        } else if peer.next != next || !matches!(peer.stage, Stage::Probing { .. }) {
            peer.probe_from(next);
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
        if matches!(peer.stage, Stage::Streaming) {
            peer.pace.sent(Seq(first.0 + sent - 1), desk.now.mono);
        }
    }
    let append = Append { reign, cfg: desk.entry.cfg, first, prev_reign, commit, ops };
    desk.send(to, Lane::Replication, PeerBody::Append(append));
    sent
}
