//! Whether this host can trust its own ears.

use std::time::Duration;

use super::Config;

/// Highest score. At one point a beacon interval of lateness, a host that was late by two seconds in all is as
/// sick as can be, and two seconds of timely ticks make it well again.
const WORST: u32 = 20;
/// This score doubles every suspicion, twice it triples it.
const DOUBLES: u32 = 10;
/// What a question costs that nobody answered, though those who were asked had been heard just before.
const UNANSWERED: u32 = 2;

/// The local health of Lifeguard (Dadgar, Phillips, Currey, 2017): most who accuse wrongly are slow themselves. The
/// score rises with every late tick and every question that nobody answers, and falls with every timely tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Health {
    score: u32,
}

impl Health {
    /// A tick came `late`; says whether that is worth speaking of: the time is nobody's silence then.
    pub(super) fn tick(&mut self, config: &Config, late: Duration) -> bool {
        let is_late = late > config.beacon_interval / 2;
        if is_late {
            let intervals = late.as_micros().div_ceil(config.beacon_interval.as_micros().max(1));
            self.rise(u32::try_from(intervals).unwrap_or(WORST));
        } else {
            self.score = self.score.saturating_sub(1);
        }
        is_late
    }

    /// Nobody who was asked said anything.
    pub(super) fn unanswered(&mut self) {
        self.rise(UNANSWERED);
    }

    /// Nobody had answered this host, and now somebody does.
    pub(super) fn was_cut_off(&mut self) {
        self.rise(WORST);
    }

    /// What this host makes of a suspicion: the sicker it is, the longer it waits.
    pub(super) fn stretch(self, suspicious: Duration) -> Duration {
        suspicious * (DOUBLES + self.score) / DOUBLES
    }

    fn rise(&mut self, by: u32) {
        self.score = self.score.saturating_add(by).min(WORST);
    }
}
