//! Frames over a stream of bytes.
//!
//! A stream carries, in each direction, frames one after the other: the length in 4 bytes, little endian, then that
//! many bytes. A length of zero or above `max_frame` ends the reading of the stream. The side that opened the stream
//! sends [`PREAMBLE`] first, so that its peer learns of the stream at once and not with the first frame.
//!
//! ```text
//!  FrameSender.send -> queue (bounded) -> one writer task: all that waits, in one write
//!                                                 | bytes
//!  FrameReceiver.recv <- decoder: slices of the chunks, copied only where a frame spans two
//! ```
//!
//! One writer that takes all that waits costs a third to a fifth of the CPU of a stream, or a write, per request.

mod decoder;
mod halves;
mod queue;
mod receiver;
mod sender;
mod writer;

pub(crate) use halves::{Broken, RecvHalf, SendHalf};
pub use receiver::FrameReceiver;
pub use sender::FrameSender;

use crate::LinkConfig;

/// Bytes of the length before each frame.
pub const PREFIX_LEN: usize = 4;

/// What the opener of a stream sends before its first frame: the name and version of this framing.
pub(crate) const PREAMBLE: [u8; PREFIX_LEN] = *b"clf1";

/// Which side of a stream this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Opened here: the preamble goes out.
    Opener,
    /// Opened by the peer: the preamble comes in.
    Acceptor,
}

/// Puts frames on both halves of a stream. Spawns the writer task on the current runtime.
pub(crate) fn frames(side: Side, send: SendHalf, recv: RecvHalf, config: &LinkConfig) -> (FrameSender, FrameReceiver) {
    (FrameSender::spawn(side, send, config), FrameReceiver::new(side, recv, config.max_frame))
}
