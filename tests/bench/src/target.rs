//! What Colony is to reach, and whether it does.

use crate::figures::Spread;
use crate::load::Load;
use crate::results::{Figure, Results};
use crate::row::Who;

/// Which side of a target is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Good {
    /// As much or more.
    More,
    /// As much or less.
    Less,
}

/// A figure of Colony's to another's, and what it is to be at least, or at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// What it says.
    pub(crate) about: &'static str,
    load: &'static str,
    other: Who,
    figure: Figure,
    good: Good,
    /// What it is to be first.
    pub(crate) first: f64,
    /// What it is to be later.
    pub(crate) later: f64,
}

/// Bytes of memory of a session: first, later.
pub(crate) const MEMORY: (f64, f64) = (700.0, 500.0);

/// Times that a write gap is to be shorter than a Redis Cluster's: first, later.
pub(crate) const GAP: (f64, f64) = (5.0, 10.0);
/// Of which gaps: the middle one, and that of 99 of a hundred.
pub(crate) const GAP_SHARES: [(f64, &str); 2] = [(0.5, "p50"), (0.99, "p99")];

/// How many times longer a Redis Cluster's gap is than that of the colonies that lost their primary; none if not
/// both were measured.
pub(crate) fn gap_ratio(results: &Results, share: f64) -> Option<f64> {
    let failover = results.failover.as_ref()?;
    let ours = failover.primaries.quantile_ms(share)?;
    failover.redis.quantile_ms(share).filter(|_| ours > 0.0).map(|theirs| theirs / ours)
}

const fn rate(about: &'static str, load: &'static str, other: Who, first: f64, later: f64) -> Target {
    Target { about, load, other, figure: Figure::Rate, good: Good::More, first, later }
}

/// The targets that are ratios.
pub(crate) const TARGETS: [Target; 8] = [
    rate("SET 1 KB, 1 connection x 64, to the bare relay", "set-1k-1x64", Who::Relay, 0.6, 0.85),
    rate("GET 1 KB, 1 connection x 64, to the bare echo", "get-1k-1x64", Who::Echo, 0.6, 0.85),
    rate("SET 1 KB, 64 in flight, to Redis TLS + WAIT 1", "set-1k-1x64", Who::Redis, 2.5, 3.5),
    rate("SET 1 KB, 256 in flight, to Redis TLS + WAIT 1", "set-1k-1x256", Who::Redis, 4.0, 6.0),
    rate("GET 1 KB, 64 in flight, to Redis TLS", "get-1k-1x64", Who::Redis, 3.0, 4.0),
    rate("SET 256 B, 50 clients x 1, to Redis TLS + WAIT 1", "set-256-50x1", Who::Redis, 1.2, 1.5),
    Target {
        about: "SET 256 B, one call in flight: p50 to Redis TLS + WAIT 1",
        load: "set-256-1x1",
        other: Who::Redis,
        figure: Figure::P50,
        good: Good::Less,
        first: 1.25,
        later: 1.0,
    },
    rate("SET 256 B, 50 in flight, to JetStream KV R3", "set-256-1x50", Who::Nats, 4.0, 6.0),
];

impl Target {
    /// What it is now; none if it was not measured.
    pub(crate) fn now(&self, results: &Results) -> Option<Spread> {
        let load: Load = self.load.parse().ok()?;
        let (ours, theirs) = (results.closed(&load, Who::Colony)?, results.closed(&load, self.other)?);
        ours.ratio(theirs, self.figure)
    }

    /// Which of the two aims a ratio reaches.
    pub(crate) fn reached(&self, ratio: f64) -> &'static str {
        reached(self.good, ratio, (self.first, self.later))
    }
}

/// Which of the two aims a figure reaches.
pub(crate) fn reached(good: Good, figure: f64, (first, later): (f64, f64)) -> &'static str {
    let is_good = |aim: f64| match good {
        Good::More => figure >= aim,
        Good::Less => figure <= aim,
    };
    if is_good(later) {
        "later"
    } else if is_good(first) {
        "first"
    } else {
        "missed"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::series;
    use crate::row::quick;

    #[test]
    fn every_target_is_about_a_quick_row() {
        for target in TARGETS {
            let load: Load = target.load.parse().unwrap();
            let row = quick().into_iter().find(|row| row.load == load).unwrap();
            assert!(row.who.contains(&Who::Colony) && row.who.contains(&target.other), "{}", target.about);
        }
    }

    #[test]
    fn a_target_is_missed_reached_or_more_than_reached() {
        assert_eq!(reached(Good::More, 0.5, (0.6, 0.85)), "missed");
        assert_eq!(reached(Good::More, 0.6, (0.6, 0.85)), "first");
        assert_eq!(reached(Good::Less, 1.0, (1.25, 1.0)), "later");
        assert_eq!(reached(Good::Less, 1.3, (1.25, 1.0)), "missed");
    }

    #[test]
    fn a_target_is_judged_by_the_median_of_ratios() {
        let mut results = Results::default();
        results.series.push(series("set-1k-1x64", Who::Colony, &[60.0, 300.0, 75.0]));
        results.series.push(series("set-1k-1x64", Who::Redis, &[20.0, 100.0, 30.0]));
        let now = TARGETS[2].now(&results).unwrap();
        assert_eq!((now.median, now.least), (3.0, 2.5));
        assert_eq!(TARGETS[2].reached(now.median), "first");
        assert_eq!(TARGETS[0].now(&results), None);
    }
}
