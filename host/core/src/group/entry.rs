//! One colony's entry in the table.

use colony_wire::{Cfg, Reign, StartId};
use serde::{Deserialize, Serialize};

/// Who serves a colony, who holds it, and who should.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
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

    /// The primary's reign goes to `to`, which stands first in the set from now on.
    pub(super) fn crown(&mut self, to: StartId) {
        self.primary = Some(to);
        self.reign.0 += 1;
        self.in_sync.retain(|start| *start != to);
        self.in_sync.insert(0, to);
    }
}
