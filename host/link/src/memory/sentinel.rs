//! The twin of sentinels over TCP.
//!
//! How it is like TCP between machines: the machine answers for a process that is gone or stopped, a cut is silence, a
//! connection on which nothing is said outlives a cut, and the end of one side shows at the other as soon as a packet
//! can get there.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::net::Hub;
use crate::BoxFuture;
use crate::sentinel::{
    BACKLOG, Broken, DialError, Greeted, HelloError, ListenError, Probe, SentinelConnection, SentinelListener,
    Sentinels, check_hello,
};

/// The sentinels of one host in a [`MemoryNet`](super::MemoryNet).
#[derive(Clone, Debug)]
pub struct MemorySentinels {
    hub: Arc<Hub>,
    name: String,
}

/// Where a host listens. Its drop frees the address.
#[derive(Debug)]
pub(crate) struct SentinelPort {
    pub(super) addr: SocketAddr,
    pub(super) name: String,
    hello: Bytes,
    greeted: mpsc::Sender<Greeted>,
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Post {
    hub: Arc<Hub>,
    name: String,
    left: AtomicBool,
}

/// A connection as one side holds it.
#[derive(Debug)]
pub(crate) struct MemorySentinel {
    own: Arc<Post>,
    other: Arc<Post>,
}

impl Post {
    fn new(hub: &Arc<Hub>, name: &str) -> Arc<Self> {
        let post = Arc::new(Self { hub: Arc::clone(hub), name: name.to_owned(), left: AtomicBool::new(false) });
        hub.add_post(&post);
        post
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Nobody is at this end any more.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Release);
        self.hub.changed.notify_waiters();
    }

    fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }
}

impl MemorySentinel {
    /// Waits for the other side's end, and until word of it gets here.
    pub(crate) async fn broken(&self) -> Broken {
        let (own, other) = (&self.own, &self.other);
        own.hub.wait_until(|_| other.has_left()).await;
        own.hub.travel_between_machines(&other.name, &own.name).await;
        Broken::Eof
    }
}

impl Drop for MemorySentinel {
    fn drop(&mut self) {
        self.own.leave();
    }
}

impl MemorySentinels {
    pub(super) fn new(hub: Arc<Hub>, name: &str) -> Self {
        Self { hub, name: name.to_owned() }
    }

    fn bind(&self, addr: SocketAddr, hello: Bytes) -> Result<SentinelListener, ListenError> {
        check_hello(&hello)?;
        let (sender, greeted) = mpsc::channel(BACKLOG);
        let port = Arc::new(SentinelPort { addr, name: self.name.clone(), hello, greeted: sender });
        if !self.hub.enter_sentinel(&port) {
            return Err(ListenError::InUse { addr });
        }
        Ok(SentinelListener::memory(addr, greeted, port))
    }

    /// Who listens at `addr`; none if its machine says that nobody does. Waits for ever if there is no machine, or no
    /// way to it.
    async fn knock(&self, addr: SocketAddr) -> Option<Arc<SentinelPort>> {
        let Some(machine) = self.hub.machine(addr.ip()) else { return std::future::pending().await };
        self.hub.travel_between_machines(&self.name, &machine).await;
        let port = self.hub.sentinel(addr);
        self.hub.travel_between_machines(&machine, &self.name).await;
        port
    }

    async fn greet(&self, addr: SocketAddr, hello: Bytes) -> Result<Greeted, DialError> {
        let port = self.knock(addr).await.ok_or(DialError::Refused { addr })?;
        let (name, said, greeted) = (port.name.clone(), port.hello.clone(), port.greeted.clone());
        drop(port);
        // The machine has taken the connection. That the hellos are said takes the process.
        self.hub.wait_until(|hub| !hub.is_cut(&name, &self.name)).await;
        let (own, other) = (Post::new(&self.hub, &self.name), Post::new(&self.hub, &name));
        let ours = MemorySentinel { own: Arc::clone(&own), other: Arc::clone(&other) };
        let theirs = MemorySentinel { own: other, other: own };
        // The address of a dialing socket means nothing here.
        if greeted.try_send((hello, SentinelConnection::memory(theirs, addr))).is_err() {
            let source = HelloError::Io(io::ErrorKind::UnexpectedEof.into());
            return Err(DialError::Greeting { addr, source });
        }
        Ok((said, SentinelConnection::memory(ours, addr)))
    }
}

impl Sentinels for MemorySentinels {
    fn listen(&self, addr: SocketAddr, hello: Bytes) -> BoxFuture<'_, Result<SentinelListener, ListenError>> {
        Box::pin(async move { self.bind(addr, hello) })
    }

    fn dial(&self, addr: SocketAddr, hello: Bytes, limit: Duration) -> BoxFuture<'_, Result<Greeted, DialError>> {
        Box::pin(async move {
            check_hello(&hello).map_err(|source| DialError::Greeting { addr, source })?;
            let greeted = timeout(limit, self.greet(addr, hello)).await;
            greeted.unwrap_or(Err(DialError::Silent { addr, after: limit }))
        })
    }

    fn probe(&self, addr: SocketAddr, limit: Duration) -> BoxFuture<'_, Probe> {
        Box::pin(async move {
            match timeout(limit, self.knock(addr)).await {
                Ok(Some(_)) => Probe::Accepted,
                Ok(None) => Probe::Refused,
                Err(_) => Probe::Silent,
            }
        })
    }
}
