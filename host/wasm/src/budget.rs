//! How much one plugin may make its host log.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A bucket of log lines: a burst at once, then so many a second. What exceeds it is counted, to be told in one line
/// when there is room again. A failing disk or a paid log service must not be a plugin's to fill.
#[derive(Debug)]
pub struct LogBudget {
    burst: u32,
    per_second: u32,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Lines that may be written, in thousandths: at a low rate the parts of a line count.
    thousandths: u64,
    filled: Option<Instant>,
    dropped: u64,
}

/// Thousandths of a line.
const LINE: u64 = 1000;

impl LogBudget {
    /// A full bucket.
    #[must_use]
    pub fn new(burst: u32, per_second: u32) -> Self {
        let bucket = Bucket { thousandths: u64::from(burst) * LINE, filled: None, dropped: 0 };
        Self { burst, per_second, bucket: Mutex::new(bucket) }
    }

    /// Whether a line may be written now; if so, how many were dropped since the last one. One that may not is counted
    /// as dropped.
    pub fn take(&self, now: Instant) -> Option<u64> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = bucket.filled.map_or(0, |filled| now.saturating_duration_since(filled).as_millis());
        // A line a second is a thousandth a millisecond.
        let more = u64::try_from(since).unwrap_or(u64::MAX).saturating_mul(u64::from(self.per_second));
        if more > 0 || bucket.filled.is_none() {
            bucket.filled = Some(now);
        }
        bucket.thousandths = bucket.thousandths.saturating_add(more).min(u64::from(self.burst) * LINE);
        match bucket.thousandths.checked_sub(LINE) {
            Some(left) => {
                bucket.thousandths = left;
                Some(std::mem::take(&mut bucket.dropped))
            }
            None => {
                bucket.dropped = bucket.dropped.saturating_add(1);
                None
            }
        }
    }

    /// Lines that were dropped for another reason: the next line tells them as well.
    pub fn drop_lines(&self, lines: u64) {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.dropped = bucket.dropped.saturating_add(lines);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_written_and_then_so_many_a_second() {
        let budget = LogBudget::new(3, 2);
        let begin = Instant::now();
        let at = |millis| budget.take(begin + Duration::from_millis(millis));
        assert_eq!([at(0), at(0), at(0)], [Some(0); 3]);
        assert_eq!([at(0), at(100), at(499)], [None; 3]);
        assert_eq!(at(500), Some(3), "what was dropped is told");
        assert_eq!(at(501), None);
        assert_eq!(at(1_000), Some(1));
    }

    #[test]
    fn a_long_calm_saves_up_no_more_than_the_burst() {
        let budget = LogBudget::new(3, 2);
        let begin = Instant::now();
        assert_eq!(budget.take(begin), Some(0));
        let later = begin + Duration::from_secs(3600);
        let written = (0..10).filter(|_| budget.take(later).is_some()).count();
        assert_eq!(written, 3);
    }
}
