//! What a reign is in the middle of, and how full its queues are.

use colony_wire::Seq;

use super::progress::Stage;
use super::{Primary, Progress};
use crate::colony::doing::{Doing, Load};
use crate::colony::holding::Holding;
use crate::colony::settings::Settings;
use crate::colony::standing::Lag;
use crate::group::Entry;

impl Primary {
    /// Adds what only a primary is in the middle of.
    pub(in crate::colony) fn doing(&self, holding: &Holding, doing: Doing) -> Doing {
        let transfers = |peer: &Progress| matches!(peer.stage, Stage::Snapshot(_));
        Doing {
            barrier: !self.is_settled(holding),
            inherited: holding.committed().next() < self.barrier,
            change: self.proposed.is_some(),
            handover: self.handover.is_some(),
            snapshot: self.peers.values().any(transfers),
            counted_on: self.peers.values().any(|peer| peer.counted_on),
            merge: !self.parked.is_empty(),
            ..doing
        }
    }

    /// How far the slowest peer in sync is behind, and the slowest that catches up.
    pub(in crate::colony) fn lags(&self, holding: &Holding, entry: &Entry) -> (Option<Lag>, Option<Lag>) {
        let (mut in_sync, mut catching_up) = (None, None);
        for (start, peer) in &self.peers {
            let slowest = if entry.is_in_sync(*start) { &mut in_sync } else { &mut catching_up };
            *slowest = Lag::slower(*slowest, Lag::of(*start, peer.matched, holding));
        }
        (in_sync, catching_up)
    }

    /// How full what a primary keeps is.
    pub(in crate::colony) fn loads(&self, holding: &Holding, settings: &Settings, entry: &Entry) -> [Load; 12] {
        let uncommitted = count(holding.prepared(), holding.committed());
        let deferred = self.deferred.values().map(Vec::len).sum();
        let held = self.handover.as_ref().map_or(0, |handover| handover.holds());
        let queued = self.parked.values().map(|parked| parked.queued()).sum();
        let under_way = self.peers.values().map(|peer| match &peer.stage {
            Stage::Snapshot(transfer) => transfer.under_way(),
            Stage::Probing { .. } | Stage::Streaming => 0,
        });
        let named = entry.in_sync.len() + entry.want.len();
        [
            Load::new("peers", self.peers.len(), named),
            Load::new("sessions with changes under way", self.tips.len(), uncommitted),
            Load::new("calls that wait for a commit", self.waiting.len(), uncommitted),
            Load::new("requests under way", self.in_flight.len(), uncommitted),
            Load::new("answers to be confirmed", deferred, settings.max_parked),
            Load::new("merges", self.parked.len(), settings.max_parked),
            Load::new("sessions that wait for a merge", self.parked_keys.len(), settings.max_parked),
            Load::new("changes behind merges", queued, settings.max_parked),
            Load::new("changes behind a hand-over", held, settings.max_parked),
            Load::new("reads to be confirmed", self.confirms.len(), settings.max_confirms),
            Load::new("watchers", self.watchers.len(), settings.max_watchers),
            Load::new("chunks under way", under_way.max().unwrap_or(0), settings.chunk_window as usize),
        ]
    }
}

fn count(to: Seq, from: Seq) -> usize {
    usize::try_from(to.0.saturating_sub(from.0)).unwrap_or(usize::MAX)
}
