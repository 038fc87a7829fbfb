//! The host's clocks, in the form the core takes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use colony_core::{Now, Time};
use nix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// The clocks a host goes by.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    /// The machine's, of which the monotonic one showed this at the origin.
    Machine { origin: Duration },
    /// The runtime's time, and a wall clock that goes with it and showed so many milliseconds since 1970 at the origin.
    Runtime { origin: Instant, wall_ms: u64 },
}

impl Clock {
    /// The machine's clocks, from now on.
    #[must_use]
    pub fn of_the_machine() -> Self {
        Self(Source::Machine { origin: since_boot() })
    }

    /// Clocks that go with the runtime's time only. The wall clock shows `wall_ms` milliseconds since 1970 now.
    #[must_use]
    pub fn of_the_runtime(wall_ms: u64) -> Self {
        Self(Source::Runtime { origin: Instant::now(), wall_ms })
    }

    /// What the clocks show.
    pub(super) fn now(&self) -> Now {
        let (elapsed, wall_ms) = match self.0 {
            Source::Machine { origin } => {
                // A wall clock before 1970 is as good as none: it is only for people and tie-breaks.
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                (since_boot().saturating_sub(origin), millis(wall))
            }
            Source::Runtime { origin, wall_ms } => (origin.elapsed(), wall_ms.saturating_add(millis(origin.elapsed()))),
        };
        Now { mono: Time(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)), wall_ms }
    }
}

/// The clock that goes on while the machine is suspended, where there is one. With one that stands still a primary
/// would wake from a suspension in the belief that no time has passed, and not doubt its reign (`PROTOCOL.md` 4).
fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::CLOCK_MONOTONIC;
    // Neither clock can be missing where the program runs at all.
    clock_gettime(CLOCK).map(Duration::from).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B3: the machine's clock counts what a suspension takes. Here nothing is suspended, so the two agree on the span.
    #[test]
    fn monotonic_time_goes_on_and_starts_near_zero() {
        let clock = Clock::of_the_machine();
        let first = clock.now().mono;
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        let second = clock.now().mono;
        assert!(first < Time(1_000_000), "{first:?}");
        assert!(second.since(first) >= Duration::from_millis(2), "{first:?} {second:?}");
    }
}
