//! A QUIC connection whose handshake is done.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use quinn::{ConnectionError, RecvStream, SendDatagramError, SendStream, VarInt};
use rustls::pki_types::CertificateDer;

use super::printable;
use super::stream::{ChunkReader, ChunkWriter};
use crate::frame::{RecvHalf, SendHalf, Side, frames};
use crate::tls::read_identity;
use crate::{FrameReceiver, FrameSender, LinkConfig, LinkError, PeerIdentity};

/// A QUIC connection to a peer that has proven who it is.
#[derive(Clone, Debug)]
pub(crate) struct QuicConnection {
    connection: quinn::Connection,
    peer: Arc<PeerIdentity>,
    config: Arc<LinkConfig>,
}

impl QuicConnection {
    pub(super) fn new(connection: quinn::Connection, peer: PeerIdentity, config: Arc<LinkConfig>) -> Self {
        Self { connection, peer: Arc::new(peer), config }
    }

    pub(crate) fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    pub(crate) fn remote_addr(&self) -> SocketAddr {
        canonical(self.connection.remote_address())
    }

    pub(crate) async fn open(&self, priority: i32) -> Result<(FrameSender, FrameReceiver), LinkError> {
        let (send, recv) = self.connection.open_bi().await.map_err(link_error)?;
        if priority != 0 {
            // The only error says that the stream is gone; its first use will say so too.
            let _ = send.set_priority(priority);
        }
        Ok(self.framed(Side::Opener, send, recv))
    }

    pub(crate) async fn accept_stream(&self) -> Result<(FrameSender, FrameReceiver), LinkError> {
        let (send, recv) = self.connection.accept_bi().await.map_err(link_error)?;
        Ok(self.framed(Side::Acceptor, send, recv))
    }

    fn framed(&self, side: Side, send: SendStream, recv: RecvStream) -> (FrameSender, FrameReceiver) {
        let send = SendHalf::Quic(ChunkWriter(send));
        let recv = RecvHalf::Quic(ChunkReader::new(recv));
        frames(side, send, recv, &self.config)
    }

    pub(crate) fn send_datagram(&self, datagram: Bytes) -> Result<(), LinkError> {
        let len = datagram.len();
        self.connection.send_datagram(datagram).map_err(|error| match error {
            SendDatagramError::TooLarge => LinkError::DatagramTooLarge { len, limit: self.max_datagram_size() },
            SendDatagramError::ConnectionLost(error) => link_error(error),
            // Every endpoint of ours has datagrams on.
            other => LinkError::Protocol(other.to_string()),
        })
    }

    pub(crate) async fn recv_datagram(&self) -> Result<Bytes, LinkError> {
        self.connection.read_datagram().await.map_err(link_error)
    }

    pub(crate) fn max_datagram_size(&self) -> usize {
        self.connection.max_datagram_size().unwrap_or(0)
    }

    pub(crate) async fn closed(&self) -> LinkError {
        link_error(self.connection.closed().await)
    }

    pub(crate) fn close_reason(&self) -> Option<LinkError> {
        self.connection.close_reason().map(link_error)
    }

    pub(crate) fn close(&self, code: u32, reason: &str) {
        self.connection.close(VarInt::from_u32(code), reason.as_bytes());
    }
}

/// Who the other end of a connection is, as its verified certificate says.
///
/// # Errors
///
/// In words, why the certificate does not say it.
pub(super) fn peer_identity(connection: &quinn::Connection) -> Result<PeerIdentity, String> {
    let chain =
        connection.peer_identity().and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
    match chain.as_deref().and_then(|chain| chain.first()) {
        Some(leaf) => read_identity(leaf),
        None => Err("no certificate was shown".into()),
    }
}

/// IPv4 addresses as such, also where a socket of both families shows them as IPv6.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

pub(super) fn link_error(error: ConnectionError) -> LinkError {
    match error {
        ConnectionError::LocallyClosed => LinkError::ClosedHere,
        ConnectionError::ApplicationClosed(close) => {
            LinkError::ClosedByPeer { code: close.error_code.into_inner(), reason: printable(&close.reason) }
        }
        ConnectionError::TimedOut => LinkError::Silent,
        ConnectionError::Reset => LinkError::Reset,
        ConnectionError::ConnectionClosed(close) => LinkError::Protocol(printable(close.to_string().as_bytes())),
        other => LinkError::Protocol(other.to_string()),
    }
}
