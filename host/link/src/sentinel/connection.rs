//! A connection that is watched for its end.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::memory::MemorySentinel;

/// A greeted connection on which nothing is said. Dropping it shows at the peer as [`Broken::Eof`].
#[derive(Debug)]
pub struct SentinelConnection {
    inner: Inner,
    remote: SocketAddr,
}

#[derive(Debug)]
enum Inner {
    Tcp {
        stream: TcpStream,
        /// The place it takes among those a listener holds.
        _place: Option<OwnedSemaphorePermit>,
    },
    Memory(MemorySentinel),
}

/// How a sentinel connection ended. None of them proves that the peer is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The peer, or the kernel for a process that died, closed it.
    Eof,
    /// The connection was reset, or the network reported an error.
    Reset,
    /// The peer said something, which a sentinel never does.
    Garbage,
}

impl SentinelConnection {
    pub(super) fn new(stream: TcpStream, remote: SocketAddr, place: Option<OwnedSemaphorePermit>) -> Self {
        Self { inner: Inner::Tcp { stream, _place: place }, remote }
    }

    pub(crate) fn memory(sentinel: MemorySentinel, remote: SocketAddr) -> Self {
        Self { inner: Inner::Memory(sentinel), remote }
    }

    /// The address of the peer's side of the connection.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// Waits for the end of the connection, however long. Cancel safe; says the same when asked again.
    pub async fn broken(&self) -> Broken {
        match &self.inner {
            Inner::Tcp { stream, .. } => ended(stream).await,
            Inner::Memory(sentinel) => sentinel.broken().await,
        }
    }
}

async fn ended(stream: &TcpStream) -> Broken {
    loop {
        if stream.readable().await.is_err() {
            return Broken::Reset;
        }
        match stream.try_read(&mut [0]) {
            Ok(0) => return Broken::Eof,
            Ok(_) => return Broken::Garbage,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Broken::Reset,
        }
    }
}
