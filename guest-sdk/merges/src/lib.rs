//! Ready-made merges of one value that changed on two sides.
//!
//! A [`Rule`] merges one value: an attribute of a session, or its blob. [`Merges`] says which rule an attribute is
//! merged by. The same rules are at hand in plugins (`colony_guest::ready`) and built into the host
//! (`colony namespace create --merge builtin:...`), so that an application can begin with one and go on with the other.
//!
//! ```
//! use colony_merges::{Answer, Conflict, Merges, Side, counter, last_write, set_union};
//!
//! let merges = Merges::new().attribute("count", counter()).prefix("tags/", set_union()).otherwise(last_write());
//! let conflict = Conflict { base: Some(Some(b"10")), ours: Some(b"12"), theirs: Some(b"11"), later: Side::Theirs };
//! assert_eq!(merges.rule("count").merge(&conflict).answer, Answer::Value(b"13".to_vec()));
//! ```
//!
//! # The laws
//!
//! Each rule `m` is, for every base `b` and sides `x`, `y`, whatever bytes they are:
//!
//! - symmetric: `m(b, x, y) = m(b, y, x)`; which side is "ours" has no say, only which was written later;
//! - idempotent: `m(b, x, x) = x`; and a side that changed nothing has no say: `m(b, b, x) = x`, byte for byte;
//! - total: it answers, also without a base. Bytes that it cannot read make it keep the later write, and
//!   [`Merged::unread`] says so;
//! - deterministic and bounded: no answer is longer than both sides together and their base.
//!
//! # The form of values
//!
//! Numbers are decimal text (`42`, `-7`), everything else is JSON. What a rule writes is canonical: the same content
//! is always the same bytes. It writes JSON without spaces, with the keys of objects and the elements of sets in order.

mod json;
mod merges;
mod number;
mod object;
mod rule;
mod set;

pub use json::Json;
pub use merges::Merges;
pub use rule::{Rule, counter, json, last_write, map_by_key, max, min, quantity, reject, set_union};

/// One of the two sides of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// What is stored.
    Ours,
    /// What is to be joined to it.
    Theirs,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Ours => Self::Theirs,
            Self::Theirs => Self::Ours,
        }
    }
}

/// One value as it was, and as either side has it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict<'a> {
    /// The value before either side changed it. `None` if nobody knows it any more, or if both sides began the session;
    /// `Some(None)` if it was absent.
    pub base: Option<Option<&'a [u8]>>,
    /// The value on our side; `None` if it is absent there.
    pub ours: Option<&'a [u8]>,
    /// The value on the other side.
    pub theirs: Option<&'a [u8]>,
    /// The side that was written later. Whoever asks decides it, also for two writes of one moment.
    pub later: Side,
}

impl<'a> Conflict<'a> {
    /// The value on one side.
    #[must_use]
    pub fn on(&self, side: Side) -> Option<&'a [u8]> {
        match side {
            Side::Ours => self.ours,
            Side::Theirs => self.theirs,
        }
    }

    /// The same conflict seen from the other side.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self { ours: self.theirs, theirs: self.ours, later: self.later.other(), ..self }
    }

    /// The side to keep where nothing is in conflict: the values are equal, or only one side changed it.
    fn one_sided(&self) -> Option<Side> {
        one_sided(self.base, self.ours, self.theirs, same)
    }
}

/// The side to keep where nothing is in conflict.
pub fn one_sided<T>(base: Option<T>, ours: T, theirs: T, same: impl Fn(&T, &T) -> bool) -> Option<Side> {
    let is_base = |side: &T| base.as_ref().is_some_and(|base| same(base, side));
    if same(&ours, &theirs) || is_base(&theirs) {
        Some(Side::Ours)
    } else if is_base(&ours) {
        Some(Side::Theirs)
    } else {
        None
    }
}

/// Whether two values are the same bytes, or both absent. In a component the standard library compares byte by byte, and
/// every step costs fuel: this takes a row of bytes in a step.
#[must_use]
pub fn same(one: &Option<&[u8]>, other: &Option<&[u8]>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) if cfg!(target_family = "wasm") => same_rows(one, other),
        (one, other) => one == other,
    }
}

/// Bytes in a row: eight numbers.
const ROW: usize = 64;

fn same_rows(one: &[u8], other: &[u8]) -> bool {
    let (rows, rest) = one.as_chunks::<ROW>();
    let (other_rows, other_rest) = other.as_chunks::<ROW>();
    let differ = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
    let same = |(one, other): (&[u8; ROW], &[u8; ROW])| {
        let (one, other) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
        one.iter().zip(other).map(differ).fold(0, |all, bits| all | bits) == 0
    };
    one.len() == other.len() && rows.iter().zip(other_rows).all(same) && rest == other_rest
}

/// What a rule made of a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// What becomes of the value.
    pub answer: Answer,
    /// What a value was to be and is not, as in "a decimal number". If so, the later write was kept in its place.
    pub unread: Option<&'static str>,
}

impl From<Answer> for Merged {
    fn from(answer: Answer) -> Self {
        Self { answer, unread: None }
    }
}

/// What becomes of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// As this side has it, which may be absent.
    Keep(Side),
    /// These bytes.
    Value(Vec<u8>),
    /// It is removed.
    Absent,
    /// It is not to be merged: whoever came second is refused.
    Reject,
}

impl Answer {
    /// The value that the conflict ends with: `Some(None)` if absent, `None` if it is rejected.
    #[must_use]
    pub fn value_in<'a>(&'a self, conflict: &Conflict<'a>) -> Option<Option<&'a [u8]>> {
        match self {
            Self::Keep(side) => Some(conflict.on(*side)),
            Self::Value(bytes) => Some(Some(bytes)),
            Self::Absent => Some(None),
            Self::Reject => None,
        }
    }
}

/// A value is not what its rule reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unread(&'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_where_all_their_bytes_are() {
        for length in [0, 1, 63, 64, 65, 200] {
            let one: Vec<u8> = (0..length).map(|at| at as u8).collect();
            assert!(same_rows(&one, &one.clone()), "{length}");
            assert!(!same_rows(&one, &[&one[..], &[0]].concat()), "{length}");
            for at in 0..one.len() {
                let mut other = one.clone();
                other[at] ^= 0x80;
                assert!(!same_rows(&one, &other), "{at} of {length}");
            }
        }
    }
}
