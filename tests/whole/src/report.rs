//! What came of runs.

use std::fmt;
use std::time::Duration;

/// What came of one run, or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Runs.
    pub seeds: u64,
    /// Sum over all hosts of the virtual time that they ran.
    pub ran: Duration,
    /// The longest that a cluster took to become whole once nothing happened to it any more.
    pub longest: Duration,
    /// Processes killed, or told to stop.
    pub kills: u64,
    /// Cuts between hosts, one way each.
    pub cuts: u64,
    /// Processes stopped for a while.
    pub stops: u64,
    /// Changes that were acknowledged.
    pub acknowledged: u64,
    /// The longest that one of them took.
    pub slowest: Duration,
    /// Acknowledged changes that were not there when they were looked for, in words.
    pub lost: Vec<String>,
    /// What was there and nobody had written.
    pub phantom: Vec<String>,
    /// Requests that were taken for two.
    pub doubled: Vec<String>,
    /// What else went wrong: a host that ended, a panic, a cluster that did not become whole.
    pub violations: Vec<String>,
}

impl Report {
    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        [&self.lost, &self.phantom, &self.doubled, &self.violations].iter().all(|found| found.is_empty())
    }

    /// Everything that went wrong, in words.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        let named =
            [("lost", &self.lost), ("phantom", &self.phantom), ("doubled", &self.doubled), ("", &self.violations)];
        named.into_iter().flat_map(|(name, found)| found.iter().map(move |words| format!("{name} {words}")))
    }

    /// What both say.
    pub fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.ran += other.ran;
        self.longest = self.longest.max(other.longest);
        self.kills += other.kills;
        self.cuts += other.cuts;
        self.stops += other.stops;
        self.acknowledged += other.acknowledged;
        self.slowest = self.slowest.max(other.slowest);
        self.lost.extend(other.lost);
        self.phantom.extend(other.phantom);
        self.doubled.extend(other.doubled);
        self.violations.extend(other.violations);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seeds {} hosts_hours {:.2} kills {} cuts {} stops {} acked {} lost {} phantom {} doubled {} violations {} whole_after_ms {} slowest_write_ms {}",
            self.seeds,
            self.ran.as_secs_f64() / 3600.0,
            self.kills,
            self.cuts,
            self.stops,
            self.acknowledged,
            self.lost.len(),
            self.phantom.len(),
            self.doubled.len(),
            self.violations.len(),
            self.longest.as_millis(),
            self.slowest.as_millis()
        )
    }
}
