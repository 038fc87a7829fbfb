//! One colony's entry in the table.

use colony_wire::{Cfg, LineageId, Reign, StartId};
use serde::{Deserialize, Serialize};

use super::Absorbed;

/// Who serves a colony, who holds it, and who should.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The line of state its positions belong to: the group's, until a stale copy was accepted.
    pub lineage: LineageId,
    /// Time in office of the primary; grows by one with every new one.
    pub reign: Reign,
    /// Number of this entry; grows by one with every change.
    pub cfg: Cfg,
    /// Who serves; none while no in-sync start runs that may.
    pub primary: Option<StartId>,
    /// Placement's target: the first is to be the primary.
    pub want: Vec<StartId>,
    /// The exact set of starts that may hold an acknowledged write, in order of preference for promotion.
    pub in_sync: Vec<StartId>,
    /// Starts of `in_sync` that were declared dead and stay, because no fewer are allowed (`PROTOCOL.md` 3.8).
    pub dead: Vec<StartId>,
    /// Starts that left the set and may still hold their copy. While there is one, nothing is forgotten that
    /// would tell that copy what it has missed (`PROTOCOL.md` 8).
    pub unaccounted: Vec<Unaccounted>,
    /// Paths of other sides of a split that the colony has taken in, the newest of each lineage.
    pub absorbed: Vec<Absorbed>,
}

/// A start that was in sync once and may still hold its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unaccounted {
    /// Which start.
    pub start: StartId,
    /// Whether the colony went on from a copy that was not in sync: this one may hold what was acknowledged
    /// and is nowhere else, so it is kept until it is merged or forgotten.
    pub ahead: bool,
}

impl Entry {
    /// Whether the start holds everything that was acknowledged.
    #[must_use]
    pub fn is_in_sync(&self, start: StartId) -> bool {
        self.in_sync.contains(&start)
    }

    /// Whether placement wants a copy there.
    #[must_use]
    pub fn is_wanted(&self, start: StartId) -> bool {
        self.want.contains(&start)
    }

    /// Whether the start has any business with the colony.
    #[must_use]
    pub fn concerns(&self, start: StartId) -> bool {
        self.is_in_sync(start) || self.is_wanted(start)
    }

    /// Whether the start was in sync once and may still hold its copy.
    #[must_use]
    pub fn is_unaccounted(&self, start: StartId) -> bool {
        self.unaccounted.iter().any(|one| one.start == start)
    }

    /// These starts leave the set.
    pub(super) fn expel(&mut self, starts: &[StartId], ahead: bool) {
        let leaving: Vec<StartId> = self.in_sync.iter().copied().filter(|start| starts.contains(start)).collect();
        self.in_sync.retain(|start| !leaving.contains(start));
        self.dead.retain(|start| !leaving.contains(start));
        self.unaccounted.extend(leaving.into_iter().map(|start| Unaccounted { start, ahead }));
    }

    /// The start comes into the set with all that was acknowledged, or holds nothing any more.
    pub(super) fn account(&mut self, start: StartId) {
        self.unaccounted.retain(|one| one.start != start);
    }

    /// The primary's reign goes to `to`, which stands first in the set from now on.
    pub(super) fn crown(&mut self, to: StartId) {
        self.primary = Some(to);
        self.reign.0 += 1;
        self.in_sync.retain(|start| *start != to);
        self.in_sync.insert(0, to);
    }
}
