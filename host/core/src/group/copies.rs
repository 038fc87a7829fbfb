//! Whose copies may still exist: of processes that are gone, of those that came back, of colonies that lost all
//! others (`PROTOCOL.md` 1, 5.5, 7).

use colony_wire::{Cfg, ColonyId, LineageId, StartId};

use super::command::MAX_DROPPED;
use super::{Member, MemberState, Refusal, State, Unaccounted};

impl State {
    /// The new process attests that the earlier ones of its name are gone, and nothing of theirs outlives
    /// them: copies are held in memory. Starts that this very process had are not gone.
    pub(super) fn account_for_lost_processes(&mut self, newcomer: &Member) {
        let is_gone = |old: &&Member| old.name == newcomer.name && !newcomer.earlier.contains(&old.start);
        let gone: Vec<StartId> = self.members.values().filter(is_gone).map(|old| old.start).collect();
        for entry in self.table.values_mut() {
            let before = entry.unaccounted.len();
            gone.iter().for_each(|start| entry.account(*start));
            if entry.unaccounted.len() < before {
                entry.cfg.0 += 1;
            }
        }
    }

    /// Whether a colony waits for this process or its copy, so that it is remembered even when it is dead.
    pub(super) fn is_waited_for(&self, start: StartId) -> bool {
        self.table.values().any(|entry| entry.is_in_sync(start) || entry.is_unaccounted(start))
    }

    /// Dead starts whose process is gone and its copies with it: a later process of their host is up, and they
    /// are not among the starts that one had itself.
    pub(super) fn gone(&self) -> Vec<StartId> {
        let has_followed =
            |dead: &Member| self.up().any(|member| member.name == dead.name && !member.earlier.contains(&dead.start));
        let dead = self.members.values().filter(|member| member.state == MemberState::Dead);
        dead.filter(|member| has_followed(member)).map(|member| member.start).collect()
    }

    /// Earlier processes of the same host. Where one of them had to stay in a set, the living one takes its
    /// place.
    pub(super) fn dead_namesakes(&self, start: StartId) -> Vec<StartId> {
        let Some(name) = self.members.get(&start).map(|member| &member.name) else { return Vec::new() };
        let is_dead = |old: &&Member| old.name == *name && old.state == MemberState::Dead;
        self.members.values().filter(is_dead).map(|old| old.start).collect()
    }

    pub(super) fn restore(&mut self, colony: ColonyId, cfg: Cfg, dead: StartId, now: StartId) -> Result<(), Refusal> {
        let name = |start: StartId| self.members.get(&start).map(|member| &member.name);
        let entitled = !self.is_up(dead) && self.is_up(now) && name(dead) == name(now);
        let copies = self.policy(colony).map_or(1, |policy| usize::from(policy.copies));
        let entry = self.decided(colony, cfg)?;
        if !entitled || !entry.is_in_sync(dead) || entry.is_in_sync(now) {
            return Err(Refusal::NotEntitled { colony, start: now });
        }
        // The same copy under another start: while the dead one was in the set nothing was acknowledged
        // without it.
        entry.in_sync.iter_mut().filter(|start| **start == dead).for_each(|start| *start = now);
        entry.dead.retain(|start| *start != dead);
        if entry.primary.is_none() {
            entry.crown(now);
        }
        let at = if entry.primary == Some(now) { 0 } else { entry.want.len() };
        entry.want.retain(|start| *start != now);
        entry.want.insert(at.min(entry.want.len()), now);
        entry.want.truncate(copies);
        entry.cfg.0 += 1;
        Ok(())
    }

    pub(super) fn dropped(&mut self, start: StartId, colonies: &[(ColonyId, Cfg)]) -> Result<(), Refusal> {
        if colonies.len() > MAX_DROPPED {
            return Err(Refusal::Limit { what: "dropped copies in one command".into(), limit: MAX_DROPPED as u64 });
        }
        for (colony, cfg) in colonies {
            // Where it is to catch up, another copy of it can be told apart by the newer entry only.
            if let Some(entry) = self.table.get_mut(colony)
                && entry.cfg == *cfg
                && (entry.is_unaccounted(start) || (entry.is_wanted(start) && !entry.is_in_sync(start)))
            {
                entry.account(start);
                entry.cfg.0 += 1;
            }
        }
        Ok(())
    }

    pub(super) fn accept_stale(
        &mut self,
        colony: ColonyId,
        cfg: Cfg,
        to: StartId,
        lineage: LineageId,
    ) -> Result<(), Refusal> {
        let to_is_up = self.is_up(to);
        let copies = self.policy(colony).map_or(1, |policy| usize::from(policy.copies));
        let running: Vec<StartId> = self.up().map(|member| member.start).collect();
        // A process holds one copy of a colony, under whichever start: it is this one.
        let own = self.members.get(&to).map(|member| member.earlier.clone()).unwrap_or_default();
        let gone = self.gone();
        let entry = self.decided(colony, cfg)?;
        let is_lost = entry.primary.is_none() && !entry.in_sync.iter().any(|start| running.contains(start));
        if !to_is_up || !is_lost || lineage == entry.lineage {
            return Err(Refusal::NotEntitled { colony, start: to });
        }
        // Any copy but this one may hold what it lacks.
        let lost = std::mem::take(&mut entry.in_sync);
        entry.dead.clear();
        entry.unaccounted.extend(lost.into_iter().map(|start| Unaccounted { start, ahead: true }));
        entry.unaccounted.iter_mut().for_each(|one| one.ahead = true);
        own.iter().chain(&gone).chain([&to]).for_each(|start| entry.account(*start));
        entry.lineage = lineage;
        entry.crown(to);
        entry.want.retain(|start| *start != to);
        entry.want.insert(0, to);
        entry.want.truncate(copies);
        entry.cfg.0 += 1;
        Ok(())
    }
}
