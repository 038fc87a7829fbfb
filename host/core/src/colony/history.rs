//! What a state covers.

use colony_wire::{LineageId, Position, Reign, Seq};
use serde::{Deserialize, Serialize};

/// The path a replica's committed state has taken: per (lineage, reign) the last place it holds, oldest
/// first (`PROTOCOL.md` 1). One writer a reign makes this a complete description of which ops it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct History {
    entries: Vec<(LineageId, Reign, Seq)>,
}

/// Most reigns remembered. A version from an older one counts as older than everything, which makes saves
/// based on it conflict, never pass unseen.
pub(super) const MAX_ENTRIES: usize = 4096;

impl History {
    /// Whether the op at this position is in the state.
    #[must_use]
    pub fn covers(&self, position: Position) -> bool {
        let same = |entry: &&(LineageId, Reign, Seq)| entry.0 == position.lineage && entry.1 == position.reign;
        self.entries.iter().rev().find(same).is_some_and(|(_, _, last)| position.seq <= *last)
    }

    /// The last position, if there is one.
    #[must_use]
    pub fn end(&self) -> Option<Position> {
        self.entries.last().map(|(lineage, reign, seq)| Position { lineage: *lineage, reign: *reign, seq: *seq })
    }

    /// Per (lineage, reign) the last place, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[(LineageId, Reign, Seq)] {
        &self.entries
    }

    /// The op at this position is in the state from now on.
    pub(super) fn extend(&mut self, position: Position) {
        match self.entries.last_mut() {
            Some((lineage, reign, last)) if *lineage == position.lineage && *reign == position.reign => {
                *last = position.seq;
            }
            _ => {
                if self.entries.len() >= MAX_ENTRIES {
                    self.entries.remove(0);
                }
                self.entries.push((position.lineage, position.reign, position.seq));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(reign: u64, seq: u64) -> Position {
        Position { lineage: LineageId(7), reign: Reign(reign), seq: Seq(seq) }
    }

    #[test]
    fn a_history_covers_each_reign_up_to_where_it_was_left() {
        let mut history = History::default();
        for position in [at(1, 1), at(1, 2), at(3, 3), at(3, 4)] {
            history.extend(position);
        }
        assert!(history.covers(at(1, 2)) && history.covers(at(3, 3)));
        assert!(!history.covers(at(1, 3)), "the place was taken by reign 3");
        assert!(!history.covers(at(2, 1)) && !history.covers(at(3, 5)));
        assert_eq!(history.end(), Some(at(3, 4)));
    }
}
