//! Wall time for running calls: a thread that moves the engine's epoch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use wasmtime::Engine;

/// How often the epoch moves while a call runs: the grain of [`Limits::call_time`](crate::Limits::call_time).
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Ticks without a call after which the thread sleeps until the next one. A burst of calls then pays for one
/// wake, and an idle host for none.
const IDLE_TICKS: u32 = 100;

/// The thread, stopped when this is dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    stopped: AtomicBool,
}

impl Ticker {
    /// Starts the thread.
    ///
    /// # Panics
    /// If the system has no thread left; a host cannot run without.
    pub(crate) fn start(engine: Engine) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new()
            .name("plugin-clock".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.tick(&engine)
            })
            .expect("a host that cannot start one thread cannot start");
        Self { shared, thread: Some(thread) }
    }

    /// Time passes for the engine until the answer is dropped.
    pub(crate) fn time_passes(&self) -> TimePasses<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        // The thread says that it sleeps before it looks for calls once more, and calls are counted before
        // they look whether it sleeps: one of the two sees the other.
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        TimePasses(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked; if it had, nothing here could mend it.
            let _ = thread.join();
        }
    }
}

/// A running call.
pub(crate) struct TimePasses<'a>(&'a Shared);

impl Drop for TimePasses<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn tick(&self, engine: &Engine) {
        let mut idle = 0;
        let mut next = Instant::now() + TICK;
        while !self.stopped.load(Ordering::SeqCst) {
            if self.running.load(Ordering::SeqCst) > 0 {
                idle = 0;
            } else {
                idle += 1;
            }
            if idle < IDLE_TICKS {
                thread::park_timeout(next.saturating_duration_since(Instant::now()));
                engine.increment_epoch();
                // Timers are late a little each time, which shall not add up. That the machine stood still is not held
                // against a plugin.
                next = (next + TICK).max(Instant::now());
            } else {
                self.sleep();
                idle = 0;
                next = Instant::now() + TICK;
            }
        }
    }

    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst) {
            thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for a condition that holds soon.
    fn eventually(what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
            thread::yield_now();
        }
    }

    #[test]
    fn an_idle_clock_sleeps_and_a_call_wakes_it() {
        let ticker = Ticker::start(Engine::default());
        let asleep = || ticker.shared.asleep.load(Ordering::SeqCst);
        for _ in 0..3 {
            eventually("it falls asleep", asleep);
            let running = ticker.time_passes();
            eventually("it wakes", || !asleep());
            drop(running);
        }
    }

    #[test]
    fn a_sleeping_clock_ends_with_its_ticker() {
        let ticker = Ticker::start(Engine::default());
        eventually("it falls asleep", || ticker.shared.asleep.load(Ordering::SeqCst));
        let shared = Arc::downgrade(&ticker.shared);
        drop(ticker);
        assert!(shared.upgrade().is_none(), "the thread still runs");
    }
}
