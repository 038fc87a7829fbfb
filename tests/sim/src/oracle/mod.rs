//! The oracle: sees everything, and holds every step to the invariants of `PROTOCOL.md` 2.
//!
//! It keeps one *truth* for each colony: the log as it was committed, op by op, and what a reader must see
//! after each of them, worked out by a model of its own. There can be only one such log: no rule lets a
//! colony go on from a copy that was not in sync. Whatever a replica holds or a client is told is compared
//! to it.
//!
//! ```text
//!   truth.rs    the committed log: same bytes, no gap, a request once        (I3, I4, I9)
//!   model.rs    what its ops make of the sessions
//!   watch.rs    what each replica holds after each step                      (I1, I2, I4, I12)
//!   table.rs    what the group decides                                       (I2, I5, I6)
//!   transfers.rs  which transfers are resumed (counted only)
//!   replies.rs  what clients are told                                        (I4, I7, I9, I11)
//!   tagged.rs   what is listed and ended by a tag, what watchers are told
//! ```

pub mod model;
mod replies;
mod table;
mod tagged;
mod transfers;
mod truth;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use colony_core::group::State;
use colony_wire::session::Mutation;
use colony_wire::tag::Tag;
use colony_wire::{ColonyId, RequestId, Seq, StartId};

use self::transfers::Transfers;
pub use self::truth::Truth;
use self::watch::Watched;
use crate::host::Host;
use crate::seen::Seen;
use crate::swarm::Mix;
use crate::violation::Violation;

/// All that is known to be true in one run.
#[derive(Debug)]
pub struct Oracle {
    /// What was seen to happen.
    pub seen: Seen,
    truths: BTreeMap<ColonyId, Truth>,
    /// What each replica held when it was looked at last, by host, colony and the start it is held under.
    watched: BTreeMap<(usize, ColonyId, StartId), Watched>,
    /// Every mutation that a client ever sent.
    asked: BTreeMap<RequestId, Mutation>,
    /// Mutations that were acknowledged.
    answered: BTreeSet<(ColonyId, RequestId)>,
    /// Whether every save that counts must add exactly its amount.
    counts_exactly: bool,
    transfers: Transfers,
}

impl Oracle {
    /// An oracle that has seen nothing.
    #[must_use]
    pub fn new(mix: &Mix) -> Self {
        Self {
            seen: Seen::default(),
            truths: BTreeMap::new(),
            watched: BTreeMap::new(),
            asked: BTreeMap::new(),
            answered: BTreeSet::new(),
            counts_exactly: mix.counts_exactly(),
            transfers: Transfers::default(),
        }
    }

    /// A client sends a mutation.
    pub fn asks(&mut self, request: RequestId, mutation: &Mutation) {
        self.asked.entry(request).or_insert_with(|| mutation.clone());
    }

    /// A client asks a colony to end what carries a tag.
    pub fn asks_to_revoke(&mut self, colony: ColonyId, request: RequestId, tag: &Tag) {
        self.truths.entry(colony).or_default().asks_to_revoke(request, tag);
    }

    /// Whether nothing was ever committed in a colony.
    #[must_use]
    pub fn is_empty(&self, colony: ColonyId) -> bool {
        self.end(colony) == Some(Seq(0))
    }

    /// Place of the last op that was committed in a colony.
    #[must_use]
    pub fn end(&self, colony: ColonyId) -> Option<Seq> {
        Some(self.truths.get(&colony).map_or(Seq(0), Truth::end))
    }

    /// The cheap checks are made at every step for what it touched; now for everything.
    ///
    /// # Errors
    /// The first rule found broken.
    pub fn look_at_all(&mut self, state: &State, hosts: &[Host]) -> Result<(), Violation> {
        for host in 0..hosts.len() {
            for shard in 0..usize::from(hosts[host].shards) {
                self.observe(state, hosts, host, shard, None)?;
            }
        }
        for colony in state.table.keys() {
            self.held_by_all(state, hosts, *colony)?;
        }
        Ok(())
    }
}
