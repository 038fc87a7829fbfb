//! The receiving side of a framed stream.

use std::fmt;

use bytes::Bytes;

use super::decoder::Decoder;
use super::{RecvHalf, Side};
use crate::RecvError;

/// Reads the frames of one stream, in order.
///
/// Dropping it tells the peer to stop sending: its [`FrameSender`](crate::FrameSender) then says `Closed`.
pub struct FrameReceiver {
    half: RecvHalf,
    decoder: Decoder,
    end: Option<Result<(), RecvError>>,
}

impl FrameReceiver {
    pub(super) fn new(side: Side, half: RecvHalf, max_frame: usize) -> Self {
        Self { half, decoder: Decoder::new(side, max_frame), end: None }
    }

    /// The next frame, or `None` once the peer has finished the stream. Cancel safe.
    ///
    /// A frame is a slice of the buffer it arrived in where it lies within one, and keeps that buffer alive: copy
    /// what is stored for long.
    ///
    /// # Errors
    ///
    /// A [`RecvError`]; the stream is over then and every later call says the same. Frames that arrived before the
    /// fault are handed out first.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, RecvError> {
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) => return Ok(Some(frame)),
                Ok(None) => {}
                Err(fault) => {
                    // The peer cannot be understood any more: let it know, and hold nothing for it.
                    self.half.stop();
                    self.decoder.chunks().clear();
                    self.end = Some(Err(fault));
                }
            }
            if let Some(end) = &self.end {
                return end.clone().map(|()| None);
            }
            match self.half.read(self.decoder.chunks()).await {
                Ok(true) => {}
                Ok(false) => self.end = Some(self.decoder.finish()),
                Err(fault) => self.end = Some(Err(fault)),
            }
        }
    }
}

impl fmt::Debug for FrameReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReceiver").field("end", &self.end).finish_non_exhaustive()
    }
}
