//! The bounded queue between the senders of a stream and its one writer.

use std::mem;
use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::Notify;

use super::PREFIX_LEN;
use crate::sync::lock;
use crate::{LinkConfig, SendError};

/// Frames on their way to the writer task.
///
/// A frame counts against the limits until the transport has taken it, so the limits bound all that a stream holds
/// on this side of the transport's own window.
#[derive(Debug)]
pub(super) struct Queue {
    max_frame: usize,
    frames_max: usize,
    bytes_max: usize,
    state: Mutex<State>,
    /// Wakes the writer: a frame waits, or the stream shall finish.
    work: Notify,
    /// Wakes senders: room came, or the stream has ended.
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Frames the writer has not seen.
    waiting: Vec<Bytes>,
    /// Frames the transport has not taken, waiting ones included.
    frames: usize,
    /// Their bytes, prefixes included.
    bytes: usize,
    /// No more frames will come.
    finishing: bool,
    end: Option<End>,
}

/// How a stream's sending side ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer's transport has every frame.
    Delivered,
    /// It has not, and will not.
    Broken,
}

impl Queue {
    pub(super) fn new(config: &LinkConfig) -> Self {
        Self {
            max_frame: config.max_frame,
            frames_max: config.send_queue_frames,
            bytes_max: config.send_queue_bytes,
            state: Mutex::default(),
            work: Notify::new(),
            moved: Notify::new(),
        }
    }

    /// Takes a frame if there is room.
    pub(super) fn push(&self, frame: Bytes) -> Result<(), SendError> {
        let len = frame.len();
        if len == 0 {
            return Err(SendError::Empty);
        }
        if len > self.max_frame {
            return Err(SendError::TooLarge { len, limit: self.max_frame });
        }
        let cost = len + PREFIX_LEN;
        let mut state = lock(&self.state);
        if state.finishing || state.end.is_some() {
            return Err(SendError::Closed);
        }
        if state.frames >= self.frames_max || state.bytes + cost > self.bytes_max {
            return Err(SendError::Full);
        }
        state.frames += 1;
        state.bytes += cost;
        state.waiting.push(frame);
        let first = state.waiting.len() == 1;
        drop(state);
        // Later frames need no wake: the writer that was woken for the first one takes them all.
        if first {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Takes a frame when there is room for it.
    pub(super) async fn push_wait(&self, frame: Bytes) -> Result<(), SendError> {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // Listen before looking, else room that comes in between is missed.
            moved.as_mut().enable();
            match self.push(frame.clone()) {
                Err(SendError::Full) => moved.await,
                taken_or_refused => return taken_or_refused,
            }
        }
    }

    /// Moves all waiting frames into `batch`, which must be empty, as soon as there is one. `false`: there are none
    /// and there will be none. Cancel safe.
    pub(super) async fn take(&self, batch: &mut Vec<Bytes>) -> bool {
        debug_assert!(batch.is_empty());
        loop {
            {
                let mut state = lock(&self.state);
                if !state.waiting.is_empty() {
                    mem::swap(&mut state.waiting, batch);
                    return true;
                }
                if state.finishing {
                    return false;
                }
            }
            self.work.notified().await;
        }
    }

    /// Gives back the room of frames that the transport has taken.
    pub(super) fn release(&self, frames: usize, bytes: usize) {
        let mut state = lock(&self.state);
        assert!(frames <= state.frames && bytes <= state.bytes, "room is given back once");
        state.frames -= frames;
        state.bytes -= bytes;
        drop(state);
        self.moved.notify_waiters();
    }

    /// Takes no more frames; those in the queue still go.
    pub(super) fn finish(&self) {
        lock(&self.state).finishing = true;
        self.work.notify_one();
        self.moved.notify_waiters();
    }

    /// The stream has ended; frames that wait are dropped.
    pub(super) fn end(&self, end: End) {
        let mut state = lock(&self.state);
        state.end.get_or_insert(end);
        state.waiting = Vec::new();
        drop(state);
        self.moved.notify_waiters();
    }

    /// Waits for the stream's end.
    pub(super) async fn ended(&self) -> End {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if let Some(end) = lock(&self.state).end {
                return end;
            }
            moved.await;
        }
    }

    /// Whether a frame could be taken.
    pub(super) fn is_open(&self) -> bool {
        let state = lock(&self.state);
        !state.finishing && state.end.is_none()
    }

    /// Frames the transport has not taken yet.
    pub(super) fn len(&self) -> usize {
        lock(&self.state).frames
    }
}
