//! All operations of a run, by session.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::operation::{Action, Operation, Outcome, Value};

/// Operations that a history may have. A check holds all of them in memory, about 100 bytes each: 2 GB.
pub const OPERATIONS_MAX: usize = 20_000_000;
/// Bytes of a session's name; keys of the product are not longer.
pub const NAME_BYTES_MAX: usize = 256;

/// All operations of a run, by session. Every session is absent when the history begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    sessions: BTreeMap<String, Recorded>,
    operations: usize,
}

/// What was done to one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Recorded {
    operations: Vec<Operation>,
    written: BTreeSet<Value>,
}

/// Why an operation cannot be part of a history: whoever recorded it made a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The session's name is empty, too long or has white space or control characters in it.
    BadName,
    /// Such an action cannot end like this.
    Mismatch,
    /// The answer came before the call.
    ReturnedBeforeInvoked,
    /// There is a time of return and the outcome is unknown, or neither.
    ReturnAndOutcomeDisagree,
    /// Another write to this session has the same value.
    ValueReused(Value),
    /// A swap of a value for itself.
    SwapForItself,
    /// There are [`OPERATIONS_MAX`] already.
    TooManyOperations,
}

impl History {
    /// A history in which nothing happened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an operation, in any order of time.
    ///
    /// # Errors
    /// What is wrong with it; the history is as before.
    pub fn push(&mut self, session: &str, operation: Operation) -> Result<(), Fault> {
        let Operation { invoked, returned, action, outcome, .. } = operation;
        if session.is_empty() || session.len() > NAME_BYTES_MAX || session.chars().any(is_blank) {
            return Err(Fault::BadName);
        }
        if !action.may_end(outcome) {
            return Err(Fault::Mismatch);
        }
        if returned.is_none() != (outcome == Outcome::Unknown) {
            return Err(Fault::ReturnAndOutcomeDisagree);
        }
        if returned.is_some_and(|returned| returned < invoked) {
            return Err(Fault::ReturnedBeforeInvoked);
        }
        if matches!(action, Action::Swap { from, to } if from == to) {
            return Err(Fault::SwapForItself);
        }
        if self.operations >= OPERATIONS_MAX {
            return Err(Fault::TooManyOperations);
        }
        match self.sessions.get_mut(session) {
            Some(recorded) => recorded.push(operation)?,
            None => {
                let mut recorded = Recorded::default();
                recorded.push(operation)?;
                self.sessions.insert(session.to_owned(), recorded);
            }
        }
        self.operations += 1;
        Ok(())
    }

    /// How many operations there are.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// The sessions by name, each with its operations in the order in which they were added.
    pub fn sessions(&self) -> impl ExactSizeIterator<Item = (&str, &[Operation])> {
        self.sessions.iter().map(|(name, recorded)| (name.as_str(), recorded.operations.as_slice()))
    }
}

impl Recorded {
    fn push(&mut self, operation: Operation) -> Result<(), Fault> {
        if let Some(value) = operation.action.written().filter(|value| !self.written.insert(*value)) {
            return Err(Fault::ValueReused(value));
        }
        self.operations.push(operation);
        Ok(())
    }
}

fn is_blank(character: char) -> bool {
    character.is_whitespace() || character.is_control()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName => write!(f, "a session's name has 1 to {NAME_BYTES_MAX} bytes and no white space"),
            Self::Mismatch => f.write_str("such an action cannot end like this"),
            Self::ReturnedBeforeInvoked => f.write_str("the answer came before the call"),
            Self::ReturnAndOutcomeDisagree => {
                f.write_str("the time of return is `-` if and only if the outcome is unknown")
            }
            Self::ValueReused(value) => write!(f, "another write to this session has the value {value} too"),
            Self::SwapForItself => f.write_str("a swap of a value for itself"),
            Self::TooManyOperations => write!(f, "a history has at most {OPERATIONS_MAX} operations"),
        }
    }
}

impl std::error::Error for Fault {}
