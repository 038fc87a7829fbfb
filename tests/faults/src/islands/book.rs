//! What was asked of sessions on several sides of a split, and what was told.

use std::collections::{BTreeMap, BTreeSet};

use crate::book::{Book, Fate, Micros};

/// What was done during one row.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// By bucket: sessions of one side each, and tallies, in which all sides counted.
    pub books: Vec<Book>,
    /// Sessions that one side ended and another used.
    pub ended: BTreeMap<String, Ended>,
    /// Sessions that one side used and another let expire.
    pub kept: BTreeMap<String, Kept>,
    /// Sessions that every side changed.
    pub paired: BTreeMap<String, Paired>,
    /// Numbers that every side counted up.
    pub counters: BTreeMap<String, Counter>,
}

/// A session that was ended on one side, a logout, and used on another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// What became of the logout; none if it was not asked for.
    pub end: Option<Fate>,
    /// Who acknowledged it, and how long after the cut.
    pub ended_by: Option<(String, Micros)>,
    /// Whether it lives so shortly that it may expire while it is not served.
    pub is_short: bool,
    /// Changes and touches that were acknowledged on the other side while the network was cut.
    pub used: u64,
    /// Whether it was there when all was over; none if it could not be read.
    pub last: Option<bool>,
}

/// A session that is touched on one side only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its time to live.
    pub ttl: Micros,
    /// Each touch that was acknowledged, the create among them: when it was asked for and when it was answered.
    pub touches: Vec<(Micros, Micros)>,
    /// Whether another side found that it had expired.
    pub has_expired: bool,
    /// When it was read at last, and whether it was there; none if it could not be read.
    pub last: Option<(Micros, bool)>,
}

impl Kept {
    /// Whether it was touched often enough, up to the last read, to be alive wherever all touches count.
    #[must_use]
    pub fn must_live(&self) -> bool {
        let Some((read_at, _)) = self.last else { return false };
        let ends = self.touches.iter().skip(1).map(|(_, at)| *at).chain([read_at]);
        // A touch counts from some moment between its question and its answer.
        !self.touches.is_empty() && self.touches.iter().zip(ends).all(|((asked, _), next)| next < asked + self.ttl)
    }
}

/// A session that every side changed, each an attribute of its own, and one that all have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paired {
    /// What became of each side's change.
    pub changes: BTreeMap<usize, Fate>,
    /// How often it was not found, though it was there all the time.
    pub vanished: u64,
    /// What was there when all was over; none if it could not be read.
    pub last: Option<PairSeen>,
}

/// What such a session holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairSeen {
    /// The sides whose own attribute is there.
    pub sides: BTreeSet<usize>,
    /// The side whose value the attribute has that all changed.
    pub common: Option<usize>,
    /// Whether there is something in it that nobody wrote.
    pub is_foreign: bool,
}

/// Increments of one side of one counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acknowledged.
    pub acked: u64,
    /// Of which nobody knows.
    pub unknown: u64,
}

/// Increments of one side stay below this, so that the sum tells of each side how many there are.
pub const COUNTS_MAX: u64 = 100_000;

/// By how much this side counts. No two sides ever come to the same number by one increment from the same base, which
/// by the rules of merging (`PROTOCOL.md` 10) would be no conflict and count once.
#[must_use]
pub fn step(side: usize) -> u64 {
    (0..side).fold(1, |step, _| step * COUNTS_MAX)
}

/// A number that every side counts up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// By side.
    pub sides: BTreeMap<usize, Counts>,
    /// What it was when all was over; none if it could not be read.
    pub last: Option<u64>,
}
