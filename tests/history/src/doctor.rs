//! Lies told in a true history, each of a kind that a broken store tells. A check that lets one pass is broken.
//!
//! Every lie is chosen so that it is one: the times of the operations around it leave no order that explains it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::history::{Fault, History};
use crate::operation::{Action, Micros, Operation, Outcome, Value};
use crate::rng::Rng;

/// A kind of lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Two reads have each other's results; one saw a value before it was written.
    SwappedReads,
    /// A read returns a value that was overwritten before the read began.
    StaleRead,
    /// A write was acknowledged and nobody sees it: whoever saw its value sees the one before.
    LostWrite,
    /// A read finds what was there before an acknowledged delete.
    Resurrected,
    /// Two saves based on the same value are both acknowledged: one overwrote the other.
    LostUpdate,
    /// A write was refused as surely not done and is seen.
    DoneAfterAll,
}

impl Lie {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::SwappedReads, Self::StaleRead, Self::LostWrite, Self::Resurrected, Self::LostUpdate, Self::DoneAfterAll];

    /// As it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SwappedReads => "swapped-reads",
            Self::StaleRead => "stale-read",
            Self::LostWrite => "lost-write",
            Self::Resurrected => "resurrected",
            Self::LostUpdate => "lost-update",
            Self::DoneAfterAll => "done-after-all",
        }
    }
}

/// There is no lie of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchLie;

impl FromStr for Lie {
    type Err = NoSuchLie;

    fn from_str(name: &str) -> Result<Self, NoSuchLie> {
        Self::ALL.into_iter().find(|lie| lie.name() == name).ok_or(NoSuchLie)
    }
}

impl fmt::Display for NoSuchLie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such lie; there are")?;
        Lie::ALL.into_iter().try_for_each(|lie| write!(f, " {}", lie.name()))
    }
}

impl std::error::Error for NoSuchLie {}

/// A history with a lie in it.
#[derive(Clone, Debug)]
pub struct Doctored {
    /// The history.
    pub history: History,
    /// The session that is lied about.
    pub session: String,
}

/// Tells one lie of this kind in one session, both chosen by the seed; none if no session gives occasion for it.
///
/// # Errors
/// If the history cannot be put together again.
pub fn doctor(history: &History, lie: Lie, seed: u64) -> Result<Option<Doctored>, Fault> {
    let mut rng = Rng::new(seed);
    let sessions: Vec<_> = history.sessions().collect();
    let first = rng.below(sessions.len() as u64) as usize;
    let chosen = (0..sessions.len()).map(|step| (first + step) % sessions.len()).find_map(|index| {
        let (name, operations) = sessions[index];
        Some((name, tell(lie, operations, &mut rng)?))
    });
    let Some((name, doctored)) = chosen else { return Ok(None) };
    let mut result = History::new();
    for &(session, operations) in &sessions {
        let operations = if session == name { doctored.as_slice() } else { operations };
        for operation in operations {
            result.push(session, *operation)?;
        }
    }
    Ok(Some(Doctored { history: result, session: name.to_owned() }))
}

fn tell(lie: Lie, operations: &[Operation], rng: &mut Rng) -> Option<Vec<Operation>> {
    let facts = Facts::new(operations);
    match lie {
        Lie::SwappedReads => facts.swap_reads(rng),
        Lie::StaleRead => facts.read_stale(rng),
        Lie::LostWrite => facts.lose_write(rng),
        Lie::Resurrected => facts.resurrect(rng),
        Lie::LostUpdate => facts.lose_update(rng),
        Lie::DoneAfterAll => facts.see_refused(rng),
    }
}

/// How many places are looked at for an occasion before a session is given up; the work for each is linear.
const TRIES: usize = 64;

/// What is known for sure about a session.
struct Facts<'a> {
    operations: &'a [Operation],
    /// Acknowledged writes and deletes by call and return.
    changes: Vec<(Micros, Micros, usize)>,
    /// When each value was called to be written, unless it surely was not.
    called: BTreeMap<Value, Micros>,
}

impl<'a> Facts<'a> {
    fn new(operations: &'a [Operation]) -> Self {
        let done = operations.iter().enumerate().filter(|(_, operation)| operation.outcome == Outcome::Done);
        let changes =
            done.filter_map(|(index, operation)| Some((operation.invoked, operation.returned?, index))).collect();
        let called = operations.iter().filter(|operation| operation.outcome != Outcome::NotDone);
        let called = called.filter_map(|operation| Some((operation.action.written()?, operation.invoked))).collect();
        Self { operations, changes, called }
    }

    /// Reads that found something, with what.
    fn reads(&self) -> Vec<(usize, Value)> {
        let all = self.operations.iter().enumerate();
        all.filter_map(|(index, operation)| match operation.outcome {
            Outcome::Found(value) => Some((index, value)),
            _ => None,
        })
        .collect()
    }

    /// A value that was surely there before this moment and surely not after it: its write returned before a change
    /// was called that returned before the moment.
    fn past_value(&self, before: Micros, rng: &mut Rng) -> Option<Value> {
        let (called, ..) = self.changes.iter().filter(|(_, returned, _)| *returned < before).max().copied()?;
        let older = self.changes.iter().filter(|(_, returned, _)| *returned < called);
        let values: Vec<_> = older.filter_map(|(.., index)| self.operations[*index].action.written()).collect();
        rng.pick(&values)
    }

    fn with(&self, changes: impl IntoIterator<Item = (usize, Outcome)>) -> Vec<Operation> {
        let mut operations = self.operations.to_vec();
        for (index, outcome) in changes {
            operations[index].outcome = outcome;
        }
        operations
    }

    fn swap_reads(&self, rng: &mut Rng) -> Option<Vec<Operation>> {
        let reads = self.reads();
        (0..TRIES).find_map(|_| {
            let (early, early_value) = rng.pick(&reads)?;
            let returned = self.operations[early].returned?;
            let written_later = |(_, value): &&(usize, Value)| self.called.get(value).is_some_and(|at| *at > returned);
            let later: Vec<_> = reads.iter().filter(written_later).copied().collect();
            let (late, late_value) = rng.pick(&later)?;
            Some(self.with([(early, Outcome::Found(late_value)), (late, Outcome::Found(early_value))]))
        })
    }

    fn read_stale(&self, rng: &mut Rng) -> Option<Vec<Operation>> {
        let reads = self.reads();
        (0..TRIES).find_map(|_| {
            let (read, _) = rng.pick(&reads)?;
            let stale = self.past_value(self.operations[read].invoked, rng)?;
            Some(self.with([(read, Outcome::Found(stale))]))
        })
    }

    fn lose_write(&self, rng: &mut Rng) -> Option<Vec<Operation>> {
        let reads = self.reads();
        let writes: Vec<_> = self.changes.iter().filter_map(|change| Some((*change, self.written(*change)?))).collect();
        (0..TRIES).find_map(|_| {
            let ((called, returned, _), lost) = rng.pick(&writes)?;
            let is_base = |operation: &Operation| matches!(operation.action, Action::Swap { from, .. } if from == lost);
            let seen: Vec<_> = reads.iter().filter(|(_, value)| *value == lost).collect();
            let seen_after = seen.iter().any(|(read, _)| self.operations[*read].invoked > returned);
            if !seen_after || self.operations.iter().any(is_base) {
                return None;
            }
            let older: Vec<_> = self.changes.iter().filter(|(_, returned, _)| *returned < called).collect();
            let older: Vec<_> = older.into_iter().filter_map(|change| self.written(*change)).collect();
            let instead = rng.pick(&older)?;
            Some(self.with(seen.into_iter().map(|(read, _)| (*read, Outcome::Found(instead)))))
        })
    }

    fn resurrect(&self, rng: &mut Rng) -> Option<Vec<Operation>> {
        let is_delete = |(.., index): &&(_, _, usize)| self.operations[*index].action == Action::Delete;
        let deletes: Vec<_> = self.changes.iter().filter(is_delete).copied().collect();
        let absent = |operation: &Operation| operation.outcome == Outcome::Absent;
        (0..TRIES).find_map(|_| {
            let (called, returned, _) = rng.pick(&deletes)?;
            let after = |index: &usize| absent(&self.operations[*index]) && self.operations[*index].invoked > returned;
            let reads: Vec<_> = (0..self.operations.len()).filter(after).collect();
            let before = self.changes.iter().filter(|(_, returned, _)| *returned < called);
            let dead: Vec<_> = before.filter_map(|change| self.written(*change)).collect();
            Some(self.with([(rng.pick(&reads)?, Outcome::Found(rng.pick(&dead)?))]))
        })
    }

    fn lose_update(&self, rng: &mut Rng) -> Option<Vec<Operation>> {
        let swaps = |operation: &Operation| match operation.action {
            Action::Swap { from, .. } => Some((from, operation.outcome)),
            _ => None,
        };
        let done = self.operations.iter().filter_map(swaps).filter(|(_, outcome)| *outcome == Outcome::Done);
        let bases: std::collections::BTreeSet<_> = done.map(|(from, _)| from).collect();
        let refused = |(_, operation): &(usize, &Operation)| {
            let answered = operation.returned.is_some() && operation.outcome != Outcome::Done;
            answered && swaps(operation).is_some_and(|(from, _)| bases.contains(&from))
        };
        let refused: Vec<_> = self.operations.iter().enumerate().filter(refused).map(|(index, _)| index).collect();
        Some(self.with([(rng.pick(&refused)?, Outcome::Done)]))
    }

    fn see_refused(&self, rng: &mut Rng) -> Option<Vec<Operation>> {
        let refused = self.operations.iter().filter(|operation| operation.outcome == Outcome::NotDone);
        let values: Vec<_> = refused.filter_map(|operation| operation.action.written()).collect();
        let (read, _) = rng.pick(&self.reads())?;
        Some(self.with([(read, Outcome::Found(rng.pick(&values)?))]))
    }

    fn written(&self, (.., index): (Micros, Micros, usize)) -> Option<Value> {
        self.operations[index].action.written()
    }
}
