//! The two loops: callers that call again, and calls that are due.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use colony_load::Schedule;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use crate::failure::Failure;
use crate::load::{Load, Pace, Window};
use crate::pace::Pacer;
use crate::recorder::Recorder;
use crate::sample::{Meter, Sample};
use crate::workload::{self, Call};

/// Whoever makes one call at a time.
pub(crate) trait Caller: Send + 'static {
    /// Makes a call and checks its answer. The number is that of no other call of the run.
    fn call(&mut self, call: Call, number: u64) -> impl Future<Output = Result<(), String>> + Send;
}

/// Numbers that calls have, over all measurements of a process: none is used twice, so that no state is set twice.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Has callers make the calls of a load at this pace, and says what came of it.
///
/// # Errors
/// [`Failure::Call`] if one call fails, [`Failure::Silent`] if none is done in time.
pub(crate) async fn run<C: Caller>(
    callers: Vec<C>,
    load: Load,
    pace: Pace,
    window: Window,
    meter: &Meter,
) -> Result<Sample, Failure> {
    let callers = primed(callers, load).await?;
    let recorder = Arc::new(Recorder::new());
    let mut tasks = JoinSet::new();
    match pace {
        Pace::Closed => {
            for caller in callers {
                tasks.spawn(again_and_again(caller, load, Arc::clone(&recorder)));
            }
        }
        Pace::Open { rate } => {
            let due = Arc::new(Due { schedule: Schedule::new(rate), begun: Instant::now(), ready: Semaphore::new(0) });
            let next = Arc::new(AtomicU64::new(0));
            for caller in callers {
                tasks.spawn(as_they_are_due(caller, load, Arc::clone(&due), Arc::clone(&next), Arc::clone(&recorder)));
            }
            let (pacer, recorder) = (Pacer::new()?, Arc::clone(&recorder));
            tasks.spawn(async move {
                let released = due.release(&pacer, &recorder).await;
                due.ready.close();
                if let Err(failure) = released {
                    recorder.failed(failure.to_string());
                }
            });
        }
    }
    let sample = measure(&recorder, window, meter).await;
    tasks.join_all().await;
    sample
}

/// Has each caller make one call: what a library puts off until the first one, handshakes above all, is not measured.
async fn primed<C: Caller>(callers: Vec<C>, load: Load) -> Result<Vec<C>, Failure> {
    let mut tasks = JoinSet::new();
    for mut caller in callers {
        tasks.spawn(async move {
            let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
            caller.call(workload::call(&load, number), number).await.map_err(Failure::Call)?;
            Ok(caller)
        });
    }
    tasks.join_all().await.into_iter().collect()
}

/// Lets the warm-up pass, counts what is done in the time after it, and tells callers to end.
///
/// # Errors
/// As [`run`].
pub(crate) async fn measure(recorder: &Recorder, window: Window, meter: &Meter) -> Result<Sample, Failure> {
    time::sleep(window.warm).await;
    let before = meter.read();
    let begun = Instant::now();
    recorder.measure();
    time::sleep(window.measure).await;
    let took = begun.elapsed();
    recorder.end();
    let after = meter.read();
    Ok(Sample::new(&recorder.take()?, took, before, after))
}

/// Has callers share the making of sessions, each once.
///
/// # Errors
/// [`Failure::Call`] if one cannot be made.
pub(crate) async fn fill<C: Caller>(callers: Vec<C>, sessions: Range<u64>) -> Result<(), Failure> {
    let step = callers.len();
    let mut tasks = JoinSet::new();
    for (first, mut caller) in callers.into_iter().enumerate() {
        tasks.spawn(async move {
            for session in (sessions.start + first as u64..sessions.end).step_by(step) {
                let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
                caller.call(Call::Set { session }, number).await.map_err(Failure::Call)?;
            }
            Ok(())
        });
    }
    tasks.join_all().await.into_iter().collect()
}

async fn again_and_again<C: Caller>(mut caller: C, load: Load, recorder: Arc<Recorder>) {
    while !recorder.is_over() {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        match caller.call(workload::call(&load, number), number).await {
            Ok(()) => recorder.done(begun.elapsed()),
            Err(why) => recorder.failed(why),
        }
    }
}

async fn as_they_are_due<C: Caller>(
    mut caller: C,
    load: Load,
    due: Arc<Due>,
    next: Arc<AtomicU64>,
    recorder: Arc<Recorder>,
) {
    // Closed when the measurement is over.
    while let Ok(one) = due.ready.acquire().await {
        one.forget();
        if recorder.is_over() {
            return;
        }
        let meant = due.at(next.fetch_add(1, Ordering::Relaxed));
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        match caller.call(workload::call(&load, number), number).await {
            Ok(()) => recorder.done(Instant::now().saturating_duration_since(meant)),
            Err(why) => recorder.failed(why),
        }
    }
}

/// Calls that are due at an even rate. Those for which no caller is free wait, and their latency goes on.
struct Due {
    schedule: Schedule,
    begun: Instant,
    ready: Semaphore,
}

impl Due {
    fn at(&self, place: u64) -> Instant {
        self.begun + self.schedule.due(place)
    }

    /// Releases each call when it is due, until the measurement is over.
    async fn release(&self, pacer: &Pacer, recorder: &Recorder) -> Result<(), Failure> {
        /// Longest sleep: what is over must be noticed, however few calls are due.
        const LOOK_EVERY: Duration = Duration::from_millis(10);
        let mut place = 0;
        while !recorder.is_over() {
            let now = Instant::now();
            let mut released = 0;
            while self.at(place) <= now {
                place += 1;
                released += 1;
            }
            if released > 0 {
                self.ready.add_permits(released);
            }
            pacer.until(self.at(place).min(now + LOOK_EVERY)).await?;
            // A call that is due already must not keep the callers from hearing their answers.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers at once, but one call in four after a while.
    struct Stalls;

    impl Caller for Stalls {
        async fn call(&mut self, _: Call, number: u64) -> Result<(), String> {
            time::sleep(Duration::from_millis(if number.is_multiple_of(4) { 100 } else { 0 })).await;
            Ok(())
        }
    }

    struct Failing;

    impl Caller for Failing {
        async fn call(&mut self, _: Call, _: u64) -> Result<(), String> {
            Err("refused".into())
        }
    }

    const WINDOW: Window = Window { warm: Duration::from_millis(50), measure: Duration::from_millis(1500) };

    fn load() -> Load {
        "set-256-1x1".parse().unwrap()
    }

    #[tokio::test]
    async fn an_open_loop_counts_the_time_that_calls_wait_for_one_that_stalls() {
        // A hundred are due a second and forty can be done: whatever the machine, the later ones have waited long.
        let open = run(vec![Stalls], load(), Pace::Open { rate: 100.0 }, WINDOW, &Meter::default()).await.unwrap();
        assert!(open.p50 >= 100_000.0, "{open:?}");
    }

    #[tokio::test]
    async fn a_failed_call_ends_the_measurement_with_its_reason() {
        let failure = run(vec![Failing], load(), Pace::Closed, WINDOW, &Meter::default()).await.unwrap_err();
        assert_eq!(failure.to_string(), "a call failed: refused");
    }
}
