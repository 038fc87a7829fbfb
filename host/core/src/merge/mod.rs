//! Two versions of one session (`PROTOCOL.md` 10).
//!
//! Attributes that only one side changed merge by themselves; what both changed to different bytes is a
//! [`Conflict`], and whoever the namespace names decides it: a plugin, or [rules](by_rules) that are built in. The
//! answer is a [`Resolution`]; [`settle`] checks it before anything is believed and turns it into the change that is
//! replicated. Where a plugin gives no usable answer, [`built_in`] decides; one that fails often is not asked for a while:
//! [`Breaker`].

mod breaker;
mod fit;
mod join;
mod rules;
mod settle;

use bytes::Bytes;
use colony_wire::Position;
use colony_wire::session::{AttributeChange, Content};

pub use breaker::{Breaker, Patience, Permit, Switch, Turn};
pub use fit::{Fitted, fit};
pub use join::{Contest, Join, Sides, join, longer};
pub use rules::{Decided, by_rules, need_base};
pub use settle::{DecidedBy, Settled, Settlement, built_in, check, settle};

/// Two versions of one session that no rule can join.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conflict {
    /// Name of the session's namespace.
    pub namespace: String,
    /// How it came about.
    pub occasion: Occasion,
    /// Names of the attributes in conflict; empty if the session is a blob.
    pub attributes: Vec<String>,
    /// What both began from, if it is known.
    pub base: Option<Side>,
    /// What is stored.
    pub ours: Side,
    /// What is to be joined to it.
    pub theirs: Side,
}

/// How a conflict came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// Two saves were based on the same version.
    ConcurrentSave,
    /// Two sides of a split meet.
    Heal,
}

/// One version of a session, of attributes only those in conflict.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Side {
    /// Its content. An attribute in conflict that is not here was removed.
    pub content: Content,
    /// Its version. For a save that is not stored yet, the version it was based on.
    pub version: Position,
    /// Hybrid time of its last write, in milliseconds of the Unix epoch.
    pub written_at: u64,
    /// Milliseconds until it expires, if it does.
    pub expires_in: Option<u64>,
}

/// What the merge made of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// What is stored stays.
    KeepOurs,
    /// The other side's values.
    KeepTheirs,
    /// These values for the attributes in conflict; one that is not named keeps what is stored.
    Attributes(Vec<AttributeChange>),
    /// This blob.
    Blob(Bytes),
    /// The session ends.
    Delete,
}

/// Names one question to whoever merges; void once the primary's reign is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);
