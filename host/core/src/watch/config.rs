//! The intervals of failure judgement.

use std::time::Duration;

/// How soon a host is held for dead. Equal on all hosts of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// A beacon goes to every other host this often. Well below `suspect_after`, so that a few lost
    /// datagrams cost nothing; each host sends and takes one datagram a pair in that time.
    pub beacon_interval: Duration,
    /// Silence for this long is suspicious on a link that was steady so far. Above the longest pause that a
    /// healthy host makes (a busy machine, a migration of a virtual one): below that healthy hosts are declared
    /// dead, above it a hung host is noticed later. At least five `beacon_interval`s, and above `relay_within`.
    pub suspect_after: Duration,
    /// Silence for this long is suspicious on any link and to any observer, however unsteady: the longest time
    /// that a hung host goes unnoticed.
    pub suspect_max: Duration,
    /// A probed host that has not answered by then does not answer. Above a round trip, and short: the time
    /// passes between the end of a killed process and its successor's reign.
    pub probe_within: Duration,
    /// So many other hosts are asked at a time whether they reach one that is silent, or all if there are fewer.
    /// Three, as in SWIM (Das, Gupta, Motivala, 2002): more are hardly ever wrong together where three are.
    pub relays: usize,
    /// They have this long for their answer. Asked so long before the suspicion would be ripe, they delay no
    /// accusation. Above two round trips and `relay_probe_within`.
    pub relay_within: Duration,
    /// A host that was asked gives the silent one this long to answer.
    pub relay_probe_within: Duration,
    /// An accusation that holds is repeated this often, for the leader may have changed. Below
    /// `accusation_holds`.
    pub accuse_again_after: Duration,
    /// The jury forgets an accusation that was not repeated for this long, and after this long finds anew
    /// against a host that is still a member.
    pub accusation_holds: Duration,
    /// So many observers must agree, or all others if there are fewer. Two, so that one host with a broken
    /// link or a sick clock kills nobody.
    pub observers: usize,
    /// A host that died twice in short order is not admitted before this long after its death; each further time
    /// it is twice as long. The first death costs nothing: a restart is no flapping.
    pub return_after: Duration,
    /// Nobody waits longer than this. Short enough that a host which was mended is not given up.
    pub return_max: Duration,
    /// Each such time without a death takes one death off the count. Above `return_max`, so that whoever waited
    /// longest still counts as one that flaps.
    pub return_forgiven: Duration,
    /// Copies that a dead host held are not made anew elsewhere for this long, for it may be back; colonies that
    /// have one copy left, or fewer than their least, do not wait (`placement::Proposal::urgent`).
    pub reclone_delay: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            beacon_interval: Duration::from_millis(100),
            suspect_after: Duration::from_secs(1),
            suspect_max: Duration::from_secs(3),
            probe_within: Duration::from_millis(50),
            relays: 3,
            relay_within: Duration::from_millis(400),
            relay_probe_within: Duration::from_millis(300),
            accuse_again_after: Duration::from_millis(200),
            accusation_holds: Duration::from_secs(1),
            observers: 2,
            return_after: Duration::from_secs(2),
            return_max: Duration::from_secs(60),
            return_forgiven: Duration::from_secs(300),
            reclone_delay: Duration::from_secs(5),
        }
    }
}
