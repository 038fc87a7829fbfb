//! One UDP port that serves and dials.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::{Endpoint, TokioRuntime, VarInt};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::connection::canonical;
use super::dial::Dialer;
use super::listen::{Counters, Listener};
use super::{settings, socket};
use crate::tls::Identity;
use crate::{BoxFuture, ConfigError, ConnectError, Connection, Expect, LinkConfig, Role, Transport};

/// Longest wait of [`Transport::drained`]. A connection that closes lingers for three probe timeouts, well below a
/// second in a cluster; a peer that is gone must not hold up an exit.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Why no transport could be made. Nothing is left open.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process, or another transport of this one, has the address.
    #[error("{addr} (UDP) is in use by another process")]
    InUse {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The address is not one of this machine.
    #[error("{addr} is not an address of this machine")]
    NotLocal {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The system does not let this user have the address.
    #[error("no permission to listen on {addr} (UDP)")]
    NoPermission {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The system refused for another reason.
    #[error("cannot open a UDP socket at {addr}: {source}")]
    Io {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration breaks a bound.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A client's certificate was given to serve with: every dialer would refuse it.
    #[error("the certificate is that of client `{name}`: only a host can serve")]
    NotAHost {
        /// The name in the certificate.
        name: String,
    },
    /// The TLS library refused the identity.
    #[error("the certificate cannot be used: {0}")]
    Tls(String),
    /// Not called on a tokio runtime with I/O and time.
    #[error("a transport is made on a tokio runtime")]
    NoRuntime,
}

/// What became of handshakes with dialers, counted since the transport was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeCounts {
    /// Done, and handed to [`Transport::accept`].
    pub accepted: u64,
    /// Begun and failed: a certificate, a deadline, noise.
    pub failed: u64,
    /// Refused unread, because too many were under way or open.
    pub refused: u64,
    /// Asked to prove their address first.
    pub retried: u64,
}

/// The real [`Transport`]: QUIC with mutual TLS 1.3 on one UDP port.
#[derive(Debug)]
pub struct QuicTransport {
    dialer: Dialer,
    local: SocketAddr,
    /// Connections whose handshake is done. Closed from the start if this transport only dials.
    ready: Mutex<mpsc::Receiver<Connection>>,
    counters: Arc<Counters>,
    listener: Option<AbortHandle>,
}

impl QuicTransport {
    /// Opens a transport that serves and dials at `addr`; port 0 takes any free one. An unspecified IPv6 address serves IPv4 too.
    ///
    /// # Errors
    ///
    /// A [`BindError`]; nothing is left open.
    pub fn bind(addr: SocketAddr, identity: Identity, config: LinkConfig) -> Result<Self, BindError> {
        if identity.peer_identity().role != Role::Host {
            let name = identity.peer_identity().name.clone();
            return Err(BindError::NotAHost { name });
        }
        config.check()?;
        let socket = socket::open(addr, config.udp_buffer).map_err(|source| refused(addr, source))?;
        Self::on_socket(addr, socket, identity, config, true)
    }

    /// Opens a transport that only dials, from a port of the system's choice. Its
    /// [`accept`](Transport::accept) returns `None` at once.
    ///
    /// # Errors
    ///
    /// A [`BindError`]; nothing is left open.
    pub fn client(identity: Identity, config: LinkConfig) -> Result<Self, BindError> {
        config.check()?;
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let socket = socket::open_ephemeral(config.udp_buffer).map_err(|source| refused(any, source))?;
        Self::on_socket(any, socket, identity, config, false)
    }

    /// As [`client`](Self::client), from this address of a machine that has several.
    ///
    /// # Errors
    ///
    /// A [`BindError`]; nothing is left open.
    pub fn client_at(source: IpAddr, identity: Identity, config: LinkConfig) -> Result<Self, BindError> {
        config.check()?;
        let addr = SocketAddr::new(source, 0);
        let socket = socket::open(addr, config.udp_buffer).map_err(|source| refused(addr, source))?;
        Self::on_socket(addr, socket, identity, config, false)
    }

    fn on_socket(
        addr: SocketAddr,
        socket: UdpSocket,
        identity: Identity,
        config: LinkConfig,
        serve: bool,
    ) -> Result<Self, BindError> {
        let runtime = Handle::try_current().map_err(|_| BindError::NoRuntime)?;
        let config = Arc::new(config);
        let transport = Arc::new(settings::transport(&config));
        let server =
            serve.then(|| settings::server(&identity, Arc::clone(&transport))).transpose().map_err(BindError::Tls)?;
        let io = |source| BindError::Io { addr, source };
        let endpoint =
            Endpoint::new(settings::endpoint(&identity), server, socket, Arc::new(TokioRuntime)).map_err(io)?;
        let local = endpoint.local_addr().map_err(io)?;

        let (sender, ready) = mpsc::channel(config.accept_backlog);
        let counters = Arc::new(Counters::default());
        let listener = serve.then(|| {
            let listener = Listener {
                endpoint: endpoint.clone(),
                config: Arc::clone(&config),
                ready: sender,
                counters: Arc::clone(&counters),
            };
            runtime.spawn(listener.run()).abort_handle()
        });
        let dialer = Dialer { endpoint, identity, transport, config, local };
        Ok(Self { dialer, local, ready: Mutex::new(ready), counters, listener })
    }

    /// What became of the handshakes with dialers so far.
    pub fn handshakes(&self) -> HandshakeCounts {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        HandshakeCounts {
            accepted: read(&self.counters.accepted),
            failed: read(&self.counters.failed),
            refused: read(&self.counters.refused),
            retried: read(&self.counters.retried),
        }
    }

    /// Connections open now, in both directions, handshakes under way included.
    pub fn open_connections(&self) -> usize {
        self.dialer.endpoint.open_connections()
    }
}

impl Transport for QuicTransport {
    fn local_addr(&self) -> SocketAddr {
        canonical(self.local)
    }

    fn connect(&self, to: SocketAddr, expect: Expect) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        Box::pin(async move { self.dialer.dial(to, expect).await.map(Connection::quic) })
    }

    fn accept(&self) -> BoxFuture<'_, Option<Connection>> {
        Box::pin(async { self.ready.lock().await.recv().await })
    }

    fn close(&self) {
        self.dialer.endpoint.close(VarInt::from_u32(0), b"leaving");
    }

    fn drained(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // Out of time is as good as done: the idle timeout of the peers does the rest.
            let _ = timeout(DRAIN_MAX, self.dialer.endpoint.wait_idle()).await;
        })
    }
}

impl Drop for QuicTransport {
    fn drop(&mut self) {
        // Connections that were handed out keep the endpoint alive. It must not go on shaking hands for nobody.
        self.dialer.endpoint.set_server_config(None);
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

fn refused(addr: SocketAddr, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { addr },
        io::ErrorKind::AddrNotAvailable => BindError::NotLocal { addr },
        io::ErrorKind::PermissionDenied => BindError::NoPermission { addr },
        _ => BindError::Io { addr, source },
    }
}
