//! How one value is merged.

use std::cmp::Ordering;

use crate::{Answer, Conflict, Merged, Unread, number, object, set};

/// How one value is merged. Each rule keeps the laws that the crate's documentation names.
///
/// Where a rule is said to keep the later write, that is [`Conflict::later`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Rule {
    /// See [`last_write`].
    #[default]
    LastWrite,
    /// See [`max`].
    Max,
    /// See [`min`].
    Min,
    /// See [`counter`].
    Counter,
    /// See [`quantity`].
    Quantity,
    /// See [`set_union`].
    SetUnion,
    /// See [`map_by_key`].
    MapByKey(Box<Rule>),
    /// See [`json`].
    Json,
    /// See [`reject`].
    Reject,
}

impl Rule {
    /// Merges one value. Equal sides stay as they are, and a side that changed nothing gives way; the rule decides the
    /// rest.
    #[must_use]
    pub fn merge(&self, conflict: &Conflict<'_>) -> Merged {
        if let Some(side) = conflict.one_sided() {
            return Answer::Keep(side).into();
        }
        self.decide(conflict)
            .unwrap_or_else(|Unread(wanted)| Merged { answer: Answer::Keep(conflict.later), unread: Some(wanted) })
    }

    /// Whether the rule looks at the base at all. Without one it answers too, with what the sides alone can tell.
    #[must_use]
    pub fn uses_base(&self) -> bool {
        !matches!(self, Self::LastWrite | Self::Reject)
    }

    fn decide(&self, conflict: &Conflict<'_>) -> Result<Merged, Unread> {
        match self {
            Self::LastWrite => Ok(Answer::Keep(conflict.later).into()),
            Self::Max => number::extreme(conflict, Ordering::Greater),
            Self::Min => number::extreme(conflict, Ordering::Less),
            Self::Counter => number::count(conflict, &number::COUNTER),
            Self::Quantity => number::count(conflict, &number::QUANTITY),
            Self::SetUnion => set::union(conflict),
            Self::MapByKey(rule) => object::by_key(conflict, rule),
            Self::Json => object::three_way(conflict),
            Self::Reject => Ok(Answer::Reject.into()),
        }
    }
}

/// The later write is kept.
#[must_use]
pub fn last_write() -> Rule {
    Rule::LastWrite
}

/// The larger of two decimal numbers of any length, such as `-3`, `2.50`, `18446744073709551616`. Of equal numbers that
/// are written differently the later write is kept; a side that removed the number has no say.
#[must_use]
pub fn max() -> Rule {
    Rule::Max
}

/// The smaller of two decimal numbers; else as [`max`].
#[must_use]
pub fn min() -> Rule {
    Rule::Min
}

/// A whole number, of which both sides' changes count: base 10, here 12, there 7, is 9.
///
/// Reads and writes an `i64` as decimal text; a result beyond its range stays at the end of the range. A removed
/// counter counts as 0, and is removed if nothing was counted beside the removal. Without a base nobody can tell what
/// was counted, and the larger number is kept: the sum would count twice what was there before.
///
/// Two sides that came to the same number are, by the laws, no conflict: base 10, here 11, there 11, is 11. Where each of
/// two equal steps must count, let every writer count in an attribute of its own and add them up when reading.
#[must_use]
pub fn counter() -> Rule {
    Rule::Counter
}

/// A [`counter`] of things, which are never fewer than none: an `u64`, and a result below 0 is 0. Base 7, here 1, there
/// 2, is 0.
#[must_use]
pub fn quantity() -> Rule {
    Rule::Quantity
}

/// A set: what either side added is in it, and what either side removed is not.
///
/// Reads a JSON array, whose elements are compared by what they are, and writes it in order and without doubles. What
/// was in the base and is missing on a side was removed there; without a base nothing was removed. An absent set is
/// empty; a set that is absent on one side and comes out empty is absent.
#[must_use]
pub fn set_union() -> Rule {
    Rule::SetUnion
}

/// A JSON object whose keys are merged one by one: what only one side changed is taken, and `rule` decides the rest, on
/// each value's JSON text. `map_by_key(quantity())` merges a whole cart, `{"milk":1,"tea":2}`.
///
/// An absent object is empty, and one that is absent on one side and comes out empty is absent. If `rule` rejects one
/// key, all is rejected.
#[must_use]
pub fn map_by_key(rule: Rule) -> Rule {
    Rule::MapByKey(Box::new(rule))
}

/// Any JSON, three ways: objects are merged key by key, however deep they lie; anything else that both sides changed,
/// lists included, is kept as the later write has it, and so is a whole object where one side removed it.
#[must_use]
pub fn json() -> Rule {
    Rule::Json
}

/// Nothing is merged: whoever came second is refused, reads the session again and decides anew.
///
/// The host answers the second save with `Changed`. A plugin cannot refuse a save: there it asks for quarantine, so the
/// host's built-in decides and says so.
#[must_use]
pub fn reject() -> Rule {
    Rule::Reject
}
