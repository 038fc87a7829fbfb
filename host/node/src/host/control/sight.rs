//! What the admin port may look at, and the few things that must be noticed as they happen to be told later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use colony_core::group::State;
use colony_wire::StartId;
use tokio::time::Instant;

use super::{Control, lock};
use crate::host::plugins::Plugins;
use crate::host::realm::Realm;
use crate::host::seen::{Journal, ShardMeters};
use crate::host::shard::Orders;

/// How often it is looked whether somebody leads. Who leads is not told, so it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A host at one moment.
#[derive(Clone)]
pub(in crate::host) struct Sight {
    /// Its name.
    pub(in crate::host) name: String,
    /// The start it acts under.
    pub(in crate::host) start: StartId,
    /// The group's state as it knows it.
    pub(in crate::host) state: Arc<State>,
    /// For how long no leader has been known; zero if one is.
    pub(in crate::host) leaderless_for: Duration,
    /// Whether it leads the group, confirmed by a quorum just now.
    pub(in crate::host) leads: bool,
    /// Whether it votes.
    pub(in crate::host) votes: bool,
    /// For how long its start has been up.
    pub(in crate::host) up_for: Duration,
    /// The lineage that is looked at.
    pub(in crate::host) realm: Realm,
    /// The ways to its shards.
    pub(in crate::host) orders: Vec<Orders>,
    /// What its shards count.
    pub(in crate::host) meters: Vec<Arc<ShardMeters>>,
    /// Its plugins, which count too.
    pub(in crate::host) plugins: Arc<Plugins>,
    /// What it saw the group decide.
    pub(in crate::host) journal: Arc<Journal>,
}

impl std::fmt::Debug for Sight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sight").field("name", &self.name).field("start", &self.start).finish_non_exhaustive()
    }
}

/// What was noticed when it happened.
#[derive(Debug)]
pub(super) struct Noticed {
    /// When a leader was known last; at the begin, when the process started.
    led: Instant,
    /// Which start is up, and since when.
    up: BTreeMap<StartId, Instant>,
}

impl Default for Noticed {
    fn default() -> Self {
        Self { led: Instant::now(), up: BTreeMap::new() }
    }
}

impl Control {
    /// What there is to be seen now.
    pub(in crate::host) fn sight(&self) -> Sight {
        let (start, now) = (self.start(), Instant::now());
        let noticed = lock(&self.noticed);
        Sight {
            name: self.host.config.name.clone(),
            start,
            state: self.state(),
            leaderless_for: if self.is_led() { Duration::ZERO } else { now - noticed.led },
            leads: self.group.is_confirmed(),
            votes: self.group.voters().contains(&self.group.id()),
            up_for: noticed.up.get(&start).map_or(Duration::ZERO, |since| now - *since),
            realm: self.realm,
            orders: self.host.orders.clone(),
            meters: self.host.meters.clone(),
            plugins: self.host.plugins.clone(),
            journal: self.host.journal.clone(),
        }
    }

    /// For how long nobody has been known to lead; zero while somebody is.
    pub(super) fn leaderless_for(&self) -> Duration {
        if self.is_led() { Duration::ZERO } else { lock(&self.noticed).led.elapsed() }
    }

    /// Whether somebody is known to lead: a leader that hears from no quorum does not.
    fn is_led(&self) -> bool {
        if self.group.is_leader() { self.group.is_confirmed() } else { self.leader_address().is_some() }
    }

    fn notice(&self) {
        let (start, now, is_led) = (self.start(), Instant::now(), self.is_led());
        let is_up = self.state().is_up(start);
        let mut noticed = lock(&self.noticed);
        if is_led {
            noticed.led = now;
        }
        noticed.up.retain(|up, _| *up == start && is_up);
        if is_up {
            noticed.up.entry(start).or_insert(now);
        }
    }
}

/// Notices for as long as the process lives in this lineage.
pub(super) async fn keep(control: Arc<Control>) {
    loop {
        control.notice();
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
