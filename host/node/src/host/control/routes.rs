//! The table that clients route by.

use std::collections::BTreeMap;
use std::sync::Arc;

use colony_core::group::{Namespace, State};
use colony_wire::client::{RouteHost, RouteNamespace, Routes};
use colony_wire::{ColonyId, NamespaceId, Revision, StartId};

use super::Realms;
use crate::host::realm::is_served_apart;

/// Where clients of this host find every colony. In an island some are served there and the others under the root, and
/// a process has a start in each.
pub(super) fn routes(realms: &Realms) -> Routes {
    let root = realms.root.state();
    match realms.island().map(|island| island.state()) {
        Some(island) => both(&root, &island, realms.root.is_attached()),
        None => table(&root, &[&root], |_| &root),
    }
}

/// The island's table, and the root's where that serves. It has news whenever either has.
fn both(root: &Arc<State>, island: &Arc<State>, is_attached: bool) -> Routes {
    let by = |colony| if is_served_apart(island, root, is_attached, colony) { island } else { root };
    let revision = Revision(island.revision.0.saturating_add(root.revision.0));
    Routes { revision, ..table(island, &[island, root], by) }
}

/// The table of a group, in which each colony is served by some state, one of `all`.
fn table<'a>(group: &State, all: &[&Arc<State>], by: impl Fn(ColonyId) -> &'a Arc<State>) -> Routes {
    let hosts: Vec<RouteHost> = all
        .iter()
        .flat_map(|state| state.up().map(|member| (state.lineage, member)))
        .map(|(lineage, member)| RouteHost {
            start: member.start,
            name: member.name.clone(),
            address: member.address.to_string(),
            shards: member.shards,
            lineage,
        })
        .collect();
    let index: BTreeMap<StartId, u16> = (0..).zip(&hosts).map(|(index, host)| (host.start, index)).collect();
    let namespace = |(id, namespace): (&NamespaceId, &Namespace)| {
        let primary = |bucket| {
            let colony = ColonyId { namespace: *id, bucket };
            index.get(&by(colony).table.get(&colony)?.primary?).copied()
        };
        RouteNamespace {
            id: *id,
            name: namespace.name.clone(),
            ttl: namespace.policy.ttl_ms,
            primaries: (0..namespace.policy.buckets).map(primary).collect(),
        }
    };
    let namespaces = group.namespaces.iter().map(namespace).collect();
    Routes { cluster: group.cluster, lineage: group.lineage, revision: group.revision, hosts, namespaces }
}
