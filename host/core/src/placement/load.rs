//! What was measured of hosts and copies. It is an argument of the planner and never part of the group state.

use std::collections::BTreeMap;

use colony_wire::{ColonyId, StartId};
use xxhash_rust::xxh3::Xxh3;

use super::Load;

/// A new measurement counts for one in so many; the rest is what was known before. With one every two seconds,
/// a peak of a second or two moves nothing, and a lasting change is believed by nine tenths after 16 s.
const NEW_COUNTS_ONE_IN: u64 = 4;

/// What is known of the load, by host. A host that is not in it is taken to be loaded like the mean of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loads {
    hosts: BTreeMap<StartId, HostLoad>,
}

/// What one host carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostLoad {
    /// Processor time used, in thousandths of a core.
    pub cpu: u64,
    /// Processor time there is, in thousandths of a core; zero if it is not known.
    pub cores: u64,
    /// Memory used, in bytes.
    pub memory: u64,
    /// Memory it may use, in bytes; zero if it is not known.
    pub memory_limit: u64,
    /// What its copies carry.
    pub copies: BTreeMap<ColonyId, CopyLoad>,
}

/// What one copy carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyLoad {
    /// Sessions in it.
    pub sessions: u64,
    /// Memory they take, in bytes.
    pub bytes: u64,
    /// Ops committed in a second.
    pub ops: u64,
}

impl Loads {
    /// Nothing is known.
    #[must_use]
    pub const fn none() -> Self {
        Self { hosts: BTreeMap::new() }
    }

    /// What is known if nothing else is.
    #[must_use]
    pub fn of(hosts: impl IntoIterator<Item = (StartId, HostLoad)>) -> Self {
        Self { hosts: hosts.into_iter().collect() }
    }

    /// A host was measured. Rates are smoothed, so that a load that comes and goes is taken for its mean.
    pub fn measured(&mut self, host: StartId, mut load: HostLoad) {
        if let Some(before) = self.hosts.get(&host) {
            load.cpu = smoothed(before.cpu, load.cpu);
            for (colony, copy) in &mut load.copies {
                if let Some(before) = before.copies.get(colony) {
                    copy.ops = smoothed(before.ops, copy.ops);
                }
            }
        }
        self.hosts.insert(host, load);
    }

    /// Forgets every host but these.
    pub fn keep(&mut self, is_kept: impl Fn(StartId) -> bool) {
        self.hosts.retain(|host, _| is_kept(*host));
    }

    /// What is known of a host.
    #[must_use]
    pub fn host(&self, host: StartId) -> Option<&HostLoad> {
        self.hosts.get(&host)
    }

    /// All that is known, by start.
    pub fn hosts(&self) -> impl Iterator<Item = (StartId, &HostLoad)> {
        self.hosts.iter().map(|(start, load)| (*start, load))
    }

    /// Whether nothing is known of any host.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Into the digest of what was considered.
    pub(super) fn digest_into(&self, digest: &mut Xxh3) {
        let mut number = |number: u64| digest.update(&number.to_le_bytes());
        for (start, load) in &self.hosts {
            for part in [start.0, load.cpu, load.cores, load.memory, load.memory_limit, load.copies.len() as u64] {
                number(part);
            }
            for (colony, copy) in &load.copies {
                for part in [u64::from(colony.namespace.0), u64::from(colony.bucket)] {
                    number(part);
                }
                for part in [copy.sessions, copy.bytes, copy.ops] {
                    number(part);
                }
            }
        }
    }

    /// What each colony carries: the most that any of its copies is said to, since a copy that is catching up
    /// knows less than there is.
    pub(super) fn colonies(&self) -> BTreeMap<ColonyId, CopyLoad> {
        let mut colonies: BTreeMap<ColonyId, CopyLoad> = BTreeMap::new();
        for (colony, copy) in self.hosts.values().flat_map(|host| &host.copies) {
            let known = colonies.entry(*colony).or_default();
            known.sessions = known.sessions.max(copy.sessions);
            known.bytes = known.bytes.max(copy.bytes);
            known.ops = known.ops.max(copy.ops);
        }
        colonies
    }
}

impl HostLoad {
    /// As the placement plugin is told it. Not the processor time: that follows the primaries within seconds, and a
    /// plugin that followed it in turn would chase all colonies round the cluster. The planner weighs it itself, with
    /// marks and a bound.
    pub(super) fn told(&self, counted: Load) -> Load {
        let sum = |part: fn(&CopyLoad) -> u64| self.copies.values().map(part).fold(0, u64::saturating_add);
        Load {
            sessions: Some(sum(|copy| copy.sessions)),
            bytes: Some(sum(|copy| copy.bytes)),
            memory_percent: percent(self.memory, self.memory_limit),
            ..counted
        }
    }
}

fn percent(used: u64, of: u64) -> Option<u32> {
    let percent = (u128::from(used) * 100).checked_div(u128::from(of))?.min(100);
    u32::try_from(percent).ok()
}

fn smoothed(before: u64, now: u64) -> u64 {
    // Rounded towards the new value, so that it is reached in the end.
    let change = before.abs_diff(now).div_ceil(NEW_COUNTS_ONE_IN);
    if now > before { before + change } else { before - change }
}
