//! The oracle: sees everything, and holds every step to the invariants of `PROTOCOL.md` 2.
//!
//! It keeps one *truth* for each colony: the log as it was committed, op by op, and what a reader must see
//! after each of them, worked out by a model of its own. There can be only one such log: no rule lets a
//! colony go on from a copy that was not in sync. Whatever a replica holds or a client is told is compared
//! to it.
//!
//! ```text
//!   truth.rs    the committed log: same bytes, no gap, a request once        (I3, I4, I9)
//!   asked.rs    whether an op is what was asked, and its conditions hold     (I9)
//!   lifetime.rs whether a session ends before its time
//!   model.rs    what its ops make of the sessions
//!   watch.rs    what each replica holds after each step                      (I2, I4, I12, I13)
//!   said.rs     what replicas say to each other and to the group             (I1, I3)
//!   table.rs    what the group decides                                       (I2, I5, I6)
//!   transfers.rs  which transfers are resumed (counted only)
//!   replies.rs  what clients are told                                        (I4, I7, I9, I11)
//!   tagged.rs   what is listed and ended by a tag, what watchers are told
//! ```
//!
//! Not held here: I8 (there are no such reads yet), I10 and I14 (there are no islands yet).

mod asked;
mod lifetime;
pub mod model;
mod replies;
mod said;
pub(crate) mod table;
mod tagged;
mod transfers;
mod truth;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use colony_core::group::State;
use colony_wire::op::Stamp;
use colony_wire::session::Mutation;
use colony_wire::tag::Tag;
use colony_wire::{ClientId, ColonyId, Position, RequestId, Seq, StartId};

pub use self::asked::Asked;
use self::transfers::Transfers;
pub use self::truth::Truth;
use self::watch::Watched;
use crate::clock::Micros;
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
    /// Every mutation that a client ever sent, and by which rules it is judged.
    asked: Asked,
    /// By client: what it has the answers to, by the highest mark that it ever sent.
    marks: BTreeMap<ClientId, u64>,
    /// By client and colony: the newest position it was shown.
    shown: BTreeMap<(ClientId, ColonyId), Position>,
    /// Mutations that were acknowledged.
    answered: BTreeSet<(ColonyId, RequestId)>,
    transfers: Transfers,
    /// As much time as any host's clock has counted so far.
    counted: Micros,
    /// For how long an answer is kept at least.
    record_ttl: Micros,
    /// What is added to deadlines at a promotion.
    promotion_pad: Micros,
    /// Whether nothing goes wrong but that hosts are drained.
    only_drains: bool,
}

impl Oracle {
    /// An oracle that has seen nothing.
    #[must_use]
    pub fn new(mix: &Mix) -> Self {
        Self {
            seen: Seen::default(),
            truths: BTreeMap::new(),
            watched: BTreeMap::new(),
            asked: Asked::new(mix.counts_exactly(), mix.policy.on_conflict),
            marks: BTreeMap::new(),
            shown: BTreeMap::new(),
            answered: BTreeSet::new(),
            transfers: Transfers::default(),
            counted: 0,
            record_ttl: u64::try_from(mix.settings.record_ttl.as_micros()).unwrap_or(u64::MAX),
            only_drains: mix.only_drains,
            promotion_pad: u64::try_from(mix.settings.promotion_pad.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// The fastest clock shows this.
    pub fn counts(&mut self, counted: Micros) {
        self.counted = counted;
    }

    /// A client sends a mutation.
    pub fn asks(&mut self, stamp: Stamp, mutation: &Mutation) {
        self.asked.note(stamp.request, mutation);
        self.note_mark(stamp);
    }

    /// The newest position that a client was shown of a colony: it is shown no older one from now on.
    #[must_use]
    pub fn shown(&self, client: ClientId, colony: ColonyId) -> Option<Position> {
        self.shown.get(&(client, colony)).copied()
    }

    /// An answer with this position reaches a client.
    pub fn shows(&mut self, client: ClientId, colony: ColonyId, seen: Position) {
        let newest = self.shown.entry((client, colony)).or_insert(seen);
        if seen.seq > newest.seq {
            *newest = seen;
        }
    }

    /// The truth of a colony, as of now.
    fn truth(&mut self, colony: ColonyId) -> &mut Truth {
        let truth = self.truths.entry(colony).or_default();
        truth.counts(self.counted);
        truth
    }

    /// A client asks a colony to end what carries a tag.
    pub fn asks_to_revoke(&mut self, colony: ColonyId, stamp: Stamp, tag: &Tag) {
        self.note_mark(stamp);
        self.truths.entry(colony).or_default().asks_to_revoke(stamp.request, tag);
    }

    /// Position of the last op that was committed in a colony, and so, by now, acknowledged.
    #[must_use]
    pub fn newest(&self, colony: ColonyId) -> Option<Position> {
        let truth = self.truths.get(&colony)?;
        truth.op(truth.end()).map(|op| op.position)
    }

    /// The client has the answers to everything below its mark.
    fn note_mark(&mut self, stamp: Stamp) {
        let mark = self.marks.entry(stamp.request.client).or_default();
        *mark = stamp.lowest_unanswered.max(*mark);
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
