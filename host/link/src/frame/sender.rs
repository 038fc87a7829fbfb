//! The sending side of a framed stream.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::queue::{End, Queue};
use super::{SendHalf, Side, writer};
use crate::{LinkConfig, SendError};

/// Sends frames on one stream, in the order in which they are taken.
///
/// Cheap to clone; all clones feed one bounded queue, which one task writes out, everything that waits in one write.
/// When the last clone is dropped, what was taken is still sent and the peer then reads the end of the stream.
#[derive(Clone)]
pub struct FrameSender {
    handle: Arc<Handle>,
}

/// Shared by the clones; its drop is the drop of the last one.
struct Handle {
    queue: Arc<Queue>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.finish();
    }
}

impl FrameSender {
    pub(super) fn spawn(side: Side, half: SendHalf, config: &LinkConfig) -> Self {
        let queue = Arc::new(Queue::new(config));
        tokio::spawn(writer::run(side, Arc::clone(&queue), half));
        Self { handle: Arc::new(Handle { queue }) }
    }

    /// Takes a frame for sending. Never waits.
    ///
    /// `Ok` means that it is in the queue, after all frames taken before it; not that the peer has it.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if the queue holds `send_queue_frames` or `send_queue_bytes`, [`SendError::Closed`] if
    /// the stream has ended, [`SendError::TooLarge`] and [`SendError::Empty`] if it can never be sent.
    pub fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.handle.queue.push(frame)
    }

    /// Takes a frame for sending, when there is room for it. Cancel safe: a cancelled call has taken nothing.
    ///
    /// Among several tasks that wait, the order is not defined, and a short frame may pass a waiting long one.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), without [`SendError::Full`].
    pub async fn send_wait(&self, frame: Bytes) -> Result<(), SendError> {
        self.handle.queue.push_wait(frame).await
    }

    /// Ends the stream, for all clones, and waits until the peer's transport has every frame that was taken.
    ///
    /// Closing a connection throws away what is on its way; await this first where that matters. It says nothing of
    /// the peer having *read* the frames.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the stream broke before the peer had everything.
    pub async fn finish(self) -> Result<(), SendError> {
        self.handle.queue.finish();
        match self.handle.queue.ended().await {
            End::Delivered => Ok(()),
            End::Broken => Err(SendError::Closed),
        }
    }

    /// Waits until the stream takes no frame any more because the peer stopped it or the connection is gone.
    pub async fn closed(&self) {
        self.handle.queue.ended().await;
    }

    /// Whether the stream has not ended yet, as far as is known here.
    pub fn is_open(&self) -> bool {
        self.handle.queue.is_open()
    }

    /// Frames taken that the transport has not: how far the peer or the network is behind.
    pub fn backlog(&self) -> usize {
        self.handle.queue.len()
    }
}

impl fmt::Debug for FrameSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameSender").field("backlog", &self.backlog()).field("open", &self.is_open()).finish()
    }
}
