//! The splits: one row of the table each.

use std::time::Duration;

use clap::ValueEnum;
use colony_client::admin::{AttributeNames, BuiltIn, MergeBy, MergeRule, OnPartition};
use colony_it::MERGE;

use crate::cluster::{NAMESPACE, Shape, TRAP};
use crate::lab::HOSTS;

/// Longest time until a side that is cut off serves again: `island_after` (2 s) and a second.
pub const SERVES_WITHIN: Duration = Duration::from_secs(3);
/// Goal: so long after the links are back 99 of 100 colonies are merged.
pub const MERGED_WITHIN: Duration = Duration::from_secs(5);
/// Copies of each colony, where there are hosts enough.
const COPIES: u8 = 3;

/// One kind of split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum IslandRow {
    /// Two hosts and three
    #[value(name = "2/3")]
    TwoThree,
    /// Two, two and one
    #[value(name = "2/2/1")]
    ThreeWays,
    /// One host and four
    #[value(name = "1/4")]
    OneFour,
    /// A cluster of two hosts, one on each side
    #[value(name = "1/1")]
    OneOne,
    /// Two hosts and three, cut for three seconds, whole for three, and so on
    Flapping,
    /// Counters on three sides, 100,000 increments
    Counters,
    /// Two hosts and three, and a merge plugin that traps whenever it is asked
    Trap,
    /// What `--broken` does: the hosts of the side that is cut off are killed before the links are back
    #[value(skip)]
    Broken,
}

impl IslandRow {
    /// All rows of the table, in their order.
    pub const ALL: [Self; 7] =
        [Self::TwoThree, Self::ThreeWays, Self::OneFour, Self::OneOne, Self::Flapping, Self::Counters, Self::Trap];

    /// As it is typed and printed.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(|| "broken".to_owned(), |value| value.get_name().to_owned())
    }

    /// Hosts on each side. On the last is the group's majority, if any side has it.
    #[must_use]
    pub fn sides(self) -> &'static [usize] {
        match self {
            Self::TwoThree | Self::Flapping | Self::Trap | Self::Broken => &[2, 3],
            Self::ThreeWays | Self::Counters => &[2, 2, 1],
            Self::OneFour => &[1, 4],
            Self::OneOne => &[1, 1],
        }
    }

    /// The cluster that it needs.
    #[must_use]
    pub fn shape(self) -> Shape {
        let hosts = self.sides().iter().sum();
        let copies = COPIES.min(u8::try_from(hosts).unwrap_or(COPIES));
        let cart = || MergeBy::Plugin(MERGE.to_owned());
        let namespaces = match self {
            Self::Counters => {
                let of = AttributeNames::Prefix(String::new());
                let counter = MergeBy::Rules(vec![MergeRule { of, rule: BuiltIn::Counter }]);
                vec![(NAMESPACE, counter, OnPartition::Island)]
            }
            // Those whose waiting is measured are not healed themselves.
            Self::Trap => vec![
                (NAMESPACE, cart(), OnPartition::Strict),
                (TRAP, MergeBy::Plugin(TRAP.to_owned()), OnPartition::Island),
            ],
            Self::TwoThree | Self::ThreeWays | Self::OneFour | Self::OneOne | Self::Flapping | Self::Broken => {
                vec![(NAMESPACE, cart(), OnPartition::Island)]
            }
        };
        debug_assert!(hosts <= HOSTS, "the lab has no more");
        Shape { hosts, copies, namespaces }
    }

    /// The namespace of the sessions that every side changes.
    #[must_use]
    pub fn paired_in(self) -> &'static str {
        if self == Self::Trap { TRAP } else { NAMESPACE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_that_can_be_typed_is_in_the_table() {
        assert_eq!(IslandRow::value_variants(), IslandRow::ALL);
    }
}
