//! Hosts that come and go.

use std::time::Duration;

use colony_core::watch::{Config, Jury};

use crate::world::{MS, SECOND, at, start};

/// Time between two looks of a host that wants back.
const LOOK: u64 = 100 * MS;

/// A host that dies `after` so long each time it was admitted; when it was admitted, in `until`.
fn admissions(after: u64, until: u64) -> Vec<u64> {
    let mut jury = Jury::new(Config::default());
    let (mut now, mut admitted, mut number) = (0, Vec::new(), 1);
    while now < until {
        jury.flapping_mut().members(at(now), [(start(0), "calm"), (start(number), "flaps")], []);
        admitted.push(now);
        now += after;
        jury.flapping_mut().members(at(now), [(start(0), "calm")], [start(number)]);
        assert_eq!(jury.flapping().wait(at(now), "calm"), Duration::ZERO);
        number += 1;
        while jury.flapping().wait(at(now), "flaps") > Duration::ZERO {
            now += LOOK;
        }
    }
    admitted
}

/// E4: a host whose link comes and goes every three seconds is admitted a dozen times in ten minutes, not a hundred
/// times; what is copied to it each time is bounded so.
#[test]
fn a_host_that_flaps_waits_longer_each_time() {
    let admitted = admissions(3 * SECOND, 600 * SECOND);
    let pauses: Vec<u64> = admitted.windows(2).map(|two| (two[1] - two[0]) / SECOND - 3).collect();
    assert_eq!(pauses[..8], [0, 2, 4, 8, 16, 32, 60, 60]);
    assert!(admitted.len() <= 16, "{}", admitted.len());
}

/// One death costs nothing, and neither does one in five minutes, for ever.
#[test]
fn a_host_that_dies_seldom_never_waits() {
    let admitted = admissions(301 * SECOND, 24 * 3600 * SECOND);
    assert!(admitted.windows(2).all(|two| two[1] - two[0] == 301 * SECOND), "{admitted:?}");
}

/// Quiet time takes deaths off the count, one by one.
#[test]
fn quiet_time_is_forgiving() {
    let mut jury = Jury::new(Config::default());
    let flapping = jury.flapping_mut();
    for number in 1..=4 {
        flapping.members(at(0), [(start(number), "h")], []);
        flapping.members(at(0), [], [start(number)]);
    }
    assert_eq!(flapping.wait(at(0), "h"), Duration::from_secs(8));
    flapping.members(at(SECOND), [(start(9), "h")], []);
    // Two of the four are forgiven: this is the third.
    let later = 601 * SECOND;
    flapping.members(at(later), [], [start(9)]);
    assert_eq!(flapping.wait(at(later), "h"), Duration::from_secs(4));
    assert_eq!(flapping.wait(at(later + 4 * SECOND), "h"), Duration::ZERO);
}

/// Who leaves by will, or was never seen up, has not died.
#[test]
fn leaving_is_no_death() {
    let mut jury = Jury::new(Config::default());
    let flapping = jury.flapping_mut();
    for number in 1..=9 {
        flapping.members(at(0), [(start(number), "h")], [start(number + 100)]);
        flapping.members(at(0), [], [start(number + 100)]);
    }
    assert_eq!(flapping.wait(at(0), "h"), Duration::ZERO);
    assert!(!flapping.awaits_return(at(0)));
}

/// C15: the copies of a host that just died are not made anew at once, until it is back or the delay is over.
#[test]
fn a_short_absence_has_its_chance() {
    let mut jury = Jury::new(Config::default());
    let flapping = jury.flapping_mut();
    flapping.members(at(0), [(start(1), "h")], []);
    assert!(!flapping.awaits_return(at(0)));
    flapping.members(at(SECOND), [], [start(1)]);
    assert!(flapping.awaits_return(at(5 * SECOND)));
    assert!(!flapping.awaits_return(at(6 * SECOND)), "the delay is over");
    flapping.members(at(2 * SECOND), [(start(2), "h")], [start(1)]);
    assert!(!flapping.awaits_return(at(3 * SECOND)), "it is back");
}
