//! Where peers keep their sentinel connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::greeting::{self, HelloError, greet};
use super::{GREETING_TIMEOUT, SentinelConnection};
use crate::memory::SentinelPort;

/// Connections held at once, greeted or not: one for each host of the largest cluster, several times over. More are
/// closed at once.
const CONNECTIONS_MAX: usize = 2_048;

/// Connections that have not greeted yet, at most. Strangers can hold these for [`GREETING_TIMEOUT`] each.
const UNGREETED_MAX: usize = 256;

/// Greeted connections that wait for [`SentinelListener::accept`].
pub(crate) const BACKLOG: usize = 64;

/// Pause after the system refuses a connection, for lack of file descriptors as a rule: trying again at once would
/// only burn time.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Listens for sentinel connections. Ends with its drop; connections handed out live on.
#[derive(Debug)]
pub struct SentinelListener {
    local: SocketAddr,
    greeted: Mutex<mpsc::Receiver<Greeted>>,
    _listening: Listening,
}

/// A connection that has greeted, and what its dialer said.
pub(crate) type Greeted = (Bytes, SentinelConnection);

/// What goes on until its drop.
#[derive(Debug)]
enum Listening {
    Tcp(#[expect(dead_code, reason = "held for its drop")] Task),
    Memory(#[expect(dead_code, reason = "held for its drop")] Arc<SentinelPort>),
}

#[derive(Debug)]
struct Task(AbortHandle);

/// Why a sentinel listener could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process has the address.
    #[error("{addr} (TCP) is in use by another process")]
    InUse {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The system refused for another reason.
    #[error("cannot listen on {addr} (TCP): {source}")]
    Io {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The hello cannot be said.
    #[error(transparent)]
    Hello(#[from] HelloError),
}

impl SentinelListener {
    /// Listens at `addr` and says `hello` to everyone who connects.
    ///
    /// # Errors
    ///
    /// A [`ListenError`]; nothing is left open.
    pub async fn bind(addr: SocketAddr, hello: Bytes) -> Result<Self, ListenError> {
        greeting::check(&hello)?;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { addr },
            _ => ListenError::Io { addr, source },
        };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let (sender, greeted) = mpsc::channel(BACKLOG);
        let task = tokio::spawn(run(listener, hello, sender)).abort_handle();
        Ok(Self { local, greeted: Mutex::new(greeted), _listening: Listening::Tcp(Task(task)) })
    }

    pub(crate) fn memory(local: SocketAddr, greeted: mpsc::Receiver<Greeted>, port: Arc<SentinelPort>) -> Self {
        Self { local, greeted: Mutex::new(greeted), _listening: Listening::Memory(port) }
    }

    /// The address listened at.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next connection that has greeted, with the peer's hello. `None` only when the runtime ends. Connections
    /// that greet wrongly or late are closed and not returned. Cancel safe.
    pub async fn accept(&self) -> Option<(Bytes, SentinelConnection)> {
        self.greeted.lock().await.recv().await
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(listener: TcpListener, hello: Bytes, greeted: mpsc::Sender<Greeted>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut greetings = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(done) = greetings.join_next(), if !greetings.is_empty() => {
                if let Err(error) = done {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, remote)) => {
                    let place = Arc::clone(&places).try_acquire_owned();
                    let (true, Ok(place)) = (greetings.len() < UNGREETED_MAX, place) else {
                        tracing::debug!(%remote, "too many sentinel connections");
                        continue;
                    };
                    greetings.spawn(welcome(stream, remote, hello.clone(), place, greeted.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a sentinel connection");
                    sleep(ACCEPT_RETRY).await;
                }
            },
        }
    }
}

/// Greets one connection and hands it over.
async fn welcome(
    mut stream: TcpStream,
    remote: SocketAddr,
    hello: Bytes,
    place: OwnedSemaphorePermit,
    greeted: mpsc::Sender<Greeted>,
) {
    match timeout(GREETING_TIMEOUT, greet(&mut stream, &hello)).await {
        Ok(Ok(theirs)) => {
            let connection = SentinelConnection::new(stream, remote, Some(place));
            if greeted.try_send((theirs, connection)).is_err() {
                tracing::debug!(%remote, "too many sentinel connections wait to be accepted");
            }
        }
        // A probe connects and says nothing: not worth more than a debug line.
        Ok(Err(error)) => tracing::debug!(%remote, %error, "a sentinel connection did not greet"),
        Err(_) => tracing::debug!(%remote, "a sentinel connection did not greet in time"),
    }
}
