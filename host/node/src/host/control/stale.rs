//! What is left of a colony that has no copy in sync, and letting it go on from that (`PROTOCOL.md` 5.5).

use std::time::Duration;

use colony_core::group::{Command, Entry, Outcome, State};
use colony_link::PeerIdentity;
use colony_raft::ProposeError;
use colony_wire::admin::{AdminReply, AdminRequest, StaleCopies, StaleCopy};
use colony_wire::control::{ControlReply, ControlRequest, HeldCopy};
use colony_wire::{ColonyId, LineageId};

use super::Control;
use super::admin::refused;
use super::propose::COMMIT_WITHIN;
use crate::host::shard::Order;

/// Longest wait for one host's word on its copies.
const COPIES_WITHIN: Duration = Duration::from_secs(1);

/// Answers [`AdminRequest::StaleCopies`] and [`AdminRequest::AcceptStale`].
pub(super) async fn answer(control: &Control, peer: &PeerIdentity, request: AdminRequest) -> AdminReply {
    if !peer.rights.admin {
        return refused("the certificate does not give the right to admin", false);
    }
    if !control.group.is_leader() {
        return super::admin::pass_on(control, request).await;
    }
    let (namespace, bucket, host) = match request {
        AdminRequest::StaleCopies { namespace, bucket } => (namespace, bucket, None),
        AdminRequest::AcceptStale { namespace, bucket, host } => (namespace, bucket, Some(host)),
        _ => return refused("another question", false),
    };
    // The newest table there is: a colony that was served a moment ago must not be given away.
    let state = match control.read_group().await {
        Ok(state) => state,
        Err(why) => return refused(format!("the table cannot be read: {why}"), true),
    };
    let (colony, entry) = match lost_colony(&state, &namespace, bucket) {
        Ok(found) => found,
        Err(why) => return refused(why, false),
    };
    let stale = StaleCopies {
        lost: entry.in_sync.iter().map(|start| name(&state, *start)).collect(),
        reign: entry.reign,
        copies: control.copies_of(&state, colony).await,
    };
    match host {
        None => AdminReply::StaleCopies(stale),
        Some(host) => accept(control, &state, colony, &host, stale).await,
    }
}

fn lost_colony<'a>(state: &'a State, namespace: &str, bucket: u32) -> Result<(ColonyId, &'a Entry), String> {
    let (id, _) = state.namespace(namespace).ok_or_else(|| format!("there is no namespace {namespace}"))?;
    let colony = ColonyId { namespace: id, bucket };
    let last = state.policy(colony).map_or(0, |policy| policy.buckets.saturating_sub(1));
    let entry = state.table.get(&colony);
    let entry = entry.ok_or_else(|| format!("namespace {namespace} has the buckets 0 to {last}, and no {bucket}"))?;
    if entry.primary.is_some() || entry.in_sync.iter().any(|start| state.is_up(*start)) {
        return Err(format!("{namespace}/{bucket} has a copy in sync that runs: nothing is lost, nothing is accepted"));
    }
    Ok((colony, entry))
}

fn name(state: &State, start: colony_wire::StartId) -> String {
    state.members.get(&start).map_or_else(|| format!("gone ({start})"), |member| member.name.clone())
}

async fn accept(control: &Control, state: &State, colony: ColonyId, host: &str, stale: StaleCopies) -> AdminReply {
    let Some(member) = state.up().find(|member| member.name == host) else {
        let up: Vec<&str> = state.up().map(|member| member.name.as_str()).collect();
        return refused(format!("no host named {host} is up; up are {}", up.join(", ")), false);
    };
    let Some(entry) = state.table.get(&colony) else { return refused("there is no such colony", false) };
    let Ok(lineage) = control.host.surroundings.random_u128() else {
        return refused("the system gives no random numbers", true);
    };
    let command = Command::AcceptStale { colony, cfg: entry.cfg, to: member.start, lineage: LineageId(lineage) };
    tracing::warn!(%colony, reign = %entry.reign, %host, lost = ?stale.lost, "an operator lets a colony go on from a stale copy");
    match control.group.propose(&command, COMMIT_WITHIN).await {
        Ok(Outcome::Applied) => AdminReply::Accepted(stale),
        Ok(Outcome::Refused(why)) => refused(why.to_string(), false),
        Ok(Outcome::Created(_)) => refused("the group answered another question", true),
        Err(ProposeError::NotLeader { .. }) => refused("the group's leader changed: try again", true),
        Err(error) => refused(error.to_string(), true),
    }
}

impl Control {
    /// The best copy that each running host holds, the newest first.
    async fn copies_of(&self, state: &State, colony: ColonyId) -> Vec<StaleCopy> {
        let mut found = Vec::new();
        for member in state.up() {
            let copies = if member.start == self.start() {
                self.held_copies(colony).await
            } else {
                match self.calls.call(member.address, &ControlRequest::Copies { colony }, COPIES_WITHIN).await {
                    Ok(ControlReply::Copies { copies }) => copies,
                    _ => Vec::new(),
                }
            };
            let best = copies.into_iter().max_by_key(|copy| copy.position.map(|at| (at.reign, at.seq)));
            if let Some(HeldCopy { position, sessions, .. }) = best {
                found.push(StaleCopy { host: member.name.clone(), position, sessions });
            }
        }
        found.sort_by_key(|copy| std::cmp::Reverse(copy.position.map(|at| (at.reign, at.seq))));
        found
    }

    /// The copies of a colony on this host.
    pub(super) async fn held_copies(&self, colony: ColonyId) -> Vec<HeldCopy> {
        let shards = u16::try_from(self.shards().len()).unwrap_or(u16::MAX);
        let shard = usize::from(colony.shard(shards));
        self.ask(shard, |answer| Order::Copies(colony, answer)).await.unwrap_or_default()
    }
}
