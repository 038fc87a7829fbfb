//! A connection of the twin, as callers hold it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::end::{Handle, Incoming};
use super::pipe::{Pipe, PipeReader, PipeWriter, Place};
use super::wire::Packet;
use crate::frame::{RecvHalf, SendHalf, Side, frames};
use crate::{FrameReceiver, FrameSender, LinkError, PeerIdentity};

/// Longest datagram in bytes: what fits in a QUIC packet before the path is learned, or a little less.
const DATAGRAM_LEN_MAX: usize = 1_150;

/// One end of a connection of the twin.
#[derive(Clone, Debug)]
pub(crate) struct MemoryConnection {
    handle: Arc<Handle>,
}

impl MemoryConnection {
    pub(super) fn new(end: Arc<super::end::End>) -> Self {
        Self { handle: Arc::new(Handle { end }) }
    }

    pub(crate) fn peer(&self) -> &PeerIdentity {
        &self.handle.end.peer
    }

    pub(crate) fn remote_addr(&self) -> SocketAddr {
        self.handle.end.remote
    }

    pub(crate) async fn open(&self, _priority: i32) -> Result<(FrameSender, FrameReceiver), LinkError> {
        let end = &self.handle.end;
        let place = tokio::select! {
            biased;
            reason = end.ended() => return Err(reason),
            place = Arc::clone(&end.places).acquire_owned() => match place {
                Ok(place) => place,
                Err(_) => return Err(LinkError::ClosedHere),
            },
        };
        let (there, back) = (Arc::new(Pipe::default()), Arc::new(Pipe::default()));
        let incoming = Incoming { read: Arc::clone(&there), write: Arc::clone(&back), place };
        end.out.push(Packet::Open(incoming));
        Ok(self.framed(Side::Opener, there, back, None))
    }

    pub(crate) async fn accept_stream(&self) -> Result<(FrameSender, FrameReceiver), LinkError> {
        let Incoming { read, write, place } = self.handle.end.incoming().await?;
        Ok(self.framed(Side::Acceptor, write, read, Some(Arc::new(place))))
    }

    fn framed(&self, side: Side, write: Arc<Pipe>, read: Arc<Pipe>, place: Place) -> (FrameSender, FrameReceiver) {
        let send = PipeWriter::new(write, Arc::clone(&self.handle), place.clone());
        let recv = PipeReader::new(read, Arc::clone(&self.handle), place);
        frames(side, SendHalf::Memory(send), RecvHalf::Memory(recv), &self.handle.end.config)
    }

    pub(crate) fn send_datagram(&self, datagram: Bytes) -> Result<(), LinkError> {
        if let Some(reason) = self.close_reason() {
            return Err(reason);
        }
        let len = datagram.len();
        if len > DATAGRAM_LEN_MAX {
            return Err(LinkError::DatagramTooLarge { len, limit: DATAGRAM_LEN_MAX });
        }
        self.handle.end.out.push_datagram(datagram);
        Ok(())
    }

    pub(crate) async fn recv_datagram(&self) -> Result<Bytes, LinkError> {
        self.handle.end.datagram().await
    }

    pub(crate) fn max_datagram_size(&self) -> usize {
        DATAGRAM_LEN_MAX
    }

    pub(crate) async fn closed(&self) -> LinkError {
        self.handle.end.ended().await
    }

    pub(crate) fn close_reason(&self) -> Option<LinkError> {
        self.handle.end.reason()
    }

    pub(crate) fn close(&self, code: u32, reason: &str) {
        self.handle.end.close(code, reason);
    }
}
