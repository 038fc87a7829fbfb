//! How a state is divided by key.

use std::collections::BTreeMap;

use colony_wire::limits::MAX_SNAPSHOT_PARTS;
use colony_wire::session::Key;
use xxhash_rust::xxh3::xxh3_64;

use super::session::Session;

/// Equal ranges of the keys' hashes, a power of two in number.
///
/// It goes with the logged state, so all copies divide it alike: what one of them began to hand out another
/// can go on with. The number doubles or halves only when a range has become far too large or too small, so
/// that it seldom changes between two cuts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ranges {
    bits: u32,
}

/// Most bytes of a range on average, before their number doubles: they are to hold about 64 KiB.
const GROW: u64 = 96 << 10;
/// Fewest bytes of a range on average, before their number halves.
const SHRINK: u64 = 24 << 10;
/// Most ranges, as a power of two: with the part that does not go by key they are all parts of a snapshot.
const MAX_BITS: u32 = (MAX_SNAPSHOT_PARTS - 1).ilog2();

impl Ranges {
    /// So many, if there can be so many.
    pub(super) fn with_count(count: usize) -> Option<Self> {
        (count.is_power_of_two() && count.ilog2() <= MAX_BITS).then(|| Self { bits: count.ilog2() })
    }

    /// How many.
    pub(super) fn count(self) -> usize {
        1 << self.bits
    }

    /// The range of a key. The lower bits of the hash choose the colony, so the upper ones are taken.
    pub(super) fn of(self, key: &Key) -> usize {
        let place = xxh3_64(key.as_bytes()).checked_shr(u64::BITS - self.bits).unwrap_or(0);
        usize::try_from(place).unwrap_or(0)
    }

    /// What suits a state that now has this size.
    pub(super) fn fit(&mut self, bytes: u64) {
        while self.bits < MAX_BITS && bytes > GROW << self.bits {
            self.bits += 1;
        }
        while self.bits > 0 && bytes < SHRINK << self.bits {
            self.bits -= 1;
        }
    }
}

/// About the bytes a session takes in a part; by what is logged of it alone.
pub(super) fn size(key: &Key, session: &Session) -> u64 {
    /// Positions, times and lengths.
    const FIXED: usize = 64;
    (key.as_bytes().len() + session.stored.size() + FIXED) as u64
}

/// About the bytes that all these sessions take.
pub(super) fn size_of_all(sessions: &BTreeMap<Key, Session>) -> u64 {
    sessions.iter().map(|(key, session)| size(key, session)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_divided_into_ranges_of_about_the_wanted_size() {
        let mut ranges = Ranges::default();
        for bytes in (0..1 << 30).step_by(1 << 20) {
            ranges.fit(bytes);
            let each = bytes / ranges.count() as u64;
            assert!(each <= GROW && (each >= SHRINK || ranges.count() == 1));
        }
        ranges.fit(u64::MAX >> 32);
        assert_eq!(ranges.count(), MAX_SNAPSHOT_PARTS - 1);
    }

    #[test]
    fn a_state_that_grows_and_shrinks_a_little_is_divided_as_before() {
        let mut ranges = Ranges::default();
        ranges.fit(10 << 20);
        let before = ranges;
        for bytes in [12 << 20, 9 << 20, 11 << 20, 8 << 20, 10 << 20] {
            ranges.fit(bytes);
            assert_eq!(ranges, before);
        }
    }

    #[test]
    fn every_key_is_in_one_of_the_ranges() {
        for count in [1, 2, 64, MAX_SNAPSHOT_PARTS - 1] {
            let ranges = Ranges::with_count(count).unwrap();
            let mut used = std::collections::BTreeSet::new();
            for number in 0..1_000 {
                used.insert(ranges.of(&Key::new(format!("k{number}")).unwrap()));
            }
            assert!(used.last().unwrap() < &count && used.len() * 2 > count.min(1_000));
        }
        assert!(Ranges::with_count(3).is_none() && Ranges::with_count(0).is_none());
    }
}
