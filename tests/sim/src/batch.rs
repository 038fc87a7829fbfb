//! Many seeds, on a few threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use colony_core::colony::Mutant;

use crate::counters::{Counted, INCREMENTS_OF_A_RUN, count};
use crate::islands::{self, Healed};
use crate::recorder::{OPERATIONS_OF_A_RUN, Recorded, record};
use crate::run::{Report, run};
use crate::seen::Seen;

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Batch {
    /// How many were run.
    pub seeds: u64,
    /// Those that broke a rule, by seed.
    pub violated: Vec<Report>,
    /// Virtual time of all of them, in microseconds.
    pub lasted: u64,
    /// Events of all of them.
    pub events: u64,
    /// What all of them saw.
    pub seen: Seen,
}

impl Batch {
    fn add(&mut self, report: Report) {
        self.seeds += 1;
        self.lasted += report.lasted;
        self.events += report.events;
        self.seen.add(&report.seen);
        if report.violation.is_some() {
            self.violated.push(report);
        }
    }
}

/// Runs `count` seeds beginning with `from`, on `jobs` threads. `told` hears of every report as it comes and
/// says whether to go on; seeds that have begun by then are still run.
///
/// # Panics
/// If a thread does, which only a fault of the simulator itself can bring about.
pub fn run_all(
    from: u64,
    count: u64,
    jobs: usize,
    mutant: Option<Mutant>,
    told: impl Fn(&Report) -> bool + Sync,
) -> Batch {
    let next = AtomicU64::new(0);
    let batch = Mutex::new(Batch::default());
    let work = || {
        loop {
            let offset = next.fetch_add(1, Ordering::Relaxed);
            if offset >= count {
                return;
            }
            let report = run(from + offset, mutant, false);
            if !told(&report) {
                next.store(count, Ordering::Relaxed);
            }
            batch.lock().expect("no thread panics while it adds").add(report);
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
    let mut batch = batch.into_inner().expect("no thread panics while it adds");
    batch.violated.sort_by_key(|report| report.seed);
    batch
}

/// Makes so many increments, in runs of [`INCREMENTS_OF_A_RUN`] from this seed on, on `jobs` threads; by seed.
///
/// # Panics
/// As [`run_all`].
#[must_use]
pub fn count_all(from: u64, increments: u64, jobs: usize) -> Vec<(u64, Counted)> {
    share_out(from, increments, INCREMENTS_OF_A_RUN, jobs, |seed, due| count(seed, due, false))
}

/// Records so many operations, in as many runs as it takes, on `jobs` threads; the runs by seed.
///
/// # Panics
/// As [`run_all`].
pub fn record_all(from: u64, operations: u64, jobs: usize) -> Vec<(u64, Recorded)> {
    share_out(from, operations, OPERATIONS_OF_A_RUN, jobs, |seed, due| record(seed, due, false))
}

/// Splits and heals so many clusters, one for each seed, with [`deaths`](islands::run) in islands or without; by seed.
///
/// # Panics
/// As [`run_all`].
#[must_use]
pub fn heal_all(from: u64, seeds: u64, jobs: usize, mutant: Option<Mutant>, deaths: bool) -> Vec<Healed> {
    share_out(from, seeds, 1, jobs, |seed, _| islands::run(seed, mutant, deaths, false))
        .into_iter()
        .map(|(_, healed)| healed)
        .collect()
}

/// Does `amount` of something in runs of at most `each`.
fn share_out<T: Send>(
    from: u64,
    amount: u64,
    each: u64,
    jobs: usize,
    work: impl Fn(u64, u64) -> T + Sync,
) -> Vec<(u64, T)> {
    let runs = amount.div_ceil(each);
    let next = AtomicU64::new(0);
    let done = Mutex::new(Vec::new());
    let job = || {
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= runs {
                return;
            }
            let result = work(from + run, each.min(amount - run * each));
            done.lock().expect("no thread panics while it adds").push((from + run, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(job);
        }
    });
    let mut done = done.into_inner().expect("no thread panics while it adds");
    done.sort_by_key(|(seed, _)| *seed);
    done
}
