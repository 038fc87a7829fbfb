//! A connection to a peer that has proven who it is.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::memory::MemoryConnection;
#[cfg(feature = "quic")]
use crate::quic::QuicConnection;
use crate::{FrameReceiver, FrameSender, LinkError, PeerIdentity};

/// A connection to a peer that has proven who it is: any number of framed streams, and datagrams.
///
/// Cheap to clone. When every clone and every stream of it is dropped, the connection closes with code 0.
#[derive(Clone)]
pub struct Connection {
    inner: Inner,
}

/// The transports. Closed, so that calls cost a branch and no box.
#[derive(Clone)]
enum Inner {
    #[cfg(feature = "quic")]
    Quic(QuicConnection),
    Memory(MemoryConnection),
}

/// Calls the same method of whichever transport carries the connection.
macro_rules! forward {
    ($self:ident, $connection:ident => $call:expr) => {
        match &$self.inner {
            #[cfg(feature = "quic")]
            Inner::Quic($connection) => $call,
            Inner::Memory($connection) => $call,
        }
    };
}

impl Connection {
    #[cfg(feature = "quic")]
    pub(crate) fn quic(connection: QuicConnection) -> Self {
        Self { inner: Inner::Quic(connection) }
    }

    pub(crate) fn memory(connection: MemoryConnection) -> Self {
        Self { inner: Inner::Memory(connection) }
    }

    /// Who the peer is, as its certificate says.
    pub fn peer(&self) -> &PeerIdentity {
        forward!(self, connection => connection.peer())
    }

    /// The address the peer's packets come from.
    pub fn remote_addr(&self) -> SocketAddr {
        forward!(self, connection => connection.remote_addr())
    }

    /// Opens a stream, waiting while the peer allows no further one. The peer's
    /// [`accept_stream`](Self::accept_stream) returns without a frame having to be sent. Cancel safe.
    ///
    /// # Errors
    ///
    /// Why the connection has ended.
    pub async fn open(&self) -> Result<(FrameSender, FrameReceiver), LinkError> {
        self.open_with_priority(0).await
    }

    /// Opens a stream whose data goes before that of streams with a lower priority and after that of streams with a
    /// higher one; [`open`](Self::open) uses 0. Concerns this side's sending on this connection only: bulk data
    /// takes a negative one. The in-memory twin has no queue to jump and ignores it.
    ///
    /// # Errors
    ///
    /// Why the connection has ended.
    pub async fn open_with_priority(&self, priority: i32) -> Result<(FrameSender, FrameReceiver), LinkError> {
        forward!(self, connection => connection.open(priority).await)
    }

    /// The next stream the peer opened. Cancel safe.
    ///
    /// # Errors
    ///
    /// Why the connection has ended.
    pub async fn accept_stream(&self) -> Result<(FrameSender, FrameReceiver), LinkError> {
        forward!(self, connection => connection.accept_stream().await)
    }

    /// Sends a datagram: it arrives once, or not at all, in any order. Never waits; when more waits than
    /// `datagram_buffer`, the oldest are dropped.
    ///
    /// # Errors
    ///
    /// [`LinkError::DatagramTooLarge`], or why the connection has ended.
    pub fn send_datagram(&self, datagram: Bytes) -> Result<(), LinkError> {
        forward!(self, connection => connection.send_datagram(datagram))
    }

    /// The next datagram. Cancel safe. When more wait than `datagram_buffer`, the oldest are dropped.
    ///
    /// # Errors
    ///
    /// Why the connection has ended.
    pub async fn recv_datagram(&self) -> Result<Bytes, LinkError> {
        forward!(self, connection => connection.recv_datagram().await)
    }

    /// Longest datagram in bytes that can be sent now. Changes as the path is learned; never below 1100.
    pub fn max_datagram_size(&self) -> usize {
        forward!(self, connection => connection.max_datagram_size())
    }

    /// Waits for the end of the connection and says why it came. Cancel safe.
    pub async fn closed(&self) -> LinkError {
        forward!(self, connection => connection.closed().await)
    }

    /// Why the connection has ended, if it has.
    pub fn close_reason(&self) -> Option<LinkError> {
        forward!(self, connection => connection.close_reason())
    }

    /// Closes the connection now, for all clones and streams. The peer gets `code` and `reason` (cut to what fits in
    /// a packet). What is on its way is lost: see [`FrameSender::finish`].
    pub fn close(&self, code: u32, reason: &str) {
        forward!(self, connection => connection.close(code, reason));
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.inner {
            #[cfg(feature = "quic")]
            Inner::Quic(_) => "quic",
            Inner::Memory(_) => "memory",
        };
        f.debug_struct("Connection")
            .field("kind", &kind)
            .field("peer", self.peer())
            .field("remote_addr", &self.remote_addr())
            .finish()
    }
}
