//! Leaving by will (`PROTOCOL.md` 7): what drains, what a draining host still holds, and the end of its start.

use colony_wire::{ColonyId, StartId, View};

use super::state::remember;
use super::{Entry, Member, MemberState, Refusal, State, Unaccounted};

/// What stands between a host and its leave: one colony that it still has a part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holding {
    /// Which colony.
    pub colony: ColonyId,
    /// Whether the host serves it.
    pub serves: bool,
    /// Copies its namespace asks for.
    pub copies: usize,
    /// In-sync copies on other hosts that run and stay.
    pub elsewhere: usize,
    /// Whether nothing more can be moved: every host that stays has a copy already, and still there are too few; or
    /// the colony is lost, and what is kept here may be the best an operator can accept.
    pub is_stuck: bool,
}

impl Holding {
    /// Whether no copy stays if the host stops now: it has the last one, or the others are about to leave as well.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.elsewhere == 0
    }

    /// Whether the namespace has all its copies without the host.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.elsewhere >= self.copies && !self.serves
    }
}

impl State {
    /// The members that serve and stay: those that copies may be moved to.
    pub fn staying(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.state == MemberState::Up)
    }

    /// Whether the start is a member that serves and stays.
    #[must_use]
    pub fn is_staying(&self, start: StartId) -> bool {
        self.members.get(&start).is_some_and(|member| member.state == MemberState::Up)
    }

    /// Whether the start is a member that serves until all it holds is moved away.
    #[must_use]
    pub fn is_draining(&self, start: StartId) -> bool {
        self.members.get(&start).is_some_and(|member| member.state == MemberState::Draining)
    }

    /// Whether the start has left by will.
    #[must_use]
    pub fn has_left(&self, start: StartId) -> bool {
        self.left.iter().any(|(left, _)| *left == start)
    }

    /// Who may take over a colony, in this order: its in-sync starts that run, those that stay first.
    #[must_use]
    pub fn succession(&self, entry: &Entry) -> Vec<StartId> {
        let mut heirs: Vec<StartId> = entry.in_sync.iter().copied().filter(|start| self.is_up(*start)).collect();
        heirs.sort_by_key(|start| self.is_draining(*start));
        heirs
    }

    /// The colonies that a start, or an earlier one of its process, still has a part in.
    #[must_use]
    pub fn holdings(&self, start: StartId) -> Vec<Holding> {
        let own = self.starts_of(start);
        let hosts = self.staying().filter(|member| member.start != start).count();
        let held = self.table.iter().filter(|(_, entry)| self.has_part(entry, &own));
        let holding = |(colony, entry): (&ColonyId, &Entry)| {
            let others = entry.in_sync.iter().filter(|other| !own.contains(other));
            let copies = self.policy(*colony).map_or(1, |policy| usize::from(policy.copies));
            let elsewhere = others.filter(|other| self.is_staying(**other)).count();
            let serves = entry.primary.is_some_and(|primary| own.contains(&primary));
            Holding {
                colony: *colony,
                serves,
                copies,
                elsewhere,
                is_stuck: self.is_lost(entry)
                    || (elsewhere < copies && elsewhere >= hosts && !(serves && elsewhere > 0)),
            }
        };
        held.map(holding).collect()
    }

    /// A start and those its process had before.
    fn starts_of(&self, start: StartId) -> Vec<StartId> {
        let earlier = self.members.get(&start).map(|member| member.earlier.as_slice()).unwrap_or_default();
        [start].iter().chain(earlier).copied().collect()
    }

    /// These leave by and by: they serve, vote and are judged as before, but nothing is moved to them any more.
    pub(super) fn drain(&mut self, starts: &[StartId]) -> Result<(), Refusal> {
        self.turn(starts, MemberState::Draining)
    }

    /// These stay after all.
    pub(super) fn cancel_drain(&mut self, starts: &[StartId]) -> Result<(), Refusal> {
        self.turn(starts, MemberState::Up)
    }

    /// All of them or, if one does not run, none.
    fn turn(&mut self, starts: &[StartId], to: MemberState) -> Result<(), Refusal> {
        if let Some(start) = starts.iter().find(|start| !self.is_up(**start)) {
            return Err(Refusal::NotUp(*start));
        }
        for start in starts {
            if let Some(member) = self.members.get_mut(start).filter(|member| member.state != to) {
                member.state = to;
                self.view = View(self.revision.0);
            }
        }
        Ok(())
    }

    /// A drained process says that it ends. It holds nothing, so nothing of the table changes but what waited for its
    /// copies or wanted one there, and its start is never admitted again.
    pub(super) fn leave(&mut self, start: StartId) -> Result<(), Refusal> {
        let Some(member) = self.members.get(&start) else {
            return if self.has_left(start) { Ok(()) } else { Err(Refusal::NotUp(start)) };
        };
        if member.state != MemberState::Draining {
            return Err(Refusal::NotDraining(start));
        }
        let name = member.name.clone();
        let own = self.starts_of(start);
        let held = self.table.values().filter(|entry| self.has_part(entry, &own)).count();
        if held > 0 {
            return Err(Refusal::Holds { start, colonies: u32::try_from(held).unwrap_or(u32::MAX) });
        }
        let is_named = |entry: &Entry| own.iter().any(|start| entry.is_unaccounted(*start) || entry.is_wanted(*start));
        for entry in self.table.values_mut().filter(|entry| is_named(entry)) {
            own.iter().for_each(|start| entry.account(*start));
            // It was to get a copy and has none.
            entry.want.retain(|wanted| *wanted != start);
            entry.cfg.0 += 1;
        }
        self.members.remove(&start);
        // Earlier processes of the host whose copies went with them are of no interest any more.
        let dead = self.members.values().filter(|old| old.name == name && old.state == MemberState::Dead);
        let forgotten: Vec<StartId> = dead.filter(|old| !self.is_waited_for(old.start)).map(|old| old.start).collect();
        forgotten.iter().for_each(|old| drop(self.members.remove(old)));
        remember(&mut self.left, (start, name));
        self.view = View(self.revision.0);
        Ok(())
    }

    /// Whether no copy in sync runs.
    fn is_lost(&self, entry: &Entry) -> bool {
        !entry.in_sync.iter().any(|start| self.is_up(*start))
    }

    /// Whether a process with these starts holds a copy that counts: in sync, or kept because it may be ahead of the
    /// colony, or because the colony is lost. One that is only wanted there does not: there is nothing to be moved.
    fn has_part(&self, entry: &Entry, starts: &[StartId]) -> bool {
        let keeps = |one: &Unaccounted| starts.contains(&one.start) && (one.ahead || self.is_lost(entry));
        starts.iter().any(|start| entry.is_in_sync(*start)) || entry.unaccounted.iter().any(keeps)
    }
}
