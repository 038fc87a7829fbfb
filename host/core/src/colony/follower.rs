//! Holding a copy: appends, truncation, snapshots taken in (`PROTOCOL.md` 3.4, 5.4, 6.3).

use std::collections::BTreeMap;

use colony_wire::limits::{MAX_FRAME, MAX_SNAPSHOT_CHUNKS};
use colony_wire::op::Op;
use colony_wire::peer::{Append, Chunk, PeerBody};
use colony_wire::{Cfg, Reign, Seq};

use super::doing::Load;
use super::holding::Holding;
use super::log::Log;
use super::settings::Settings;
use super::snapshot::{Assembly, Taken};
use super::store::Store;
use crate::Time;

/// What a peer that is not primary knows, in one reign.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Follower {
    /// Up to here the log is known to be the primary's. What it holds beyond that is of earlier reigns and
    /// may have to go; it is not acknowledged.
    matched: Seq,
    /// The newest table entry that the primary has named. The table heard here may lag behind it.
    pub(super) named: Cfg,
    /// The table entry on which this copy was begun.
    begun: Cfg,
    assembly: Option<Assembly>,
    /// Ops of this reign's log that came before what they follow on: while a snapshot arrives, or after a
    /// lost batch. One primary sends them all, so they stay true for as long as it reigns.
    buffer: BTreeMap<Seq, Op>,
    /// Their size in bytes.
    buffered: usize,
}

impl Follower {
    /// A follower of a reign of whose log it knows nothing yet.
    pub(super) fn new(begun: Cfg) -> Self {
        Self { matched: Seq(0), named: Cfg(0), begun, assembly: None, buffer: BTreeMap::new(), buffered: 0 }
    }

    /// How full what it keeps is.
    pub(super) fn loads(&self, settings: &Settings) -> [Load; 3] {
        let chunks = self.assembly.as_ref().map_or(0, Assembly::len);
        [
            Load::new("ops that came early", self.buffer.len(), settings.max_buffered),
            // The last one may be as long as an op can be.
            Load::new("bytes of ops that came early", self.buffered, settings.max_buffered_bytes + MAX_FRAME),
            Load::new("chunks of a snapshot", chunks, MAX_SNAPSHOT_CHUNKS as usize),
        ]
    }

    /// Takes in a batch of the reigning primary; says what to answer.
    pub(super) fn append(
        &mut self,
        holding: &mut Holding,
        settings: &Settings,
        append: Append,
        now: Time,
    ) -> Option<PeerBody> {
        if !is_contiguous(&append) {
            return None;
        }
        self.named = self.named.max(append.cfg);
        let before = Seq(append.first.0 - 1);
        let log = &mut holding.log;
        // What is forgotten is committed, and committed ops are the same everywhere.
        let follows = before < log.base()
            || log.reign_at(before) == Some(append.prev_reign)
            || (before <= log.last() && mutant!(settings, SkipLogMatching));
        if !follows {
            // Also while a snapshot arrives: the primary may have given it up, and then only this tells it
            // where to go on.
            if mutant!(settings, CommitUnmatched) {
                holding.commit_to(append.commit, settings.log_kept, now);
            }
            let answer = self.mismatch(holding, append.reign);
            self.keep(append.ops, settings);
            return Some(answer);
        }
        let end = Seq(before.0 + append.ops.len() as u64);
        for op in append.ops {
            if mutant!(settings, KeepOldOps) && holding.log.get(op.position.seq).is_some() {
                continue;
            }
            take(holding, op);
        }
        self.matched = self.matched.max(end);
        self.take_buffered(holding);
        holding.commit_to(append.commit.min(self.matched), settings.log_kept, now);
        Some(self.appended(holding, append.reign))
    }

    fn appended(&self, holding: &Holding, reign: Reign) -> PeerBody {
        let (cfg, begun, prepared) = (self.named, self.begun, self.matched);
        PeerBody::Appended { reign, cfg, begun, prepared, committed: holding.committed() }
    }

    fn keep(&mut self, ops: Vec<Op>, settings: &Settings) {
        for op in ops {
            if self.buffer.len() >= settings.max_buffered || self.buffered >= settings.max_buffered_bytes {
                return;
            }
            self.buffered += op.size();
            if let Some(same) = self.buffer.insert(op.position.seq, op) {
                self.buffered -= same.size();
            }
        }
    }

    /// Takes in what came early and now follows; what is held already goes.
    fn take_buffered(&mut self, holding: &mut Holding) {
        while let Some(entry) = self.buffer.first_entry()
            && *entry.key() <= self.matched.next()
        {
            let (seq, op) = entry.remove_entry();
            self.buffered -= op.size();
            if seq == self.matched.next() {
                take(holding, op);
                self.matched = seq;
            }
        }
    }

    /// Where this log stands, for a primary whose batch does not follow on it.
    fn mismatch(&self, holding: &Holding, reign: Reign) -> PeerBody {
        PeerBody::Mismatch { reign, begun: self.begun, prepared: holding.prepared(), epochs: holding.epochs() }
    }

    /// Takes in a part of a snapshot; says what to answer.
    pub(super) fn chunk(
        &mut self,
        holding: &mut Holding,
        settings: &Settings,
        chunk: &Chunk,
        now: Time,
    ) -> Option<PeerBody> {
        let Chunk { reign, transfer, .. } = *chunk;
        self.named = self.named.max(chunk.cfg);
        if self.assembly.as_ref().is_none_or(|assembly| !assembly.is_of(chunk)) {
            if chunk.index != 0 {
                return Some(PeerBody::ChunkRefused { reign, transfer });
            }
            self.assembly = Some(Assembly::begin(chunk));
        }
        let taken = self.assembly.as_mut()?.take(chunk, now);
        match taken {
            Taken::UpTo(index) => Some(PeerBody::ChunkTaken { reign, transfer, index }),
            Taken::OutOfTurn => None,
            Taken::Unusable => {
                self.assembly = None;
                Some(PeerBody::ChunkRefused { reign, transfer })
            }
            Taken::Whole(store) => {
                self.assembly = None;
                self.install(holding, settings, *store);
                Some(self.appended(holding, reign))
            }
        }
    }

    /// Puts the snapshot in the place of all that is held, unless what is held matches further, then
    /// applies what streamed in meanwhile.
    fn install(&mut self, holding: &mut Holding, settings: &Settings, store: Store) {
        if store.applied() <= self.matched.max(holding.committed()) {
            return;
        }
        holding.log = Log::after(store.applied_reign(), store.applied());
        holding.store = store;
        self.matched = holding.committed();
        if mutant!(settings, SkipStreamedOps) {
            self.skip(holding);
        }
        self.take_buffered(holding);
    }

    #[cfg(feature = "mutants")]
    fn skip(&mut self, holding: &mut Holding) {
        if let Some(last) = self.buffer.values().next_back() {
            holding.log = Log::after(last.position.reign, last.position.seq);
            holding.store.pretend(last.position);
            self.matched = last.position.seq;
        }
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "stands for a bug that only the simulator switches on")]
    fn skip(&self, _: &Holding) {}
}

/// Puts one op of the primary's log in its place: it takes the place of what an earlier reign left there.
fn take(holding: &mut Holding, op: Op) {
    let seq = op.position.seq;
    let committed = holding.committed();
    let log = &mut holding.log;
    match log.reign_at(seq) {
        _ if seq <= log.base() => {}
        Some(reign) if reign == op.position.reign => {}
        Some(_) => {
            assert!(seq > committed, "a committed op is never truncated");
            log.truncate_after(Seq(seq.0 - 1));
            log.push(op);
        }
        None => log.push(op),
    }
}

fn is_contiguous(append: &Append) -> bool {
    let end = append.first.0.checked_add(append.ops.len() as u64);
    let places = append.first.0..end.unwrap_or(0);
    append.first > Seq(0) && end.is_some() && places.zip(&append.ops).all(|(seq, op)| op.position.seq == Seq(seq))
}
