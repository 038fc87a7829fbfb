//! The committed log of one colony, as the first replica to commit each op had it.

use std::collections::BTreeMap;

use colony_wire::op::{Change, Op};
use colony_wire::session::EndKind;
use colony_wire::tag::Tag;
use colony_wire::{Position, Reign, RequestId, Seq, StartId};

use super::asked::Asked;
use super::lifetime::Lifetimes;
use super::model::{Effect, Model};
use crate::clock::Micros;
use crate::violation::{Rule, Violation, demand};

/// What is true of one colony.
#[derive(Debug, Default)]
pub struct Truth {
    /// Committed ops, from place 1 on.
    log: Vec<Op>,
    /// Every op that was ever prepared anywhere, by its position.
    prepared: BTreeMap<(Reign, Seq), Op>,
    /// Who wrote in each reign.
    writers: BTreeMap<Reign, StartId>,
    /// Where each request took effect, and what its client is to be told.
    effects: BTreeMap<RequestId, (Seq, Position, Position)>,
    /// When each op was committed first, on the fastest clock.
    times: Vec<Micros>,
    lifetimes: Lifetimes,
    /// What the fastest clock shows.
    counted: Micros,
    /// Digest of the state at each committed place.
    digests: BTreeMap<Seq, u64>,
    /// Every request to end what carries a tag.
    pub(super) revokes: BTreeMap<RequestId, Tag>,
    /// What readers must see.
    pub(super) model: Model,
}

impl Truth {
    /// Place of the last committed op.
    #[must_use]
    pub fn end(&self) -> Seq {
        Seq(self.log.len() as u64)
    }

    /// The committed op at this place.
    #[must_use]
    pub fn op(&self, seq: Seq) -> Option<&Op> {
        let index = seq.0.checked_sub(1)?;
        self.log.get(usize::try_from(index).ok()?)
    }

    /// The op that was prepared at this place in this reign.
    #[must_use]
    pub fn prepared(&self, reign: Reign, seq: Seq) -> Option<&Op> {
        self.prepared.get(&(reign, seq))
    }

    /// Place of the last op that was committed in a reign before this one.
    #[must_use]
    pub fn end_before(&self, reign: Reign) -> Seq {
        Seq(self.log.partition_point(|op| op.position.reign < reign) as u64)
    }

    /// Where a request took effect, and the version and life its client is to be told.
    #[must_use]
    pub fn effect(&self, request: RequestId) -> Option<(Seq, Position, Position)> {
        self.effects.get(&request).copied()
    }

    /// The fastest clock shows this.
    pub fn counts(&mut self, counted: Micros) {
        self.counted = counted;
    }

    /// A primary takes office with this committed.
    pub fn takes_office(&mut self, reign: Reign, committed: Seq) {
        self.lifetimes.takes_office(reign, committed);
    }

    /// I1: `writer` assigned ops in `reign`.
    ///
    /// # Errors
    /// If another start did before.
    pub fn wrote(&mut self, reign: Reign, writer: StartId) -> Result<(), Violation> {
        let first = *self.writers.entry(reign).or_insert(writer);
        demand(first == writer, Rule::OneWriter, || format!("{first} and {writer} both write in {reign}"))
    }

    /// I3: somebody holds this op.
    ///
    /// # Errors
    /// If somebody else held other bytes at the same position.
    pub fn note_prepared(&mut self, op: &Op) -> Result<(), Violation> {
        let place = (op.position.reign, op.position.seq);
        match self.prepared.get(&place) {
            None => {
                self.lifetimes.prepared(op, self.counted);
                self.prepared.insert(place, op.clone());
                Ok(())
            }
            Some(known) => demand(known == op, Rule::SamePosition, || {
                format!("{} is {known:?} at one replica and {op:?} at another", op.position)
            }),
        }
    }

    /// A replica has committed this op. True if nobody had before.
    ///
    /// # Errors
    /// If it is not what was committed at that place, or may not be.
    pub fn note_committed(&mut self, op: &Op, asked: &Asked, pad: Micros) -> Result<bool, Violation> {
        let seq = op.position.seq;
        if let Some(known) = self.op(seq) {
            demand(known == op, Rule::SamePosition, || format!("committed as {known:?}, and elsewhere as {op:?}"))?;
            return Ok(false);
        }
        demand(seq == self.end().next(), Rule::OracleSees, || {
            format!("{} is committed, the last one seen is {}", op.position, self.end())
        })?;
        let last = self.log.last().map(|last| last.position.reign).unwrap_or_default();
        demand(op.position.reign >= last, Rule::NothingLost, || {
            format!("{} is committed after an op of reign {last}", op.position)
        })?;
        let newest = self.log.last().map_or(0, |last| last.written_at);
        demand(op.written_at >= newest, Rule::HybridTime, || {
            format!("{} is of {}, the one before it of {newest}", op.position, op.written_at)
        })?;
        let effect = self.model.apply(op);
        self.lifetimes.committed(op, effect.before.as_ref(), self.counted, pad)?;
        self.check_request(op, &effect, asked)?;
        self.log.push(op.clone());
        self.times.push(self.counted);
        Ok(true)
    }

    /// I9: an op answers a request that was made, does what was asked, and is the only one that does.
    fn check_request(&mut self, op: &Op, effect: &Effect, asked: &Asked) -> Result<(), Violation> {
        let Some(stamp) = op.stamp else {
            let own = match op.change {
                Change::Barrier | Change::Forget { .. } | Change::End { kind: EndKind::Expiry, .. } => true,
                Change::End { kind: EndKind::Revoke, .. } => self.may_be_revoked(effect.before.as_ref()),
                _ => false,
            };
            return demand(own, Rule::AtMostOnce, || format!("nobody asked for {op:?}"));
        };
        let seq = op.position.seq;
        let earlier = self.effects.insert(stamp.request, (seq, effect.version, effect.life));
        demand(earlier.is_none(), Rule::AtMostOnce, || {
            format!("{:?} took effect at {earlier:?} and again at {}", stamp.request, op.position)
        })?;
        if matches!(op.change, Change::Revoked { .. }) {
            return self.check_revoked(op, stamp.request, &self.log);
        }
        asked.check(op, stamp.request, effect, &self.model)
    }

    /// For how long a request's op has been committed, on the fastest clock; none if it is not.
    #[must_use]
    pub fn age(&self, request: RequestId) -> Option<Micros> {
        let (seq, ..) = self.effects.get(&request)?;
        let index = usize::try_from(seq.0.checked_sub(1)?).ok()?;
        Some(self.counted.saturating_sub(*self.times.get(index)?))
    }

    /// I12: a replica has this digest at this committed place.
    ///
    /// # Errors
    /// If another replica had another one there.
    pub fn note_digest(&mut self, seq: Seq, digest: u64) -> Result<(), Violation> {
        let known = *self.digests.entry(seq).or_insert(digest);
        demand(known == digest, Rule::EqualDigests, || {
            format!("the state at {seq} has digest {digest:016x}, elsewhere {known:016x}")
        })
    }
}
