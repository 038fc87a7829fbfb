//! Colonies that were moved and are left alone for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colony_wire::ColonyId;

use super::Move;
use crate::Time;

/// A colony that was moved because of load, or because the placement plugin asked for it, is not moved again
/// for so long: longer than a transfer takes and than a load takes to be measured anew, and short for the
/// people who wait for balance. A load or a plugin that changes its mind all the time then moves each colony
/// at most once in it.
pub const COOL_DOWN: Duration = Duration::from_secs(60);

/// Colonies that were moved lately and not because hosts came or went. Kept by the leader in memory: the next
/// leader may move a colony once more.
#[derive(Clone, Debug, Default)]
pub struct Rest {
    until: BTreeMap<ColonyId, Time>,
}

impl Rest {
    /// These moves were made now.
    pub fn begin(&mut self, moves: &[Move], now: Time) {
        self.until.extend(moves.iter().map(|change| (change.colony, now + COOL_DOWN)));
    }

    /// Ends what is over; says whether anything was.
    pub fn end(&mut self, now: Time) -> bool {
        let before = self.until.len();
        self.until.retain(|_, until| *until > now);
        self.until.len() < before
    }

    /// The colonies that are to be left alone.
    #[must_use]
    pub fn colonies(&self) -> BTreeSet<ColonyId> {
        self.until.keys().copied().collect()
    }
}
