//! The check of a whole history: session by session, because a history is linearizable if and only if that of each
//! of its objects is (Herlihy and Wing, 1990).

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::history::History;
use crate::operation::Operation;
use crate::plan::Plan;
use crate::search::{Found, search};
use crate::violation::Violation;

/// Points that the search of one session may visit beyond one for each operation. A point takes some 350 bytes: a
/// session that is not decided by then has cost about 200 MB and ten seconds. Histories of real stores take hardly
/// more than one point for each write.
pub const VISITED_MAX: usize = 500_000;
/// Sessions that are searched at the same time.
pub const THREADS: usize = 2;

/// What a history is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every session's operations can be put in an order that explains all answers and keeps to the times.
    Linearizable,
    /// For these sessions there is no such order, by name.
    Violated(Vec<Violation>),
    /// No session is known to have no such order, and the search for these was given up, by name.
    Undecided(Vec<String>),
}

/// How to check.
#[derive(Clone, Copy, Debug)]
pub struct Checker {
    visited_max: usize,
    threads: usize,
}

impl Default for Checker {
    fn default() -> Self {
        Self { visited_max: VISITED_MAX, threads: THREADS }
    }
}

/// Checks a history with the default bounds.
#[must_use]
pub fn check(history: &History) -> Verdict {
    Checker::default().check(history)
}

/// How one session was judged.
enum Judged {
    Linearizable,
    Violated(Violation),
    Undecided(String),
}

impl Checker {
    /// With this instead of [`VISITED_MAX`].
    #[must_use]
    pub fn visited_max(self, visited_max: usize) -> Self {
        Self { visited_max, ..self }
    }

    /// With this instead of [`THREADS`]; 0 is 1.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads: threads.max(1), ..self }
    }

    /// Checks every session of a history.
    ///
    /// # Panics
    /// If there is a bug in the search.
    #[must_use]
    pub fn check(&self, history: &History) -> Verdict {
        let sessions: Vec<_> = history.sessions().collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut judged = Vec::new();
            while let Some((name, operations)) = sessions.get(next.fetch_add(1, Ordering::Relaxed)) {
                judged.push(self.judge(name, operations));
            }
            judged
        };
        let judged: Vec<Judged> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads.min(sessions.len())).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("a search does not panic")).collect()
        });
        verdict(judged)
    }

    fn judge(&self, name: &str, operations: &[Operation]) -> Judged {
        match search(&Plan::new(operations), self.visited_max) {
            Found::Order => Judged::Linearizable,
            Found::NoOrder(dead_end) => Judged::Violated(Violation::new(name, operations, dead_end)),
            Found::GaveUp => Judged::Undecided(name.to_owned()),
        }
    }
}

fn verdict(judged: Vec<Judged>) -> Verdict {
    let mut violations = Vec::new();
    let mut undecided = Vec::new();
    for judged in judged {
        match judged {
            Judged::Linearizable => {}
            Judged::Violated(violation) => violations.push(violation),
            Judged::Undecided(name) => undecided.push(name),
        }
    }
    // The threads share the sessions out as they come.
    violations.sort_by(|one, other| one.session.cmp(&other.session));
    undecided.sort();
    match (violations.is_empty(), undecided.is_empty()) {
        (false, _) => Verdict::Violated(violations),
        (true, false) => Verdict::Undecided(undecided),
        (true, true) => Verdict::Linearizable,
    }
}
