//! One direction of a stream.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::end::Handle;
use super::wire::Packet;
use crate::frame::Broken;
use crate::sync::lock;
use crate::{BoxFuture, LinkError, RecvError};

/// What the two halves of one direction share. The bytes between them travel in the packets of a wire.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    state: Mutex<PipeState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct PipeState {
    arrived: VecDeque<Bytes>,
    /// Bytes written and not read yet, on their way or arrived: what the window bounds.
    unread: usize,
    /// The end has arrived.
    finished: bool,
    /// The reader's word that it reads no more has arrived.
    stopped: bool,
}

impl Pipe {
    /// Bytes have arrived.
    pub(super) fn arrive(&self, bytes: Bytes) {
        self.change(|state| state.arrived.push_back(bytes));
    }

    /// The end has arrived.
    pub(super) fn arrive_end(&self) {
        self.change(|state| state.finished = true);
    }

    /// The reader's stop has arrived.
    pub(super) fn arrive_stop(&self) {
        self.change(|state| state.stopped = true);
    }

    fn change(&self, change: impl FnOnce(&mut PipeState)) {
        change(&mut lock(&self.state));
        self.changed.notify_waiters();
    }

    /// Waits until `look` finds something in the pipe, or the connection has ended; the pipe comes first.
    async fn wait<T>(
        &self,
        end: &super::end::End,
        mut look: impl FnMut(&mut PipeState) -> Option<T>,
    ) -> Result<T, LinkError> {
        loop {
            let mut changed = pin!(self.changed.notified());
            let mut ended = pin!(end.changed.notified());
            changed.as_mut().enable();
            ended.as_mut().enable();
            if let Some(found) = look(&mut lock(&self.state)) {
                return Ok(found);
            }
            if let Some(reason) = end.reason() {
                return Err(reason);
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = ended => {}
            }
        }
    }
}

/// The place a stream takes among those its opener may have; given back when the acceptor has dropped both halves.
pub(super) type Place = Option<Arc<OwnedSemaphorePermit>>;

/// The writing half.
pub(crate) struct PipeWriter {
    pipe: Arc<Pipe>,
    handle: Arc<Handle>,
    finished: bool,
    _place: Place,
}

impl PipeWriter {
    pub(super) fn new(pipe: Arc<Pipe>, handle: Arc<Handle>, place: Place) -> Self {
        Self { pipe, handle, finished: false, _place: place }
    }

    pub(crate) async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), Broken> {
        let end = &self.handle.end;
        for chunk in chunks {
            while !chunk.is_empty() {
                let room = self.room().await?;
                let part = chunk.split_to(room.min(chunk.len()));
                lock(&self.pipe.state).unread += part.len();
                end.out.push(Packet::Data(Arc::clone(&self.pipe), part));
            }
        }
        Ok(())
    }

    /// Bytes that may be written now, at least one.
    async fn room(&self) -> Result<usize, Broken> {
        let window = self.handle.end.config.stream_window as usize;
        let end = &self.handle.end;
        let room = self.pipe.wait(end, |state| {
            if state.stopped {
                return Some(0);
            }
            let room = window.saturating_sub(state.unread);
            (room > 0).then_some(room)
        });
        match room.await {
            Ok(room) if room > 0 && end.reason().is_none() => Ok(room),
            _ => Err(Broken),
        }
    }

    pub(crate) fn finish(&mut self) {
        if !self.finished {
            self.finished = true;
            self.handle.end.out.push(Packet::Finish(Arc::clone(&self.pipe)));
        }
    }

    pub(crate) fn ended(&self) -> BoxFuture<'static, bool> {
        let pipe = Arc::clone(&self.pipe);
        let end = Arc::clone(&self.handle.end);
        Box::pin(async move {
            let ended = pipe.wait(&end, |state| match (state.finished, state.stopped) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            });
            ended.await.unwrap_or(false)
        })
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for PipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeWriter").field("finished", &self.finished).finish_non_exhaustive()
    }
}

/// The reading half.
pub(crate) struct PipeReader {
    pipe: Arc<Pipe>,
    handle: Arc<Handle>,
    stopped: bool,
    _place: Place,
}

impl PipeReader {
    pub(super) fn new(pipe: Arc<Pipe>, handle: Arc<Handle>, place: Place) -> Self {
        Self { pipe, handle, stopped: false, _place: place }
    }

    pub(crate) async fn read(&mut self, into: &mut VecDeque<Bytes>) -> Result<bool, RecvError> {
        let read = self.pipe.wait(&self.handle.end, |state| {
            if !state.arrived.is_empty() {
                state.unread -= state.arrived.iter().map(Bytes::len).sum::<usize>();
                into.append(&mut state.arrived);
                return Some(true);
            }
            state.finished.then_some(false)
        });
        let more = read.await?;
        // The window has moved.
        self.pipe.changed.notify_waiters();
        Ok(more)
    }

    pub(crate) fn stop(&mut self) {
        if !self.stopped {
            self.stopped = true;
            self.handle.end.out.push(Packet::Stop(Arc::clone(&self.pipe)));
        }
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for PipeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeReader").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}
