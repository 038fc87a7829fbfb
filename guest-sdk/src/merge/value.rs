//! A conflict about one value: an attribute, or a whole blob.

use super::{Choice, Occasion, Version};

/// One value that both sides changed. Built by the host; by [`Conflict::new`] in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The session's namespace.
    pub namespace: String,
    /// When the two versions met.
    pub occasion: Occasion,
    /// The attribute's name; empty for a blob.
    pub name: String,
    /// The value before either side changed it. `None` if nobody knows it any more, or if both sides created
    /// the session: then who added what cannot be told.
    pub base: Option<Side>,
    /// The value on the side that stays.
    pub ours: Side,
    /// The value on the side that comes.
    pub theirs: Side,
}

impl Conflict {
    /// A conflict about the attribute `name` (a blob if empty), in namespace `test`, met at a heal.
    pub fn new(name: impl Into<String>, base: Option<Side>, ours: Side, theirs: Side) -> Self {
        Self { namespace: "test".into(), occasion: Occasion::Heal, name: name.into(), base, ours, theirs }
    }

    /// The side written last: by time, then by version, then by value, so that both sides of a split come
    /// to the same answer.
    pub fn later(&self) -> Choice {
        let rank = |side: &Side| (side.written_at_ms, side.version);
        let ours = (rank(&self.ours), &self.ours.value);
        let theirs = (rank(&self.theirs), &self.theirs.value);
        if theirs > ours { Choice::Theirs } else { Choice::Ours }
    }

    /// The same conflict with the sides exchanged, for testing symmetry.
    pub fn swapped(self) -> Self {
        Self { ours: self.theirs, theirs: self.ours, ..self }
    }

    /// The side to keep where nothing is in conflict: the values are equal, or only one of them changed.
    pub(super) fn one_sided(&self) -> Option<Choice> {
        let base = self.base.as_ref().map(Side::value);
        let side = colony_merges::one_sided(base, self.ours.value(), self.theirs.value(), colony_merges::same)?;
        Some(match side {
            colony_merges::Side::Ours => Choice::Ours,
            colony_merges::Side::Theirs => Choice::Theirs,
        })
    }

    /// One of the sides.
    pub fn side(&self, choice: Choice) -> &Side {
        match choice {
            Choice::Ours => &self.ours,
            Choice::Theirs => &self.theirs,
        }
    }
}

/// A value as one side has it, with what is known of its session there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Side {
    /// The bytes; `None` if this side does not have the attribute.
    pub value: Option<Vec<u8>>,
    /// The session's version.
    pub version: Version,
    /// Hybrid time of the session's last write, milliseconds since the Unix epoch. Good for choosing, not
    /// for measuring: the clocks of two hosts differ.
    pub written_at_ms: u64,
    /// Milliseconds until the session expires; `None` if it does not.
    pub expires_in_ms: Option<u64>,
}

impl Side {
    /// A side that has this value, for tests; everything else is zero.
    pub fn of(value: impl AsRef<[u8]>) -> Self {
        Self { value: Some(value.as_ref().to_vec()), ..Self::default() }
    }

    /// A side that does not have the attribute, for tests.
    pub fn absent() -> Self {
        Self::default()
    }

    /// The same side, written at this time.
    pub fn written_at(self, ms: u64) -> Self {
        Self { written_at_ms: ms, ..self }
    }

    /// The bytes, if this side has the attribute.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }
}

/// What becomes of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// As this side has it, which may be absent.
    Keep(Choice),
    /// These bytes.
    Value(Vec<u8>),
    /// The attribute goes. A session whose blob goes is deleted.
    Absent,
    /// Neither side can be trusted, for this reason: the host's built-in rule decides for the whole session,
    /// and the host reports it with the reason.
    Quarantine(String),
}

impl Resolution {
    /// The bytes that the conflict ends with: `Some(None)` if absent, `None` in quarantine. For tests.
    pub fn value_in<'a>(&'a self, conflict: &'a Conflict) -> Option<Option<&'a [u8]>> {
        match self {
            Self::Keep(choice) => Some(conflict.side(*choice).value()),
            Self::Value(bytes) => Some(Some(bytes)),
            Self::Absent => Some(None),
            Self::Quarantine(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Merge, resolve};
    use super::*;

    struct Refuse;

    impl Merge for Refuse {
        fn attribute(&self, _: &Conflict) -> Resolution {
            Resolution::Quarantine("asked".into())
        }
    }

    #[test]
    fn a_value_that_only_one_side_changed_is_settled_without_the_plugin() {
        let values = [Side::absent(), Side::of("a"), Side::of("b")];
        for base in &values {
            for side in &values {
                let identity = Conflict::new("n", Some(base.clone()), base.clone(), side.clone());
                let idempotent = Conflict::new("n", Some(base.clone()), side.clone(), side.clone());
                for conflict in [identity.clone(), identity.swapped(), idempotent] {
                    let resolution = resolve(&Refuse, &conflict);
                    assert_eq!(resolution.value_in(&conflict), Some(side.value()), "{conflict:?}");
                }
            }
        }
    }

    #[test]
    fn without_a_base_different_values_are_put_to_the_plugin() {
        let conflict = Conflict::new("n", None, Side::absent(), Side::of("a"));
        assert_eq!(resolve(&Refuse, &conflict), Resolution::Quarantine("asked".into()));
    }

    #[test]
    fn the_later_side_is_the_same_whichever_is_called_ours() {
        let version = |seq| Version { seq, ..Version::default() };
        let cases = [
            (Side::of("x").written_at(1), Side::of("a").written_at(2)),
            (Side::of("x"), Side { version: version(1), ..Side::of("a") }),
            (Side::of("a"), Side::of("b")),
        ];
        for (earlier, later) in cases {
            let conflict = Conflict::new("n", None, earlier, later);
            assert_eq!(conflict.later(), Choice::Theirs, "{conflict:?}");
            assert_eq!(conflict.clone().swapped().later(), Choice::Ours, "{conflict:?}");
        }
    }
}
