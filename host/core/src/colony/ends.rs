//! Lives that have ended: what stays of them (`PROTOCOL.md` 1, 8; D4).
//!
//! A copy that lacks the end of a session must not bring the session back. So every end leaves a *tombstone*
//! in the logged state of each copy. It goes by an op of the primary once there is no copy any more that does
//! not know of the end, never by age. For memory there is a bound; the *floor* says what that has cost.

use std::collections::BTreeMap;
use std::fmt;

use colony_wire::session::{EndKind, Key};
use colony_wire::{LineageId, Position, Reign, Seq};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// Most tombstones of one colony: about ten megabytes with their indexes. It is a constant and no setting,
/// for every copy must drop the same ones.
pub(super) const MAX_TOMBSTONES: usize = 65_536;

/// Stands for a key in what outlives its session: a key is a bearer token and is kept no longer than needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyHash(u128);

impl KeyHash {
    /// The hash of this key.
    #[must_use]
    pub fn of(key: &Key) -> Self {
        Self(xxh3_128(key.as_bytes()))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 96)
    }
}

/// What stays of a life that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tombstone {
    /// Of which key.
    pub key: KeyHash,
    /// Position of the create that began the life.
    pub life: Position,
    /// Position of the op that ended it.
    pub ended: Position,
    /// Why it ended.
    pub kind: EndKind,
}

/// A life by the place of its create, which says how old it is on the colony's own path, then by the whole
/// position of that.
type Life = (Seq, Position);

/// The tombstones of one colony.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ends {
    /// By the place of the op that left it: the order in which they go.
    by_place: BTreeMap<Seq, Tombstone>,
    /// The places of them, by key and life; the lives of one key by age.
    by_life: BTreeMap<(KeyHash, Life), Seq>,
    floor: Option<Position>,
}

/// The tombstones as they travel in snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Portable {
    by_place: BTreeMap<Seq, Tombstone>,
    floor: Option<Position>,
}

impl Tombstone {
    fn name(&self) -> (KeyHash, Life) {
        (self.key, (self.life.seq, self.life))
    }
}

impl Ends {
    /// How this life of the key ended, if that is remembered.
    #[must_use]
    pub fn of_life(&self, key: &Key, life: Position) -> Option<EndKind> {
        let place = self.by_life.get(&(KeyHash::of(key), (life.seq, life)))?;
        self.by_place.get(place).map(|tombstone| tombstone.kind)
    }

    /// How the newest life of the key ended that is remembered.
    #[must_use]
    pub fn newest_of(&self, key: &Key) -> Option<EndKind> {
        let key = KeyHash::of(key);
        let last = Position { lineage: LineageId(u128::MAX), reign: Reign(u64::MAX), seq: Seq(u64::MAX) };
        let lives = (key, (Seq(0), Position::default()))..=(key, (Seq(u64::MAX), last));
        let (_, place) = self.by_life.range(lives).next_back()?;
        self.by_place.get(place).map(|tombstone| tombstone.kind)
    }

    /// All of them, in the order of the ops that left them.
    pub fn tombstones(&self) -> impl Iterator<Item = &Tombstone> {
        self.by_place.values()
    }

    /// Position of the newest end whose tombstone was dropped for memory, before its time. A copy whose
    /// history does not cover it may hold sessions that ended here without a trace.
    #[must_use]
    pub fn floor(&self) -> Option<Position> {
        self.floor
    }

    /// Whether there is a tombstone left by an op after `after` and not after `upto`.
    pub(super) fn any_between(&self, after: Seq, upto: Seq) -> bool {
        after < upto && self.by_place.range(after.next()..=upto).next().is_some()
    }

    /// A life ended. The oldest tombstones make room for it if they must.
    pub(super) fn bury(&mut self, tombstone: Tombstone) {
        let place = tombstone.ended.seq;
        self.by_life.insert(tombstone.name(), place);
        self.by_place.insert(place, tombstone);
        while self.by_place.len() > MAX_TOMBSTONES {
            let Some(dropped) = self.drop_first() else { return };
            self.floor = Some(dropped.ended);
        }
    }

    /// Every copy is past `upto`: what ended until then needs no tombstone any more.
    pub(super) fn forget(&mut self, upto: Seq) {
        while self.by_place.first_key_value().is_some_and(|(place, _)| *place <= upto) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) -> Option<Tombstone> {
        let (place, tombstone) = self.by_place.pop_first()?;
        let life = tombstone.name();
        if self.by_life.get(&life) == Some(&place) {
            self.by_life.remove(&life);
        }
        Some(tombstone)
    }

    /// What counts in a digest of the logged state.
    pub(super) fn logged(&self) -> impl Serialize {
        (&self.by_place, self.floor)
    }

    pub(super) fn to_portable(&self) -> Portable {
        Portable { by_place: self.by_place.clone(), floor: self.floor }
    }

    /// None if there are more than any copy may hold.
    pub(super) fn from_portable(portable: Portable) -> Option<Self> {
        let Portable { by_place, floor } = portable;
        let by_life = by_place.iter().map(|(place, one)| (one.name(), *place)).collect();
        (by_place.len() <= MAX_TOMBSTONES).then_some(Self { by_place, by_life, floor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64) -> Position {
        Position { lineage: LineageId(1), reign: Reign(1), seq: Seq(seq) }
    }

    fn key() -> Key {
        Key::new("k").unwrap()
    }

    fn tombstone(life: u64, ended: u64, kind: EndKind) -> Tombstone {
        Tombstone { key: KeyHash::of(&key()), life: at(life), ended: at(ended), kind }
    }

    #[test]
    fn each_life_of_a_key_has_its_own_tombstone() {
        let mut ends = Ends::default();
        ends.bury(tombstone(1, 2, EndKind::Logout));
        ends.bury(tombstone(3, 4, EndKind::Expiry));
        assert_eq!(ends.of_life(&key(), at(1)), Some(EndKind::Logout));
        assert_eq!(ends.of_life(&key(), at(3)), Some(EndKind::Expiry));
        assert_eq!((ends.of_life(&key(), at(5)), ends.newest_of(&key())), (None, Some(EndKind::Expiry)));
        assert_eq!(ends.newest_of(&Key::new("another").unwrap()), None);
    }

    #[test]
    fn what_is_forgotten_is_forgotten_up_to_a_place_and_leaves_no_floor() {
        let mut ends = Ends::default();
        ends.bury(tombstone(1, 2, EndKind::Logout));
        ends.bury(tombstone(3, 4, EndKind::Logout));
        assert!(ends.any_between(Seq(0), Seq(2)) && !ends.any_between(Seq(2), Seq(3)));
        ends.forget(Seq(3));
        assert_eq!((ends.of_life(&key(), at(1)), ends.of_life(&key(), at(3))), (None, Some(EndKind::Logout)));
        assert_eq!((ends.tombstones().count(), ends.floor()), (1, None));
    }

    #[test]
    fn beyond_the_bound_the_oldest_go_and_the_floor_says_so() {
        let mut ends = Ends::default();
        for number in 1..=MAX_TOMBSTONES as u64 {
            ends.bury(tombstone(2 * number - 1, 2 * number, EndKind::Logout));
        }
        assert_eq!(ends.floor(), None);
        let next = 2 * MAX_TOMBSTONES as u64 + 1;
        ends.bury(tombstone(next, next + 1, EndKind::Logout));
        assert_eq!((ends.floor(), ends.of_life(&key(), at(1))), (Some(at(2)), None));
        assert_eq!((ends.by_place.len(), ends.by_life.len()), (MAX_TOMBSTONES, MAX_TOMBSTONES));
        let copy = Ends::from_portable(ends.to_portable());
        assert_eq!(copy, Some(ends), "the floor travels with them");
    }

    #[test]
    fn a_snapshot_with_more_than_the_bound_is_refused() {
        let mut ends = Ends::default();
        ends.bury(tombstone(1, 2, EndKind::Logout));
        let mut portable = ends.to_portable();
        portable.by_place.extend((0..MAX_TOMBSTONES as u64).map(|n| (Seq(n + 9), tombstone(1, 2, EndKind::Logout))));
        assert_eq!(Ends::from_portable(portable), None);
    }
}
