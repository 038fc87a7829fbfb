//! The intervals of failure judgement.

use std::time::Duration;

/// How soon a host is held for dead. Equal on all hosts of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// A beacon goes to every other host this often. Well below `suspect_after`, so that a few lost
    /// datagrams cost nothing; each host sends and takes one datagram a pair in that time.
    pub beacon_interval: Duration,
    /// Silence for this long is suspicious. Above the longest pause that a healthy host makes (a busy
    /// machine, a migration of a virtual one): below that healthy hosts are declared dead, above it a hung
    /// host is noticed later. At least five `beacon_interval`s.
    pub suspect_after: Duration,
    /// A probed host that has not answered by then does not answer. Above a round trip, and short: the time
    /// passes between the end of a killed process and its successor's reign.
    pub probe_within: Duration,
    /// An accusation that holds is repeated this often, for the leader may have changed. Below
    /// `accusation_holds`.
    pub accuse_again_after: Duration,
    /// The jury forgets an accusation that was not repeated for this long, and after this long finds anew
    /// against a host that is still a member.
    pub accusation_holds: Duration,
    /// So many observers must agree, or all others if there are fewer. Two, so that one host with a broken
    /// link or a sick clock kills nobody.
    pub observers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            beacon_interval: Duration::from_millis(100),
            suspect_after: Duration::from_secs(1),
            probe_within: Duration::from_millis(50),
            accuse_again_after: Duration::from_millis(200),
            accusation_holds: Duration::from_secs(1),
            observers: 2,
        }
    }
}
