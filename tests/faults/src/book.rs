//! What was asked of one colony and what was told: all that the judge knows.

use std::collections::{BTreeMap, BTreeSet};

use colony_history::{Action, Operation, Outcome, Value};

/// Microseconds since the run began.
pub type Micros = u64;
/// Reasons of failures that are kept for people.
const SAMPLES_MAX: usize = 4;

/// What became of a change, as its client was told (`PROTOCOL.md` 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged.
    Done,
    /// Surely without effect, for ever.
    NotDone,
    /// Nobody can tell.
    Unknown,
}

/// An acknowledged change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// When the call was made.
    pub invoked: Micros,
    /// When the acknowledgement was here.
    pub at: Micros,
    /// The host that gave it.
    pub served_by: String,
}

/// What was done to one colony during one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Every acknowledged change of the steady load, as the acknowledgements came.
    pub acks: Vec<Ack>,
    /// Sessions that several write at once.
    pub contended: BTreeMap<String, Contended>,
    /// Sessions that one writer has for itself.
    pub own: BTreeMap<String, Own>,
    /// Sessions that are counted in.
    pub tallies: BTreeMap<String, Tally>,
    /// What was not done or not known.
    pub failures: Failures,
}

/// Operations that did not end as they were meant to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Changes that were surely not done.
    pub refused: u64,
    /// Changes of which nobody knows.
    pub unknown: u64,
    /// Reads without an answer.
    pub reads: u64,
    /// Some of the reasons.
    pub samples: Vec<String>,
}

impl Failures {
    /// One more, with the reason.
    pub fn add(&mut self, fate: Option<Fate>, why: String) {
        match fate {
            Some(Fate::Unknown) => self.unknown += 1,
            Some(Fate::NotDone) => self.refused += 1,
            Some(Fate::Done) => return,
            None => self.reads += 1,
        }
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(why);
        }
    }

    /// Those of another book, too.
    pub fn merge(&mut self, other: Self) {
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.reads += other.reads;
        self.samples.extend(other.samples);
        self.samples.truncate(SAMPLES_MAX);
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.refused + self.unknown + self.reads
    }
}

/// A session that several write and read at once: every write has a value of its own, and the times tell whether what
/// was read with `confirm` is linearizable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contended {
    /// What was done under load.
    pub operations: Vec<Operation>,
    /// What was there when all was over.
    pub last: Option<Operation>,
}

impl Contended {
    /// What became of the write of this value; none if nobody wrote it.
    #[must_use]
    pub fn fate_of(&self, value: Value) -> Option<Fate> {
        let write = self.operations.iter().find(|one| one.action.written() == Some(value))?;
        Some(fate(write))
    }

    /// Acknowledged changes.
    #[must_use]
    pub fn acked(&self) -> u64 {
        let is_done = |one: &&Operation| one.action != Action::Read && fate(one) == Fate::Done;
        self.operations.iter().filter(is_done).count() as u64
    }
}

fn fate(operation: &Operation) -> Fate {
    match operation.outcome {
        Outcome::Done => Fate::Done,
        Outcome::Unknown => Fate::Unknown,
        _ => Fate::NotDone,
    }
}

/// A session with one writer, who writes 1, 2, 3 and so on, one after the other, and reads with its own token. After a
/// write of unknown fate it is written no more: that write may still be done after a later one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The last number that was tried.
    pub tried: u64,
    /// The last that was acknowledged.
    pub acked: u64,
    /// Those that were surely not done.
    pub refused: BTreeSet<u64>,
    /// What its writer read.
    pub reads: Vec<OwnRead>,
    /// What was there when all was over; none if nothing was read.
    pub last: Option<OwnRead>,
}

impl Own {
    /// Acknowledged writes.
    #[must_use]
    pub fn acks(&self) -> u64 {
        // All up to the last one but those refused; only the last can be of unknown fate.
        let refused = self.refused.range(..=self.acked).count() as u64;
        self.acked - refused
    }
}

/// A read of a session by its only writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnRead {
    /// The last number acknowledged before the read was asked for.
    pub least: u64,
    /// What was found.
    pub found: Option<u64>,
}

/// Changes of one tally.
pub const MARKS_MAX: u32 = 60;

/// A session that is counted in: each change adds to a number, by a merge if somebody else did too, and leaves a mark
/// of its own. So the marks are the changes that were done, and the number has to be what they add.
///
/// Mark m adds 2^(m-1). Two changes that lead to the same number are no conflict by the rules of merging (`PROTOCOL.md`
/// 10) and would count once; powers of two never do, and tell which change is there once too often or too seldom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Every change that was tried, by its mark: 1 to [`MARKS_MAX`].
    pub marks: BTreeMap<u32, Fate>,
    /// How often a reader found no session after its begin was acknowledged.
    pub vanished: u64,
    /// What was there when all was over.
    pub last: Option<TallySeen>,
}

/// What a mark adds; 0 if there is no such mark.
#[must_use]
pub fn weight(mark: u32) -> u64 {
    if (1..=MARKS_MAX).contains(&mark) { 1 << (mark - 1) } else { 0 }
}

/// What a tally holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TallySeen {
    /// The number.
    pub count: u64,
    /// The marks.
    pub marks: BTreeSet<u32>,
}

impl Tally {
    /// Acknowledged changes.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.marks.values().filter(|fate| **fate == Fate::Done).count() as u64
    }
}
