//! The host's clocks, in the form the core takes them.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use colony_core::{Now, Time};

/// The origin of this process's monotonic time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    /// The clock begins now.
    pub(super) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// What the clocks show.
    pub(super) fn now(&self) -> Now {
        let mono = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        // A wall clock before 1970 is as good as none: it is only for people and tie-breaks.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: Time(mono), wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
    }
}
