//! The two loops.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use crate::fleet::Fleet;
use crate::schedule::{OpenLoop, Schedule};
use crate::tally::{Outcome, Tally};

/// Operations started without a pause when the generator runs behind its schedule: the answers to those under way
/// must be heard meanwhile.
const BURST: u32 = 64;

/// Starts operations at an even rate, whatever becomes of them, and waits for those under way at the end.
pub async fn open_loop(fleet: &Arc<Fleet>, asked: OpenLoop) -> Tally {
    let schedule = Schedule::new(asked.rate);
    let tally = Arc::new(Mutex::new(Tally::new()));
    let under_way = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    let mut number = 0;
    let mut burst = 0;
    loop {
        let due = schedule.due(number);
        if due >= asked.duration {
            break;
        }
        if begun.elapsed() < due {
            burst = 0;
            time::sleep_until(begun + due).await;
        } else {
            burst += 1;
            if burst % BURST == 0 {
                tokio::task::yield_now().await;
            }
        }
        // Those that have ended make room for what is to come.
        while tasks.try_join_next().is_some() {}
        if under_way.load(Ordering::Relaxed) >= asked.in_flight_max {
            note(&tally, due, Duration::ZERO, Outcome::NotSent);
        } else {
            under_way.fetch_add(1, Ordering::Relaxed);
            let name = fleet.take_numbers(1);
            let (fleet, tally, under_way) = (Arc::clone(fleet), Arc::clone(&tally), Arc::clone(&under_way));
            tasks.spawn(async move {
                let outcome = fleet.run(name).await;
                under_way.fetch_sub(1, Ordering::Relaxed);
                note(&tally, due, begun.elapsed().saturating_sub(due), outcome);
            });
        }
        number += 1;
    }
    while tasks.join_next().await.is_some() {}
    finished(&tally, asked.duration)
}

/// So many callers, each of which asks again once it is answered.
pub async fn closed_loop(fleet: &Arc<Fleet>, callers: usize, duration: Duration) -> Tally {
    let tally = Arc::new(Mutex::new(Tally::new()));
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..callers.max(1) {
        let (fleet, tally) = (Arc::clone(fleet), Arc::clone(&tally));
        tasks.spawn(async move {
            loop {
                let started = begun.elapsed();
                if started >= duration {
                    return;
                }
                let outcome = fleet.run(fleet.take_numbers(1)).await;
                note(&tally, started, begun.elapsed().saturating_sub(started), outcome);
            }
        });
    }
    tasks.join_all().await;
    finished(&tally, duration)
}

fn note(tally: &Mutex<Tally>, due: Duration, latency: Duration, outcome: Outcome) {
    tally.lock().unwrap_or_else(PoisonError::into_inner).note(due, latency, outcome);
}

fn finished(tally: &Mutex<Tally>, took: Duration) -> Tally {
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
    tally.end(took);
    tally
}
