//! What there is to plan with: the hosts that are up, the colonies, and what the plugin says of each.

use colony_wire::admin::Policy;
use colony_wire::{ColonyId, StartId};
use xxhash_rust::xxh3::Xxh3;

use super::draft::{Freedom, Slot};
use super::levels::Levels;
use super::slate::{Advisers, Asking, Slates};
use super::{Candidate, Load, Loads};
use crate::group::{Entry, Member, MemberState, State};

/// All that a plan depends on. Hosts are numbered by name, colonies by id.
pub(super) struct Survey<'a> {
    pub(super) hosts: Vec<&'a Member>,
    /// By host: whether it is about to leave.
    pub(super) leaving: Vec<bool>,
    pub(super) levels: Levels,
    pub(super) slates: Slates,
    pub(super) colonies: Vec<(ColonyId, &'a Entry)>,
    /// One for each colony, in their order.
    pub(super) slots: Vec<Slot>,
    /// What was wrong with the plugin's answers.
    pub(super) complaints: Vec<String>,
}

impl<'a> Survey<'a> {
    /// What is there, for a plan: nothing is placed on a host that is about to leave.
    pub(super) fn of(state: &'a State, advisers: Advisers<'_>, loads: &Loads) -> Self {
        let leaving = leaving(&hosts(state));
        Self::asked(state, loads, |hosts| Asking::new(advisers, hosts).without(leaving))
    }

    /// What is there, to be judged: what stands on a host that is about to leave stands well.
    pub(super) fn as_it_is(state: &'a State, advisers: Advisers<'_>, loads: &Loads) -> Self {
        Self::asked(state, loads, |hosts| Asking::new(advisers, hosts))
    }

    fn asked<'p>(state: &'a State, loads: &Loads, asking: impl FnOnce(Vec<Candidate>) -> Asking<'p>) -> Self {
        let hosts = hosts(state);
        let mut asking = asking(candidates(state, &hosts, loads));
        let mut slates = Slates::default();
        let (mut colonies, mut slots) = (Vec::new(), Vec::new());
        for (id, entry) in &state.table {
            let Some(namespace) = state.namespaces.get(&id.namespace) else { continue };
            let slate = slates.number(asking.slate(&namespace.name, id.bucket));
            let can_lead = slates.slate(slate).has_leader();
            slots.push(slot(entry, &hosts, usize::from(namespace.policy.copies), slate, can_lead));
            colonies.push((*id, entry));
        }
        let (leaving, levels) = (leaving(&hosts), Levels::of(&hosts));
        Self { leaving, levels, hosts, slates, colonies, slots, complaints: asking.complaints() }
    }

    /// Slots for a namespace that is to be, and the existing colonies as they are.
    pub(super) fn with_new(
        state: &'a State,
        advisers: Advisers<'_>,
        loads: &Loads,
        name: &str,
        policy: &Policy,
    ) -> Self {
        let hosts = hosts(state);
        let leaving = leaving(&hosts);
        let mut asking = Asking::new(advisers, candidates(state, &hosts, loads)).without(leaving.clone());
        let mut slates = Slates::default();
        let mut slots = Vec::new();
        for bucket in 0..policy.buckets {
            slots.push(Slot {
                copies: usize::from(policy.copies),
                slate: slates.number(asking.slate(name, bucket)),
                freedom: Freedom::All,
                before: Vec::new(),
                held: Vec::new(),
                want: Vec::new(),
            });
        }
        // The others count by what they load the hosts with; any slate does for a slot that never changes.
        for entry in state.table.values() {
            slots.push(Slot { freedom: Freedom::None, ..slot(entry, &hosts, 0, 0, true) });
        }
        let complaints = asking.complaints();
        Self { leaving, levels: Levels::of(&hosts), hosts, slates, colonies: Vec::new(), slots, complaints }
    }

    /// Leaves colonies alone, but for missing copies and a primary that may not be one. Those with a copy on a
    /// host that is not to stay cannot wait.
    pub(super) fn let_rest(&mut self, is_resting: impl Fn(ColonyId) -> bool) {
        for ((colony, _), slot) in self.colonies.iter().zip(&mut self.slots) {
            let stays = |host: &usize| self.hosts[*host].state == MemberState::Up;
            if slot.freedom == Freedom::All && is_resting(*colony) && slot.want.iter().all(stays) {
                slot.freedom = Freedom::Repair;
            }
        }
    }

    /// The hosts of these numbers.
    pub(super) fn starts(&self, hosts: &[usize]) -> Vec<StartId> {
        hosts.iter().map(|host| self.hosts[*host].start).collect()
    }

    /// Into the digest of what was considered: hosts, what the plugin said of them, the table, what rests.
    pub(super) fn digest_into(&self, digest: &mut Xxh3) {
        let mut text = |text: &str| {
            digest.update(&(text.len() as u64).to_le_bytes());
            digest.update(text.as_bytes());
        };
        for member in &self.hosts {
            text(&format!("{} {} {:?}", member.start, member.name, member.state));
            for (label, value) in &member.labels {
                text(label);
                text(value);
            }
        }
        for slate in self.slates.all() {
            text(&format!("{slate:?}"));
        }
        for ((id, entry), slot) in self.colonies.iter().zip(&self.slots) {
            let (cfg, copies, slate) = (entry.cfg, slot.copies, slot.slate);
            let freedom = slot.freedom;
            text(&format!("{id} {cfg} {copies} {slate} {freedom:?} {:?} {:?}", entry.want, entry.in_sync));
        }
    }
}

/// The hosts that are up, by name: the order of starts is chance, and plans are for people to read.
pub(super) fn hosts(state: &State) -> Vec<&Member> {
    let mut hosts: Vec<&Member> = state.up().collect();
    hosts.sort_by(|one, two| (&one.name, one.start).cmp(&(&two.name, two.start)));
    hosts
}

fn leaving(hosts: &[&Member]) -> Vec<bool> {
    hosts.iter().map(|member| member.state == MemberState::Draining).collect()
}

/// The hosts as the plugin sees them, loaded with what they are to carry.
pub(super) fn candidates(state: &State, hosts: &[&Member], measured: &Loads) -> Vec<Candidate> {
    let mut loads = vec![Load::default(); hosts.len()];
    for entry in state.table.values() {
        for (rank, start) in entry.want.iter().enumerate() {
            if let Some(host) = number(hosts, *start) {
                loads[host].colonies += 1;
                loads[host].primaries += u32::from(rank == 0);
            }
        }
    }
    let candidate = |(member, counted): (&&Member, Load)| {
        let load = measured.host(member.start).map_or(counted, |load| load.told(counted));
        Candidate { name: member.name.clone(), labels: member.labels.clone(), load }
    };
    hosts.iter().zip(loads).map(candidate).collect()
}

fn slot(entry: &Entry, hosts: &[&Member], copies: usize, slate: usize, can_lead: bool) -> Slot {
    let numbers = |starts: &[StartId]| starts.iter().filter_map(|start| number(hosts, *start)).collect::<Vec<_>>();
    let (want, held) = (numbers(&entry.want), numbers(&entry.in_sync));
    let freedom = if held.is_empty() || !can_lead {
        Freedom::None
    } else if want.iter().all(|host| held.contains(host)) {
        Freedom::All
    } else {
        Freedom::Repair
    };
    Slot { copies, slate, freedom, before: want.clone(), held, want }
}

fn number(hosts: &[&Member], start: StartId) -> Option<usize> {
    hosts.iter().position(|member| member.start == start)
}
