//! One runtime under the common clock.

use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, advance, sleep_until};

use crate::panics;

/// One runtime under the common clock: all that runs in one process, or the network and the clients.
///
/// Its drop ends all its tasks at once.
pub(crate) struct Lane {
    // Dropped first: local tasks end while their runtime is there.
    local: LocalSet,
    runtime: Runtime,
}

impl Lane {
    /// A runtime whose clock shows `now`, which must not be before the machine's own.
    pub(crate) fn at(now: Instant) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let lane = Self { local: LocalSet::new(), runtime: runtime.expect("a runtime without sockets can be made") };
        lane.jump(now);
        lane
    }

    /// Runs whatever is due until its clock shows `now`.
    pub(crate) fn run_until(&self, now: Instant) {
        self.local.block_on(&self.runtime, async { sleep_until(now).await });
    }

    /// Sets its clock to `now`: whatever was due meanwhile is due at once.
    pub(crate) fn jump(&self, now: Instant) {
        self.runtime.block_on(async {
            let ahead = now.duration_since(Instant::now());
            if !ahead.is_zero() {
                advance(ahead).await;
            }
        });
    }

    pub(crate) fn spawn<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> JoinHandle<T> {
        self.local.spawn_local(task)
    }

    /// What a finished task gave.
    ///
    /// # Errors
    /// If it panicked, what it said.
    pub(crate) fn take<T>(&self, finished: JoinHandle<T>) -> Result<T, String> {
        self.runtime.block_on(finished).map_err(|error| panics::words(&*error.into_panic()))
    }

    /// Does something by this runtime's clock.
    pub(crate) fn within<T>(&self, what: impl FnOnce() -> T) -> T {
        let _guard = self.runtime.enter();
        what()
    }

    pub(crate) fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }
}
