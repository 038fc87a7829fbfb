//! A host's clocks: they run fast or slow, jump, and are set.

use colony_core::{Now, Time};

use crate::clock::Micros;

/// Where the wall clocks begin, in milliseconds of the Unix epoch.
const WALL_ORIGIN_MS: i64 = 1_700_000_000_000;

/// A monotonic clock and the wall clock that follows it.
#[derive(Clone, Debug)]
pub struct Timepiece {
    /// A moment of true time.
    at: Micros,
    /// What the monotonic clock showed at it.
    mono: Micros,
    /// How fast it runs since, in thousandths.
    rate: u64,
    /// What the wall clock is ahead of it by, in milliseconds.
    wall: i64,
}

impl Timepiece {
    /// Clocks that are ahead of true time by `ahead` and run at `rate` thousandths.
    #[must_use]
    pub fn new(ahead: Micros, rate: u64) -> Self {
        Self { at: 0, mono: ahead, rate, wall: WALL_ORIGIN_MS }
    }

    /// What the monotonic clock shows.
    #[must_use]
    pub fn mono(&self, now: Micros) -> Micros {
        self.mono + now.saturating_sub(self.at) * self.rate / 1000
    }

    /// What both show.
    #[must_use]
    pub fn shows(&self, now: Micros) -> Now {
        let mono = self.mono(now);
        let wall = i64::try_from(mono / 1000).unwrap_or(i64::MAX).saturating_add(self.wall);
        Now { mono: Time(mono), wall_ms: u64::try_from(wall).unwrap_or(0) }
    }

    /// How fast it runs, in thousandths.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// It runs at this rate from now on.
    pub fn set_rate(&mut self, now: Micros, rate: u64) {
        self.mono = self.mono(now);
        self.at = now;
        self.rate = rate;
    }

    /// The monotonic clock goes forward by `span` at once, and the wall clock with it.
    pub fn jump(&mut self, span: Micros) {
        self.mono += span;
    }

    /// The wall clock is set by this many milliseconds.
    pub fn set_wall(&mut self, by_ms: i64) {
        self.wall += by_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_rate_counts_from_its_moment_and_the_wall_clock_may_go_back() {
        let mut piece = Timepiece::new(100, 1000);
        piece.set_rate(1_000, 2000);
        assert_eq!(piece.mono(2_000), 3_100);
        piece.jump(500);
        let before = piece.shows(2_000);
        piece.set_wall(-1_000);
        let after = piece.shows(2_000);
        assert_eq!((before.mono, after.mono), (Time(3_600), Time(3_600)));
        assert_eq!(before.wall_ms - after.wall_ms, 1_000);
    }
}
