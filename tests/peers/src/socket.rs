//! A connection that is written whole requests and read whole answers.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::PeerError;
use crate::tls::Credentials;

/// Room for an answer before its length is known.
const ROOM: usize = 8 << 10;

/// Bytes to and from a server.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection, and what was read of it and not used yet.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    read: BytesMut,
}

impl Socket {
    /// Connects, over TLS if there are credentials.
    pub(crate) async fn connect(address: SocketAddr, credentials: Option<&Credentials>) -> Result<Self, PeerError> {
        let doing = || PeerError::io(format!("connect to {address}"));
        let stream = TcpStream::connect(address).await.map_err(doing())?;
        // Each request is one write: waiting for more to send would only delay it.
        stream.set_nodelay(true).map_err(doing())?;
        let stream = match credentials {
            None => Stream::Plain(stream),
            Some(Credentials { config, server }) => {
                let connector = TlsConnector::from(config.clone());
                Stream::Tls(Box::new(connector.connect(server.clone(), stream).await.map_err(doing())?))
            }
        };
        Ok(Self { stream, read: BytesMut::with_capacity(ROOM) })
    }

    /// Writes a request.
    pub(crate) async fn write(&mut self, request: &[u8]) -> Result<(), PeerError> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(request).await,
            Stream::Tls(stream) => match stream.write_all(request).await {
                Ok(()) => stream.flush().await,
                failed => failed,
            },
        };
        written.map_err(PeerError::io("write a request"))
    }

    /// What has arrived and was not used yet.
    pub(crate) fn arrived(&mut self) -> &mut BytesMut {
        &mut self.read
    }

    /// Waits until more has arrived.
    pub(crate) async fn more(&mut self) -> Result<(), PeerError> {
        self.read.reserve(ROOM);
        let read: io::Result<usize> = match &mut self.stream {
            Stream::Plain(stream) => stream.read_buf(&mut self.read).await,
            Stream::Tls(stream) => stream.read_buf(&mut self.read).await,
        };
        match read.map_err(PeerError::io("read an answer"))? {
            0 => Err(PeerError::Closed),
            _ => Ok(()),
        }
    }
}
