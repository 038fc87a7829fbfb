//! How many colonies of one shard do something at a time that would hold up the others.

use std::collections::BTreeSet;

use colony_wire::ColonyId;

/// The colonies of one shard that are in the middle of it.
///
/// Of hand-overs, at most [`Settings::handover_parallel`](super::Settings::handover_parallel): from the moment a reign
/// stops taking changes until its heir serves, clients wait, and when a host is drained all its reigns go. Of colonies
/// that take in what another side of a split did, at most
/// [`Settings::intake_parallel`](super::Settings::intake_parallel): each stands still on the other side meanwhile, and when
/// a split ends all of them come. Were they to begin at once, each would wait for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Slots {
    taken: BTreeSet<ColonyId>,
}

impl Slots {
    /// Whether this one may begin beside fewer than `limit` others. If not, it asks again later and serves until then.
    pub(super) fn admit(&mut self, colony: ColonyId, limit: usize) -> bool {
        if !self.taken.contains(&colony) && self.taken.len() >= limit {
            return false;
        }
        self.taken.insert(colony);
        true
    }

    /// That of this colony, if there was one, is over.
    pub(super) fn release(&mut self, colony: ColonyId) {
        self.taken.remove(&colony);
    }
}
