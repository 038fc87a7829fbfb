//! What must hold of a plugin.

/// A law. Merge plugins must keep all of them, placement plugins [`Total`](Self::Total) and
/// [`Deterministic`](Self::Deterministic).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// The same question gets the same answer: asked again, asked of an instance that was asked nothing before, and
    /// whatever was asked in between. The hosts of a cluster have instances of their own, and replace them at any time.
    Deterministic,
    /// Every question is answered: no error, no trap, within the limits, with something that can be carried out. A host
    /// whose plugin does not answer takes the built-in, and one write is lost. Quarantine is an answer for the odd
    /// session; who sets aside more than half of them decides nothing.
    Total,
    /// `m(b, x, y) = m(b, y, x)`: which side is "ours" is an accident of the network.
    Symmetric,
    /// `m(b, x, x) = x`: sides that agree are right.
    Idempotent,
    /// `m(b, b, x) = x` and `m(b, x, b) = x`: a side that changed nothing has no say, however late it was written.
    Unchanged,
    /// A merge invents nothing. Merged over and over, with sides that replace something by something else, a session
    /// holds at most twice what it began with and what was written into it, and [`SLACK_BYTES`](crate::SLACK_BYTES).
    Bounded,
    /// An attribute that both sides hold is there afterwards: neither side asked for its removal. It may be empty or
    /// zero. Ending a session that neither side ended is an answer for the odd session, as quarantine is.
    Keeps,
}

impl Law {
    /// The laws of a merge, in the order in which they are told. The first two come first, since what is found of the
    /// others means little if they are broken.
    pub const MERGE: [Self; 7] = [
        Self::Deterministic,
        Self::Total,
        Self::Symmetric,
        Self::Idempotent,
        Self::Unchanged,
        Self::Bounded,
        Self::Keeps,
    ];

    /// The laws of a placement.
    pub const PLACEMENT: [Self; 2] = [Self::Deterministic, Self::Total];

    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deterministic => "deterministic",
            Self::Total => "total",
            Self::Symmetric => "symmetric",
            Self::Idempotent => "idempotent",
            Self::Unchanged => "unchanged",
            Self::Bounded => "bounded",
            Self::Keeps => "keeps",
        }
    }

    /// What it says, in a few words.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            Self::Deterministic => "the same question gets the same answer",
            Self::Total => "every question gets an answer",
            Self::Symmetric => "m(b, x, y) = m(b, y, x)",
            Self::Idempotent => "m(b, x, x) = x",
            Self::Unchanged => "m(b, b, x) = x: a side that changed nothing has no say",
            Self::Bounded => "what is merged again and again does not grow",
            Self::Keeps => "an attribute that both sides hold stays",
        }
    }
}
