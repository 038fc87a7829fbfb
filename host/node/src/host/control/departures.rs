//! Who leaves, seen from the leader: hosts are drained and taken back, how far they are, whether one can be stopped,
//! and a drained process is let go (`PROTOCOL.md` 7).

use std::sync::Arc;

use colony_core::group::{Command, Holding, Member, MemberState, Outcome, State};
use colony_link::PeerIdentity;
use colony_raft::ProposeError;
use colony_wire::admin::{AdminReply, AdminRequest, Departure, DepartureStage};
use colony_wire::control::ControlReply;
use colony_wire::{ColonyId, StartId};
use tokio::time::{self, Instant};

use super::Control;
use super::admin::{pass_on, refused};
use super::propose::COMMIT_WITHIN;
use super::view::FEED_HOLD;

/// Names in one line for people; more are counted.
const NAMED: usize = 8;

/// Answers what an operator wants to know of, or do with, hosts that leave.
pub(super) async fn answer(control: &Control, peer: &PeerIdentity, request: AdminRequest) -> AdminReply {
    if matches!(request, AdminRequest::Drain { .. }) && !peer.rights.admin {
        return refused("the certificate does not give the right to admin", false);
    }
    if !control.group.is_leader() {
        return pass_on(control, request).await;
    }
    match request {
        AdminRequest::Drain { hosts, cancel } => drain(control, &hosts, cancel).await,
        AdminRequest::Departures { starts } => departures(control, &starts).await,
        AdminRequest::SafeToStop { host } => safe_to_stop(control, &host).await,
        _ => refused("another question was meant", false),
    }
}

async fn drain(control: &Control, hosts: &[String], cancel: bool) -> AdminReply {
    let state = control.group.state().borrow().clone();
    let mut starts = Vec::new();
    for host in hosts {
        let Some(member) = state.up().find(|member| member.name == *host) else {
            return refused(format!("no host named {host} is up"), false);
        };
        starts.push(member.start);
    }
    let command = if cancel {
        Command::CancelDrain { starts: starts.clone() }
    } else {
        Command::Drain { starts: starts.clone() }
    };
    tracing::warn!(?hosts, cancel, "an operator drains hosts, or takes that back");
    match control.group.propose(&command, COMMIT_WITHIN).await {
        Ok(Outcome::Applied) => {
            let state: Arc<State> = control.group.state().borrow().clone();
            AdminReply::Departures(starts.iter().map(|start| departure(control, &state, *start)).collect())
        }
        Ok(Outcome::Refused(why)) => refused(why.to_string(), true),
        Ok(Outcome::Created(_)) => refused("the group answered another question", true),
        Err(ProposeError::NotLeader { .. }) => refused("the group's leader changed: try again", true),
        Err(error) => refused(error.to_string(), true),
    }
}

async fn departures(control: &Control, starts: &[StartId]) -> AdminReply {
    match control.read_group().await {
        Ok(state) => AdminReply::Departures(starts.iter().map(|start| departure(control, &state, *start)).collect()),
        Err(why) => refused(format!("the table cannot be read: {why}"), true),
    }
}

fn departure(control: &Control, state: &State, start: StartId) -> Departure {
    let member = state.members.get(&start);
    let stage = match member.map(|member| member.state) {
        // Whether one that is away leaves is not decided here.
        Some(MemberState::Up | MemberState::Away) => DepartureStage::Staying,
        Some(MemberState::Draining) => DepartureStage::Draining,
        None if state.has_left(start) => DepartureStage::Left,
        Some(MemberState::Dead) | None => DepartureStage::Dead,
    };
    let holdings = if stage == DepartureStage::Draining { state.holdings(start) } else { Vec::new() };
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Departure {
        host: name_of(state, start).unwrap_or_default().to_owned(),
        start,
        stage,
        colonies: count(holdings.len()),
        primaries: count(holdings.iter().filter(|held| held.serves).count()),
        stuck: holdings.iter().filter(|held| held.is_stuck).map(|held| stuck(state, held)).collect(),
        votes: member.is_some_and(|member| votes(control, state, member)),
    }
}

/// The name of a host that is a member or has left.
fn name_of(state: &State, start: StartId) -> Option<&str> {
    let member = state.members.get(&start).map(|member| member.name.as_str());
    member.or_else(|| state.left.iter().find(|(left, _)| *left == start).map(|(_, name)| name.as_str()))
}

fn stuck(state: &State, held: &Holding) -> String {
    let name = colony_name(state, held.colony);
    let Holding { copies, elsewhere, .. } = held;
    let is_lost = state.table.get(&held.colony).is_some_and(|entry| entry.primary.is_none());
    if is_lost && *elsewhere == 0 {
        return format!("{name}: nobody serves it, and what is kept here may be the best copy there is");
    }
    format!("{name}: no other host can take its copy, {elsewhere} of {copies} are elsewhere")
}

/// Whether a host's vote is still to be another's: if all leave, nobody is left to have it.
fn votes(control: &Control, state: &State, member: &Member) -> bool {
    control.group.voters().contains(&member.raft) && state.staying().any(|other| other.start != member.start)
}

async fn safe_to_stop(control: &Control, host: &str) -> AdminReply {
    let state = match control.read_group().await {
        Ok(state) => state,
        Err(why) => return refused(format!("the table cannot be read: {why}"), true),
    };
    let Some(member) = state.up().find(|member| member.name == host) else {
        return if state.left.iter().any(|(_, name)| name == host) {
            // Nobody misses what has left.
            AdminReply::SafeToStop { why_not: Vec::new() }
        } else {
            refused(format!("there is no host named {host}"), false)
        };
    };
    let mut why_not: Vec<String> = state
        .holdings(member.start)
        .iter()
        .filter(|held| !held.is_full())
        .map(|held| {
            let (name, Holding { copies, elsewhere, .. }) = (colony_name(&state, held.colony), held);
            let serves = if held.serves { ", and it is the primary" } else { "" };
            format!("{name}: {elsewhere} of {copies} copies are in sync elsewhere{serves}")
        })
        .collect();
    let voters = control.group.voters();
    let remaining = state.up().filter(|other| other.start != member.start && voters.contains(&other.raft)).count();
    if remaining * 2 <= voters.len() {
        why_not.push(format!("the group: {remaining} of its {} voters would run, which is no majority", voters.len()));
    }
    AdminReply::SafeToStop { why_not }
}

/// A colony as people write it.
pub(super) fn colony_name(state: &State, colony: ColonyId) -> String {
    let space = state.namespaces.get(&colony.namespace);
    space.map_or_else(|| colony.to_string(), |space| format!("{}/{}", space.name, colony.bucket))
}

/// A few of the names, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl Control {
    /// Lets a process go, if this host leads: at once, or as soon as nothing of it is needed any more.
    pub(super) async fn let_go(&self, start: StartId, anyway: bool) -> ControlReply {
        if !self.group.is_confirmed() {
            return self.not_leader();
        }
        if !anyway && let Err(why) = self.until_free(start).await {
            return ControlReply::Refused { why, retryable: true };
        }
        let command = if anyway {
            let state: Arc<State> = self.group.state().borrow().clone();
            // What it still holds passes on as from one who died; that it says so itself spares the judgement.
            Command::Dead { start, deviations: self.heirs(&state, start).await }
        } else {
            Command::Leave { start }
        };
        match self.group.propose(&command, COMMIT_WITHIN).await {
            Ok(outcome) => {
                tracing::info!(%start, anyway, ?outcome, "a host leaves");
                ControlReply::Proposed { outcome: outcome.encode() }
            }
            Err(ProposeError::NotLeader { .. }) => self.not_leader(),
            Err(error) => ControlReply::Refused { why: error.to_string(), retryable: true },
        }
    }

    /// Waits a while until a process holds nothing and its vote is another's.
    async fn until_free(&self, start: StartId) -> Result<(), String> {
        let deadline = Instant::now() + FEED_HOLD;
        let (mut states, mut electing) = (self.group.state(), self.group.electing());
        loop {
            let state: Arc<State> = states.borrow_and_update().clone();
            electing.mark_unchanged();
            let held = state.holdings(start).len();
            let has_vote = state.members.get(&start).is_some_and(|member| votes(self, &state, member));
            if held == 0 && !has_vote {
                return Ok(());
            }
            let changed = async {
                tokio::select! {
                    _ = states.changed() => {}
                    _ = electing.changed() => {}
                }
            };
            if time::timeout_at(deadline, changed).await.is_err() {
                let vote = if has_vote { " and a vote" } else { "" };
                return Err(format!("it still has a part in {held} colonies{vote}"));
            }
        }
    }
}
