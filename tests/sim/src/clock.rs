//! Virtual time: what is to happen, in the order in which it will.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A moment or a span of virtual time in microseconds.
pub type Micros = u64;

/// One millisecond.
pub const MS: Micros = 1_000;
/// One second.
pub const SECOND: Micros = 1_000_000;

/// A queue of events by time. Two events of one moment come out in the order they were put in, so nothing
/// depends on the heap's own order.
#[derive(Debug)]
pub struct Clock<E> {
    now: Micros,
    next: u64,
    heap: BinaryHeap<Reverse<Due<E>>>,
}

#[derive(Debug)]
struct Due<E> {
    at: Micros,
    order: u64,
    event: E,
}

impl<E> Clock<E> {
    /// A clock that shows zero, with nothing to come.
    #[must_use]
    pub fn new() -> Self {
        Self { now: 0, next: 0, heap: BinaryHeap::new() }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Lets `event` happen `span` from now.
    pub fn after(&mut self, span: Micros, event: E) {
        let due = Due { at: self.now + span, order: self.next, event };
        self.next += 1;
        self.heap.push(Reverse(due));
    }

    /// The next event; the clock shows its time from now on.
    pub fn advance(&mut self) -> Option<E> {
        let Reverse(due) = self.heap.pop()?;
        self.now = due.at;
        Some(due.event)
    }
}

impl<E> Default for Clock<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Due<E> {
    fn rank(&self) -> (Micros, u64) {
        (self.at, self.order)
    }
}

impl<E> PartialEq for Due<E> {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl<E> Eq for Due<E> {}

impl<E> PartialOrd for Due<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Due<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_moment_keep_their_order() {
        let mut clock = Clock::new();
        for (span, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b')] {
            clock.after(span, event);
        }
        let order: String = std::iter::from_fn(|| clock.advance()).collect();
        assert_eq!((order.as_str(), clock.now()), ("abcd", 5));
    }
}
