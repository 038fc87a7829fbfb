//! A host to be looked at, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use colony_core::group::{Command, Member, MemberState, State};
use colony_wire::admin::Policy;
use colony_wire::{ClusterId, ColonyId, LineageId, NamespaceId, RaftId, StartId};

use crate::config::PluginsConfig;
use crate::host::control::Sight;
use crate::host::plugins::Plugins;
use crate::host::realm::Realm;

/// The host that is looked at.
pub(super) const ME: StartId = StartId(1);

pub(super) fn member(number: u64) -> Member {
    Member {
        start: StartId(number),
        name: format!("h{number}"),
        address: "127.0.0.1:7400".parse().unwrap(),
        shards: 1,
        labels: BTreeMap::new(),
        raft: RaftId(number),
        earlier: Vec::new(),
        state: MemberState::Up,
    }
}

pub(super) fn colony(bucket: u32) -> ColonyId {
    ColonyId { namespace: NamespaceId(1), bucket }
}

/// As many hosts, and a namespace of two buckets with two copies each, the first host its primary.
pub(super) fn state(hosts: u64) -> State {
    let mut state = State::default();
    state.apply(&Command::Genesis { cluster: ClusterId(1), lineage: LineageId(1), member: member(1) });
    for number in 2..=hosts {
        state.apply(&Command::Join { member: member(number), deviations: Vec::new(), plugins: Vec::new() });
    }
    let policy = Policy { buckets: 2, ..Policy::default() };
    let want: Vec<StartId> = (1..=hosts.min(2)).map(StartId).collect();
    let placement = vec![want.clone(), want];
    state.apply(&Command::CreateNamespace { name: "cart".into(), policy, placement });
    state
}

/// A host that has been up for an hour and knows who leads.
pub(super) fn sight(state: State) -> Sight {
    Sight {
        name: "h1".into(),
        start: ME,
        state: Arc::new(state),
        leaderless_for: Duration::ZERO,
        leads: true,
        votes: true,
        up_for: Duration::from_secs(3600),
        realm: Realm::Root,
        orders: Vec::new(),
        meters: vec![Arc::default(), Arc::default()],
        plugins: Arc::new(Plugins::load(&PluginsConfig::default(), None).unwrap()),
        journal: Arc::default(),
    }
}
