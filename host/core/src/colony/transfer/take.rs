//! A state on its way in.

use std::collections::BTreeMap;

use bytes::Bytes;
use colony_wire::Seq;
use colony_wire::limits::SNAPSHOT_CHUNK;
use colony_wire::peer::{Chunk, Offer, PartName};

use crate::colony::clock::{Moment, SessionTime};
use crate::colony::ranges::Ranges;
use crate::colony::snapshot;
use crate::colony::store::Store;

/// Parts of a state that are held, by the hash of their bytes. They outlive the transfer they came with, and
/// the reign: whoever offers them next need not send them.
///
/// It holds no more than the newest offer names ([`colony_wire::limits::MAX_SNAPSHOT_BYTES`]), and nothing
/// once the copy has come past that offer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::colony) struct Held {
    /// The place of the newest offer.
    at: Seq,
    parts: BTreeMap<u128, Bytes>,
}

impl Held {
    /// Drops everything if a copy that has committed up to here needs none of it.
    pub(in crate::colony) fn passed(&mut self, committed: Seq) {
        if committed >= self.at {
            self.parts.clear();
        }
    }

    /// Drops everything.
    pub(in crate::colony) fn clear(&mut self) {
        self.parts.clear();
    }

    /// Keeps what is offered, and adds what the own state has of it.
    fn turn_to(&mut self, offer: &Offer, ranges: Ranges, store: &Store) {
        let offered: BTreeMap<u128, u32> = offer.parts.iter().map(|name| (name.hash, name.bytes)).collect();
        self.at = offer.at;
        self.parts.retain(|hash, _| offered.contains_key(hash));
        if store.is_empty() {
            return;
        }
        for (part, name) in snapshot::session_parts(store, ranges).into_iter().zip(&offer.parts) {
            if !part.is_empty() && snapshot::name(&part) == *name {
                self.parts.insert(name.hash, part);
            }
        }
    }

    fn get(&self, name: &PartName) -> Option<Bytes> {
        let empty = Bytes::new();
        if snapshot::name(&empty) == *name { Some(empty) } else { self.parts.get(&name.hash).cloned() }
    }
}

/// A state on its way in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::colony) struct Assembly {
    offer: Offer,
    /// The parts that were not held when it was offered, by their places in the offer.
    wanted: Vec<usize>,
    /// How many of those have arrived.
    arrived: usize,
    /// What has arrived of the next one.
    begun: Vec<u8>,
    /// How many chunks were taken.
    taken: u32,
    /// When it was offered: the sessions' time remaining counts from then on.
    since: SessionTime,
}

/// What a chunk did to an assembly.
pub(in crate::colony) enum Taken {
    /// All chunks up to this one are there.
    UpTo(u32),
    /// The last one was.
    All,
    /// It is not the next one; the sender will send again.
    OutOfTurn,
    /// It is damaged, or is not what was offered.
    Unusable,
}

impl Assembly {
    /// How many parts it collects, and how many of them have arrived.
    pub(in crate::colony) fn arrived(&self) -> (usize, usize) {
        (self.arrived, self.wanted.len())
    }

    /// Begins to collect what was offered and is not held; none if it cannot be a state.
    pub(in crate::colony) fn begin(offer: Offer, store: &Store, held: &mut Held, now: SessionTime) -> Option<Self> {
        let ranges = Ranges::with_count(offer.parts.len().checked_sub(1)?)?;
        held.turn_to(&offer, ranges, store);
        let is_wanted = |(index, name): (usize, &PartName)| held.get(name).is_none().then_some(index);
        let wanted: Vec<usize> = offer.parts.iter().enumerate().filter_map(is_wanted).collect();
        let can_come = |index: &usize| offer.parts.get(*index).is_some_and(|name| name.bytes > 0);
        if !wanted.iter().all(can_come) {
            return None;
        }
        Some(Self { offer, wanted, arrived: 0, begun: Vec::new(), taken: 0, since: now })
    }

    /// Which transfer it collects.
    pub(in crate::colony) fn transfer(&self) -> u64 {
        self.offer.transfer
    }

    /// The committed place of the offered state.
    pub(in crate::colony) fn at(&self) -> Seq {
        self.offer.at
    }

    /// The parts that are to be sent, one bit each.
    pub(in crate::colony) fn wanted(&self) -> Bytes {
        let mut bits = vec![0_u8; self.offer.parts.len().div_ceil(8)];
        for index in &self.wanted {
            if let Some(byte) = bits.get_mut(index / 8) {
                *byte |= 1 << (index % 8);
            }
        }
        bits.into()
    }

    /// Whether every part is there.
    pub(in crate::colony) fn is_whole(&self) -> bool {
        self.arrived == self.wanted.len()
    }

    /// Takes in a chunk of this transfer.
    pub(in crate::colony) fn take(&mut self, chunk: &Chunk, held: &mut Held) -> Taken {
        match chunk.index.checked_sub(self.taken) {
            Some(0) => {}
            Some(_) => return Taken::OutOfTurn,
            None => return Taken::UpTo(self.taken - 1),
        }
        let next = self.wanted.get(self.arrived).and_then(|index| self.offer.parts.get(*index));
        let Some(name) = next.copied() else { return Taken::Unusable };
        let missing = (name.bytes as usize).saturating_sub(self.begun.len());
        if chunk.bytes.len() != missing.min(SNAPSHOT_CHUNK) || crc32fast::hash(&chunk.bytes) != chunk.crc {
            return Taken::Unusable;
        }
        self.taken += 1;
        if chunk.bytes.len() < missing {
            self.begun.extend_from_slice(&chunk.bytes);
            return Taken::UpTo(chunk.index);
        }
        let part = if self.begun.is_empty() {
            chunk.bytes.clone()
        } else {
            self.begun.extend_from_slice(&chunk.bytes);
            Bytes::from(std::mem::take(&mut self.begun))
        };
        if snapshot::name(&part) != name {
            return Taken::Unusable;
        }
        held.parts.insert(name.hash, part);
        self.arrived += 1;
        if self.is_whole() { Taken::All } else { Taken::UpTo(chunk.index) }
    }

    /// The offered state, if the parts are one.
    pub(in crate::colony) fn join(&self, held: &Held, now: Moment) -> Option<Store> {
        let parts: Option<Vec<Bytes>> = self.offer.parts.iter().map(|name| held.get(name)).collect();
        let store = snapshot::join(&parts?, self.since, now)?;
        (store.applied() == self.offer.at).then_some(store)
    }
}
