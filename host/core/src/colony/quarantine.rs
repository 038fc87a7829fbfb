//! Values that a heal overrode, kept for people (`PROTOCOL.md` 9; I10).
//!
//! Both sides of a split acknowledged something, and one value was chosen: the other one goes with the colony from then on,
//! to every copy. Nothing comes in without a heal that overrides.

use std::collections::VecDeque;

use colony_wire::Position;
use colony_wire::heal::Overridden;
use serde::{Deserialize, Serialize};

/// Most values kept of one colony. Beyond it the oldest go, and are counted.
pub const MAX_QUARANTINED: usize = 1024;
/// Most bytes of them: as much as a few hundred sessions of the usual size, or one of the largest.
pub const MAX_QUARANTINED_BYTES: usize = 4 << 20;

/// The values, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Quarantine {
    kept: VecDeque<Overridden>,
    bytes: usize,
    dropped: u64,
}

impl Quarantine {
    /// One more is kept.
    pub(super) fn keep(&mut self, one: Overridden) {
        self.bytes += one.size();
        self.kept.push_back(one);
        while self.kept.len() > MAX_QUARANTINED || (self.bytes > MAX_QUARANTINED_BYTES && self.kept.len() > 1) {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= oldest.size();
            self.dropped += 1;
        }
    }

    /// Those that were overridden after this place, or all of them. A colony's places only grow.
    pub fn after(&self, place: Option<Position>) -> impl Iterator<Item = &Overridden> {
        self.kept.iter().filter(move |one| place.is_none_or(|place| one.at.seq > place.seq))
    }

    /// How many had to go for newer ones.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use colony_wire::heal::{Portrait, Winner};
    use colony_wire::session::{Content, Key};
    use colony_wire::tag::Tags;
    use colony_wire::{LineageId, Reign, Seq};

    use super::*;

    fn overridden(seq: u64, bytes: usize) -> Overridden {
        let at = Position { lineage: LineageId(1), reign: Reign(1), seq: Seq(seq) };
        let content = Content::Blob(Bytes::from(vec![7; bytes]));
        let value = Portrait { life: at, content, tags: Tags::new(), ttl: None, expires_in: None, written_at: 1 };
        Overridden { at, healed_at: 2, key: Key::new("k").unwrap(), value: Box::new(value), winner: Winner::Staying }
    }

    fn places(quarantine: &Quarantine, after: Option<u64>) -> Vec<u64> {
        let after = after.map(|seq| overridden(seq, 0).at);
        quarantine.after(after).map(|one| one.at.seq.0).collect()
    }

    #[test]
    fn a_list_goes_on_where_the_last_one_ended() {
        let mut quarantine = Quarantine::default();
        (1..=4).for_each(|seq| quarantine.keep(overridden(seq, 10)));
        assert_eq!(places(&quarantine, None), [1, 2, 3, 4]);
        assert_eq!(places(&quarantine, Some(2)), [3, 4]);
        assert_eq!(places(&quarantine, Some(4)), []);
    }

    #[test]
    fn beyond_its_bounds_the_oldest_go_and_are_counted() {
        let mut quarantine = Quarantine::default();
        (1..=MAX_QUARANTINED as u64 + 3).for_each(|seq| quarantine.keep(overridden(seq, 1)));
        assert_eq!((quarantine.kept.len(), quarantine.dropped()), (MAX_QUARANTINED, 3));
        assert_eq!(places(&quarantine, None)[0], 4);
        quarantine.keep(overridden(5_000, MAX_QUARANTINED_BYTES + 1));
        assert_eq!(places(&quarantine, None), [5_000], "one is kept however large it is");
        quarantine.keep(overridden(5_001, 1));
        assert_eq!(places(&quarantine, None), [5_001]);
        assert_eq!(quarantine.bytes, quarantine.kept.iter().map(Overridden::size).sum::<usize>());
    }
}
