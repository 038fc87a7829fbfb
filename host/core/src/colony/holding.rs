//! What a peer holds of a colony: the log of what is prepared, the state of what is committed.

use colony_wire::client::Done;
use colony_wire::limits::MAX_EPOCHS;
use colony_wire::op::Op;
use colony_wire::{Position, Reign, Seq};

use super::log::Log;
use super::store::Store;
use crate::Time;

/// Log and state of one colony.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Holding {
    pub(super) log: Log,
    pub(super) store: Store,
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

    /// Whether the op at this position is among those held, committed or prepared.
    pub(super) fn covers(&self, position: Position) -> bool {
        self.store.history.covers(position) || self.log.get(position.seq).is_some_and(|op| op.position == position)
    }

    /// Takes everything up to `seq` into the state, then forgets all but the newest `kept` ops.
    pub(super) fn commit_to(&mut self, seq: Seq, kept: usize, now: Time) -> Vec<Committed> {
        let mut committed = Vec::new();
        while self.committed() < seq {
            let Some(op) = self.log.get(self.committed().next()).cloned() else { break };
            let done = self.store.apply(&op, now);
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
