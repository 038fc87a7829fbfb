//! Durations, counted in buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the buckets in microseconds: from a call within one machine up to the longest that a client waits,
/// in steps of about two.
pub(super) const ENDS_MICROS: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000,
];

/// A histogram that one thread writes and others read. Relaxed: a reader may see a duration counted in one place and
/// not yet in the other.
#[derive(Debug, Default)]
pub(in crate::host) struct Histogram {
    buckets: [AtomicU64; ENDS_MICROS.len()],
    /// Longer than the last bucket.
    beyond: AtomicU64,
    sum_micros: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub(in crate::host) fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let place = ENDS_MICROS.partition_point(|end| *end < micros);
        self.buckets.get(place).unwrap_or(&self.beyond).fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Adds what was counted so far.
    pub(super) fn add_to(&self, counts: &mut Counts) {
        let own = self.buckets.iter().chain([&self.beyond]);
        for (sum, own) in counts.buckets.iter_mut().zip(own) {
            *sum += own.load(Ordering::Relaxed);
        }
        counts.sum_micros += self.sum_micros.load(Ordering::Relaxed);
    }
}

/// What one histogram or several have counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// By bucket, not cumulative; the last is for what is longer than all.
    pub(super) buckets: [u64; ENDS_MICROS.len() + 1],
    /// Sum of all durations.
    pub(super) sum_micros: u64,
}

impl Counts {
    /// How many durations.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The buckets with their ends in seconds; the last one has none.
    pub(super) fn in_seconds(&self) -> Vec<(f64, u64)> {
        let ends = ENDS_MICROS.iter().map(|end| seconds(*end)).chain([f64::INFINITY]);
        ends.zip(self.buckets).collect()
    }
}

/// Microseconds as seconds. Exact up to 2^53 microseconds, which is 285 years.
#[expect(clippy::cast_precision_loss, reason = "a sum of durations for people")]
pub(super) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [0, 50, 51, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut counts = Counts::default();
        histogram.add_to(&mut counts);
        assert_eq!(counts.buckets[..2], [2, 1]);
        assert_eq!(counts.buckets[ENDS_MICROS.len() - 1..], [1, 1]);
        assert_eq!((counts.count(), counts.sum_micros), (5, 20_000_102));
    }

    #[test]
    fn several_histograms_add_up() {
        let mut counts = Counts::default();
        for _ in 0..3 {
            let histogram = Histogram::default();
            histogram.observe(Duration::from_millis(3));
            histogram.add_to(&mut counts);
        }
        assert_eq!((counts.count(), counts.sum_micros), (3, 9_000));
        assert!(counts.in_seconds().contains(&(0.005, 3)), "{counts:?}");
    }
}
