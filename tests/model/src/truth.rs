//! What was committed and what was promised: remembered beside the hosts, so that it outlives them.

use bytes::Bytes;
use colony_wire::op::{Change, Op};
use colony_wire::session::Content;
use colony_wire::{Position, Reign, Seq};

/// A rule that was broken; the numbers are those of `PROTOCOL.md` 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// I1: one writer for each reign.
    OneWriter,
    /// I2: what is committed is held by every in-sync peer.
    HeldByAll,
    /// I3: the same position has the same bytes.
    SamePosition,
    /// I4: what was acknowledged is in the state of every later primary that serves.
    NothingLost,
    /// I5: a new primary was in sync.
    Entitled,
    /// I9: a request takes effect at most once, and its answers are true.
    AtMostOnce,
    /// Reads see committed state only, and all of it that the replica says it has seen.
    TrueReads,
    /// The core does not panic.
    NoPanic,
}

/// An op as the rules see it: its reign, and the request that it carries out, none for a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fact {
    /// Reign that gave the op its place.
    pub(crate) reign: Reign,
    /// Number of its request.
    pub(crate) request: Option<u8>,
}

/// The one committed log of the colony, and what clients were told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Truth {
    log: Vec<Fact>,
    /// Per reign that acknowledged anything: the last place that it acknowledged.
    acked: Vec<(Reign, Seq)>,
}

/// The value that a request writes: its number, so that a state tells which request made it.
pub(crate) fn value(request: u8) -> Content {
    Content::Blob(Bytes::from(vec![request]))
}

impl Fact {
    /// What an op comes to.
    ///
    /// # Errors
    /// [`Rule::SamePosition`] if it does not do what its request asked.
    pub(crate) fn of(op: &Op) -> Result<Self, Rule> {
        let reign = op.position.reign;
        match (&op.change, op.stamp) {
            (Change::Barrier, None) => Ok(Self { reign, request: None }),
            (Change::Put { content, .. }, Some(stamp)) => {
                let request = u8::try_from(stamp.request.number).map_err(|_| Rule::SamePosition)?;
                let is_whole = *content == value(request);
                if is_whole { Ok(Self { reign, request: Some(request) }) } else { Err(Rule::SamePosition) }
            }
            _ => Err(Rule::SamePosition),
        }
    }
}

impl Truth {
    /// Place of the last op that was committed anywhere.
    pub(crate) fn end(&self) -> Seq {
        Seq(self.log.len() as u64)
    }

    /// What was committed there.
    pub(crate) fn at(&self, seq: Seq) -> Option<Fact> {
        self.log.get(usize::try_from(seq.0.checked_sub(1)?).ok()?).copied()
    }

    /// A primary committed the next op.
    ///
    /// # Errors
    /// [`Rule::AtMostOnce`] if its request has an op already.
    pub(crate) fn extend(&mut self, fact: Fact) -> Result<(), Rule> {
        let repeats = fact.request.is_some() && self.log.iter().any(|known| known.request == fact.request);
        self.log.push(fact);
        if repeats { Err(Rule::AtMostOnce) } else { Ok(()) }
    }

    /// The last write up to a place: where it stands and which request made it.
    pub(crate) fn last_write(&self, upto: Seq) -> Option<(Seq, Reign, u8)> {
        let upto = usize::try_from(upto.0).ok()?.min(self.log.len());
        let write = |(seq, fact): (u64, &Fact)| Some((Seq(seq), fact.reign, fact.request?));
        (1..).zip(&self.log[..upto]).filter_map(write).last()
    }

    /// Where the op of a request stands.
    pub(crate) fn place_of(&self, request: u8) -> Option<(Seq, Reign)> {
        let place = self.log.iter().position(|fact| fact.request == Some(request))?;
        Some((Seq(place as u64 + 1), self.log[place].reign))
    }

    /// A primary of this reign told a client that its request is done.
    ///
    /// # Errors
    /// [`Rule::NothingLost`] if nobody has committed it, [`Rule::AtMostOnce`] if the answer is not that of its op.
    pub(crate) fn acknowledge(&mut self, by: Reign, request: u8, version: Position) -> Result<(), Rule> {
        let (seq, reign) = self.place_of(request).ok_or(Rule::NothingLost)?;
        match self.acked.iter_mut().find(|(acker, _)| *acker == by) {
            Some((_, last)) => *last = seq.max(*last),
            None => self.acked.push((by, seq)),
        }
        if (version.seq, version.reign) == (seq, reign) { Ok(()) } else { Err(Rule::AtMostOnce) }
    }

    /// The last place that was acknowledged by this reign or an earlier one.
    pub(crate) fn promised(&self, upto: Reign) -> Seq {
        self.acked.iter().filter(|(by, _)| *by <= upto).map(|(_, seq)| *seq).max().unwrap_or_default()
    }

    /// Whether a reign acknowledged a write.
    pub(crate) fn has_acknowledged(&self, is_one: impl Fn(Reign) -> bool) -> bool {
        self.acked.iter().any(|(by, _)| is_one(*by))
    }
}
