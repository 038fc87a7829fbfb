//! When operations are due.

use std::time::Duration;

/// An even rate: operation `n` is due `n / rate` seconds after the begin, whatever became of those before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    rate: f64,
}

impl Schedule {
    /// So many operations a second, at least a thousandth.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self { rate: rate.max(1e-3) }
    }

    /// When the operation of this number is due, from the begin.
    #[must_use]
    pub fn due(&self, number: u64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a run has far less than 2^53 operations")]
        Duration::from_secs_f64(number as f64 / self.rate)
    }
}

/// What an open loop is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpenLoop {
    /// Operations a second.
    pub rate: f64,
    /// How long operations become due. Those under way at the end are waited for.
    pub duration: Duration,
    /// Most operations under way. One that is due beyond it is not sent, and counts as failed.
    pub in_flight_max: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_due_evenly_however_long_the_run() {
        let schedule = Schedule::new(4000.0);
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(1), Duration::from_micros(250));
        assert_eq!(schedule.due(4_000_000), Duration::from_secs(1000));
    }
}
