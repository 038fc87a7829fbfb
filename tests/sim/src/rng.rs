//! The only source of chance: xoshiro256++ seeded by splitmix64, integers only.
//!
//! Every part of a run forks a generator of its own by name, so that one more draw in one part does not
//! shift the draws of all others.

/// A stream of numbers that one seed determines.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

/// A chance in a thousand.
pub type PerMille = u32;

impl Rng {
    /// The stream of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut mixer = seed;
        Self { state: [(); 4].map(|()| split_mix(&mut mixer)) }
    }

    /// A stream of its own for one part of the run; the same name gives the same stream.
    #[must_use]
    pub fn fork(&self, name: &str) -> Self {
        let seed = xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), self.state[0]);
        Self::new(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number below `bound`; 0 if that is 0. The bias of the modulus does not matter here.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.draw() % bound }
    }

    /// An index below `len`.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether something of this chance happens.
    pub fn chance(&mut self, chance: PerMille) -> bool {
        self.below(1000) < u64::from(chance)
    }

    /// One of these.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// These in another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1);
            items.swap(last, other);
        }
    }

    /// A span around `mean` with a long tail: mostly up to twice of it, one in sixteen up to eight times.
    pub fn around(&mut self, mean: u64) -> u64 {
        let span = self.below(2 * mean + 1);
        if self.below(16) == 0 { span * 4 } else { span }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference outputs of xoshiro256++ for the state 1, 2, 3, 4 (Blackman and Vigna).
    #[test]
    fn the_generator_is_the_published_one() {
        let mut rng = Rng { state: [1, 2, 3, 4] };
        assert_eq!([rng.draw(), rng.draw(), rng.draw()], [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }

    #[test]
    fn a_fork_depends_on_its_name_only() {
        let rng = Rng::new(7);
        assert_eq!(rng.fork("net").draw(), rng.fork("net").draw());
        assert_ne!(rng.fork("net").draw(), rng.fork("group").draw());
    }
}
