//! Which of the lineages that a process lives in.

use colony_core::group::State;
use colony_wire::{ColonyId, LineageId};

/// A process lives in the root's lineage, or is on its way there, and in one island's at most (`PROTOCOL.md` 8). All
/// that is said to a shard, and all that it says, is said in one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::host) enum Realm {
    /// The root's, whichever it is: a process that has not joined yet does not know it.
    Root,
    /// The island's of this lineage.
    Island(LineageId),
}

impl Realm {
    /// The island's lineage, if it is one.
    pub(in crate::host) fn island(self) -> Option<LineageId> {
        match self {
            Self::Root => None,
            Self::Island(lineage) => Some(lineage),
        }
    }
}

/// Whether clients of a colony are served in this island and not under the root. `is_attached` says whether the root
/// can be reached.
pub(in crate::host) fn is_served_apart(island: &State, root: &State, is_attached: bool, colony: ColonyId) -> bool {
    let Some(entry) = island.table.get(&colony) else { return false };
    let is_taken_in = root.table.get(&colony).is_some_and(|staying| staying.absorbed_of(entry.lineage).is_some());
    // Of what nobody brought along there is nothing here, nor of what was lost here: the root has what it has, and whoever
    // comes back with the rest is taken in then.
    let is_elsewhere = is_attached && !entry.in_sync.iter().any(|start| island.is_up(*start));
    !is_taken_in && !is_elsewhere
}
