//! What a cut would do to each colony, foretold from the table.

use std::collections::BTreeSet;

use colony_wire::admin::OnPartition;
use colony_wire::{ColonyId, RaftId, StartId};

use crate::group::{Entry, State};

/// What becomes of a colony on one side of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// It is served there, with so many copies in sync at first.
    Served {
        /// How many.
        copies: usize,
    },
    /// Copies are there, and nobody may serve them: the namespace is strict, and the group decides on the other side, or on
    /// neither, or these are fewer than the namespace asks for.
    Stopped {
        /// How many.
        copies: usize,
    },
    /// No copy in sync is there.
    Offline,
}

impl Service {
    /// Whether clients on this side are served.
    #[must_use]
    pub fn is_served(self) -> bool {
        matches!(self, Self::Served { .. })
    }
}

/// What becomes of a colony if the network is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outlook {
    /// Which colony.
    pub colony: ColonyId,
    /// On the side of those who are cut off.
    pub cut_off: Service,
    /// On the side of all others.
    pub rest: Service,
}

impl Outlook {
    /// Whether it goes on with all its copies together, as if there were no cut.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(
            (self.cut_off, self.rest),
            (Service::Served { .. }, Service::Offline) | (Service::Offline, Service::Served { .. })
        )
    }

    /// Whether both sides serve it, each for itself.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.cut_off.is_served() && self.rest.is_served()
    }

    /// Whether neither side serves it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        !self.cut_off.is_served() && !self.rest.is_served()
    }
}

/// What becomes of every colony if nobody of `cut_off` and nobody else reach each other any more, once each side has
/// done what it can. `voters` are the voters of the group. Where placement lets only some hosts be primary, there may be
/// less service than this foretells.
#[must_use]
pub fn what_if(state: &State, voters: &[RaftId], cut_off: &BTreeSet<StartId>) -> Vec<Outlook> {
    let voting = |is_cut_off: bool| {
        let here = state.up().filter(|member| cut_off.contains(&member.start) == is_cut_off);
        here.filter(|member| voters.contains(&member.raft)).count()
    };
    let decides = |is_cut_off: bool| voting(is_cut_off) * 2 > voters.len();
    let service = |colony: &ColonyId, entry: &Entry, is_cut_off: bool| {
        let here = entry.in_sync.iter().filter(|start| state.is_up(**start) && cut_off.contains(start) == is_cut_off);
        let copies = here.count();
        let is_strict = state.policy(*colony).is_none_or(|policy| policy.on_partition == OnPartition::Strict);
        // Where nobody decides, the set goes on for as long as all of it answers: nobody else can have been promoted.
        let goes_on = match (is_strict, decides(is_cut_off)) {
            (false, _) => true,
            (true, true) => copies >= state.least_in_sync(*colony),
            (true, false) => copies == entry.in_sync.len(),
        };
        match copies {
            0 => Service::Offline,
            _ if goes_on => Service::Served { copies },
            _ => Service::Stopped { copies },
        }
    };
    let outlook = |(colony, entry): (&ColonyId, &Entry)| Outlook {
        colony: *colony,
        cut_off: service(colony, entry, true),
        rest: service(colony, entry, false),
    };
    state.table.iter().map(outlook).collect()
}
