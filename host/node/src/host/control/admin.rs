//! What people and clients ask of a host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use colony_core::group::{Command, Entry, MemberState, Outcome, State};
use colony_core::placement::{Even, Planner};
use colony_link::PeerIdentity;
use colony_raft::ProposeError;
use colony_wire::admin::{
    AdminReply, AdminRequest, ClusterStatus, ColonyStatus, HostStatus, MergeBy, NamespaceStatus, Policy, Problem,
};
use colony_wire::limits::MAX_PROBLEMS;
use colony_wire::plugin::PluginKind;
use colony_wire::{ColonyId, StartId};

use super::planning::Advice;
use super::propose::COMMIT_WITHIN;
use super::{Control, Realms, apart, departures, foretelling, installing, planning, problems, stale};

/// Longest wait for the leader's answer to a question that was passed on to it.
const LEADER_WITHIN: Duration = Duration::from_secs(5);
/// The leader's status is preferred, for it knows who votes; one that does not answer soon is done without.
const STATUS_WITHIN: Duration = Duration::from_millis(500);

/// The answer to a person's question: in the island for as long as the root decides nothing here.
pub(super) async fn answer(realms: &Realms, peer: &PeerIdentity, request: AdminRequest) -> AdminReply {
    let control = realms.speaking();
    let mut reply = answer_in(&control, peer, request).await;
    if let AdminReply::Status(status) = &mut reply
        && let Some(island) = realms.island().filter(|island| !Arc::ptr_eq(island, &control))
    {
        status.under_way.insert(0, way_back(&realms.root, &island));
        status.under_way.truncate(MAX_PROBLEMS);
    }
    reply
}

/// How far a host is that comes back from an island.
fn way_back(root: &Control, island: &Control) -> String {
    let (name, root, island) = (root.own().name, root.state(), island.state());
    let left = apart::not_taken_in(&root, &island).count();
    format!("{name} comes back from the island {}: {left} colonies are not taken in yet", island.lineage)
}

async fn answer_in(control: &Control, peer: &PeerIdentity, request: AdminRequest) -> AdminReply {
    let state = control.state();
    if !state.has_begun() {
        return refused("this host is not in a cluster yet: it is still joining", true);
    }
    match request {
        AdminRequest::Status => status_of_leader(control, &state).await,
        AdminRequest::Colonies { of } => colonies(&state, of.as_deref()),
        AdminRequest::Namespaces => namespaces(&state),
        AdminRequest::CreateNamespace { .. } if !peer.rights.admin => {
            refused("the certificate does not give the right to admin", false)
        }
        AdminRequest::CreateNamespace { name, policy } => create_namespace(control, name, policy).await,
        AdminRequest::StaleCopies { .. } | AdminRequest::AcceptStale { .. } => {
            stale::answer(control, peer, request).await
        }
        AdminRequest::Plugins
        | AdminRequest::InstallPlugin { .. }
        | AdminRequest::UsePlugin { .. }
        | AdminRequest::RollBackPlugin { .. }
        | AdminRequest::UninstallPlugin { .. }
        | AdminRequest::BeginCanary { .. }
        | AdminRequest::EndCanary { .. } => installing::answer(control, peer, request).await,
        AdminRequest::Drain { .. } | AdminRequest::Departures { .. } | AdminRequest::SafeToStop { .. } => {
            departures::answer(control, peer, request).await
        }
        AdminRequest::WhatIf { label, value } => foretelling::answer(control, &label, &value),
        AdminRequest::Plan { .. } => planning::answer(control, peer, request).await,
    }
}

pub(super) fn refused(why: impl Into<String>, retryable: bool) -> AdminReply {
    AdminReply::Refused { why: why.into(), retryable }
}

async fn status_of_leader(control: &Control, state: &State) -> AdminReply {
    if !control.group.is_leader()
        && let Some(leader) = control.leader_address()
        && let Ok(reply @ AdminReply::Status(_)) =
            control.calls.exchange(leader, &AdminRequest::Status, STATUS_WITHIN).await
    {
        return reply;
    }
    AdminReply::Status(status(control, state).await)
}

async fn status(control: &Control, state: &State) -> ClusterStatus {
    let voters = control.group.voters();
    let leader = control.leader_address();
    let leader = state.up().find(|member| Some(member.address) == leader).map(|member| member.name.clone());
    let count = |holds: &dyn Fn(&Entry) -> bool| {
        u32::try_from(state.table.values().filter(|entry| holds(entry)).count()).unwrap_or(u32::MAX)
    };
    let hosts = state.members.values().map(|member| HostStatus {
        name: member.name.clone(),
        start: member.start,
        address: member.address.to_string(),
        state: match member.state {
            MemberState::Up => "up".to_owned(),
            MemberState::Draining => "draining".to_owned(),
            MemberState::Dead => "dead".to_owned(),
            MemberState::Away => "away".to_owned(),
        },
        labels: member.labels.clone(),
        shards: member.shards,
        voter: member.state.is_up() && voters.contains(&member.raft),
        primaries: count(&|entry| entry.primary == Some(member.start)),
        copies: count(&|entry| entry.is_in_sync(member.start)),
    });
    let leaderless = control.leaderless_for();
    // A leader that nobody has followed for a while is none.
    let leader = leader.filter(|_| leaderless < problems::LEADERLESS_FOR);
    let found = problems::of_colonies(state).into_iter().chain(problems::of_hosts(state));
    let mut problems: Vec<Problem> = found.chain(problems::of_group(state, &voters, leaderless)).collect();
    problems.extend(control.troubles(state).await);
    problems.sort_by_key(|problem| problem.severity);
    problems.truncate(MAX_PROBLEMS);
    let mut under_way = problems::under_way(state);
    under_way.truncate(MAX_PROBLEMS);
    ClusterStatus {
        cluster: state.cluster,
        lineage: state.lineage,
        revision: state.revision,
        answered_by: control.own().name,
        leader,
        leaderless_ms: u64::try_from(leaderless.as_millis()).unwrap_or(u64::MAX),
        hosts: hosts.collect(),
        colonies: count(&|_| true),
        served: count(&|entry| entry.primary.is_some()),
        problems,
        under_way,
        parent: state.parent.map(|parent| parent.lineage),
    }
}

fn colonies(state: &State, of: Option<&str>) -> AdminReply {
    let name = |start: &StartId| {
        state.members.get(start).map_or_else(
            || format!("gone ({start})"),
            |member| match member.state {
                MemberState::Up | MemberState::Draining => member.name.clone(),
                MemberState::Dead => format!("{} (dead)", member.name),
                MemberState::Away => format!("{} (away)", member.name),
            },
        )
    };
    if let Some(host) = of
        && !state.members.values().any(|member| member.name == host)
    {
        return refused(format!("there is no host named {host}"), false);
    }
    let mut problems: BTreeMap<ColonyId, String> = Planner::new(state, &Even).problems().into_iter().collect();
    let is_of = |entry: &Entry| {
        let holds = |start: &StartId| state.members.get(start).is_some_and(|member| Some(member.name.as_str()) == of);
        of.is_none() || entry.in_sync.iter().chain(&entry.want).any(holds)
    };
    let row = |(colony, entry): (&ColonyId, &Entry)| ColonyStatus {
        namespace: state.namespaces.get(&colony.namespace).map(|space| space.name.clone()).unwrap_or_default(),
        bucket: colony.bucket,
        primary: entry.primary.as_ref().map(name),
        in_sync: entry.in_sync.iter().map(name).collect(),
        want: entry.want.iter().map(name).collect(),
        reign: entry.reign,
        cfg: entry.cfg,
        problem: problems.remove(colony),
    };
    AdminReply::Colonies(state.table.iter().filter(|(_, entry)| is_of(entry)).map(row).collect())
}

fn namespaces(state: &State) -> AdminReply {
    let row = |(id, namespace): (&colony_wire::NamespaceId, &colony_core::group::Namespace)| NamespaceStatus {
        id: *id,
        name: namespace.name.clone(),
        policy: namespace.policy.clone(),
    };
    AdminReply::Namespaces(state.namespaces.iter().map(row).collect())
}

/// The leader answers instead of this host.
pub(super) async fn pass_on(control: &Control, request: AdminRequest) -> AdminReply {
    let Some(leader) = control.leader_address() else {
        return refused("the group has no leader at the moment: try again in a second", true);
    };
    let passed_on = control.calls.exchange(leader, &request, LEADER_WITHIN).await;
    passed_on.unwrap_or_else(|error| {
        control.note_leader(None);
        refused(format!("the group's leader at {leader} does not answer: {error}"), true)
    })
}

/// A namespace names a plugin that can be asked: else it would merge by other rules than it says.
fn check_merge(control: &Control, state: &State, merge: &MergeBy) -> Result<(), String> {
    let MergeBy::Plugin(name) = merge else { return Ok(()) };
    let known = control.host.plugins.merge_names(state);
    if known.contains(name) {
        return Ok(());
    }
    if let Some(installed) = state.plugins.get(name) {
        return Err(match installed.kind {
            PluginKind::Merge => format!("no version of plugin {name} is active: choose one with `colony plugin use`"),
            PluginKind::Placement => format!("{name} is a placement plugin: it does not merge"),
        });
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(format!(
        "there is no merge plugin named {name} (there are: {known}): install it with `colony plugin install`, or name \
         its file in every host's configuration"
    ))
}

async fn create_namespace(control: &Control, name: String, policy: Policy) -> AdminReply {
    if !control.group.is_leader() {
        return pass_on(control, AdminRequest::CreateNamespace { name, policy }).await;
    }
    let state = control.group.state().borrow().clone();
    if let Err(why) = check_merge(control, &state, &policy.merge) {
        return refused(why, false);
    }
    let (advice, for_plan) = (Advice::of_the_group(&control.host.plugins, &state), (name.clone(), policy.clone()));
    let placed = tokio::task::spawn_blocking(move || {
        let (name, policy) = for_plan;
        advice.planner(&state).place_namespace(&name, &policy)
    });
    let placement = match placed.await {
        Ok(Ok(placement)) => placement,
        Ok(Err(error)) => return refused(error.to_string(), true),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    match control.group.propose(&Command::CreateNamespace { name, policy, placement }, COMMIT_WITHIN).await {
        Ok(Outcome::Created(id)) => AdminReply::Created { id },
        Ok(Outcome::Refused(why)) => refused(why.to_string(), false),
        Ok(Outcome::Applied) => refused("the group answered another question", true),
        Err(ProposeError::NotLeader { .. }) => refused("the group's leader changed: try again", true),
        Err(error) => refused(error.to_string(), true),
    }
}
