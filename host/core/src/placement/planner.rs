//! The planner: from the group state and the plugin's opinions to commands.

use std::collections::BTreeSet;

use colony_wire::admin::Policy;
use colony_wire::{ColonyId, StartId};
use xxhash_rust::xxh3::Xxh3;

use super::burden::{Burden, Resource};
use super::draft::{Draft, Freedom};
use super::slate::{Advisers, Asking};
use super::survey::{Survey, candidates, hosts};
use super::vacate::vacate;
use super::{Even, Loads, Placement, Preview, Role, Score, preview, problems, reason};
use crate::group::{Command, Deviation, Entry, Move, State};

/// A plan for the group to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// A [`Command::Plan`].
    pub command: Command,
    /// What the plan cannot mend, each in one line that begins with the colony, and what was wrong with the
    /// placement's answers.
    pub problems: Vec<String>,
}

/// Why a namespace cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unplaceable {
    /// No host is up, or all that are up are about to leave.
    #[error("no host is up that stays")]
    NoHost,
    /// The placement vetoes every host that is up.
    #[error("no_eligible_primary: placement lets no host be primary of {namespace}/{bucket}")]
    NoEligiblePrimary {
        /// The namespace.
        namespace: String,
        /// The first bucket for which that is so.
        bucket: u32,
    },
}

/// Decides where copies live, who is to be primary and who inherits, from one state of the group. Only the
/// group's leader asks it, and proposes what it says.
///
/// What counts, in this order: the rules (one copy a host, no vetoed host in a vetoed role); the number of
/// copies; that no two copies share a machine, a rack, a zone, a region; the plugin's weights, where they
/// differ by 100 or more from the best; that hosts which could take each other's place hold equally many
/// copies within one; that they hold as equally many primaries as those copies allow; that no host carries
/// much more than the others; and that few copies move for it.
///
/// A plan of what a plan led to is none, as long as the placement's answers and the loads stay as they were.
pub struct Planner<'a> {
    state: &'a State,
    advisers: Advisers<'a>,
    loads: &'a Loads,
    resting: &'a BTreeSet<ColonyId>,
}

/// Nothing was measured.
static NO_LOADS: Loads = Loads::none();
/// Everything may be moved.
static NO_REST: BTreeSet<ColonyId> = BTreeSet::new();

impl<'a> Planner<'a> {
    /// A planner for this state.
    #[must_use]
    pub fn new(state: &'a State, placement: &'a dyn Placement) -> Self {
        let advisers = Advisers { placement, canary: None };
        Self { state, advisers, loads: &NO_LOADS, resting: &NO_REST }
    }

    /// The same with the canary of this state, if there is one: it is asked before the placement about its share of the
    /// colonies. All others then get missing copies only, or what a host that leaves calls for, so that nothing the canary
    /// does moves them: not even that they are evened out around its colonies.
    #[must_use]
    pub fn with_canary(self, canary: Option<&'a dyn Placement>) -> Self {
        let canary = canary.zip(self.state.canary.as_ref());
        Self { advisers: Advisers { canary, ..self.advisers }, ..self }
    }

    /// The same with what was measured: hosts that carry too much are relieved.
    #[must_use]
    pub fn with_loads(self, loads: &'a Loads) -> Self {
        Self { loads, ..self }
    }

    /// The same with colonies that are left alone (see [`super::Rest`]), but for missing copies, and a primary
    /// that may not be one.
    #[must_use]
    pub fn with_rest(self, resting: &'a BTreeSet<ColonyId>) -> Self {
        Self { resting, ..self }
    }

    /// Where the copies of a new namespace are to live: by bucket, the primary first. They are balanced
    /// together with what there is. The policy has passed [`Policy::check`].
    ///
    /// # Errors
    /// [`Unplaceable`] if not every colony can have a primary.
    pub fn place_namespace(&self, name: &str, policy: &Policy) -> Result<Vec<Vec<StartId>>, Unplaceable> {
        let survey = Survey::with_new(self.state, self.advisers, self.loads, name, policy);
        if survey.leaving.iter().all(|is_leaving| *is_leaving) {
            return Err(Unplaceable::NoHost);
        }
        let new = policy.buckets as usize;
        let is_led = |slate: usize| survey.slates.slate(slate).has_leader();
        if let Some((bucket, _)) = (0..).zip(&survey.slots[..new]).find(|(_, slot)| !is_led(slot.slate)) {
            return Err(Unplaceable::NoEligiblePrimary { namespace: name.to_owned(), bucket });
        }
        let mut draft = Draft::new(&survey.levels, &survey.slates, survey.slots.clone(), survey.hosts.len());
        draft.work_out();
        Ok(draft.slots[..new].iter().map(|slot| survey.starts(&slot.want)).collect())
    }

    /// The plan that mends and evens out the placement; none if nothing should change.
    ///
    /// A colony whose last move is under way (not all of its `want` are in sync) gets missing copies only, and
    /// one that no running host holds gets nothing: there is nothing to copy. What stands on a host that is about to
    /// leave is moved away: the primary's part first, which needs no copying.
    ///
    /// `cause` is what the caller knows of why there is something to plan, or nothing; the planner adds what it
    /// finds itself.
    #[must_use]
    pub fn rebalance(&self, cause: &str) -> Option<Proposal> {
        let mut survey = Survey::of(self.state, self.advisers, self.loads);
        survey.let_rest(|colony| self.resting.contains(&colony) || !self.is_on_trial(colony));
        let mut draft = Draft::new(&survey.levels, &survey.slates, survey.slots.clone(), survey.hosts.len())
            .with_burden(Burden::of(&survey, self.loads));
        draft.work_out();
        vacate(&mut draft, &survey);
        let changed = draft.slots.iter().zip(&survey.colonies).filter(|(slot, _)| slot.is_changed());
        let moves: Vec<Move> = changed
            .map(|(slot, (colony, entry))| Move { colony: *colony, cfg: entry.cfg, want: survey.starts(&slot.want) })
            .collect();
        if moves.is_empty() {
            return None;
        }
        let command = Command::Plan { moves, reason: why(cause, &survey, &draft), inputs: self.digest(&survey) };
        // As if the plan were carried out: what is wrong then is what it cannot mend.
        let planned: Vec<_> = draft
            .slots
            .into_iter()
            .map(|mut slot| {
                if slot.freedom != Freedom::None {
                    slot.held.clone_from(&slot.want);
                }
                slot
            })
            .collect();
        let lines = problems::of(self.state, &survey, &planned, &mut self.asking());
        let line = |(colony, text): (ColonyId, String)| format!("{}: {text}", problems::name(self.state, colony));
        let problems = survey.complaints.iter().cloned().chain(lines.into_iter().map(line)).collect();
        Some(Proposal { command, problems })
    }

    /// Whether the loads alone call for a plan. Asks no placement, so it is cheap.
    #[must_use]
    pub fn is_strained(&self) -> bool {
        if self.loads.is_empty() {
            return false;
        }
        let even = Advisers { placement: &Even, canary: None };
        let survey = Survey::of(self.state, even, self.loads);
        Burden::of(&survey, self.loads).is_strained()
    }

    /// What a proposal would do, for people.
    #[must_use]
    pub fn preview(&self, proposal: &Proposal) -> Preview {
        let moves = match &proposal.command {
            Command::Plan { moves, .. } => moves.as_slice(),
            _ => &[],
        };
        preview::of(self.state, self.loads, moves)
    }

    /// Digest of everything a plan depends on.
    fn digest(&self, survey: &Survey<'_>) -> u64 {
        let mut digest = Xxh3::new();
        digest.update(&self.state.view.0.to_le_bytes());
        digest.update(&self.state.revision.0.to_le_bytes());
        survey.digest_into(&mut digest);
        self.loads.digest_into(&mut digest);
        digest.digest()
    }

    /// For the death of a host: the colonies it is primary of whose next primary is not simply the first
    /// running start in sync, because the placement forbids that one; none if it forbids all of them.
    #[must_use]
    pub fn heirs(&self, dead: StartId) -> Vec<Deviation> {
        let mut succession = Succession::new(self, Some(dead));
        let orphans = self.state.table.iter().filter(|(_, entry)| entry.primary == Some(dead));
        let deviation = |(colony, entry): (&ColonyId, &Entry)| {
            let first = succession.running(entry).next()?;
            let heir = succession.heir(*colony, entry);
            (heir != Some(first)).then_some(Deviation { colony: *colony, primary: heir })
        };
        orphans.filter_map(deviation).collect()
    }

    /// A primary for each colony that has none, and has a running start in sync that may be one.
    #[must_use]
    pub fn promotions(&self) -> Vec<Command> {
        let mut succession = Succession::new(self, None);
        let orphans = self.state.table.iter().filter(|(_, entry)| entry.primary.is_none());
        let promotion = |(colony, entry): (&ColonyId, &Entry)| {
            let to = succession.heir(*colony, entry)?;
            Some(Command::Promote { colony: *colony, cfg: entry.cfg, to })
        };
        orphans.filter_map(promotion).collect()
    }

    /// What is not as it should be, worst first: colonies that nobody serves, those that nobody may serve, and
    /// those with too few copies or with copies too close. Asks the placement as often as a plan does.
    #[must_use]
    pub fn problems(&self) -> Vec<(ColonyId, String)> {
        let survey = Survey::as_it_is(self.state, self.advisers, self.loads);
        problems::of(self.state, &survey, &survey.slots, &mut self.asking())
    }

    fn asking(&self) -> Asking<'a> {
        Asking::new(self.advisers, candidates(self.state, &hosts(self.state), self.loads))
    }

    /// Whether a colony is in the canary's share; all are if there is none.
    fn is_on_trial(&self, colony: ColonyId) -> bool {
        let Some((_, canary)) = self.advisers.canary else { return true };
        let namespace = self.state.namespaces.get(&colony.namespace);
        namespace.is_some_and(|namespace| canary.has(&namespace.name, colony.bucket))
    }
}

/// Why there is a plan: what the caller knows, and what the planner found.
fn why(cause: &str, survey: &Survey<'_>, draft: &Draft<'_>) -> String {
    let mut causes: Vec<String> = Vec::new();
    if !cause.is_empty() {
        causes.push(cause.to_owned());
    }
    causes.extend(draft.relieved.iter().map(|(host, resource)| {
        let what = match resource {
            Resource::Work => "load",
            Resource::Memory => "memory",
        };
        format!("{what} of {}", survey.hosts[*host].name)
    }));
    if causes.is_empty() {
        let found = [
            (draft.found.flaws, "copies are missing, too close or not allowed"),
            (draft.found.better_hosts, "placement prefers other hosts"),
        ];
        causes.extend(found.iter().filter(|(is_so, _)| *is_so).map(|(_, cause)| (*cause).to_owned()));
    }
    if causes.is_empty() {
        causes.push("copies or primaries are uneven".to_owned());
    }
    reason(&causes)
}

/// Who may take over.
struct Succession<'a> {
    state: &'a State,
    starts: Vec<StartId>,
    asking: Asking<'a>,
}

impl<'a> Succession<'a> {
    fn new(planner: &Planner<'a>, dead: Option<StartId>) -> Self {
        let state = planner.state;
        let hosts: Vec<_> = hosts(state).into_iter().filter(|member| Some(member.start) != dead).collect();
        let starts = hosts.iter().map(|member| member.start).collect();
        Self { state, starts, asking: Asking::new(planner.advisers, candidates(state, &hosts, planner.loads)) }
    }

    /// The running starts in sync, in order of preference.
    fn running(&self, entry: &Entry) -> impl Iterator<Item = StartId> {
        self.state.succession(entry).into_iter().filter(|start| self.starts.contains(start))
    }

    /// The first of them that may be primary.
    fn heir(&mut self, colony: ColonyId, entry: &Entry) -> Option<StartId> {
        self.running(entry).next()?;
        let namespace = self.state.namespaces.get(&colony.namespace)?;
        let scores = self.asking.scores(&namespace.name, colony.bucket, Role::Primary);
        let may_lead = |start: &StartId| {
            let scored = self.starts.iter().zip(&scores).find(|(known, _)| *known == start);
            scored.is_some_and(|(_, score)| matches!(score, Score::Weight(_)))
        };
        self.running(entry).find(may_lead)
    }
}
