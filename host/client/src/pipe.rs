//! One stream to one port, many calls on it at once.
//!
//! ```text
//!   call 7 --+                                     +--> reply 7
//!   call 8 --+--> FrameSender ~~~> host ~~~> read --+--> reply 8
//!   call 9 --+    (one stream, replies in any order)+--> reply 9
//! ```
//!
//! The number in a frame's header pairs a reply with its call. The end of the stream ends every call on it:
//! what became of them is not known here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use colony_link::{Connection, FrameReceiver, FrameSender, LinkError, SendError};
use colony_wire::{EncodeError, Frame};
use tokio::sync::{Semaphore, oneshot};

use crate::limits::IN_FLIGHT_MAX;
use crate::sync::lock;

/// A stream to one port. Cheap to clone; the connection closes with the last clone.
#[derive(Clone, Debug)]
pub struct Pipe {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    connection: Connection,
    sender: FrameSender,
    waiters: Arc<Waiters>,
    /// Room for [`IN_FLIGHT_MAX`] calls.
    room: Semaphore,
}

/// Why a call on a pipe got no reply. Whether its frame went out is in the flag that the caller gave.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    /// The stream has ended.
    #[error("{0}")]
    Ended(Arc<str>),
    /// The message cannot be sent at all.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Pipe {
    /// Opens a stream on a fresh connection and starts the task that reads it.
    pub async fn open(connection: Connection) -> Result<Self, LinkError> {
        let (sender, receiver) = connection.open().await?;
        let waiters = Arc::new(Waiters::default());
        tokio::spawn(read(receiver, Arc::clone(&waiters)));
        let room = Semaphore::new(IN_FLIGHT_MAX);
        Ok(Self { shared: Arc::new(Shared { connection, sender, waiters, room }) })
    }

    /// Whether calls can still get replies.
    pub fn is_open(&self) -> bool {
        self.shared.sender.is_open() && lock(&self.shared.waiters.state).ended.is_none()
    }

    /// Sends one message and waits for its reply. `encode` gets the number of the call once there is room for
    /// it; `sent` is set when the frame is on its way. Dropping the future gives the reply up.
    pub async fn call(
        &self,
        encode: impl FnOnce(u64) -> Result<Bytes, EncodeError>,
        sent: &AtomicBool,
    ) -> Result<Frame, PipeError> {
        let Shared { sender, waiters, room, .. } = &*self.shared;
        let _room = room.acquire().await.map_err(|_| PipeError::Ended("closed".into()))?;
        let (waiting, reply) = waiters.enter()?;
        let frame = encode(waiting.call)?;
        match sender.send_wait(frame).await {
            Ok(()) => sent.store(true, Ordering::Relaxed),
            Err(SendError::Closed) => return Err(waiters.why_ended()),
            // Frames are made below the limits of both sides, so this is a host set up otherwise.
            Err(error) => return Err(PipeError::Ended(error.to_string().into())),
        }
        reply.await.map_err(|_| waiters.why_ended())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.connection.close(0, "the client is done");
        self.waiters.end("closed here");
    }
}

/// The calls without a reply yet, at most [`IN_FLIGHT_MAX`].
#[derive(Debug, Default)]
struct Waiters {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_call: u64,
    waiting: HashMap<u64, oneshot::Sender<Frame>>,
    /// Set once, when the stream ends.
    ended: Option<Arc<str>>,
}

impl Waiters {
    fn enter(&self) -> Result<(Waiting<'_>, oneshot::Receiver<Frame>), PipeError> {
        let mut state = lock(&self.state);
        if let Some(why) = &state.ended {
            return Err(PipeError::Ended(Arc::clone(why)));
        }
        // Zero is the number of messages without a reply.
        state.last_call += 1;
        let call = state.last_call;
        let (sender, receiver) = oneshot::channel();
        state.waiting.insert(call, sender);
        Ok((Waiting { waiters: self, call }, receiver))
    }

    /// Hands a reply to its call; one that nobody waits for any more is dropped.
    fn complete(&self, frame: Frame) {
        if let Some(waiting) = lock(&self.state).waiting.remove(&frame.call) {
            let _ = waiting.send(frame);
        }
    }

    fn end(&self, why: &str) {
        let mut state = lock(&self.state);
        state.ended.get_or_insert_with(|| why.into());
        state.waiting.clear();
    }

    fn why_ended(&self) -> PipeError {
        let ended = lock(&self.state).ended.clone();
        PipeError::Ended(ended.unwrap_or_else(|| "the stream is closed".into()))
    }
}

/// A call's place among the waiting ones, given up when the call ends in any way.
struct Waiting<'a> {
    waiters: &'a Waiters,
    call: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.waiters.state).waiting.remove(&self.call);
    }
}

/// Reads replies until the stream ends or sends what is no frame of ours.
async fn read(mut receiver: FrameReceiver, waiters: Arc<Waiters>) {
    let why = loop {
        match receiver.recv().await {
            Ok(Some(bytes)) => match Frame::parse(bytes) {
                Ok(frame) => waiters.complete(frame),
                Err(error) => break error.to_string(),
            },
            Ok(None) => break "the host ended the stream".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    tracing::debug!(%why, "stream ended");
    waiters.end(&why);
}
