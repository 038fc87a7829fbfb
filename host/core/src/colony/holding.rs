//! What a peer holds of a colony: the log of what is prepared, the state of what is committed.

use colony_wire::client::Done;
use colony_wire::limits::MAX_EPOCHS;
use colony_wire::op::Op;
use colony_wire::{Position, Reign, Seq};

use super::clock::Moment;
use super::doing::Load;
use super::ends::MAX_TOMBSTONES;
use super::history::MAX_ENTRIES;
use super::images::{MAX_IMAGES, MAX_SESSIONS, MAX_TOUCHED};
use super::log::Log;
use super::records::MAX_CLIENTS;
use super::settings::Settings;
use super::store::Store;
use super::transfer::Held;

/// Log and state of one colony, and what has arrived of another state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Holding {
    pub(super) log: Log,
    pub(super) store: Store,
    pub(super) held: Held,
}

/// An op that was just committed, and what its client is to be told.
pub(super) struct Committed {
    pub(super) op: Op,
    pub(super) done: Done,
}

impl Holding {
    /// Place of the last committed op.
    pub(super) fn committed(&self) -> Seq {
        self.store.applied()
    }

    /// Place of the last prepared op.
    pub(super) fn prepared(&self) -> Seq {
        self.log.last()
    }

    /// How full what it keeps is, in `reign`.
    pub(super) fn loads(&self, settings: &Settings, reign: Reign) -> [Load; 9] {
        let count = |to: u64, from: u64| usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        // Merges come to their ops although there is no room left, and every reign adds its barrier.
        let reigns = count(reign.0, self.store.applied_reign().0);
        // A peer that has just installed a state knows of no commit since, and takes in what came meanwhile.
        let since_state = settings.max_uncommitted + settings.max_buffered;
        let uncommitted = settings.max_uncommitted + settings.max_parked + reigns + since_state;
        let most_answers = settings.max_records + settings.max_uncommitted + settings.max_parked;
        let (clients, answers) = self.store.records.sizes();
        [
            Load::new("ops not committed", count(self.prepared().0, self.committed().0), uncommitted),
            Load::new(
                "ops kept after their commit",
                count(self.committed().0, self.log.base().0),
                settings.log_kept.max(settings.max_buffered),
            ),
            Load::new("reigns of the history", self.store.history.entries().len(), MAX_ENTRIES),
            Load::new("tombstones", self.store.ends().tombstones().count(), MAX_TOMBSTONES),
            Load::new("images of sessions", self.store.images.len(), MAX_IMAGES),
            Load::new("sessions with images", self.store.images.sessions(), MAX_SESSIONS),
            Load::new("sessions touched since a pin", self.store.images.touched(), MAX_TOUCHED),
            Load::new("clients with answers", clients, MAX_CLIENTS),
            Load::new("answers kept for one client", answers, most_answers),
        ]
    }

    /// Whether the op at this position is on the path of those held, committed or prepared.
    pub(super) fn is_on_path(&self, position: Position) -> bool {
        self.store.history.is_on_path(position) || self.log.get(position.seq).is_some_and(|op| op.position == position)
    }

    /// Takes everything up to `seq` into the state, then forgets all but the newest `kept` ops.
    pub(super) fn commit_to(&mut self, seq: Seq, kept: usize, now: Moment) -> Vec<Committed> {
        let mut committed = Vec::new();
        while self.committed() < seq {
            let Some(op) = self.log.get(self.committed().next()).cloned() else { break };
            let pinned = self.log.pinned().filter(|at| *at >= self.committed());
            let done = self.store.apply(&op, pinned, now);
            committed.push(Committed { op, done });
        }
        self.log.forget(self.committed(), kept);
        committed
    }

    /// The newest reigns of the log with their last places, oldest first: what another log is compared by.
    pub(super) fn epochs(&self) -> Vec<(Reign, Seq)> {
        let mut epochs: Vec<(Reign, Seq)> =
            self.store.history.entries().iter().map(|(_, reign, seq)| (*reign, *seq)).collect();
        for op in self.log.after_place(self.committed()) {
            match epochs.last_mut() {
                Some((reign, last)) if *reign == op.position.reign => *last = op.position.seq,
                _ => epochs.push((op.position.reign, op.position.seq)),
            }
        }
        epochs.split_off(epochs.len().saturating_sub(MAX_EPOCHS))
    }

    /// The last op that this log and another have in common, by the other's [`Holding::epochs`]: one writer
    /// a reign makes two logs equal up to the lower of their last places in any reign both have.
    pub(super) fn common_with(&self, theirs: &[(Reign, Seq)]) -> Seq {
        let ours = self.epochs();
        let shared =
            |(reign, last): &(Reign, Seq)| ours.iter().find(|(mine, _)| mine == reign).map(|(_, mine)| *last.min(mine));
        theirs.iter().rev().find_map(shared).unwrap_or(Seq(0))
    }
}
