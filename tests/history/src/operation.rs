//! One operation on a session, as its client saw it.

use std::fmt;

/// The name of a value. Whoever writes chooses one that no other write to that session has, so that whoever
/// reads it knows which write it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub u64);

/// Microseconds since some moment that all clients of a history agree on.
pub type Micros = u64;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write, whatever is there.
    Put(Value),
    /// Write if nothing is there.
    Create(Value),
    /// Write `to` if `from` is there: a save based on the version that was read.
    Swap {
        /// The value that the save is based on.
        from: Value,
        /// The value that it writes.
        to: Value,
    },
    /// Remove what is there.
    Delete,
    /// A read that promises to be linearizable (`confirm`).
    Read,
}

/// What the client was told.
///
/// A host may refuse by a state that it read at the default level, which may be an old one. Such a refusal says
/// that nothing was done and nothing else: it is recorded as [`Outcome::NotDone`]. `Exists`, `Changed`, `Gone` and
/// `NotFound` are for refusals that were judged as a linearizable read would be; the checker takes their word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A write took effect; a swap found its `from`, a create nothing, a delete something.
    Done,
    /// A read saw this value.
    Found(Value),
    /// A read saw nothing.
    Absent,
    /// A create was refused: something was there.
    Exists,
    /// A swap was refused: something other than its `from` was there.
    Changed,
    /// A swap was refused: its `from` was not there. Nothing was, or what belongs to a later life of the session.
    Gone,
    /// A delete was refused: nothing was there.
    NotFound,
    /// Surely without effect, and not a word about the state.
    NotDone,
    /// Nobody can tell: it took effect at any time after it was called, or will, or never.
    Unknown,
}

/// One operation of one client on one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who called. For people: the checker needs times only, and a client may have several calls open.
    pub client: u64,
    /// When it was called.
    pub invoked: Micros,
    /// When the answer came; none if the outcome is unknown.
    pub returned: Option<Micros>,
    /// What was asked for.
    pub action: Action,
    /// What the answer was.
    pub outcome: Outcome,
}

impl Action {
    /// The value that this writes if it takes effect.
    #[must_use]
    pub fn written(self) -> Option<Value> {
        match self {
            Self::Put(value) | Self::Create(value) | Self::Swap { to: value, .. } => Some(value),
            Self::Delete | Self::Read => None,
        }
    }

    /// Whether such a call can end like this.
    #[must_use]
    pub fn may_end(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::NotDone | Outcome::Unknown => true,
            Outcome::Done => !matches!(self, Self::Read),
            Outcome::Found(_) | Outcome::Absent => matches!(self, Self::Read),
            Outcome::Exists => matches!(self, Self::Create(_)),
            Outcome::Changed | Outcome::Gone => matches!(self, Self::Swap { .. }),
            Outcome::NotFound => matches!(self, Self::Delete),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(value) => write!(f, "put {value}"),
            Self::Create(value) => write!(f, "create {value}"),
            Self::Swap { from, to } => write!(f, "swap {from} {to}"),
            Self::Delete => f.write_str("delete"),
            Self::Read => f.write_str("read"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Found(value) => return write!(f, "found {value}"),
            Self::Done => "done",
            Self::Absent => "absent",
            Self::Exists => "exists",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::NotFound => "not-found",
            Self::NotDone => "not-done",
            Self::Unknown => "unknown",
        })
    }
}

/// As it stands on its line of a file, without the session: `client invoked returned action outcome`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.client, self.invoked)?;
        match self.returned {
            Some(returned) => returned.fmt(f)?,
            None => f.write_str("-")?,
        }
        write!(f, " {} {}", self.action, self.outcome)
    }
}
