//! The clock that sessions live by (`PROTOCOL.md` 11; D5).
//!
//! A process may be stopped for an hour and a machine's clock may jump. Timers of the protocol may then fire
//! early or late, and nothing is lost. A session that ends early is lost. So sessions live by a clock of their
//! own: it follows the monotonic one, but never by more than a small step at a time. What it leaves out, every
//! session gets on top.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

use crate::Time;

/// Most that sessions age from one input to the next: far more than lies between two ticks of a host that
/// runs, far less than any time to live that a stopped one might use up.
const MAX_STEP: Duration = Duration::from_secs(1);

/// A moment of the clock that the sessions of one copy live by, in microseconds. Of no meaning to any other copy.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionTime(pub u64);

impl SessionTime {
    /// Time passed since `earlier`; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for SessionTime {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for SessionTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {:?}", Time(self.0))
    }
}

/// The clock itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct SessionClock {
    shows: SessionTime,
    /// What the monotonic clock showed at the last input.
    seen: Option<Time>,
}

impl SessionClock {
    /// An input came when the monotonic clock showed this.
    pub(super) fn follow(&mut self, mono: Time) {
        let passed = self.seen.map_or(Duration::ZERO, |seen| mono.since(seen));
        self.shows = self.shows + passed.min(MAX_STEP);
        self.seen = Some(mono);
    }

    /// What it shows during this input.
    pub(super) fn shows(&self) -> SessionTime {
        self.shows
    }
}

/// How one copy reads the clock of its shard. A copy that goes over to another shard takes its time along: the shards
/// began at different moments, and what it keeps of deadlines is read as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct CopyClock {
    /// What this copy is ahead of its shard, by wrapping: it may be behind as well.
    ahead: u64,
}

impl CopyClock {
    /// What it shows when the shard's clock shows this.
    pub(super) fn shows(self, shard: SessionTime) -> SessionTime {
        SessionTime(shard.0.wrapping_add(self.ahead))
    }

    /// The same, for one that stands still between two shards.
    pub(super) fn stop(self, shard: SessionTime) -> Self {
        Self { ahead: self.shows(shard).0 }
    }

    /// A clock that stood still goes on with that shard's.
    pub(super) fn go_on(self, shard: SessionTime) -> Self {
        Self { ahead: self.ahead.wrapping_sub(shard.0) }
    }
}

/// The time of one input, by both clocks of a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// For everything but the deadlines of sessions.
    pub(super) mono: Time,
    /// For the deadlines of sessions, and nothing else.
    pub(super) sessions: SessionTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time(millis * 1000)
    }

    #[test]
    fn it_follows_the_monotonic_clock_by_small_steps() {
        let mut clock = SessionClock::default();
        for millis in [5_000, 5_020, 5_040, 5_900] {
            clock.follow(at(millis));
        }
        assert_eq!(clock.shows(), SessionTime(900_000));
    }

    #[test]
    fn a_copy_takes_its_time_along() {
        let shown = |clock: CopyClock, secs: u64| clock.shows(SessionTime(0) + Duration::from_secs(secs)).0 / 1_000_000;
        let at = |secs: u64| SessionTime(0) + Duration::from_secs(secs);
        let here = CopyClock::default();
        let there = here.stop(at(20)).go_on(at(0));
        assert_eq!((shown(here, 20), shown(there, 0), shown(there, 12)), (20, 20, 32));
        let back = there.stop(at(12)).go_on(at(33));
        assert_eq!((shown(back, 33), shown(back, 40)), (32, 39), "a clock may be behind its shard's");
    }

    #[test]
    fn a_leap_forward_ages_no_session_and_a_leap_back_does_no_harm() {
        let mut clock = SessionClock::default();
        clock.follow(at(0));
        clock.follow(at(3_600_000));
        assert_eq!(clock.shows(), SessionTime(0) + MAX_STEP);
        clock.follow(at(10));
        clock.follow(at(30));
        assert_eq!(clock.shows(), SessionTime(0) + MAX_STEP + Duration::from_millis(20));
    }
}
