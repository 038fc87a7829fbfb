//! The two ends of a stream of bytes, whichever transport carries it.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::memory::{PipeReader, PipeWriter};
#[cfg(feature = "quic")]
use crate::quic::{ChunkReader, ChunkWriter};
use crate::{BoxFuture, RecvError};

/// A stream that takes no more bytes: the peer stopped it, or the connection is gone.
#[derive(Debug)]
pub(crate) struct Broken;

/// The writing end.
#[derive(Debug)]
pub(crate) enum SendHalf {
    /// A stream of a QUIC connection.
    #[cfg(feature = "quic")]
    Quic(ChunkWriter),
    /// A stream of the in-memory twin.
    Memory(PipeWriter),
}

impl SendHalf {
    /// Writes all chunks, as the peer's window allows. Not cancel safe.
    pub(super) async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), Broken> {
        match self {
            #[cfg(feature = "quic")]
            Self::Quic(stream) => stream.write(chunks).await,
            Self::Memory(pipe) => pipe.write(chunks).await,
        }
    }

    /// Writes no more; the peer reads the end after what was written.
    pub(super) fn finish(&mut self) {
        match self {
            #[cfg(feature = "quic")]
            Self::Quic(stream) => stream.finish(),
            Self::Memory(pipe) => pipe.finish(),
        }
    }

    /// Completes when nothing more can come of this half: `true` if it was finished and the peer's transport has
    /// everything, `false` if the peer stopped it or the connection is gone.
    pub(super) fn ended(&self) -> BoxFuture<'static, bool> {
        match self {
            #[cfg(feature = "quic")]
            Self::Quic(stream) => stream.ended(),
            Self::Memory(pipe) => pipe.ended(),
        }
    }
}

/// The reading end.
#[derive(Debug)]
pub(crate) enum RecvHalf {
    /// A stream of a QUIC connection.
    #[cfg(feature = "quic")]
    Quic(ChunkReader),
    /// A stream of the in-memory twin.
    Memory(PipeReader),
}

impl RecvHalf {
    /// Appends what has arrived, at least one chunk; `false` at the end of the stream. Cancel safe.
    pub(super) async fn read(&mut self, into: &mut VecDeque<Bytes>) -> Result<bool, RecvError> {
        match self {
            #[cfg(feature = "quic")]
            Self::Quic(stream) => stream.read(into).await,
            Self::Memory(pipe) => pipe.read(into).await,
        }
    }

    /// Tells the peer that nothing more will be read.
    pub(super) fn stop(&mut self) {
        match self {
            #[cfg(feature = "quic")]
            Self::Quic(stream) => stream.stop(),
            Self::Memory(pipe) => pipe.stop(),
        }
    }
}
