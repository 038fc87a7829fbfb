//! What the host that leads the group does: judges the accused, keeps the voters, plans where copies live.
//!
//! It acts only while it knows for sure that it leads (`Leadership::is_confirmed`): a leader that is cut off
//! decides nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use colony_core::group::{Command, Deviation, Outcome, State};
use colony_core::placement::Proposal;
use colony_raft::Reconciled;
use colony_wire::control::{ControlReply, ControlRequest};
use colony_wire::{Revision, StartId, View};
use tokio::time::{self, Instant};

use super::planning::Advice;
use super::propose::COMMIT_WITHIN;
use super::{Control, loads, lock};

/// Voters of a cluster that has as many hosts (`PROTOCOL.md` 7).
const VOTERS: usize = 3;
/// How often the leader looks whether there is something to do, besides every change of the state.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After a change of members a plan waits this long for more of them, so that a burst of joins makes few
/// plans.
const SETTLE: Duration = Duration::from_millis(200);
/// Longest wait for the leader to take an accusation.
const ACCUSE_WITHIN: Duration = Duration::from_millis(500);
/// One host that is asked to take it answers within this: it commits a death before it does.
const ACCUSED_WITHIN: Duration = Duration::from_millis(200);
/// Pause before the next one is asked, while there is no leader: an election takes some round trips.
const ACCUSE_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Leads whenever the group chooses this host.
pub(super) async fn run(control: Arc<Control>) {
    tokio::join!(keep_voters(&control), loads::measure(&control), plan(&control));
}

async fn keep_voters(control: &Control) {
    let mut state = control.group.state();
    loop {
        if control.group.is_confirmed() {
            match control.group.reconcile_voters(VOTERS).await {
                Ok(Reconciled::Done(step)) => {
                    tracing::info!(?step, "voters changed");
                    continue;
                }
                Ok(Reconciled::Waiting | Reconciled::Settled) => {}
                Err(error) => tracing::warn!(%error, "the voters are not as they should be"),
            }
        }
        if let Ok(Err(_)) = time::timeout(LOOK_EVERY, state.changed()).await {
            return;
        }
    }
}

/// What was planned for last, so that nothing is asked twice.
#[derive(Default)]
struct Planned {
    revision: Revision,
    view: View,
    view_since: Option<Instant>,
    /// Only what was urgent was planned for, because somebody may be back at once.
    is_put_off: bool,
    problems: Vec<String>,
}

async fn plan(control: &Control) {
    let mut changes = control.group.state();
    let mut planned = Planned::default();
    loop {
        if control.group.is_confirmed() {
            let state: Arc<State> = changes.borrow_and_update().clone();
            plan_once(control, state, &mut planned).await;
        } else {
            planned = Planned::default();
            control.leave_planning(&changes.borrow_and_update());
        }
        if let Ok(Err(_)) = time::timeout(LOOK_EVERY, changes.changed()).await {
            return;
        }
    }
}

async fn plan_once(control: &Control, state: Arc<State>, planned: &mut Planned) {
    if planned.view != state.view || planned.view_since.is_none() {
        planned.view = state.view;
        planned.view_since = Some(Instant::now());
    }
    let has_settled = planned.view_since.is_some_and(|since| since.elapsed() >= SETTLE);
    let awaits_return = control.awaits_return();
    let is_new = planned.revision != state.revision || (planned.is_put_off && !awaits_return);
    if !has_settled || !(is_new || control.is_plan_due(&state).await) {
        return;
    }
    planned.revision = state.revision;
    planned.is_put_off = awaits_return;
    let advice = Advice::of_the_group(&control.host.plugins, &state);
    let mut decision = control.decide(state.clone(), advice).await;
    if awaits_return {
        decision.put_off(&state);
    }
    if let Some(Proposal { problems, .. }) = &decision.proposal
        && planned.problems != *problems
    {
        for problem in problems {
            tracing::warn!(%problem, "the plan cannot mend this");
        }
        planned.problems.clone_from(problems);
    }
    control.carry_out(&decision).await;
}

pub(super) async fn commit(control: &Control, command: &Command, what: &str) {
    match control.group.propose(command, COMMIT_WITHIN).await {
        Ok(Outcome::Refused(why)) => tracing::info!(%why, what, "overtaken by another change"),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, what, "not committed"),
    }
}

impl Control {
    /// Whose place is taken by whom, where it is not simply the next in-sync copy.
    pub(super) async fn heirs(&self, state: &Arc<State>, dead: StartId) -> Vec<Deviation> {
        let (state, advice) = (state.clone(), Advice::of_the_group(&self.host.plugins, state));
        let asked = tokio::task::spawn_blocking(move || advice.planner(&state).heirs(dead));
        match asked.await {
            Ok(deviations) => deviations,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// This host holds another for dead: the leader hears of it. If that was the leader itself, whoever leads next does,
    /// as soon as it does: the voters elect it within milliseconds, and until it is told the colonies of the dead one wait.
    pub(super) async fn tell_leader(&self, observer: StartId, accused: StartId) {
        let telling = async {
            while !self.tell_who_leads(observer, accused).await {
                time::sleep(ACCUSE_AGAIN_AFTER).await;
            }
        };
        // The watch repeats it while it holds.
        let _ = time::timeout(ACCUSE_WITHIN, telling).await;
    }

    /// Whether a leader has taken the accusation.
    async fn tell_who_leads(&self, observer: StartId, accused: StartId) -> bool {
        if self.group.is_leader() {
            return self.accuse(observer, accused).await;
        }
        let dead = self.state().members.get(&accused).map(|member| member.address);
        let hint = self.leader_address().filter(|leader| Some(*leader) != dead);
        let Some(asked) = hint.or_else(|| self.anybody_but(accused)) else { return false };
        match self.calls.call(asked, &ControlRequest::Accuse { observer, accused }, ACCUSED_WITHIN).await {
            Ok(ControlReply::Noted) => true,
            Ok(ControlReply::NotLeader { leader }) => {
                self.note_leader(leader.and_then(|address| address.parse().ok()));
                false
            }
            Ok(_) => false,
            Err(error) => {
                tracing::debug!(leader = %asked, %error, "the leader does not take an accusation");
                self.note_leader(None);
                false
            }
        }
    }

    /// Another host that is up, a voter if this one knows them: it leads, or knows who does.
    fn anybody_but(&self, accused: StartId) -> Option<SocketAddr> {
        let (state, voters, own) = (self.state(), self.group.voters(), self.start());
        let others = state.up().filter(|member| member.start != accused && member.start != own);
        others.max_by_key(|member| voters.contains(&member.raft)).map(|member| member.address)
    }

    /// Takes an accusation, and if enough observers agree has the group declare the accused dead: one entry
    /// for all its colonies (`PROTOCOL.md` 5.1). Not taken as long as it is not sure that this host leads.
    pub(super) async fn accuse(&self, observer: StartId, accused: StartId) -> bool {
        if !self.group.is_confirmed() {
            return false;
        }
        let verdict = lock(&self.jury).accuse(self.host.clock.now(), observer, accused);
        let Some(dead) = verdict else { return true };
        let state: Arc<State> = self.group.state().borrow().clone();
        let name = state.members.get(&dead).map_or("?", |member| member.name.as_str());
        tracing::warn!(%name, start = %dead, "held for dead by enough observers");
        let deviations = self.heirs(&state, dead).await;
        commit(self, &Command::Dead { start: dead, deviations }, "death").await;
        true
    }
}
