//! Holding a copy: appends, truncation, snapshots taken in (`PROTOCOL.md` 3.4, 5.4, 6.3).

use std::collections::BTreeMap;

use colony_wire::op::Op;
use colony_wire::peer::{Append, Chunk, PeerBody};
use colony_wire::{Cfg, Reign, Seq};

use super::holding::Holding;
use super::log::Log;
use super::settings::Settings;
use super::snapshot::{Assembly, Taken};
use super::store::Store;
use crate::Time;

/// What a peer that is not primary knows, in one reign.
#[derive(Debug)]
pub(super) struct Follower {
    /// Up to here the log is known to be the primary's. What it holds beyond that is of earlier reigns and
    /// may have to go; it is not acknowledged.
    matched: Seq,
    /// The newest table entry that the primary has named. The table heard here may lag behind it.
    pub(super) named: Cfg,
    /// The table entry on which this copy was begun.
    begun: Cfg,
    assembly: Option<Assembly>,
    /// Ops that stream in while a snapshot arrives.
    buffer: BTreeMap<Seq, Op>,
}

impl Follower {
    /// A follower of a reign of whose log it knows nothing yet.
    pub(super) fn new(begun: Cfg) -> Self {
        Self { matched: Seq(0), named: Cfg(0), begun, assembly: None, buffer: BTreeMap::new() }
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
        let follows = before < log.base() || log.reign_at(before) == Some(append.prev_reign);
        if !follows {
            // Also while a snapshot arrives: the primary may have given it up, and then only this tells it
            // where to go on.
            let answer = mismatch(holding, append.reign);
            if self.assembly.is_some() {
                self.keep(append.ops, settings.max_buffered);
            }
            return Some(answer);
        }
        let end = Seq(before.0 + append.ops.len() as u64);
        let committed = holding.committed();
        let log = &mut holding.log;
        for op in append.ops {
            let seq = op.position.seq;
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
        self.matched = self.matched.max(end);
        holding.commit_to(append.commit.min(self.matched), settings.log_kept, now);
        Some(self.appended(holding, settings, append.reign))
    }

    fn appended(&self, holding: &Holding, settings: &Settings, reign: Reign) -> PeerBody {
        let prepared = if mutant!(settings, AckUnmatched) { holding.prepared() } else { self.matched };
        PeerBody::Appended { reign, cfg: self.named, begun: self.begun, prepared, committed: holding.committed() }
    }

    fn keep(&mut self, ops: Vec<Op>, bound: usize) {
        for op in ops {
            if self.buffer.len() >= bound {
                return;
            }
            self.buffer.insert(op.position.seq, op);
        }
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
            self.buffer.clear();
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
                Some(self.appended(holding, settings, reign))
            }
        }
    }

    /// Puts the snapshot in the place of all that is held, unless what is held matches further, then
    /// applies what streamed in meanwhile.
    fn install(&mut self, holding: &mut Holding, settings: &Settings, store: Store) {
        let buffer = std::mem::take(&mut self.buffer);
        if store.applied() <= self.matched.max(holding.committed()) {
            return;
        }
        holding.log = Log::after(store.applied_reign(), store.applied());
        holding.store = store;
        self.matched = holding.committed();
        if mutant!(settings, SkipStreamedOps) {
            self.skip(holding, &buffer);
            return;
        }
        for (seq, op) in buffer {
            if seq == self.matched.next() {
                holding.log.push(op);
                self.matched = seq;
            }
        }
    }

    #[cfg(feature = "mutants")]
    fn skip(&mut self, holding: &mut Holding, buffer: &BTreeMap<Seq, Op>) {
        if let Some(last) = buffer.values().next_back() {
            holding.log = Log::after(last.position.reign, last.position.seq);
            holding.store.pretend(last.position);
            self.matched = last.position.seq;
        }
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "stands for a bug that only the simulator switches on")]
    fn skip(&self, _: &Holding, _: &BTreeMap<Seq, Op>) {}
}

fn is_contiguous(append: &Append) -> bool {
    append.first > Seq(0) && (append.first.0..).zip(&append.ops).all(|(seq, op)| op.position.seq == Seq(seq))
}

/// Where this log stands, for a primary whose batch does not follow on it.
fn mismatch(holding: &Holding, reign: Reign) -> PeerBody {
    PeerBody::Mismatch { reign, prepared: holding.prepared(), epochs: holding.epochs() }
}
