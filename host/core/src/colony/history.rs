//! What a state covers.

use colony_wire::heal::{Path, Stretch};
use colony_wire::limits::MAX_PATH;
use colony_wire::{LineageId, Position, Reign, Seq};
use serde::{Deserialize, Serialize};

/// The path a replica's committed state has taken: per (lineage, reign) the last place it holds, oldest
/// first (`PROTOCOL.md` 1). One writer a reign makes this a complete description of which ops it holds.
///
/// Beside its own path it covers those that it absorbed after a split, each from the reign on that opened with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct History {
    entries: Vec<Stretch>,
    absorbed: Vec<((LineageId, Reign), Stretch)>,
}

/// Most reigns remembered, and as many absorbed ones. A version from an older one counts as older than everything, which
/// makes saves based on it conflict, never pass unseen.
pub(super) const MAX_ENTRIES: usize = MAX_PATH / 2;

impl History {
    /// Whether the op at this position is in the state.
    #[must_use]
    pub fn covers(&self, position: Position) -> bool {
        self.last_of(position.lineage, position.reign).is_some_and(|last| position.seq <= last)
    }

    /// Whether the op at this position is on its own path: everything at a lower place was before it, which is not so for
    /// what was absorbed.
    #[must_use]
    pub fn is_on_path(&self, position: Position) -> bool {
        let is_it = |stretch: &&Stretch| (stretch.0, stretch.1) == (position.lineage, position.reign);
        self.entries.iter().rev().find(is_it).is_some_and(|stretch| position.seq <= stretch.2)
    }

    /// The last place that is covered of one writer's reign.
    fn last_of(&self, lineage: LineageId, reign: Reign) -> Option<Seq> {
        let is_it = |stretch: &&Stretch| (stretch.0, stretch.1) == (lineage, reign);
        let own = self.entries.iter().rev().find(is_it).map(|stretch| stretch.2);
        let absorbed = self.absorbed.iter().map(|(_, stretch)| stretch).filter(is_it).map(|stretch| stretch.2);
        own.into_iter().chain(absorbed).max()
    }

    /// The last position, if there is one.
    #[must_use]
    pub fn end(&self) -> Option<Position> {
        self.entries.last().map(|stretch| position(*stretch))
    }

    /// Per (lineage, reign) the last place of its own path, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Stretch] {
        &self.entries
    }

    /// What it was when its own path went up to `end`. `end` must be on that.
    #[must_use]
    pub fn up_to(&self, end: Position) -> Self {
        let is_last = |stretch: &Stretch| (stretch.0, stretch.1) == (end.lineage, end.reign);
        let kept = self.entries.iter().position(is_last).map_or(0, |index| index + 1);
        let mut entries: Vec<Stretch> = self.entries.iter().take(kept).copied().collect();
        if let Some(last) = entries.last_mut() {
            last.2 = last.2.min(end.seq);
        }
        let is_kept = |opener: &(LineageId, Reign)| entries.iter().any(|own| (own.0, own.1) == *opener);
        let absorbed = self.absorbed.iter().filter(|(opener, _)| is_kept(opener)).copied().collect();
        Self { entries, absorbed }
    }

    /// The newest state that both sides had, as a history: walking one side's own path back, the first reign that the
    /// other side covers is where they parted; of the two that this gives, that which covers the other
    /// (`PROTOCOL.md` 9). Empty if they have nothing in common.
    #[must_use]
    pub fn common_with(&self, other: &Self) -> Self {
        let parting = |one: &Self, another: &Self| {
            let met = one.entries.iter().rev().find_map(|(lineage, reign, last)| {
                let theirs = another.last_of(*lineage, *reign)?;
                Some(Position { lineage: *lineage, reign: *reign, seq: theirs.min(*last) })
            });
            met.map(|at| (at, one.up_to(at)))
        };
        match (parting(self, other), parting(other, self)) {
            (Some((_, ours)), Some((at, _))) if ours.covers(at) => ours,
            (_, Some((_, theirs))) => theirs,
            (Some((_, ours)), None) => ours,
            (None, None) => Self::default(),
        }
    }

    /// As it travels.
    #[must_use]
    pub fn to_path(&self) -> Path {
        Path { own: self.entries.clone(), absorbed: self.absorbed.clone() }
    }

    /// As it came.
    #[must_use]
    pub fn from_path(path: &Path) -> Self {
        Self { entries: path.own.clone(), absorbed: path.absorbed.clone() }
    }

    /// It goes on along its newest reign.
    pub(super) fn extend_to(&mut self, end: Position) {
        if !self.covers(end) {
            self.extend(end);
        }
    }

    /// Everything that is covered.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Stretch> {
        self.entries.iter().chain(self.absorbed.iter().map(|(_, stretch)| stretch)).copied()
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

    /// The reign of `opener` begins with what this path covers.
    pub(super) fn absorb(&mut self, opener: Position, covers: impl IntoIterator<Item = Stretch>) {
        for stretch in covers {
            if !self.covers(position(stretch)) {
                self.absorbed.push(((opener.lineage, opener.reign), stretch));
            }
        }
        let surplus = self.absorbed.len().saturating_sub(MAX_ENTRIES);
        self.absorbed.drain(..surplus);
    }
}

fn position((lineage, reign, seq): Stretch) -> Position {
    Position { lineage, reign, seq }
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

    fn there(reign: u64, seq: u64) -> Position {
        Position { lineage: LineageId(8), ..at(reign, seq) }
    }

    fn along(positions: &[Position]) -> History {
        let mut history = History::default();
        positions.iter().for_each(|position| history.extend(*position));
        history
    }

    #[test]
    fn two_sides_have_in_common_what_both_held_when_they_parted() {
        let stays = along(&[at(1, 9), at(2, 12), at(3, 20)]);
        let yields = along(&[at(1, 9), at(2, 14), there(3, 18)]);
        let common = stays.common_with(&yields);
        assert_eq!((common.end(), yields.common_with(&stays)), (Some(at(2, 12)), common.clone()));
        assert!(common.covers(at(2, 12)) && !common.covers(at(2, 13)) && !common.covers(there(3, 15)));
    }

    /// What was absorbed in an earlier round is behind both sides in the next.
    #[test]
    fn what_was_absorbed_is_common_from_then_on() {
        let mut stays = along(&[at(1, 9), at(2, 12)]);
        let mut yields = along(&[at(1, 9), there(2, 15)]);
        stays.absorb(at(3, 13), yields.stretches().collect::<Vec<_>>());
        stays.extend(at(3, 13));
        yields.extend(there(2, 30));
        assert!(stays.covers(there(2, 15)) && !stays.covers(there(2, 16)));
        let common = stays.common_with(&yields);
        assert_eq!(common.end(), Some(there(2, 15)));
        assert!(!common.covers(at(2, 12)), "the yielding side never saw it");
        assert_eq!(common, yields.common_with(&stays));
    }

    #[test]
    fn what_an_earlier_state_covered_is_without_what_was_absorbed_later() {
        let mut history = along(&[at(1, 9)]);
        history.absorb(at(2, 10), [(LineageId(8), Reign(2), Seq(15))]);
        history.extend(at(2, 10));
        assert!(!history.up_to(at(1, 9)).covers(there(2, 15)));
        assert!(history.up_to(at(2, 10)).covers(there(2, 15)));
    }

    /// Bug: a save based on what a client had read on the other side of a split overwrote what was written since. Cause:
    /// its version was covered once that side was taken in, and places of two paths were compared. Fix: only places on the
    /// own path are.
    #[test]
    fn what_was_absorbed_is_covered_and_not_on_the_path() {
        let mut history = along(&[at(1, 9)]);
        history.absorb(at(2, 10), [(LineageId(8), Reign(2), Seq(98))]);
        history.extend(at(2, 10));
        assert!(history.covers(there(2, 98)) && !history.is_on_path(there(2, 98)));
        assert!(history.is_on_path(at(1, 9)) && history.is_on_path(at(2, 10)));
    }

    #[test]
    fn strangers_have_nothing_in_common() {
        assert_eq!(along(&[at(1, 9)]).common_with(&along(&[there(1, 9)])), History::default());
    }
}
