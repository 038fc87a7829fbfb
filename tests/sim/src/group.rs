//! The modelled group: one true [`State`], and a seat that moves with whoever reaches a majority.
//!
//! What Raft gives is a register that is sometimes slow, sometimes gone, and never wrong. So the state is
//! kept once; what varies is when a proposal reaches it and when a host hears of it.

use std::collections::BTreeMap;

use colony_core::colony::Mutant;
use colony_core::group::{Command, Entry, Outcome, State};
use colony_wire::{ColonyId, Revision, StartId};

use crate::clock::{MS, Micros};

/// How long an election takes once the seat has lost its majority.
const ELECTION: Micros = 400 * MS;

/// The group.
#[derive(Debug, Default)]
pub struct Group {
    /// What is agreed.
    pub state: State,
    /// By revision: the entries that the command changed.
    changes: Vec<Vec<(ColonyId, Entry)>>,
    /// A bug put in on purpose.
    mutant: Option<Mutant>,
    /// Nothing is committed before this moment.
    gone_until: Micros,
    /// The host that leads.
    seat: Option<usize>,
    /// When each start was last reached from the seat.
    reached: BTreeMap<StartId, Micros>,
}

/// What a command changed.
#[derive(Debug)]
pub struct Change {
    /// Which colony.
    pub colony: ColonyId,
    /// Its entry before; none if it is new.
    pub before: Option<Entry>,
    /// Its entry now.
    pub after: Entry,
}

impl Group {
    /// A group that agrees on nothing yet, with this bug if any.
    #[must_use]
    pub fn new(mutant: Option<Mutant>) -> Self {
        Self { mutant, ..Self::default() }
    }

    /// Carries a command out.
    pub fn commit(&mut self, command: &Command) -> (Outcome, Vec<Change>) {
        let before = self.state.table.clone();
        let mut outcome = self.state.apply(command);
        if self.mutant == Some(Mutant::PromoteCatchingUp) && matches!(command, Command::Dead { .. }) {
            self.promote_catching_up(&before);
        }
        if let (Some(Mutant::LeaveHolding), Command::Leave { start }) = (self.mutant, command)
            && outcome != Outcome::Applied
        {
            outcome = self.let_go_holding(*start);
        }
        let mut changes = Vec::new();
        for (colony, entry) in &self.state.table {
            let old = before.get(colony);
            if old != Some(entry) {
                changes.push(Change { colony: *colony, before: old.cloned(), after: entry.clone() });
            }
        }
        let entries = changes.iter().map(|change| (change.colony, change.after.clone()));
        self.changes.push(entries.collect());
        (outcome, changes)
    }

    /// A host that drains leaves with what it holds.
    fn let_go_holding(&mut self, start: StartId) -> Outcome {
        for entry in self.state.table.values_mut().filter(|entry| entry.concerns(start)) {
            entry.want.retain(|wanted| *wanted != start);
            entry.in_sync.retain(|held| *held != start);
            entry.primary = entry.primary.filter(|primary| *primary != start);
            entry.cfg.0 += 1;
        }
        self.state.apply(&Command::Leave { start })
    }

    /// Where a primary was just replaced, a peer that still catches up takes its place.
    fn promote_catching_up(&mut self, before: &BTreeMap<ColonyId, Entry>) {
        let up: Vec<StartId> = self.state.up().map(|member| member.start).collect();
        for (colony, entry) in &mut self.state.table {
            let is_replaced = before.get(colony).is_some_and(|old| old.primary != entry.primary);
            let catches_up = |start: &&StartId| !entry.in_sync.contains(start) && up.contains(start);
            if is_replaced && let Some(start) = entry.want.iter().find(catches_up).copied() {
                entry.primary = Some(start);
                entry.in_sync.insert(0, start);
            }
        }
    }

    /// The entries that changed after revision `have`, up to `to`, each as it was at `to`.
    #[must_use]
    pub fn changed(&self, have: Revision, to: Revision) -> BTreeMap<ColonyId, Entry> {
        let index = |revision: Revision| {
            usize::try_from(revision.0).map_or(self.changes.len(), |at| at.min(self.changes.len()))
        };
        let changes = self.changes.get(index(have)..index(to)).unwrap_or_default();
        changes.iter().flatten().cloned().collect()
    }

    /// Nothing is committed for this long.
    pub fn leave(&mut self, until: Micros) {
        self.gone_until = self.gone_until.max(until);
    }

    /// It can decide again at once.
    pub fn return_now(&mut self) {
        self.gone_until = 0;
    }

    /// Whether it decides now.
    #[must_use]
    pub fn decides(&self, now: Micros) -> bool {
        self.seat.is_some() && now >= self.gone_until
    }

    /// Where it is led from.
    #[must_use]
    pub fn seat(&self) -> Option<usize> {
        self.seat
    }

    /// Moves the seat if its host has no majority; `joined(a, b)` says whether two hosts reach each other,
    /// `runs` which hosts run at all.
    pub fn elect(&mut self, now: Micros, runs: &[bool], joined: impl Fn(usize, usize) -> bool) {
        let living = runs.iter().filter(|runs| **runs).count();
        let carries = |seat: &usize| {
            let reached = (0..runs.len()).filter(|other| runs[*other] && joined(*seat, *other));
            runs[*seat] && reached.count() * 2 > living
        };
        if self.seat.as_ref().is_some_and(&carries) {
            return;
        }
        let had_one = self.seat.is_some();
        self.seat = (0..runs.len()).find(carries);
        if had_one {
            self.leave(now + ELECTION);
        }
        // A new leader begins to judge anew.
        for reached in self.reached.values_mut() {
            *reached = now + ELECTION;
        }
    }

    /// A start was reached from the seat.
    pub fn note_reached(&mut self, start: StartId, now: Micros) {
        self.reached.insert(start, now);
    }

    /// The member starts that were not reached for `suspect_after`.
    #[must_use]
    pub fn silent(&self, now: Micros, suspect_after: Micros) -> Vec<StartId> {
        let silent = |start: &StartId| {
            let last = self.reached.get(start).copied().unwrap_or(0);
            now.saturating_sub(last) > suspect_after
        };
        self.state.up().map(|member| member.start).filter(silent).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_without_a_majority_moves_and_decides_nothing_meanwhile() {
        let mut group = Group::default();
        group.elect(0, &[true; 3], |_, _| true);
        assert_eq!((group.seat(), group.decides(0)), (Some(0), true));
        group.elect(1, &[true; 3], |a, b| a == b || (a != 0 && b != 0));
        assert_eq!((group.seat(), group.decides(2)), (Some(1), false));
        assert!(group.decides(1 + ELECTION));
        group.elect(ELECTION, &[true; 3], |a, b| a == b);
        assert_eq!(group.seat(), None);
    }
}
