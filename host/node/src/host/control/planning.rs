//! Plans of where copies live: made by the leader by itself, or when somebody asks for one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use colony_core::group::{Command, State};
use colony_core::placement::{Even, Loads, Placement, Planner, Preview, Proposal, Rest, Seen, reason};
use colony_link::PeerIdentity;
use colony_wire::admin::{AdminReply, AdminRequest};
use colony_wire::limits::{MAX_PLAN_CHANGES, MAX_PLAN_PROBLEMS};
use colony_wire::plan::{PlanChange, PlanLevel, PlanReport};
use colony_wire::plugin::CanaryStatus;
use colony_wire::{ColonyId, StartId};
use tokio::time::Instant;

use super::admin::refused;
use super::leader::commit;
use super::{Control, lock};
use crate::host::plugins::{ByPlugin, OnTrial, Plugins};

/// How often the leader asks itself whether the load calls for a plan, if nothing else does. Long enough for what the
/// last plan moved to show in the measurements.
const LOOK_AT_LOAD_EVERY: Duration = Duration::from_secs(10);
/// Longest wait for a plan of the leader: a plugin may be compiled for it, and asked about every colony.
const PLANNED_WITHIN: Duration = Duration::from_secs(30);
/// Longest problem in a report, in bytes.
const MAX_PROBLEM: usize = 200;

/// What the leader remembers between plans.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// What was moved lately and is left alone.
    rest: Rest,
    /// The hosts that were up when it last planned.
    seen: Option<Seen>,
    looked_at_load: Option<Instant>,
}

/// What there is to be done.
pub(super) struct Decision {
    pub(super) promotions: Vec<Command>,
    pub(super) proposal: Option<Proposal>,
    preview: Option<Preview>,
    /// Hosts whose load was known.
    measured: usize,
    /// Whether hosts came or went.
    has_cause: bool,
    seen: Seen,
    /// What is left out of it is planned later, for the same causes.
    is_put_off: bool,
    /// The canary that was asked.
    canary: Option<CanaryStatus>,
}

/// Who is asked where colonies are to live, for one piece of work.
pub(super) struct Advice {
    placement: Box<dyn Placement + Send>,
    canary: Option<ByPlugin>,
}

impl Advice {
    /// Those whom the group decided for.
    pub(super) fn of_the_group(plugins: &Plugins, state: &State) -> Self {
        Self { placement: Box::new(plugins.placement(state)), canary: plugins.canary(state) }
    }

    /// A planner for this state that asks them.
    pub(super) fn planner<'a>(&'a self, state: &'a State) -> Planner<'a> {
        let canary = self.canary.as_ref().map(|canary| canary as &dyn Placement);
        Planner::new(state, &*self.placement).with_canary(canary)
    }
}

impl Decision {
    /// Leaves out what can wait: a host that died a moment ago may be back at once.
    pub(super) fn put_off(&mut self, state: &State) {
        self.is_put_off = true;
        self.proposal = self.proposal.take().and_then(|whole| whole.urgent(state));
    }
}

impl Control {
    /// Another host leads, and plans for what happens meanwhile.
    pub(super) fn leave_planning(&self, state: &State) {
        *lock(&self.remembered) = Remembered { seen: Some(Seen::of(state)), ..Remembered::default() };
    }

    /// Whether there may be something to plan though the state is as it was: a cool-down is over, or the load is
    /// uneven.
    pub(super) async fn is_plan_due(&self, state: &Arc<State>) -> bool {
        {
            let mut remembered = lock(&self.remembered);
            if remembered.rest.end(self.host.clock.now().mono) {
                return true;
            }
            if remembered.looked_at_load.is_some_and(|at| at.elapsed() < LOOK_AT_LOAD_EVERY) {
                return false;
            }
            remembered.looked_at_load = Some(Instant::now());
        }
        let (state, loads) = (state.clone(), lock(&self.measures).loads());
        blocking(move || Planner::new(&state, &Even).with_loads(&loads).is_strained()).await
    }

    /// Asks the planner.
    pub(super) async fn decide(&self, state: Arc<State>, advice: Advice) -> Decision {
        let loads = lock(&self.measures).loads();
        let seen = Seen::of(&state);
        let (causes, resting) = {
            let remembered = lock(&self.remembered);
            let before = remembered.seen.as_ref().unwrap_or(&seen);
            (before.changes_until(&seen), remembered.rest.colonies())
        };
        blocking(move || decide(&state, &advice, &loads, &resting, &causes, seen)).await
    }

    /// Has a decision carried out. What was moved though no host came or went is left alone for a while: the load or
    /// the plugin may change its mind again.
    pub(super) async fn carry_out(&self, decision: &Decision) {
        if !decision.is_put_off {
            lock(&self.remembered).seen = Some(decision.seen.clone());
        }
        for command in &decision.promotions {
            commit(self, command, "promotion").await;
        }
        let Some(Proposal { command, .. }) = &decision.proposal else { return };
        let Command::Plan { moves, reason, inputs } = command else { return };
        tracing::info!(moves = moves.len(), %reason, inputs = %format_args!("{inputs:016x}"), "a plan");
        if !decision.has_cause {
            lock(&self.remembered).rest.begin(moves, self.host.clock.now().mono);
        }
        commit(self, command, "plan").await;
    }

    fn report(&self, state: &State, decision: &Decision, committed: bool) -> PlanReport {
        let name = |start: &StartId| {
            let member = state.members.get(start);
            member.map_or_else(|| format!("gone ({start})"), |member| member.name.clone())
        };
        let (mut reason, mut inputs, mut problems) = (String::new(), 0, Vec::new());
        if let Some(proposal) = &decision.proposal {
            problems.extend(proposal.problems.iter().take(MAX_PLAN_PROBLEMS).map(|problem| {
                let mut problem = problem.clone();
                problem.truncate(problem.floor_char_boundary(MAX_PROBLEM));
                problem
            }));
            if let Command::Plan { reason: why, inputs: digest, .. } = &proposal.command {
                (reason, inputs) = (why.clone(), *digest);
            }
        }
        let preview = decision.preview.as_ref();
        let changes = preview.map_or(&[][..], |preview| &preview.changes);
        let change = |change: &colony_core::placement::Change| PlanChange {
            namespace: state
                .namespaces
                .get(&change.colony.namespace)
                .map(|space| space.name.clone())
                .unwrap_or_default(),
            bucket: change.colony.bucket,
            before: change.before.iter().map(name).collect(),
            after: change.after.iter().map(name).collect(),
            bytes: change.bytes,
        };
        let level = |(label, before, after): &(&str, u32, u32)| PlanLevel {
            label: (*label).to_owned(),
            before: *before,
            after: *after,
        };
        PlanReport {
            planned_by: self.own().name,
            committed,
            revision: state.revision,
            view: state.view,
            reason,
            inputs,
            measured: u32::try_from(decision.measured).unwrap_or(u32::MAX),
            changes: changes.iter().take(MAX_PLAN_CHANGES).map(change).collect(),
            more: u32::try_from(changes.len().saturating_sub(MAX_PLAN_CHANGES)).unwrap_or(u32::MAX),
            levels: preview.map(|preview| preview.shared.iter().map(level).collect()).unwrap_or_default(),
            problems,
            canary: decision.canary.clone(),
        }
    }
}

/// Answers [`AdminRequest::Plan`].
pub(super) async fn answer(control: &Control, peer: &PeerIdentity, request: AdminRequest) -> AdminReply {
    if !peer.rights.admin {
        return refused("the certificate does not give the right to admin", false);
    }
    if !control.group.is_leader() {
        let Some(leader) = control.leader_address() else {
            return refused("the group has no leader at the moment: try again in a second", true);
        };
        let passed_on = control.calls.exchange(leader, &request, PLANNED_WITHIN).await;
        return passed_on
            .unwrap_or_else(|error| refused(format!("the group's leader at {leader} does not answer: {error}"), true));
    }
    let AdminRequest::Plan { dry_run, plugin } = request else { return refused("another question", false) };
    if !dry_run && plugin.is_some() {
        return refused("a plan is tried with another plugin, and not made with it: ask for a dry run", false);
    }
    // The newest table there is; and a leader that was replaced finds out.
    let state = match control.read_group().await {
        Ok(state) => state,
        Err(why) => return refused(format!("the table cannot be read: {why}"), true),
    };
    let advice = match plugin {
        None => Advice::of_the_group(&control.host.plugins, &state),
        Some(bytes) => match blocking(move || OnTrial::load(&bytes)).await {
            Ok(plugin) => Advice { placement: Box::new(plugin), canary: None },
            Err(why) => return refused(format!("the placement plugin cannot be used: {why}"), false),
        },
    };
    let decision = control.decide(state.clone(), advice).await;
    if !dry_run {
        control.carry_out(&decision).await;
    }
    AdminReply::Plan(control.report(&state, &decision, !dry_run))
}

fn decide(
    state: &State,
    advice: &Advice,
    loads: &Loads,
    resting: &BTreeSet<ColonyId>,
    causes: &[String],
    seen: Seen,
) -> Decision {
    let planner = advice.planner(state).with_loads(loads).with_rest(resting);
    let proposal = planner.rebalance(&reason(causes));
    Decision {
        promotions: planner.promotions(),
        preview: proposal.as_ref().map(|proposal| planner.preview(proposal)),
        proposal,
        measured: state.up().filter(|member| loads.host(member.start).is_some()).count(),
        has_cause: !causes.is_empty(),
        seen,
        is_put_off: false,
        canary: advice.canary.as_ref().and(canary_status(state)),
    }
}

/// The canary, for people.
pub(super) fn canary_status(state: &State) -> Option<CanaryStatus> {
    let canary = state.canary.as_ref()?;
    let count = |colonies: usize| u32::try_from(colonies).unwrap_or(u32::MAX);
    Some(CanaryStatus {
        plugin: canary.plugin.clone(),
        content: canary.content,
        percent: canary.percent,
        colonies: count(state.share(canary.percent).count()),
        of: count(state.table.len()),
    })
}

/// The result of work that takes a thread for a while, as plugins do.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
