//! How much is tried.

/// How much is tried. The same effort gives the same cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Cases to generate. Each costs a plugin some twenty questions.
    pub cases: u64,
    /// Where they come from.
    pub seed: u64,
}

impl Effort {
    /// What is tried unless told otherwise: a second or less for a plugin that answers in microseconds.
    pub const DEFAULT: Self = Self { cases: 400, seed: 1 };
    /// The most cases that are generated: all are held in memory.
    pub const MAX_CASES: u64 = 100_000;
}

impl Default for Effort {
    fn default() -> Self {
        Self::DEFAULT
    }
}
