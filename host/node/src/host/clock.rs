//! The host's clocks, in the form the core takes them.

use std::time::{SystemTime, UNIX_EPOCH};

use colony_core::{Now, Time};
use tokio::time::Instant;

/// The origin of a host's monotonic time, and where its wall clock comes from.
///
/// Monotonic time is the runtime's: in a process the machine's own, in a test what the test makes of it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    wall: Wall,
}

#[derive(Clone, Copy, Debug)]
enum Wall {
    /// The machine's.
    Machine,
    /// It showed this many milliseconds since 1970 at the origin, and goes with monotonic time.
    Began(u64),
}

impl Clock {
    /// The machine's clocks, from now on.
    #[must_use]
    pub fn of_the_machine() -> Self {
        Self { origin: Instant::now(), wall: Wall::Machine }
    }

    /// Clocks that go with the runtime's time only. The wall clock shows `wall_ms` milliseconds since 1970 now.
    #[must_use]
    pub fn of_the_runtime(wall_ms: u64) -> Self {
        Self { origin: Instant::now(), wall: Wall::Began(wall_ms) }
    }

    /// What the clocks show.
    pub(super) fn now(&self) -> Now {
        let elapsed = self.origin.elapsed();
        let wall_ms = match self.wall {
            // A wall clock before 1970 is as good as none: it is only for people and tie-breaks.
            Wall::Machine => millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            Wall::Began(at) => at.saturating_add(millis(elapsed)),
        };
        Now { mono: Time(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)), wall_ms }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
