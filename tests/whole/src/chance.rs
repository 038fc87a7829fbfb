//! The only source of chance that a seed determines: splitmix64.

/// A stream of numbers that one seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The stream of this seed for one part of a run, so that one more draw in one part does not shift those of
    /// others.
    pub(crate) fn new(seed: u64, part: u64) -> Self {
        let mut mixed = Self(seed);
        let base = mixed.draw();
        Self(base ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included. The bias of the modulus does not matter here.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, of_a_hundred: u64) -> bool {
        self.draw() % 100 < of_a_hundred
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// An index below `len`.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.draw() % len as u64).unwrap_or(0)
    }

    /// So many different numbers below `len`, in any order.
    pub(crate) fn some(&mut self, count: usize, len: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..len).collect();
        for last in (1..len).rev() {
            all.swap(last, self.index(last + 1));
        }
        all.truncate(count);
        all
    }
}
