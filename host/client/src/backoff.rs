//! The pauses between the attempts of one call.

use std::time::Duration;

use crate::entropy::Jitter;
use crate::limits::{BACKOFF_MAX, BACKOFF_MIN};

/// Doubles from [`BACKOFF_MIN`] to [`BACKOFF_MAX`]. Each pause is drawn between half of the step and the
/// whole, so that clients that were refused together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    step: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { step: BACKOFF_MIN }
    }

    /// The next pauses come from no shorter a step than this.
    pub(crate) fn at_least(&mut self, step: Duration) {
        self.step = self.step.max(step).min(BACKOFF_MAX);
    }

    /// The next pause.
    pub(crate) fn pause(&mut self, jitter: &Jitter) -> Duration {
        let pause = jitter.between(self.step / 2, self.step);
        self.step = (self.step * 2).min(BACKOFF_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let jitter = Jitter::new().unwrap();
        let mut backoff = Backoff::new();
        for step_ms in [2, 4, 8, 16, 32, 64, 100, 100] {
            let step = Duration::from_millis(step_ms);
            let pause = backoff.pause(&jitter);
            assert!(pause >= step / 2 && pause < step, "{pause:?} for a step of {step:?}");
        }
    }
}
