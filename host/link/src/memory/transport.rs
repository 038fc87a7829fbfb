//! One address in a network in memory.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::connection::MemoryConnection;
use super::end::End;
use super::net::{BindError, Hub};
use super::wire::{Wire, pump};
use crate::identity::check_name;
use crate::sync::lock;
use crate::{BoxFuture, ConnectError, Connection, Expect, LinkConfig, PeerIdentity, Role, Transport};

/// Longest wait of [`Transport::drained`], as with QUIC.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// A [`Transport`] in a [`MemoryNet`](super::MemoryNet).
#[derive(Debug)]
pub struct MemoryTransport {
    hub: Arc<Hub>,
    port: Arc<Port>,
    ready: AsyncMutex<mpsc::Receiver<Connection>>,
}

/// What the network knows of a transport.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) addr: SocketAddr,
    pub(super) identity: PeerIdentity,
    config: Arc<LinkConfig>,
    hub: Arc<Hub>,
    state: Mutex<PortState>,
}

#[derive(Debug)]
struct PortState {
    closed: bool,
    /// Where accepted connections go; `None` if this transport does not serve, or not any more.
    ready: Option<mpsc::Sender<Connection>>,
}

impl Port {
    /// Takes no more connections and frees the address.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.ready = None;
        drop(state);
        self.hub.leave(self);
    }

    /// The end of a connection to `peer` that is here.
    fn end(&self, peer: &Self, out: Arc<Wire>, inward: Arc<Wire>) -> Arc<End> {
        End::new(
            (self.identity.name.clone(), self.addr),
            (peer.identity.clone(), peer.addr),
            (Arc::clone(&self.config), peer.config.max_streams),
            out,
            inward,
        )
    }

    fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    fn ready(&self) -> Option<mpsc::Sender<Connection>> {
        lock(&self.state).ready.clone()
    }
}

impl MemoryTransport {
    pub(super) fn bind(
        hub: Arc<Hub>,
        addr: SocketAddr,
        identity: PeerIdentity,
        config: Arc<LinkConfig>,
        serve: bool,
    ) -> Result<Self, BindError> {
        let (sender, ready) = mpsc::channel(config.accept_backlog);
        let state = PortState { closed: false, ready: serve.then_some(sender) };
        let port = hub.enter(addr, |addr| {
            let hub = Arc::clone(&hub);
            Arc::new(Port { addr, identity, config, hub, state: Mutex::new(state) })
        })?;
        Ok(Self { hub, port, ready: AsyncMutex::new(ready) })
    }

    async fn dial(&self, to: SocketAddr, expect: Expect) -> Result<Connection, ConnectError> {
        if let Expect::Host(name) = &expect {
            check_name(name)?;
        }
        if self.port.is_closed() {
            return Err(ConnectError::Closed { to });
        }
        let after = self.port.config.handshake_timeout;
        let deadline = Instant::now() + after;
        match timeout_at(deadline, self.shake_hands(to, expect)).await {
            Ok(Some(done)) => done,
            // Nobody is there. A dialer cannot know, and waits.
            Ok(None) => {
                sleep_until(deadline).await;
                Err(ConnectError::Unreachable { to, after })
            }
            Err(_) => Err(ConnectError::Unreachable { to, after }),
        }
    }

    /// One round trip and its verdict, or `None` if nobody is at `to`.
    async fn shake_hands(&self, to: SocketAddr, expected: Expect) -> Option<Result<Connection, ConnectError>> {
        let us = &self.port.identity.name;
        let them = self.hub.port(to)?.identity.name.clone();
        self.hub.travel(us, &them).await;
        let port = self.hub.port(to)?;
        let ready = port.ready()?;
        self.hub.travel(&them, us).await;

        let got = &port.identity;
        let as_expected = got.role == Role::Host
            && match &expected {
                Expect::AnyHost => true,
                Expect::Host(name) => *name == got.name,
            };
        if !as_expected {
            let got = got.to_string();
            return Some(Err(ConnectError::UnexpectedHost { to, expected, got }));
        }
        let Ok(place) = ready.try_reserve() else {
            let reason = if ready.is_closed() { "leaving" } else { "too many connections wait" };
            return Some(Err(ConnectError::Refused { to, reason: reason.into() }));
        };
        let (ours, theirs) = self.join(&port);
        place.send(Connection::memory(MemoryConnection::new(theirs)));
        Some(Ok(Connection::memory(MemoryConnection::new(ours))))
    }

    /// Makes the two ends of a connection to `port` and starts what moves packets between them.
    fn join(&self, port: &Port) -> (Arc<End>, Arc<End>) {
        let (us, them) = (&self.port, port);
        let wire = |from: &Port, to: &Port| {
            let (hub, room) = (Arc::clone(&self.hub), from.config.datagram_buffer);
            Wire::new(hub, &from.identity.name, &to.identity.name, room)
        };
        let (there, back) = (wire(us, them), wire(them, us));
        let ours = us.end(them, Arc::clone(&there), Arc::clone(&back));
        let theirs = them.end(us, Arc::clone(&back), Arc::clone(&there));
        self.hub.add_end(&ours);
        self.hub.add_end(&theirs);
        // The smaller value counts, as in QUIC's negotiation.
        let idle = us.config.idle_timeout.min(them.config.idle_timeout);
        self.hub.spawn(pump(there, Arc::clone(&ours), Arc::clone(&theirs), idle));
        self.hub.spawn(pump(back, Arc::clone(&theirs), Arc::clone(&ours), idle));
        (ours, theirs)
    }

    /// The ends that belong to this transport.
    fn ends(&self) -> impl Iterator<Item = Arc<End>> {
        let addr = self.port.addr;
        self.hub.ends().into_iter().filter(move |end| end.local == addr)
    }
}

impl Transport for MemoryTransport {
    fn local_addr(&self) -> SocketAddr {
        self.port.addr
    }

    fn connect(&self, to: SocketAddr, expect: Expect) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        Box::pin(self.dial(to, expect))
    }

    fn accept(&self) -> BoxFuture<'_, Option<Connection>> {
        Box::pin(async { self.ready.lock().await.recv().await })
    }

    fn close(&self) {
        self.port.close();
        for end in self.ends() {
            end.close(0, "leaving");
        }
    }

    fn drained(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let told = async {
                for end in self.ends() {
                    end.out.done().await;
                }
            };
            // Out of time is as good as done, as with QUIC.
            let _ = timeout(DRAIN_MAX, told).await;
        })
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        self.port.close();
    }
}
