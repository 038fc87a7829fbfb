//! When to stop asking a plugin that fails.
//!
//! Each failed call costs what a call may cost and ends in the built-in anyway. So a plugin that fails often is off
//! for a while, and then asked once; only an answer switches it on again. The times off double, so that a plugin that
//! never works costs nearly nothing, and end at a limit, so that one which was mended is found out.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Time;

/// How patient a [`Breaker`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// So many failures within `window` switch the plugin off; at least 1.
    pub failures: usize,
    /// How long a failure counts.
    pub window: Duration,
    /// How long it is off for the first time.
    pub first_off: Duration,
    /// The longest time off.
    pub longest_off: Duration,
    /// A trial without a result for so long is lost, and another may be made.
    pub trial_lost: Duration,
}

impl Patience {
    /// What hosts use: a call that fails takes 50 ms at worst, so a plugin that always fails has cost a quarter of a
    /// second before it is off, and afterwards a call in five minutes.
    pub const DEFAULT: Self = Self {
        failures: 5,
        window: Duration::from_secs(10),
        first_off: Duration::from_secs(1),
        longest_off: Duration::from_secs(300),
        trial_lost: Duration::from_secs(10),
    };
}

impl Default for Patience {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Whether a plugin may be asked now. Whoever was permitted hands the permit back with the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It is on.
    Call,
    /// It was off for its time: this one call decides whether it stays off. Others are refused meanwhile.
    Trial,
    /// It is off until then.
    Off {
        /// When a trial may be made.
        until: Time,
    },
}

/// What becomes of a breaker with a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing changes.
    None,
    /// The plugin is off from now on, for so long.
    Off(Duration),
    /// It is on again.
    On,
}

/// Counts one plugin's failures, and says when it may be asked. Pure: time is an argument.
#[derive(Clone, Debug)]
pub struct Breaker {
    patience: Patience,
    state: State,
    /// The newest failures of calls, at most as many as switch it off.
    failures: VecDeque<Time>,
    /// The next time off.
    next_off: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// On, since a trial succeeded if one did.
    On {
        since: Option<Time>,
    },
    Off {
        until: Time,
    },
    Trial {
        since: Time,
    },
}

/// How a breaker stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The plugin is asked.
    On,
    /// It is off, for so long from now.
    Off(Duration),
    /// It is asked once, or will be with the next conflict.
    Trial,
}

impl Breaker {
    /// A breaker of a plugin that has not failed yet.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        let next_off = patience.first_off;
        Self { patience, state: State::On { since: None }, failures: VecDeque::new(), next_off }
    }

    /// May the plugin be asked now?
    pub fn ask(&mut self, now: Time) -> Permit {
        let lost = match self.state {
            State::On { .. } => return Permit::Call,
            State::Off { until } => until,
            State::Trial { since } => since + self.patience.trial_lost,
        };
        if now < lost {
            return Permit::Off { until: lost };
        }
        self.state = State::Trial { since: now };
        Permit::Trial
    }

    /// A permitted call ended. Results of calls that were permitted before the plugin went off change nothing: the
    /// trial decides.
    pub fn note(&mut self, now: Time, permit: Permit, has_failed: bool) -> Turn {
        match (permit, self.state, has_failed) {
            (Permit::Trial, State::Trial { .. }, true) => self.switch_off(now),
            (Permit::Trial, State::Trial { .. }, false) => {
                self.state = State::On { since: Some(now) };
                Turn::On
            }
            (Permit::Call, State::On { since }, true) => self.count(now, since),
            _ => Turn::None,
        }
    }

    fn count(&mut self, now: Time, since: Option<Time>) -> Turn {
        self.failures.push_back(now);
        let oldest = now - self.patience.window;
        while self.failures.pop_front_if(|failed| *failed <= oldest).is_some() {}
        if self.failures.len() < self.patience.failures.max(1) {
            return Turn::None;
        }
        // One that worked for longer than it would be off now has earned a short time off.
        if since.is_none_or(|since| now.since(since) > self.next_off) {
            self.next_off = self.patience.first_off;
        }
        self.switch_off(now)
    }

    fn switch_off(&mut self, now: Time) -> Turn {
        let off = self.next_off;
        self.failures.clear();
        self.state = State::Off { until: now + off };
        self.next_off = (off * 2).min(self.patience.longest_off);
        Turn::Off(off)
    }

    /// How it stands.
    #[must_use]
    pub fn switch(&self, now: Time) -> Switch {
        match self.state {
            State::On { .. } => Switch::On,
            State::Off { until } if until > now => Switch::Off(until.since(now)),
            State::Off { .. } | State::Trial { .. } => Switch::Trial,
        }
    }
}
