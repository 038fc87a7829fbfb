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

/// One that is moved again soon after it rested rests twice as long, up to this: a plugin that never makes up its mind
/// moves a colony about once an hour, and one that was mended is followed within the hour.
pub const LONGEST_REST: Duration = Duration::from_secs(3600);

/// Colonies that were moved lately and not because hosts came or went. Kept by the leader in memory: the next
/// leader may move a colony once more.
#[derive(Clone, Debug, Default)]
pub struct Rest {
    moved: BTreeMap<ColonyId, Moved>,
}

#[derive(Clone, Copy, Debug)]
struct Moved {
    until: Time,
    /// How long it rests. One that then stays where it is for as long again is forgotten.
    span: Duration,
    is_over: bool,
}

impl Rest {
    /// These moves were made now.
    pub fn begin(&mut self, moves: &[Move], now: Time) {
        for change in moves {
            let before = self.moved.get(&change.colony);
            let span = before.map_or(COOL_DOWN, |before| (before.span * 2).min(LONGEST_REST));
            self.moved.insert(change.colony, Moved { until: now + span, span, is_over: false });
        }
    }

    /// Ends what is over; says whether anything was.
    pub fn end(&mut self, now: Time) -> bool {
        let mut has_ended = false;
        self.moved.retain(|_, moved| {
            has_ended |= !moved.is_over && moved.until <= now;
            moved.is_over |= moved.until <= now;
            now < moved.until + moved.span
        });
        has_ended
    }

    /// The colonies that are to be left alone.
    #[must_use]
    pub fn colonies(&self) -> BTreeSet<ColonyId> {
        self.moved.iter().filter(|(_, moved)| !moved.is_over).map(|(colony, _)| *colony).collect()
    }
}
