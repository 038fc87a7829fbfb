//! Faults that wait for the moment they are about, and what every fault strikes in the middle of.
//!
//! A step of the protocol takes milliseconds: faults at random moments would hardly ever meet the rarer ones.

use std::collections::BTreeSet;

use colony_core::colony::Doing;
use colony_wire::ColonyId;

use crate::coverage::{Step, Strike};
use crate::event::{Aim, Event, Fault};
use crate::phase::Phase;
use crate::world::World;

impl World {
    /// The fault waits until the step is under way somewhere. A kind waits for one step at a time.
    pub(crate) fn lie_in_wait(&mut self, strike: Strike, step: Step) {
        if strike == Strike::CutShort {
            self.doom = Some(Some(step));
        } else {
            self.ambushes.insert(strike, step);
        }
    }

    /// Something happened to a host's copy of a colony: the faults that waited for what is under way there
    /// strike at once.
    pub(crate) fn spring(&mut self, host: usize, touched: Option<ColonyId>) {
        if self.ambushes.is_empty() || self.phase != Phase::Faulty {
            return;
        }
        let colonies = touched.map_or_else(|| self.colonies(), |colony| vec![colony]);
        for colony in colonies {
            let steps = self.steps_at(host, colony);
            if steps.is_empty() {
                continue;
            }
            let sprung: Vec<Strike> =
                self.ambushes.iter().filter(|(_, step)| steps.contains(step)).map(|(strike, _)| *strike).collect();
            for strike in sprung {
                self.ambushes.remove(&strike);
                self.clock.after(0, Event::Fault(Fault::Aimed(strike, Aim { host, colony })));
            }
        }
    }

    /// The group changed a colony's entry.
    pub(crate) fn spring_at_table(&mut self, colony: ColonyId) {
        let primary = self.group.state.table.get(&colony).and_then(|entry| entry.primary);
        let host = primary.and_then(|start| self.homes.get(&start).copied()).unwrap_or(0);
        self.spring(host, Some(colony));
    }

    /// An acknowledgement is about to leave a host. True if its process is killed before it does.
    pub(crate) fn is_cut_short(&mut self, host: usize) -> bool {
        let Some(step) = self.doom else { return false };
        if self.phase != Phase::Faulty || self.is_spared(host) {
            return false;
        }
        if step.is_some_and(|step| !self.steps_on(host).contains(&step)) {
            return false;
        }
        self.doom = None;
        self.crash(Strike::CutShort, host);
        true
    }

    /// A fault strikes one host.
    pub(crate) fn met_on(&mut self, strike: Strike, host: usize) {
        let steps = self.steps_on(host);
        self.met(strike, steps);
    }

    /// A fault strikes one colony.
    pub(crate) fn met_in(&mut self, strike: Strike, colony: ColonyId) {
        let steps = self.steps_in(colony);
        self.met(strike, steps);
    }

    /// A fault strikes everybody.
    pub(crate) fn met_anywhere(&mut self, strike: Strike) {
        let steps = self.colonies().into_iter().flat_map(|colony| self.steps_in(colony)).collect();
        self.met(strike, steps);
    }

    fn met(&mut self, strike: Strike, steps: BTreeSet<Step>) {
        self.oracle.seen.coverage.strike(strike);
        for step in steps {
            self.oracle.seen.coverage.note(strike, step);
        }
    }

    /// What is under way in the colonies that a host holds, be it there or at another copy.
    fn steps_on(&self, host: usize) -> BTreeSet<Step> {
        let held = self.colonies().into_iter().filter(|colony| self.hosts[host].copies(*colony).next().is_some());
        held.flat_map(|colony| self.steps_in(colony)).collect()
    }

    /// What is under way in a colony.
    fn steps_in(&self, colony: ColonyId) -> BTreeSet<Step> {
        (0..self.hosts.len()).flat_map(|host| self.steps_at(host, colony)).collect()
    }

    /// What is under way in a colony as seen at one host and in the table.
    fn steps_at(&self, host: usize, colony: ColonyId) -> BTreeSet<Step> {
        let mut steps = BTreeSet::new();
        let host = &self.hosts[host];
        let start = host.process.as_ref().map(|process| process.start());
        for (under, replica) in host.copies(colony) {
            if Some(under) == start {
                steps.extend(steps_of(replica.doing()));
            } else {
                steps.insert(Step::Fate);
            }
        }
        match self.group.state.table.get(&colony).map(|entry| (entry, entry.primary)) {
            Some((_, None)) => {
                steps.insert(Step::Offline);
            }
            Some((entry, Some(primary))) if self.has_not_heard(entry.reign, primary, colony) => {
                steps.insert(Step::Unheard);
            }
            _ => {}
        }
        steps
    }

    /// Whether a process that runs reigns by the table and does not know it.
    fn has_not_heard(&self, reign: colony_wire::Reign, primary: colony_wire::StartId, colony: ColonyId) -> bool {
        let Some(host) = self.homes.get(&primary).map(|home| &self.hosts[*home]) else { return false };
        if host.process.as_ref().is_none_or(|process| process.start() != primary) {
            return false;
        }
        !host.copies(colony).any(|(under, replica)| under == primary && replica.reign() >= reign)
    }
}

fn steps_of(doing: Doing) -> impl Iterator<Item = Step> {
    let steps = [
        (doing.write, Step::Write),
        (doing.expiry, Step::Expiry),
        (doing.barrier, Step::Barrier),
        (doing.inherited, Step::Inherited),
        (doing.change, Step::Change),
        (doing.handover, Step::Handover),
        (doing.snapshot, Step::Snapshot),
        (doing.counted_on, Step::CountedOn),
        (doing.merge, Step::Merge),
    ];
    steps.into_iter().filter(|(is_under_way, _)| *is_under_way).map(|(_, step)| step)
}
