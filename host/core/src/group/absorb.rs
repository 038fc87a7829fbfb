//! What a side that yielded brings back: colonies that were absorbed, and colonies that only it still had
//! (`PROTOCOL.md` 9).

use std::collections::BTreeMap;
use std::sync::Arc;

use colony_wire::{Cfg, ColonyId, Position, Reign, StartId};
use serde::{Deserialize, Serialize};

use super::{Entry, Member, Refusal, State, Unaccounted};
use crate::colony::Staying;

/// A path that another side went and that this one has taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Absorbed {
    /// Its end: what stood there is covered from the reign on that the entry then began.
    pub end: Position,
    /// Whether the copies of the other side became the colony's own, because this side had none.
    pub adopted: bool,
}

/// Most paths remembered for one colony, the newest of each lineage. A side that comes back after its own is forgotten
/// is asked once more and has nothing new to tell: the histories say so.
const MAX_ABSORBED: usize = 16;

impl State {
    /// The primary took in all that another side did to its colony: the next reign, which is above both sides', begins
    /// with both paths.
    pub(super) fn absorbed(
        &mut self,
        colony: ColonyId,
        cfg: Cfg,
        by: StartId,
        end: Position,
        above: Reign,
    ) -> Result<(), Refusal> {
        let entry = self.decided(colony, cfg)?;
        if entry.primary != Some(by) || end.lineage == entry.lineage {
            return Err(Refusal::NotEntitled { colony, start: by });
        }
        entry.note_absorbed(Absorbed { end, adopted: false });
        entry.reign = entry.reign.max(above);
        entry.crown(by);
        entry.cfg.0 += 1;
        Ok(())
    }

    /// How a colony stands here, for a process that lives in an island under one of these starts and is a member here as
    /// `me`. None for colonies that either side does not know.
    #[must_use]
    pub fn seen_from(&self, island: &Self, colony: ColonyId, me: StartId) -> Option<Staying> {
        let entry = self.table.get(&colony)?;
        let there = island.table.get(&colony)?;
        let own = |member: &Member| {
            let here = self.up().find(|here| here.name == member.name)?;
            Some((member.start, here.start))
        };
        let starts: BTreeMap<StartId, StartId> = island.up().filter_map(own).collect();
        let copies: Vec<StartId> = there.in_sync.iter().filter_map(|start| starts.get(start).copied()).collect();
        // The starts under which they went apart. Under a later one a process may have got a copy of this side, and serve.
        let parted = there.in_sync.iter().filter_map(|start| island.members.get(start));
        let parted: Vec<StartId> = parted.flat_map(|member| member.earlier.iter().copied()).collect();
        let is_theirs = entry.in_sync.iter().any(|start| parted.contains(start))
            && entry.primary.is_none_or(|primary| parted.contains(&primary));
        let is_new = entry.absorbed_of(there.lineage).is_none();
        let may_adopt = is_new && copies.len() == there.in_sync.len() && is_theirs && self.may_adopt(entry, &copies);
        let held_as = self.with_earlier(&[me]).into_iter().find(|start| entry.is_in_sync(*start));
        Some(Staying { lineage: self.lineage, me, entry: entry.clone(), held_as, may_adopt, starts: Arc::new(starts) })
    }

    /// These processes and those that they were before.
    fn with_earlier(&self, starts: &[StartId]) -> Vec<StartId> {
        let earlier = |start: &StartId| {
            let earlier = self.members.get(start).map(|member| member.earlier.clone()).unwrap_or_default();
            std::iter::once(*start).chain(earlier)
        };
        starts.iter().flat_map(earlier).collect()
    }

    fn may_adopt(&self, entry: &Entry, copies: &[StartId]) -> bool {
        let own = self.with_earlier(copies);
        let was_in_sync = entry.in_sync.iter().any(|start| own.contains(start));
        was_in_sync && entry.primary.is_none_or(|primary| own.contains(&primary))
    }

    /// Nobody on this side serves the colony: the copies of the other side are its copies from now on.
    ///
    /// One of them was in sync here, so it holds everything that was acknowledged here; and what stands in its way can
    /// have acknowledged nothing since: there is no primary, or it is one of those processes themselves, whose copy went
    /// on in the other lineage.
    pub(super) fn adopt(&mut self, adoption: &Adoption) -> Result<(), Refusal> {
        let Adoption { colony, cfg, end, above, above_cfg, copies } = adoption;
        let first = *copies.first().ok_or_else(|| Refusal::Malformed("no copy to adopt".into()))?;
        if let Some(start) = copies.iter().find(|start| !self.is_up(**start)) {
            return Err(Refusal::NotUp(*start));
        }
        let own = self.with_earlier(copies);
        let may_adopt = self.table.get(colony).is_some_and(|entry| self.may_adopt(entry, copies));
        let wanted = self.policy(*colony).map_or(1, |policy| usize::from(policy.copies));
        let entry = self.decided(*colony, *cfg)?;
        // What was taken in once came from copies that may have been begun anew here since, and serve.
        let is_new = end.lineage != entry.lineage && entry.absorbed_of(end.lineage).is_none();
        if !may_adopt || !is_new {
            return Err(Refusal::NotEntitled { colony: *colony, start: first });
        }
        let others: Vec<StartId> = entry.in_sync.iter().copied().filter(|start| !own.contains(start)).collect();
        entry.unaccounted.extend(others.into_iter().map(|start| Unaccounted { start, ahead: false }));
        own.iter().for_each(|start| entry.account(*start));
        entry.dead.clear();
        entry.in_sync.clone_from(copies);
        entry.want.retain(|start| !copies.contains(start));
        entry.want.splice(0..0, copies.iter().copied());
        entry.want.truncate(wanted);
        entry.note_absorbed(Absorbed { end: *end, adopted: true });
        entry.reign = entry.reign.max(*above);
        entry.crown(first);
        entry.cfg = Cfg(entry.cfg.max(*above_cfg).0 + 1);
        Ok(())
    }
}

/// Copies of another side that become the colony's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Adoption {
    /// Which colony.
    pub colony: ColonyId,
    /// The entry it was decided on.
    pub cfg: Cfg,
    /// Where the other side stands still.
    pub end: Position,
    /// The other side's reign.
    pub above: Reign,
    /// The other side's entry: what its copies know goes up to there.
    pub above_cfg: Cfg,
    /// The processes that hold the other side's in-sync copies, by their starts on this side, its primary first.
    pub copies: Vec<StartId>,
}

impl Entry {
    /// Up to where that lineage's path was taken in, if it was.
    #[must_use]
    pub fn absorbed_of(&self, lineage: colony_wire::LineageId) -> Option<Absorbed> {
        self.absorbed.iter().rev().copied().find(|absorbed| absorbed.end.lineage == lineage)
    }

    fn note_absorbed(&mut self, absorbed: Absorbed) {
        self.absorbed.retain(|known| known.end.lineage != absorbed.end.lineage);
        self.absorbed.push(absorbed);
        let surplus = self.absorbed.len().saturating_sub(MAX_ABSORBED);
        self.absorbed.drain(..surplus);
    }
}
