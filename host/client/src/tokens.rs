//! The newest position seen of each colony.

use std::collections::BTreeMap;
use std::sync::Mutex;

use colony_wire::{ColonyId, Position};

use crate::limits::TOKENS_MAX;
use crate::sync::lock;

/// Read tokens: sent with every call, so that a host which does not hold what this client has seen says so
/// instead of answering from the past (`PROTOCOL.md` 4).
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    seen: Mutex<BTreeMap<ColonyId, Position>>,
}

impl Tokens {
    pub(crate) fn get(&self, colony: ColonyId) -> Option<Position> {
        lock(&self.seen).get(&colony).copied()
    }

    /// What `sent` stood for is lost: the next call goes without it.
    pub(crate) fn give_up(&self, colony: ColonyId, sent: Option<Position>) {
        let mut tokens = lock(&self.seen);
        if tokens.get(&colony).copied() == sent {
            tokens.remove(&colony);
        }
    }

    /// Takes in a reply's position, `sent` being the token that its request carried.
    ///
    /// Inside one lineage the greater position stays. Positions of two lineages have no order; that the host
    /// answered shows that its history covers `sent`, so a position of another lineage replaces that token,
    /// and never one that came in between.
    pub(crate) fn saw(&self, colony: ColonyId, sent: Option<Position>, seen: Position) {
        let mut tokens = lock(&self.seen);
        match tokens.get_mut(&colony) {
            Some(held) if held.lineage == seen.lineage => {
                *held = (*held).max(seen);
            }
            Some(held) if Some(*held) == sent => *held = seen,
            Some(_) => {}
            None => {
                if tokens.len() >= TOKENS_MAX {
                    // Only with colonies of dropped namespaces among them. A lost token costs a promise
                    // about one colony's order of reads, no data.
                    tokens.pop_first();
                }
                tokens.insert(colony, seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use colony_wire::{LineageId, NamespaceId, Reign, Seq};

    fn colony(bucket: u32) -> ColonyId {
        ColonyId { namespace: NamespaceId(1), bucket }
    }

    fn at(lineage: u128, reign: u64, seq: u64) -> Position {
        Position { lineage: LineageId(lineage), reign: Reign(reign), seq: Seq(seq) }
    }

    #[test]
    fn a_late_reply_does_not_take_a_token_back() {
        let tokens = Tokens::default();
        for seen in [at(1, 1, 5), at(1, 2, 3), at(1, 1, 9)] {
            tokens.saw(colony(0), None, seen);
        }
        assert_eq!(tokens.get(colony(0)), Some(at(1, 2, 3)), "a later reign is newer");
        assert_eq!(tokens.get(colony(1)), None);
    }

    #[test]
    fn another_lineage_replaces_only_the_token_that_it_covers() {
        let tokens = Tokens::default();
        tokens.saw(colony(0), None, at(1, 4, 4));
        tokens.saw(colony(0), Some(at(1, 4, 4)), at(2, 5, 1));
        assert_eq!(tokens.get(colony(0)), Some(at(2, 5, 1)));
        tokens.saw(colony(0), Some(at(1, 4, 4)), at(1, 4, 6));
        assert_eq!(tokens.get(colony(0)), Some(at(2, 5, 1)), "the reply was late");
    }

    #[test]
    fn a_lost_token_is_given_up_and_no_newer_one() {
        let tokens = Tokens::default();
        tokens.saw(colony(0), None, at(1, 4, 4));
        tokens.give_up(colony(0), Some(at(1, 3, 1)));
        assert_eq!(tokens.get(colony(0)), Some(at(1, 4, 4)));
        tokens.give_up(colony(0), Some(at(1, 4, 4)));
        assert_eq!(tokens.get(colony(0)), None);
    }

    #[test]
    fn tokens_stay_below_their_bound() {
        let tokens = Tokens::default();
        for bucket in 0..u32::try_from(TOKENS_MAX).unwrap() + 10 {
            tokens.saw(colony(bucket), None, at(1, 1, 1));
        }
        assert_eq!(lock(&tokens.seen).len(), TOKENS_MAX);
    }
}
