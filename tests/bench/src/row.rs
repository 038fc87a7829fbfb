//! What is measured: loads, and who bears each.

use std::fmt;

use crate::load::{Load, Profile};
use crate::workload::SESSIONS;

/// Whoever is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// Colony, with all sessions in one colony: one primary, one copy.
    Colony,
    /// Colony, with the sessions in colonies of all three hosts.
    Spread,
    /// The link alone: there and back.
    Echo,
    /// The link alone: from the client to one host, on to another, and back.
    Relay,
    /// Redis over TLS, a primary and a replica, each change followed by `WAIT 1`.
    Redis,
    /// Redis without TLS and without a replica.
    RedisPlain,
    /// A Redis Cluster of three primaries and three replicas, without TLS.
    RedisCluster,
    /// NATS `JetStream`, a bucket with three copies, without TLS.
    Nats,
}

impl Who {
    /// The name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Colony => "Colony",
            Self::Spread => "Colony, spread",
            Self::Echo => "bare echo",
            Self::Relay => "bare relay",
            Self::Redis => "Redis TLS + WAIT 1",
            Self::RedisPlain => "Redis plain, alone",
            Self::RedisCluster => "Redis Cluster 500 ms",
            Self::Nats => "JetStream KV R3",
        }
    }

    /// Whether it has a connection to each call in flight.
    pub(crate) fn has_a_connection_to_each_call(self) -> bool {
        matches!(self, Self::Redis | Self::RedisPlain | Self::RedisCluster | Self::Nats)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One load, and those who bear it in turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// The load.
    pub(crate) load: Load,
    /// Who bears it.
    pub(crate) who: Vec<Who>,
}

impl Row {
    /// The load, borne by all who have such calls.
    pub(crate) fn of(load: Load) -> Self {
        let mut who = vec![Who::Colony, Who::Spread];
        who.extend(match load.profile {
            Profile::Get => Some(Who::Echo),
            Profile::Set => Some(Who::Relay),
            Profile::Mixed(_) | Profile::Delta | Profile::Touch => None,
        });
        who.extend([Who::Redis, Who::RedisPlain]);
        if matches!(load.profile, Profile::Set | Profile::Get) {
            who.push(Who::Nats);
        }
        Self { load, who }
    }
}

/// What the targets are about, and who they compare.
const QUICK: [(&str, &[Who]); 7] = [
    ("set-1k-1x64", &[Who::Colony, Who::Spread, Who::Relay, Who::Redis]),
    ("set-1k-1x256", &[Who::Colony, Who::Spread, Who::Relay, Who::Redis]),
    ("get-1k-1x64", &[Who::Colony, Who::Spread, Who::Echo, Who::Redis]),
    ("set-256-50x1", &[Who::Colony, Who::Relay, Who::Redis]),
    ("set-256-1x1", &[Who::Colony, Who::Relay, Who::Redis]),
    ("set-256-1x50", &[Who::Colony, Who::Redis, Who::Nats]),
    ("delta-1k-1x64", &[Who::Colony, Who::Redis]),
];

/// Profiles of a whole run.
const PROFILES: [Profile; 7] = [
    Profile::Set,
    Profile::Get,
    Profile::Mixed(95),
    Profile::Mixed(80),
    Profile::Mixed(50),
    Profile::Delta,
    Profile::Touch,
];
/// Sizes of a whole run.
const SIZES: [usize; 3] = [256, 1 << 10, 4 << 10];
/// Connections, and calls in flight on each, of a whole run.
const AT_A_TIME: [(usize, usize); 7] = [(1, 1), (1, 16), (1, 64), (1, 256), (4, 4), (4, 16), (4, 64)];

/// The rows of the targets.
pub(crate) fn quick() -> Vec<Row> {
    let row = |(name, who): (&str, &[Who])| Some(Row { load: name.parse().ok()?, who: who.to_vec() });
    QUICK.into_iter().filter_map(row).collect()
}

/// Those, with all contestants, and every profile in every size at every number of calls in flight.
pub(crate) fn all() -> Vec<Row> {
    let mut rows: Vec<Row> = quick().into_iter().map(|row| Row::of(row.load)).collect();
    for profile in PROFILES {
        for bytes in SIZES {
            for (connections, each) in AT_A_TIME {
                let row = Row::of(Load { profile, bytes, connections, each, sessions: SESSIONS });
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_rows_are_all_loads() {
        assert_eq!(quick().len(), QUICK.len());
    }

    #[test]
    fn a_whole_run_has_each_row_once() {
        let rows = all();
        for (place, row) in rows.iter().enumerate() {
            assert!(!rows[..place].contains(row), "{}", row.load);
        }
        assert!(rows.len() >= PROFILES.len() * SIZES.len() * AT_A_TIME.len());
    }

    #[test]
    fn only_those_who_have_such_calls_bear_a_load() {
        let who = |name: &str| Row::of(name.parse().unwrap()).who;
        assert!(who("set-1k-1x64").contains(&Who::Relay) && !who("set-1k-1x64").contains(&Who::Echo));
        assert!(who("get-1k-1x64").contains(&Who::Echo));
        assert!(!who("delta-1k-1x64").contains(&Who::Nats));
    }
}
