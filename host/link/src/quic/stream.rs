//! The two halves of a QUIC stream, as the frames want them.

use std::array;
use std::collections::VecDeque;
use std::mem;

use bytes::Bytes;
use quinn::{ReadError, RecvStream, SendStream, VarInt};

use super::connection::link_error;
use crate::frame::Broken;
use crate::{BoxFuture, LinkError, RecvError};

/// Chunks taken per read: about as many packets as arrive between two wakes under load.
const CHUNKS_PER_READ: usize = 32;

/// The code with which a reader stops a stream it does not want any more.
const STOP_CODE: VarInt = VarInt::from_u32(0);

/// The writing half.
#[derive(Debug)]
pub(crate) struct ChunkWriter(pub(super) SendStream);

impl ChunkWriter {
    pub(crate) async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), Broken> {
        self.0.write_all_chunks(chunks).await.map_err(|_| Broken)
    }

    pub(crate) fn finish(&mut self) {
        // The only error says that the stream is finished or gone, which is what is asked.
        let _ = self.0.finish();
    }

    pub(crate) fn ended(&self) -> BoxFuture<'static, bool> {
        let stopped = self.0.stopped();
        Box::pin(async move { matches!(stopped.await, Ok(None)) })
    }
}

/// The reading half.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    stream: RecvStream,
    /// Where reads go; kept, so that it is cleared once.
    chunks: Box<[Bytes; CHUNKS_PER_READ]>,
}

impl ChunkReader {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, chunks: Box::new(array::from_fn(|_| Bytes::new())) }
    }

    pub(crate) async fn read(&mut self, into: &mut VecDeque<Bytes>) -> Result<bool, RecvError> {
        match self.stream.read_chunks(self.chunks.as_mut_slice()).await {
            Ok(Some(count)) => {
                into.extend(self.chunks.iter_mut().take(count).map(mem::take));
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => Err(recv_error(error)),
        }
    }

    pub(crate) fn stop(&mut self) {
        // The only error says that the stream is over already.
        let _ = self.stream.stop(STOP_CODE);
    }
}

fn recv_error(error: ReadError) -> RecvError {
    match error {
        ReadError::Reset(code) => RecvError::Abandoned { code: code.into_inner() },
        ReadError::ConnectionLost(error) => RecvError::Lost(link_error(error)),
        // Cannot come of our use of the stream; named rather than left to panic.
        other => RecvError::Lost(LinkError::Protocol(other.to_string())),
    }
}
