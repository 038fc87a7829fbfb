//! The committed log of one colony, as the first replica to commit each op had it.

use std::collections::BTreeMap;

use colony_wire::op::{Change, Op};
use colony_wire::session::{Changes, EndKind, Mutation};
use colony_wire::tag::Tag;
use colony_wire::{Position, Reign, RequestId, Seq, StartId};

use super::model::{Effect, Model, changed};
use crate::plugin::{COUNT, counted};
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
    pub fn note_committed(
        &mut self,
        op: &Op,
        asked: &BTreeMap<RequestId, Mutation>,
        counts_exactly: bool,
    ) -> Result<bool, Violation> {
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
        let effect = self.model.apply(op);
        self.check_request(op, &effect, asked, counts_exactly)?;
        self.log.push(op.clone());
        Ok(true)
    }

    /// I9: an op answers a request that was made, does what was asked, and is the only one that does.
    fn check_request(
        &mut self,
        op: &Op,
        effect: &Effect,
        asked: &BTreeMap<RequestId, Mutation>,
        counts_exactly: bool,
    ) -> Result<(), Violation> {
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
        let mutation = asked.get(&stamp.request);
        let fits = mutation.is_some_and(|mutation| is_what_was_asked(&op.change, mutation));
        demand(fits, Rule::AtMostOnce, || format!("{op:?} is not what was asked: {mutation:?}"))?;
        if let (Some(before), Some(after), true) = (&effect.before, &effect.after, counts_exactly)
            && let Some(amount) = mutation.and_then(|mutation| self.amount(mutation))
        {
            let (before, after) = (counted(&before.content), counted(&after.content));
            demand(after == before + amount, Rule::AtMostOnce, || {
                format!("{} adds {amount} and counts from {before} to {after}", op.position)
            })?;
        }
        Ok(())
    }

    /// What a save adds to a counter: its value less the one at its base.
    fn amount(&self, mutation: &Mutation) -> Option<u64> {
        let Mutation::Save { key, base, changes: changes @ Changes::Attributes(list), .. } = mutation else {
            return None;
        };
        list.iter().find(|(name, _)| name == COUNT)?;
        let base = self.model.at(key, base.version.seq)?;
        let saved = changed(base.content.clone(), changes);
        counted(&saved).checked_sub(counted(&base.content))
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

fn is_what_was_asked(change: &Change, mutation: &Mutation) -> bool {
    match (change, mutation) {
        (
            Change::Put { key, content, tags, ttl },
            Mutation::Put { key: asked, content: wanted, tags: retag, ttl: lives, .. },
        ) => key == asked && content == wanted && tags == retag && ttl == lives,
        (
            Change::Update { key, changes, tags, merged, .. },
            Mutation::Save { key: asked, changes: wanted, tags: retag, .. },
        ) => key == asked && tags == retag && (*merged || changes == wanted),
        (Change::Touch { key, ttl }, Mutation::Touch { key: asked, ttl: lives }) => key == asked && ttl == lives,
        (Change::End { key, kind }, Mutation::Delete { key: asked, kind: why, .. }) => key == asked && kind == why,
        _ => false,
    }
}
