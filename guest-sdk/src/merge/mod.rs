//! Merge plugins: one session changed on two sides, what is it now?
//!
//! It happens when two islands meet after a split of the network, and when two clients save a session both
//! from the same version. What only one side changed is merged without asking; a plugin sees the rest.
//!
//! Many plugins need no code: [`crate::ready`] has merges for counters, sets, numbers and JSON, to be combined attribute
//! by attribute. Most others implement [`Merge::attribute`] and no more: it is asked one attribute at a time. One that
//! must see the session as a whole, say because two attributes belong together, implements
//! [`Merge::session`].
//!
//! # The laws
//!
//! With base `b` and sides `x`, `y`, a merge `m` should be
//!
//! - symmetric: `m(b, x, y) = m(b, y, x)`, since which side is "ours" is an accident of the network;
//! - idempotent: `m(b, x, x) = x`, and with identity: `m(b, b, x) = x`. [`resolve`] sees to both;
//! - total: an answer for every question, also when the base is unknown;
//! - bounded: what grows at every merge outgrows its session.

mod session;
mod typed;
mod value;

pub use session::{Outcome, SessionConflict, Snapshot, State};
pub use typed::{Read, Typed};
pub use value::{Conflict, Resolution, Side};

/// A merge plugin. Export it with [`export_merge!`](crate::export_merge!).
pub trait Merge {
    /// One attribute that both sides changed, to different bytes.
    fn attribute(&self, conflict: &Conflict) -> Resolution;

    /// A session that is one blob, changed on both sides. Unless implemented, the later write is kept.
    fn blob(&self, conflict: &Conflict) -> Resolution {
        Resolution::Keep(conflict.later())
    }

    /// The whole session. Unless implemented, each conflicting attribute is put to
    /// [`attribute`](Self::attribute), a blob to [`blob`](Self::blob); a deletion wins over a change; and if
    /// one side is a blob and the other attributes, the later write is kept.
    ///
    /// # Errors
    ///
    /// Why this plugin cannot answer. The host's built-in rule then decides, and its report says so.
    fn session(&self, conflict: SessionConflict) -> Result<Outcome, String> {
        Ok(session::by_value(self, conflict))
    }
}

/// When two versions of a session met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// Two islands meet after a split of the network.
    Heal,
    /// Two clients saved the session, both from the same version.
    ConcurrentSave,
}

/// One of the two sides of a conflict. Which is which carries no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The side that stays.
    Ours,
    /// The side that comes.
    Theirs,
}

/// The position of a change. Its order is total, but says who came later only within one lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version {
    /// The line of history the change was made in; a side of a split that goes on has its own.
    pub lineage: u128,
    /// The time in office of the primary that made it.
    pub reign: u64,
    /// Its number in that time.
    pub seq: u64,
}

/// What becomes of one attribute: the laws' plain cases first, then the plugin.
///
/// Equal sides stay as they are, and a side that did not change gives way to the one that did; only what
/// is left is put to [`Merge::attribute`]. The host's questions take this way, so tests of a plugin should
/// ask here.
pub fn resolve<M: Merge + ?Sized>(plugin: &M, conflict: &Conflict) -> Resolution {
    settle(conflict, |conflict| plugin.attribute(conflict))
}

fn settle(conflict: &Conflict, ask: impl FnOnce(&Conflict) -> Resolution) -> Resolution {
    match conflict.one_sided() {
        Some(choice) => Resolution::Keep(choice),
        None => ask(conflict),
    }
}
