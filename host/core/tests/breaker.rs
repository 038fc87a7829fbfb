//! When a plugin that fails is not asked.

use std::time::Duration;

use colony_core::Time;
use colony_core::merge::{Breaker, Patience, Permit, Switch, Turn};

const SECOND: Duration = Duration::from_secs(1);

/// A plugin and the time.
struct Asked {
    breaker: Breaker,
    now: Time,
}

impl Asked {
    fn new() -> Self {
        Self { breaker: Breaker::new(Patience::DEFAULT), now: Time::default() + 1000 * SECOND }
    }

    fn later(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// Asks, and fails or not if it is asked at all.
    fn call(&mut self, fails: bool) -> (Permit, Turn) {
        let permit = self.breaker.ask(self.now);
        let turn = match permit {
            Permit::Off { .. } => Turn::None,
            permit => self.breaker.note(self.now, permit, fails),
        };
        (permit, turn)
    }

    /// Fails as often as it takes, and says how long it is off.
    fn fail(&mut self) -> Duration {
        for _ in 0..Patience::DEFAULT.failures {
            if let (_, Turn::Off(off)) = self.call(true) {
                return off;
            }
        }
        panic!("it is still on: {:?}", self.breaker);
    }

    fn is_off(&mut self) -> bool {
        matches!(self.breaker.ask(self.now), Permit::Off { .. })
    }
}

#[test]
fn a_few_failures_in_a_window_switch_a_plugin_off() {
    let mut plugin = Asked::new();
    for _ in 1..Patience::DEFAULT.failures {
        assert_eq!(plugin.call(true), (Permit::Call, Turn::None));
    }
    assert_eq!(plugin.breaker.switch(plugin.now), Switch::On);
    assert_eq!(plugin.call(true), (Permit::Call, Turn::Off(SECOND)));
    assert!(plugin.is_off());
    assert_eq!(plugin.breaker.switch(plugin.now), Switch::Off(SECOND));
}

#[test]
fn failures_far_apart_never_do() {
    let mut plugin = Asked::new();
    for _ in 0..1000 {
        assert_eq!(plugin.call(true), (Permit::Call, Turn::None));
        plugin.later(Patience::DEFAULT.window / 4);
    }
}

#[test]
fn successes_between_do_not_excuse_failures() {
    let mut plugin = Asked::new();
    for call in 0..2 * Patience::DEFAULT.failures {
        plugin.call(call % 2 == 1);
    }
    assert!(plugin.is_off(), "every second call of a plugin fails, and it is asked");
}

#[test]
fn one_trial_is_made_after_the_time_off_and_decides() {
    let mut plugin = Asked::new();
    let off = plugin.fail();
    plugin.later(off - Duration::from_micros(1));
    assert!(plugin.is_off());
    plugin.later(Duration::from_micros(1));
    assert_eq!(plugin.breaker.switch(plugin.now), Switch::Trial);
    assert_eq!(plugin.breaker.ask(plugin.now), Permit::Trial);
    assert!(plugin.is_off(), "one trial at a time");
    assert_eq!(plugin.breaker.note(plugin.now, Permit::Trial, false), Turn::On);
    assert_eq!(plugin.call(true), (Permit::Call, Turn::None), "what failed before the trial is forgotten");
}

#[test]
fn times_off_double_up_to_their_limit() {
    let mut plugin = Asked::new();
    let mut off = plugin.fail();
    for doubling in 1..20 {
        plugin.later(off);
        let (permit, turn) = plugin.call(true);
        assert_eq!(permit, Permit::Trial);
        let expected = (SECOND * 2_u32.pow(doubling)).min(Patience::DEFAULT.longest_off);
        assert_eq!(turn, Turn::Off(expected));
        off = expected;
    }
    assert_eq!(off, Patience::DEFAULT.longest_off);
}

#[test]
fn a_plugin_that_fails_soon_after_its_trial_is_off_for_longer_and_one_that_worked_is_not() {
    let mut plugin = Asked::new();
    let first = plugin.fail();
    plugin.later(first);
    plugin.call(false);
    let second = plugin.fail();
    assert_eq!(second, 2 * first, "it had worked for no time");
    plugin.later(second);
    plugin.call(false);
    plugin.later(Patience::DEFAULT.longest_off);
    assert_eq!(plugin.fail(), first, "it had worked for long");
}

#[test]
fn results_of_calls_from_before_do_not_decide() {
    let mut plugin = Asked::new();
    let beside = plugin.breaker.ask(plugin.now);
    let off = plugin.fail();
    assert_eq!(plugin.breaker.note(plugin.now, beside, false), Turn::None);
    assert!(plugin.is_off());
    plugin.later(off);
    assert_eq!(plugin.breaker.ask(plugin.now), Permit::Trial);
    for has_failed in [true, false] {
        assert_eq!(plugin.breaker.note(plugin.now, beside, has_failed), Turn::None);
    }
    assert_eq!(plugin.breaker.note(plugin.now, Permit::Trial, false), Turn::On);
}

#[test]
fn a_trial_that_never_ends_is_followed_by_another() {
    let mut plugin = Asked::new();
    let off = plugin.fail();
    plugin.later(off);
    assert_eq!(plugin.breaker.ask(plugin.now), Permit::Trial);
    plugin.later(Patience::DEFAULT.trial_lost);
    assert_eq!(plugin.breaker.ask(plugin.now), Permit::Trial);
}

/// A day of conflicts, one each 10 ms, with a plugin that never works: it is asked a few hundred times.
#[test]
fn a_plugin_that_never_works_is_hardly_asked() {
    let mut plugin = Asked::new();
    let mut asked = 0;
    for _ in 0..24 * 3600 * 100 {
        if !matches!(plugin.call(true).0, Permit::Off { .. }) {
            asked += 1;
        }
        plugin.later(Duration::from_millis(10));
    }
    assert!((280..320).contains(&asked), "asked {asked} times");
}
