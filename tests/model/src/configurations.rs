//! The configurations that are checked.

use colony_core::colony::Mutant;

use crate::scope::{Bounds, Order, Scope};

/// Two mutations, and one of them once more: three writes that reach a primary.
const THREE_WRITES: Bounds = Bounds {
    writes: 2,
    retries: 1,
    crashes: 0,
    deaths: 0,
    rebirths: 0,
    joins: 0,
    ticks: 0,
    silences: 0,
    doubles: 0,
    splits: 0,
};

/// And of each of what the project promises to check together, one.
const CRASH_SPLIT_JOIN: Bounds = Bounds { crashes: 1, joins: 1, silences: 1, splits: 1, ..THREE_WRITES };

/// A log that keeps all there is to keep, and one that keeps next to nothing.
const LONG: usize = 16;
const SHORT: usize = 1;

fn scope(name: &'static str, copies: usize, log_kept: usize, bounds: Bounds) -> Scope {
    Scope { name, copies, bounds, log_kept, order: Order::Any, mutant: None }
}

/// On each stream messages arrive in the order in which they were sent.
fn in_order(name: &'static str, copies: usize, log_kept: usize, bounds: Bounds) -> Scope {
    Scope { order: Order::Sent, ..scope(name, copies, log_kept, bounds) }
}

impl Scope {
    /// Those of every run. The first has all of it in one, on streams that keep their order; those after it let the
    /// network do as it likes and leave one thing or another out, so none of them contains another.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            in_order("crash-split-join", 2, SHORT, CRASH_SPLIT_JOIN),
            scope("crash", 3, LONG, Bounds { crashes: 1, deaths: 1, ..THREE_WRITES }),
            scope("crash-join", 2, SHORT, Bounds { crashes: 1, joins: 1, ..THREE_WRITES }),
            scope("crash-split", 2, LONG, Bounds { crashes: 1, deaths: 1, silences: 1, ..THREE_WRITES }),
            scope("split-join", 2, SHORT, Bounds { silences: 1, joins: 1, writes: 1, ..THREE_WRITES }),
            scope("split", 3, LONG, Bounds { deaths: 1, silences: 1, writes: 1, ..THREE_WRITES }),
            scope("death-join", 2, SHORT, Bounds { deaths: 1, joins: 1, writes: 1, ..THREE_WRITES }),
            scope("undead", 2, LONG, Bounds { deaths: 1, rebirths: 1, silences: 1, ..THREE_WRITES }),
            scope("twice", 2, LONG, Bounds { deaths: 1, doubles: 1, ticks: 1, ..THREE_WRITES }),
        ]
    }

    /// Those that are too large for every run: none of them has been walked to its end yet.
    #[must_use]
    pub fn full() -> Vec<Self> {
        vec![
            scope("split-join-3", 2, SHORT, Bounds { silences: 1, joins: 1, ..THREE_WRITES }),
            scope("death-join-3", 2, SHORT, Bounds { deaths: 1, joins: 1, ..THREE_WRITES }),
            in_order("crash-split-join-death", 2, SHORT, Bounds { deaths: 1, ..CRASH_SPLIT_JOIN }),
            scope("all", 2, SHORT, Bounds { deaths: 1, ..CRASH_SPLIT_JOIN }),
        ]
    }

    /// One for each bug that it must show.
    #[must_use]
    pub fn mutants() -> Vec<Self> {
        use Mutant as M;
        let death = Bounds { deaths: 1, ..THREE_WRITES };
        let join = Bounds { joins: 1, ..THREE_WRITES };
        let one_write = Bounds { writes: 1, ..join };
        let one = |name, mutant, copies, log_kept, bounds| Self {
            mutant: Some(mutant),
            ..scope(name, copies, log_kept, bounds)
        };
        vec![
            one("AckBeforeAllInSync", M::AckBeforeAllInSync, 3, LONG, THREE_WRITES),
            one("PromoteCatchingUp", M::PromoteCatchingUp, 2, LONG, Bounds { deaths: 1, ..join }),
            one("ProposeBelowCommitted", M::ProposeBelowCommitted, 2, SHORT, join),
            one("AcceptLowerReign", M::AcceptLowerReign, 3, LONG, death),
            one("SkipStreamedOps", M::SkipStreamedOps, 2, SHORT, join),
            one("ReadUncommitted", M::ReadUncommitted, 2, LONG, THREE_WRITES),
            one("ReadBeforeBarrier", M::ReadBeforeBarrier, 2, LONG, death),
            one("DropInheritedSuffix", M::DropInheritedSuffix, 3, LONG, death),
            one("ForgetRequests", M::ForgetRequests, 2, LONG, THREE_WRITES),
            one("SnapshotWithoutRecords", M::SnapshotWithoutRecords, 2, SHORT, Bounds { deaths: 1, ..one_write }),
            one("CommitWithoutUnion", M::CommitWithoutUnion, 2, SHORT, join),
        ]
    }

    /// What may happen in it, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let Bounds { writes, retries, crashes, deaths, rebirths, joins, ticks, silences, doubles, splits } =
            self.bounds;
        let counted = [
            (writes, "writes"),
            (retries, "retries"),
            (crashes, "crashes"),
            (deaths, "declared dead"),
            (rebirths, "reborn"),
            (joins, "joins"),
            (ticks, "ticks"),
            (silences, "silences"),
            (doubles, "messages twice"),
            (splits, "splits"),
        ];
        let counted = counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let order = match self.order {
            Order::Any => "any order, any loss",
            Order::Sent => {
                "in order on each stream, equals under way once, lost by crashes and by splits of one host from both \
                 others, silences before the end of the last split"
            }
        };
        let counted = counted.collect::<Vec<_>>().join(", ");
        format!("{} copies, {counted}; {order}", self.copies)
    }
}
