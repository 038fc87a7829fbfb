//! Waiting for moments that are microseconds apart.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::failure::Failure;

/// A timer of the kernel's. The runtime's own counts whole milliseconds, which would be the larger part of a latency
/// that is counted from the intended start.
#[derive(Debug)]
pub(crate) struct Pacer {
    timer: TimerFd,
    /// The same timer, as the runtime waits for it.
    rings: AsyncFd<OwnedFd>,
}

impl Pacer {
    /// A timer on this runtime.
    ///
    /// # Errors
    /// [`Failure::Io`] if the system gives none.
    pub(crate) fn new() -> Result<Self, Failure> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let made = || Failure::io("make a timer");
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(|error| made()(error.into()))?;
        let rings = timer.as_fd().try_clone_to_owned().map_err(made())?;
        #[expect(
            deprecated,
            reason = "its successor is `unsafe` for types that may close what they own; this one cannot"
        )]
        let rings = AsyncFd::new(rings).map_err(made())?;
        Ok(Self { timer, rings })
    }

    /// Waits until this moment; not at all if it has passed.
    ///
    /// # Errors
    /// [`Failure::Io`] if the system's timer fails.
    pub(crate) async fn until(&self, moment: Instant) -> Result<(), Failure> {
        let failed = || Failure::io("wait for a timer");
        let wait = moment.saturating_duration_since(Instant::now());
        if wait < Duration::from_nanos(1) {
            return Ok(());
        }
        let once = Expiration::OneShot(TimeSpec::from_duration(wait));
        self.timer.set(once, TimerSetTimeFlags::empty()).map_err(|error| failed()(error.into()))?;
        let mut ready = self.rings.readable().await.map_err(failed())?;
        self.timer.wait().map_err(|error| failed()(error.into()))?;
        ready.clear_ready();
        Ok(())
    }
}
