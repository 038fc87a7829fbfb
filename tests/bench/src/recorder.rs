//! What was done within the time that is measured.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::failure::Failure;

/// Longest latency that is told apart: above any deadline.
const LATENCY_MAX: Duration = Duration::from_secs(60);
/// Significant digits of latencies.
const DIGITS: u8 = 3;

/// Where a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing counts yet.
    Warm,
    /// What ends now counts.
    Measured,
    /// Nothing is begun any more.
    Over,
}

/// Hears of every call that ends, and counts those that do so within the time that is measured.
#[derive(Debug)]
pub(crate) struct Recorder {
    phase: AtomicU8,
    tally: Mutex<Tally>,
}

/// What it heard of.
#[derive(Debug)]
struct Tally {
    latencies: Histogram<u64>,
    failed: Option<String>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        let most = u64::try_from(LATENCY_MAX.as_nanos()).unwrap_or(u64::MAX);
        let latencies = Histogram::new_with_max(most, DIGITS).expect("these bounds are bounds of a histogram");
        Self { phase: AtomicU8::new(Phase::Warm as u8), tally: Mutex::new(Tally { latencies, failed: None }) }
    }

    /// From now on calls count.
    pub(crate) fn measure(&self) {
        self.phase.store(Phase::Measured as u8, Ordering::Relaxed);
    }

    /// From now on they do not, and callers end.
    pub(crate) fn end(&self) {
        self.phase.store(Phase::Over as u8, Ordering::Relaxed);
    }

    /// Whether callers are to end.
    pub(crate) fn is_over(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Over as u8
    }

    /// A call has been done, so long after it was begun, or was meant to be.
    pub(crate) fn done(&self, latency: Duration) {
        if self.phase.load(Ordering::Relaxed) == Phase::Measured as u8 {
            let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
            self.tally().latencies.saturating_record(nanos);
        }
    }

    /// A call has failed: this measurement is over.
    pub(crate) fn failed(&self, why: String) {
        self.tally().failed.get_or_insert(why);
        self.end();
    }

    /// Latencies of the calls that counted.
    ///
    /// # Errors
    /// [`Failure::Call`] if one failed at any time, [`Failure::Silent`] if none counted.
    pub(crate) fn take(&self) -> Result<Histogram<u64>, Failure> {
        let tally = self.tally();
        match &tally.failed {
            Some(why) => Err(Failure::Call(why.clone())),
            None if tally.latencies.is_empty() => Err(Failure::Silent),
            None => Ok(tally.latencies.clone()),
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn only_what_ends_within_the_measured_time_counts() {
        let recorder = Recorder::new();
        recorder.done(MS);
        recorder.measure();
        recorder.done(2 * MS);
        recorder.done(3 * MS);
        recorder.end();
        recorder.done(4 * MS);
        let latencies = recorder.take().unwrap();
        assert_eq!(latencies.len(), 2);
        assert!(latencies.max() >= 3_000_000 && latencies.max() < 3_010_000, "{}", latencies.max());
    }

    #[test]
    fn one_failed_call_is_the_end_and_no_figure() {
        let recorder = Recorder::new();
        recorder.measure();
        recorder.done(MS);
        recorder.failed("refused".into());
        recorder.failed("and again".into());
        assert!(recorder.is_over());
        assert_eq!(recorder.take().unwrap_err().to_string(), "a call failed: refused");
    }

    #[test]
    fn a_store_that_does_nothing_has_no_figure() {
        let recorder = Recorder::new();
        recorder.measure();
        assert!(matches!(recorder.take(), Err(Failure::Silent)));
    }
}
