//! The ops a peer has not yet forgotten.

use std::collections::VecDeque;

use colony_wire::limits::{MAX_BATCH_BYTES, MAX_BATCH_OPS};
use colony_wire::op::{Change, Op};
use colony_wire::{Reign, Seq};

/// A contiguous run of ops and the name of the op before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Log {
    /// The last forgotten op; zero and zero at the beginning of a colony.
    base: (Reign, Seq),
    ops: VecDeque<Op>,
    /// Place of the newest op held that says that another side may have gone on from what stands before it.
    pins: Option<Seq>,
}

impl Log {
    /// An empty log that goes on after this op.
    pub(super) fn after(reign: Reign, seq: Seq) -> Self {
        Self { base: (reign, seq), ops: VecDeque::new(), pins: None }
    }

    /// Place of the last op held or forgotten.
    pub(super) fn last(&self) -> Seq {
        Seq(self.base.1.0 + self.ops.len() as u64)
    }

    /// Place of the last forgotten op.
    pub(super) fn base(&self) -> Seq {
        self.base.1
    }

    /// The op at this place, if it is held.
    pub(super) fn get(&self, seq: Seq) -> Option<&Op> {
        let index = seq.0.checked_sub(self.base.1.0 + 1)?;
        self.ops.get(usize::try_from(index).ok()?)
    }

    /// The reign of the op at this place, if it is held or is the last forgotten one.
    pub(super) fn reign_at(&self, seq: Seq) -> Option<Reign> {
        if seq == self.base.1 { Some(self.base.0) } else { self.get(seq).map(|op| op.position.reign) }
    }

    /// Adds the next op.
    pub(super) fn push(&mut self, op: Op) {
        assert_eq!(op.position.seq, self.last().next(), "a log has no gaps");
        if matches!(op.change, Change::Open { pins: true, .. }) {
            self.pins = Some(op.position.seq);
        }
        self.ops.push_back(op);
    }

    /// Up to here another side may have gone on, by an op that is held.
    pub(super) fn pinned(&self) -> Option<Seq> {
        self.pins.map(|at| Seq(at.0 - 1))
    }

    /// Drops every op after this place.
    pub(super) fn truncate_after(&mut self, seq: Seq) {
        let kept = seq.0.saturating_sub(self.base.1.0);
        self.ops.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        self.pins = self.pins.filter(|at| *at <= seq);
    }

    /// Forgets the oldest ops up to `seq`, but keeps the newest `kept` of those.
    pub(super) fn forget(&mut self, seq: Seq, kept: usize) {
        let settled = seq.0.saturating_sub(self.base.1.0);
        for _ in 0..settled.saturating_sub(kept as u64) {
            if let Some(op) = self.ops.pop_front() {
                self.base = (op.position.reign, op.position.seq);
            }
        }
    }

    /// One batch of consecutive ops, beginning at `first`.
    pub(super) fn batch(&self, first: Seq) -> Vec<Op> {
        let mut ops = Vec::new();
        let mut bytes = 0;
        let mut seq = first;
        while let Some(op) = self.get(seq) {
            bytes += op.size();
            if !ops.is_empty() && (ops.len() >= MAX_BATCH_OPS || bytes > MAX_BATCH_BYTES) {
                break;
            }
            ops.push(op.clone());
            seq = seq.next();
        }
        ops
    }

    /// Bytes of the held ops after this place.
    pub(super) fn bytes_after(&self, seq: Seq) -> u64 {
        let skipped = usize::try_from(seq.0.saturating_sub(self.base.1.0)).unwrap_or(usize::MAX);
        self.ops.iter().skip(skipped).map(|op| op.size() as u64).sum()
    }

    /// The held ops after this place, oldest first.
    pub(super) fn after_place(&self, seq: Seq) -> impl Iterator<Item = &Op> {
        let skipped = usize::try_from(seq.0.saturating_sub(self.base.1.0)).unwrap_or(usize::MAX);
        self.ops.range(skipped.min(self.ops.len())..)
    }
}
