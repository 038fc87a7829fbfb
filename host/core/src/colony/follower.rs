//! Holding a copy: appends, truncation, snapshots taken in (`PROTOCOL.md` 3.4, 5.4, 6.3).

use std::collections::BTreeMap;

use colony_wire::limits::MAX_FRAME;
use colony_wire::op::Op;
use colony_wire::peer::{Append, Chunk, Offer, PeerBody};
use colony_wire::{Cfg, Reign, Seq};

use super::clock::Moment;
use super::doing::Load;
use super::holding::Holding;
use super::log::Log;
use super::settings::Settings;
use super::store::Store;
use super::transfer::{Assembly, Taken};

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
        let (arrived, wanted) = self.assembly.as_ref().map_or((0, 0), Assembly::arrived);
        [
            Load::new("ops that came early", self.buffer.len(), settings.max_buffered),
            // The last one may be as long as an op can be.
            Load::new("bytes of ops that came early", self.buffered, settings.max_buffered_bytes + MAX_FRAME),
            Load::new("parts of a state that arrived", arrived, wanted),
        ]
    }

    /// Takes in a batch of the reigning primary; says what to answer.
    pub(super) fn append(
        &mut self,
        holding: &mut Holding,
        settings: &Settings,
        append: Append,
        now: Moment,
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
        if self.assembly.as_ref().is_some_and(|assembly| assembly.at() <= holding.committed()) {
            self.assembly = None;
        }
        holding.held.passed(holding.store.applied());
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

    /// Hears what the primary's state consists of; says what to answer.
    pub(super) fn offer(
        &mut self,
        holding: &mut Holding,
        settings: &Settings,
        offer: Offer,
        now: Moment,
    ) -> Option<PeerBody> {
        let Offer { reign, transfer, at, .. } = offer;
        self.named = self.named.max(offer.cfg);
        if at <= self.matched.max(holding.committed()) {
            // What is committed here up to there is what is committed there.
            self.matched = self.matched.max(at);
            self.take_buffered(holding);
            return Some(self.appended(holding, reign));
        }
        match &self.assembly {
            // An older offer that came late.
            Some(assembly) if assembly.transfer() > transfer => return None,
            Some(assembly) if assembly.transfer() == transfer => {}
            Some(_) | None => {
                let Holding { store, held, .. } = holding;
                self.assembly = Assembly::begin(offer, store, held, now.sessions);
            }
        }
        match &self.assembly {
            Some(assembly) if assembly.is_whole() => Some(self.finish(holding, settings, reign, transfer, now)),
            Some(assembly) => Some(PeerBody::Wanted { reign, transfer, parts: assembly.wanted() }),
            None => Some(PeerBody::ChunkRefused { reign, transfer }),
        }
    }

    /// Takes in a piece of a state; says what to answer.
    pub(super) fn chunk(
        &mut self,
        holding: &mut Holding,
        settings: &Settings,
        chunk: &Chunk,
        now: Moment,
    ) -> Option<PeerBody> {
        let Chunk { reign, transfer, .. } = *chunk;
        self.named = self.named.max(chunk.cfg);
        let assembly = self.assembly.as_mut().filter(|assembly| assembly.transfer() == transfer);
        let Some(assembly) = assembly else { return Some(PeerBody::ChunkRefused { reign, transfer }) };
        match assembly.take(chunk, &mut holding.held) {
            Taken::UpTo(index) => Some(PeerBody::ChunkTaken { reign, transfer, index }),
            Taken::OutOfTurn => None,
            Taken::All => Some(self.finish(holding, settings, reign, transfer, now)),
            Taken::Unusable => {
                self.assembly = None;
                Some(PeerBody::ChunkRefused { reign, transfer })
            }
        }
    }

    /// Every part is there: the state is put in place.
    fn finish(
        &mut self,
        holding: &mut Holding,
        settings: &Settings,
        reign: Reign,
        transfer: u64,
        now: Moment,
    ) -> PeerBody {
        let store = self.assembly.take().and_then(|assembly| assembly.join(&holding.held, now));
        holding.held.clear();
        match store {
            Some(store) => {
                self.install(holding, settings, store);
                self.appended(holding, reign)
            }
            None => PeerBody::ChunkRefused { reign, transfer },
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
