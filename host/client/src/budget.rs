//! How often a client may ask again where a host is at its limit.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::limits::{CALLS_PER_RETRY, RETRY_BURST};

/// Retries that are left: each call adds a part of one, up to [`RETRY_BURST`] (Google, *Site Reliability Engineering*,
/// chapter 21).
///
/// A host that is asked for more than it can do refuses. If every refused call were made again until its deadline, a
/// cluster at three times its peak would be asked for ten times of it, and go on being asked after the cause is gone.
/// So a client asks again as often as a tenth of its calls; what exceeds that ends with the refusal, surely not done,
/// and its caller knows better whether it still matters.
///
/// Refusals that say "not here" or "not yet" are not counted: a promotion is a delay and not an error.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    /// In parts of a retry, [`CALLS_PER_RETRY`] to one.
    parts: AtomicU32,
}

/// As many parts as there can be.
const FULL: u32 = RETRY_BURST * CALLS_PER_RETRY;

impl Default for RetryBudget {
    fn default() -> Self {
        Self { parts: AtomicU32::new(FULL) }
    }
}

impl RetryBudget {
    /// A call begins.
    pub(crate) fn called(&self) {
        let more = |parts: u32| (parts < FULL).then_some(parts + 1);
        // Nothing to add to a full budget is no failure.
        let _ = self.parts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Takes one retry, if there is one.
    pub(crate) fn take(&self) -> bool {
        let less = |parts: u32| parts.checked_sub(CALLS_PER_RETRY);
        self.parts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(budget: &RetryBudget) -> u32 {
        std::iter::from_fn(|| budget.take().then_some(())).fuse().count().try_into().unwrap()
    }

    /// F4.
    #[test]
    fn retries_are_a_tenth_of_the_calls_and_a_burst() {
        let budget = RetryBudget::default();
        assert_eq!(left(&budget), RETRY_BURST);
        (0..1000).for_each(|_| budget.called());
        assert_eq!(left(&budget), 1000 / CALLS_PER_RETRY);
    }

    #[test]
    fn a_long_calm_saves_no_more_than_a_burst() {
        let budget = RetryBudget::default();
        (0..100_000).for_each(|_| budget.called());
        assert_eq!(left(&budget), RETRY_BURST);
    }
}
