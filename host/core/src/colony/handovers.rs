//! How many reigns of one shard are handed over at a time.

use std::collections::BTreeSet;

use colony_wire::ColonyId;

use super::settings::Settings;

/// The colonies of one shard whose reign is being handed over; at most [`Settings::handover_parallel`].
///
/// From the moment a reign stops taking changes until its heir serves, clients wait. When a host is drained all its
/// reigns go: were they to stop at once, each would wait for the swaps of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Handovers {
    under_way: BTreeSet<ColonyId>,
}

impl Handovers {
    /// Whether this one may begin. If not, it asks again with the next tick and serves until then.
    pub(super) fn admit(&mut self, colony: ColonyId, settings: &Settings) -> bool {
        if !self.under_way.contains(&colony) && self.under_way.len() >= settings.handover_parallel {
            return false;
        }
        self.under_way.insert(colony);
        true
    }

    /// The hand-over of this colony, if there was one, is over.
    pub(super) fn release(&mut self, colony: ColonyId) {
        self.under_way.remove(&colony);
    }
}
