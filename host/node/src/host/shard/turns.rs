//! In which order questions wait for the plugin thread.
//!
//! Colonies share the thread's time by fair queueing (A. Demers, S. Keshav, S. Shenker, SIGCOMM 1989): next is the turn
//! that would end first if all ran side by side, taking what the colony's last one took. A colony whose plugin burns 50 ms
//! a call is behind one whose plugin takes microseconds, however many conflicts it has and however many such colonies
//! there are: whoever costs little waits for the call that runs, and for little more.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use colony_wire::ColonyId;

/// Questions in their order.
pub(super) struct Turns<T> {
    lines: BTreeMap<ColonyId, Line<T>>,
    waiting: usize,
    /// The latest start of a turn so far. Time that is paid for by being served.
    virtual_time: Duration,
}

struct Line<T> {
    /// When its next turn starts, in virtual time.
    start: Duration,
    /// What its last turn took; zero before the first, which shows what it takes.
    took: Duration,
    questions: VecDeque<T>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { lines: BTreeMap::new(), waiting: 0, virtual_time: Duration::ZERO }
    }
}

impl<T> Turns<T> {
    /// How many questions wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// A question of a colony comes.
    pub(super) fn push(&mut self, colony: ColonyId, question: T) {
        let now = self.virtual_time;
        let begin = || Line { start: now, took: Duration::ZERO, questions: VecDeque::new() };
        let line = self.lines.entry(colony).or_insert_with(begin);
        if line.questions.is_empty() {
            line.start = line.start.max(now);
        }
        line.questions.push_back(question);
        self.waiting += 1;
    }

    /// The next question: the oldest of the colony whose turn is likely to end first.
    pub(super) fn pop(&mut self) -> Option<(ColonyId, T)> {
        let waits = self.lines.iter().filter(|(_, line)| !line.questions.is_empty());
        let colony = waits.min_by_key(|(_, line)| line.start + line.took).map(|(colony, _)| *colony)?;
        let line = self.lines.get_mut(&colony)?;
        let question = line.questions.pop_front()?;
        self.virtual_time = self.virtual_time.max(line.start);
        self.waiting -= 1;
        Some((colony, question))
    }

    /// What the colony's turn has cost. Colonies that have neither questions nor costs ahead of the others are
    /// forgotten.
    pub(super) fn spent(&mut self, colony: ColonyId, cost: Duration) {
        if let Some(line) = self.lines.get_mut(&colony) {
            line.start += cost;
            line.took = cost;
        }
        if self.waiting == 0 {
            // Nobody was kept waiting: nobody owes anything.
            self.virtual_time = self.lines.values().map(|line| line.start).fold(self.virtual_time, Duration::max);
        }
        let now = self.virtual_time;
        self.lines.retain(|_, line| !line.questions.is_empty() || line.start > now);
    }
}

#[cfg(test)]
mod tests {
    use colony_wire::NamespaceId;

    use super::*;

    const SLOW: Duration = Duration::from_millis(30);
    const QUICK: Duration = Duration::from_micros(20);

    fn colony(bucket: u32) -> ColonyId {
        ColonyId { namespace: NamespaceId(1), bucket }
    }

    /// Who is served next, at this cost.
    fn serve(turns: &mut Turns<u32>, cost: impl Fn(u32) -> Duration) -> Option<u32> {
        let (colony, question) = turns.pop()?;
        turns.spent(colony, cost(colony.bucket));
        Some(question)
    }

    #[test]
    fn questions_of_one_colony_keep_their_order() {
        let mut turns = Turns::default();
        for question in 0..5 {
            turns.push(colony(1), question);
        }
        let order: Vec<u32> = std::iter::from_fn(|| serve(&mut turns, |_| SLOW)).collect();
        assert_eq!((order, turns.len()), (vec![0, 1, 2, 3, 4], 0));
    }

    /// D7: 64 colonies with full queues and 30 ms a call; one that is quick waits for one call.
    #[test]
    fn a_quick_colony_waits_for_one_slow_call_however_many_there_are() {
        let mut turns = Turns::default();
        let cost = |bucket: u32| if bucket == 99 { QUICK } else { SLOW + Duration::from_micros(bucket.into()) };
        for question in 0..64 * 10 {
            turns.push(colony(question % 64), 0);
        }
        for round in 0..200 {
            serve(&mut turns, cost);
            turns.push(colony(99), 1);
            let served = serve(&mut turns, cost);
            assert!(served == Some(1) || round < 65, "in round {round} a slow colony was served first");
            while turns.lines.get(&colony(99)).is_some_and(|line| !line.questions.is_empty()) {
                serve(&mut turns, cost);
            }
        }
    }

    #[test]
    fn a_colony_that_comes_back_has_saved_up_nothing() {
        let mut turns = Turns::default();
        turns.push(colony(1), 1);
        serve(&mut turns, |_| QUICK);
        for _ in 0..100 {
            turns.push(colony(2), 2);
            serve(&mut turns, |_| SLOW);
        }
        for _ in 0..100 {
            turns.push(colony(1), 1);
            turns.push(colony(2), 2);
        }
        let first: Vec<u32> = (0..20).filter_map(|_| serve(&mut turns, |_| SLOW)).collect();
        assert_eq!(first.iter().filter(|served| **served == 2).count(), 10, "{first:?}");
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut turns = Turns::default();
        for bucket in 0..1000 {
            turns.push(colony(bucket), bucket);
            serve(&mut turns, |_| QUICK);
        }
        assert!(turns.lines.len() <= 2, "{} lines are kept", turns.lines.len());
    }
}
