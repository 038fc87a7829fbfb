//! How steadily a host answers.

use std::time::Duration;

use super::Config;

/// So many deviations above the mean a gap is still ordinary, as in TCP's retransmission timer (RFC 6298).
const DEVIATIONS: u32 = 4;
/// Silence is suspicious once it is this many times what is ordinary.
const ORDINARY_GAPS: u32 = 2;

/// Mean and mean deviation of the time between two answers, each a moving average: a phi detector (Hayashibara,
/// Défago, Yared, Katayama, 2004) without its logarithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gaps {
    mean: Duration,
    deviation: Duration,
}

impl Gaps {
    /// A host that is taken for a steady one until it shows otherwise.
    pub(super) fn steady(config: &Config) -> Self {
        Self { mean: config.beacon_interval, deviation: Duration::ZERO }
    }

    /// It answered so long after its last answer. One gap counts for no more than `suspect_max`.
    pub(super) fn note(&mut self, config: &Config, gap: Duration) {
        let gap = gap.min(config.suspect_max);
        let error = gap.abs_diff(self.mean);
        self.deviation = (self.deviation * 3 + error) / 4;
        self.mean = (self.mean * 7 + gap) / 8;
    }

    /// Silence that is out of the ordinary, before the bounds of the settings.
    pub(super) fn suspicious(&self) -> Duration {
        (self.mean + self.deviation * DEVIATIONS) * ORDINARY_GAPS
    }
}
