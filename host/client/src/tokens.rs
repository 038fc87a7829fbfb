//! The newest position seen of each colony.

use std::collections::BTreeMap;
use std::sync::Mutex;

use colony_wire::{ColonyId, LineageId, Position};

use crate::limits::TOKENS_MAX;
use crate::sync::lock;

/// Most lineages of which positions are kept for one colony: a client that goes from one side of a split to the other,
/// and back, sees two or three. The oldest goes first, and with it the promise that its reads do not go back behind it.
const LINEAGES: usize = 4;

/// Read tokens: sent with every call, so that a host which does not hold what this client has seen says so
/// instead of answering from the past (`PROTOCOL.md` 4).
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// By colony, what was seen of each lineage, oldest first. Positions of two lineages have no order.
    seen: Mutex<BTreeMap<ColonyId, Vec<Position>>>,
}

impl Tokens {
    /// What a host of this lineage is to hold. What was seen in another lineage goes first: whoever serves the colony in
    /// its own has all that was acknowledged there.
    pub(crate) fn get(&self, colony: ColonyId, lineage: LineageId) -> Option<Position> {
        let tokens = lock(&self.seen);
        let held = tokens.get(&colony)?;
        held.iter().find(|token| token.lineage != lineage).or(held.first()).copied()
    }

    /// What `sent` stood for is lost: the next call goes without it.
    pub(crate) fn give_up(&self, colony: ColonyId, sent: Option<Position>) {
        let mut tokens = lock(&self.seen);
        if let Some(held) = tokens.get_mut(&colony) {
            held.retain(|token| Some(*token) != sent);
            if held.is_empty() {
                tokens.remove(&colony);
            }
        }
    }

    /// Takes in a reply's position, `sent` being the token that its request carried, if the host was held to it.
    ///
    /// Inside one lineage the greater position stays. That the host answered shows that its history covers `sent`, so a
    /// position of another lineage replaces that token, and never one that came in between.
    pub(crate) fn saw(&self, colony: ColonyId, sent: Option<Position>, seen: Position) {
        let mut tokens = lock(&self.seen);
        if tokens.len() >= TOKENS_MAX && !tokens.contains_key(&colony) {
            // Only with colonies of dropped namespaces among them. A lost token costs a promise
            // about one colony's order of reads, no data.
            tokens.pop_first();
        }
        let held = tokens.entry(colony).or_default();
        held.retain(|token| token.lineage == seen.lineage || Some(*token) != sent);
        match held.iter_mut().find(|token| token.lineage == seen.lineage) {
            Some(token) => *token = (*token).max(seen),
            None => held.push(seen),
        }
        if held.len() > LINEAGES {
            held.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use colony_wire::{NamespaceId, Reign, Seq};

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
        assert_eq!(tokens.get(colony(0), LineageId(1)), Some(at(1, 2, 3)), "a later reign is newer");
        assert_eq!(tokens.get(colony(1), LineageId(1)), None);
    }

    #[test]
    fn another_lineage_replaces_only_the_token_that_it_covers() {
        let tokens = Tokens::default();
        tokens.saw(colony(0), None, at(1, 4, 4));
        tokens.saw(colony(0), Some(at(1, 4, 4)), at(2, 5, 1));
        assert_eq!(tokens.get(colony(0), LineageId(1)), Some(at(2, 5, 1)));
        tokens.saw(colony(0), Some(at(1, 4, 4)), at(1, 4, 6));
        assert_eq!(tokens.get(colony(0), LineageId(1)), Some(at(2, 5, 1)), "the reply was late");
        assert_eq!(tokens.get(colony(0), LineageId(2)), Some(at(1, 4, 6)), "it was seen all the same");
    }

    /// A change is made where the colony is served, whatever the client has seen elsewhere: both are to be covered.
    #[test]
    fn what_was_seen_on_two_sides_is_kept_until_one_has_it() {
        let tokens = Tokens::default();
        tokens.saw(colony(0), None, at(2, 5, 1));
        tokens.saw(colony(0), None, at(1, 4, 7));
        assert_eq!(tokens.get(colony(0), LineageId(1)), Some(at(2, 5, 1)));
        assert_eq!(tokens.get(colony(0), LineageId(2)), Some(at(1, 4, 7)));
        tokens.saw(colony(0), Some(at(2, 5, 1)), at(1, 6, 9));
        assert_eq!(tokens.get(colony(0), LineageId(1)), Some(at(1, 6, 9)));
        for lineage in 3..10 {
            tokens.saw(colony(0), None, at(lineage, 1, 1));
        }
        assert_eq!(lock(&tokens.seen)[&colony(0)].len(), LINEAGES);
    }

    #[test]
    fn a_lost_token_is_given_up_and_no_newer_one() {
        let tokens = Tokens::default();
        tokens.saw(colony(0), None, at(1, 4, 4));
        tokens.give_up(colony(0), Some(at(1, 3, 1)));
        assert_eq!(tokens.get(colony(0), LineageId(1)), Some(at(1, 4, 4)));
        tokens.give_up(colony(0), Some(at(1, 4, 4)));
        assert_eq!(tokens.get(colony(0), LineageId(1)), None);
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
