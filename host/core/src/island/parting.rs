//! When a host leaves an island that has come back (`PROTOCOL.md` 9).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colony_wire::StartId;

use crate::Time;

/// Who says nothing for so long is not waited for: far above what a host that lives takes to answer, and above the time
/// in which the group of an island finds out that one is dead.
pub const SILENT_FOR: Duration = Duration::from_secs(10);

/// Who says that something is left there is waited for so long: far above what a heal under load takes. It does not hang on
/// who waits: a host that finds nobody who decides goes on alone, and this one is missed in the next split.
pub const LEFT_FOR: Duration = Duration::from_secs(120);

/// A host of which nothing is left in an island, while others may be on their way yet.
///
/// It stays in the island's group for as long as they are: a colony there that heard late that it was taken in has gone
/// on, and needs a majority of that group to change who holds it before it can come back once more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parting {
    done: BTreeSet<StartId>,
    /// When each of the others was heard last, or asked first.
    heard: BTreeMap<StartId, Time>,
    /// When each of them was asked first.
    asked: BTreeMap<StartId, Time>,
}

impl Parting {
    /// Those of `others`, the hosts of the island but this one, that are to be asked whether they are done. With nobody
    /// to ask the island is over here.
    pub fn waits_for(&mut self, now: Time, others: impl IntoIterator<Item = StartId>) -> Vec<StartId> {
        let is_awaited = |start: &StartId| {
            let heard = *self.heard.entry(*start).or_insert(now);
            let asked = *self.asked.entry(*start).or_insert(now);
            !self.done.contains(start) && now.since(heard) < SILENT_FOR && now.since(asked) < LEFT_FOR
        };
        others.into_iter().filter(is_awaited).collect()
    }

    /// A host answered: that nothing is left there of the island, or that something is.
    pub fn heard(&mut self, now: Time, who: StartId, is_done: bool) {
        self.heard.insert(who, now);
        if is_done {
            self.done.insert(who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: StartId = StartId(1);
    const B: StartId = StartId(2);

    fn at(millis: u64) -> Time {
        Time(millis * 1000)
    }

    /// Bug: a colony of an island was never taken in whole, and the island did not end on its host. Cause: its primary
    /// heard late that it had been taken in and went on; its other copies were given up by then, and with their hosts
    /// gone from the island there was no majority to leave them out, so what it did was never committed. Fix: a host of
    /// which nothing is left there stays in the group until that is so of all.
    #[test]
    fn who_is_done_waits_for_the_others() {
        let mut parting = Parting::default();
        assert_eq!(parting.waits_for(at(0), [A, B]), [A, B]);
        parting.heard(at(100), A, true);
        parting.heard(at(100), B, false);
        assert_eq!(parting.waits_for(at(200), [A, B]), [B]);
        parting.heard(at(9_000), B, false);
        assert_eq!(parting.waits_for(at(18_900), [A, B]), [B], "it was heard since");
        parting.heard(at(19_000), B, true);
        assert_eq!(parting.waits_for(at(19_000), [A, B]), []);
    }

    /// Bug: a host on which nothing was left of an island could not leave it, and not open another one, for as long as some
    /// other host of it had something left that the root could not take in. Cause: it was waited for without a bound, for it
    /// might need a majority. Fix: a host that has none goes on alone, and is waited for as long as a heal may take.
    #[test]
    fn who_is_never_done_is_not_waited_for_without_end() {
        let mut parting = Parting::default();
        for second in 0..120 {
            assert_eq!(parting.waits_for(at(second * 1000), [A]), [A]);
            parting.heard(at(second * 1000), A, false);
        }
        assert_eq!(parting.waits_for(at(120_000), [A]), []);
    }

    #[test]
    fn who_says_nothing_is_not_waited_for_without_end() {
        let mut parting = Parting::default();
        assert_eq!(parting.waits_for(at(5_000), [A]), [A]);
        assert_eq!(parting.waits_for(at(14_900), [A]), [A]);
        assert_eq!(parting.waits_for(at(15_000), [A]), []);
    }

    #[test]
    fn who_the_island_holds_for_dead_is_not_waited_for() {
        let mut parting = Parting::default();
        assert_eq!(parting.waits_for(at(0), [A, B]), [A, B]);
        assert_eq!(parting.waits_for(at(100), [B]), [B]);
    }
}
