//! Calls to the control ports of other hosts: one connection and one stream each, opened when first needed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use colony_client::pipe::Pipe;
use colony_link::{Connection, Expect, FrameReceiver, FrameSender, Transport};
use colony_wire::control::{ControlReply, ControlRequest, IslandRequest};
use colony_wire::{DecodeError, Message};
use tokio::sync::mpsc;

use super::lock;
use crate::host::realm::Realm;

/// Connections kept to other hosts. Hosts that are gone leave closed ones, which are dropped first.
const CONNECTIONS: usize = 2048;
/// Priority of streams that carry much: calls go before it.
const BULK: i32 = -1;
/// Datagrams of one connection under way to the watch.
const DATAGRAMS: usize = 64;

/// Why a call has no answer. It may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub(in crate::host) enum CallFailed {
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer in time")]
    TimedOut,
    #[error("it does not live in this lineage")]
    NotHere,
    #[error("the answer is malformed: {0}")]
    Malformed(#[from] DecodeError),
}

/// The connections of this host's control port to others.
pub(in crate::host) struct Calls {
    transport: Arc<dyn Transport>,
    lines: Mutex<HashMap<SocketAddr, Arc<Line>>>,
    watches: Arc<Watches>,
}

/// Where datagrams that come back on these connections go: to the watch of each lineage.
type Watches = Mutex<Vec<mpsc::Sender<Bytes>>>;

/// One connection; the lock is held while it is being opened, so that callers open it once.
#[derive(Default)]
struct Line {
    open: tokio::sync::Mutex<Option<(Connection, Pipe)>>,
}

impl Calls {
    pub(in crate::host) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, lines: Mutex::default(), watches: Arc::default() }
    }

    /// Datagrams that come back on these connections go here too, until it is dropped.
    pub(super) fn datagrams(&self) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(DATAGRAMS * 16);
        let mut watches = lock(&self.watches);
        watches.retain(|watch| !watch.is_closed());
        watches.push(sender);
        receiver
    }

    /// Asks a host anything that has an answer.
    pub(super) async fn exchange<Q: Message, A: Message>(
        &self,
        to: SocketAddr,
        request: &Q,
        within: Duration,
    ) -> Result<A, CallFailed> {
        let asked = async {
            let (_, pipe) = self.line(to).await?;
            let sent = AtomicBool::new(false);
            let frame = pipe.call(|call| request.to_frame(call), &sent).await;
            let frame = frame.map_err(|error| CallFailed::Unreachable(error.to_string()))?;
            Ok(frame.decode::<A>()?)
        };
        tokio::time::timeout(within, asked).await.map_err(|_| CallFailed::TimedOut)?
    }

    /// A stream of its own to a host, for what is too much to stand before calls in theirs.
    pub(super) async fn stream(&self, to: SocketAddr) -> Result<(FrameSender, FrameReceiver), CallFailed> {
        let (connection, _) = self.line(to).await?;
        connection.open_with_priority(BULK).await.map_err(|error| CallFailed::Unreachable(error.to_string()))
    }

    /// Sends a datagram if there is a connection. If there is none one is opened, and the datagram is lost:
    /// what is sent so is worth little a moment later.
    pub(super) fn datagram(self: &Arc<Self>, to: SocketAddr, datagram: Bytes) {
        let line = lock(&self.lines).entry(to).or_default().clone();
        // Somebody is opening it now.
        let Ok(open) = line.open.try_lock() else { return };
        match open.as_ref().filter(|open| is_usable(Some(open))) {
            Some((connection, _)) => {
                if let Err(error) = connection.send_datagram(datagram) {
                    tracing::debug!(%to, %error, "a beacon was not sent");
                }
            }
            None => {
                let this = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = this.line(to).await {
                        tracing::debug!(%to, %error, "no connection for beacons");
                    }
                });
            }
        }
    }

    async fn line(&self, to: SocketAddr) -> Result<(Connection, Pipe), CallFailed> {
        let line = {
            let mut lines = lock(&self.lines);
            if lines.len() >= CONNECTIONS {
                lines.retain(|_, line| line.open.try_lock().is_ok_and(|open| is_usable(open.as_ref())));
            }
            lines.entry(to).or_default().clone()
        };
        let mut open = line.open.lock().await;
        if let Some((connection, pipe)) = open.as_ref().filter(|open| is_usable(Some(open))) {
            return Ok((connection.clone(), pipe.clone()));
        }
        *open = None;
        let failed = |error: String| CallFailed::Unreachable(error);
        let connection =
            self.transport.connect(to, Expect::AnyHost).await.map_err(|error| failed(error.to_string()))?;
        let pipe = Pipe::open(connection.clone()).await.map_err(|error| failed(error.to_string()))?;
        tokio::spawn(pass_on(connection.clone(), self.watches.clone()));
        *open = Some((connection.clone(), pipe.clone()));
        Ok((connection, pipe))
    }
}

fn is_usable(open: Option<&(Connection, Pipe)>) -> bool {
    open.is_some_and(|(connection, pipe)| connection.close_reason().is_none() && pipe.is_open())
}

async fn pass_on(connection: Connection, watches: Arc<Watches>) {
    while let Ok(datagram) = connection.recv_datagram().await {
        for watch in &*lock(&watches) {
            // Beacons are worth less the older they are: what does not fit is dropped.
            let _ = watch.try_send(datagram.clone());
        }
    }
}

/// The same connections, as one lineage uses them.
#[derive(Clone)]
pub(in crate::host) struct RealmCalls {
    calls: Arc<Calls>,
    realm: Realm,
}

impl RealmCalls {
    pub(in crate::host) fn new(calls: Arc<Calls>, realm: Realm) -> Self {
        Self { calls, realm }
    }

    /// The same connections for another lineage.
    pub(super) fn of(&self, realm: Realm) -> Self {
        Self { calls: self.calls.clone(), realm }
    }

    /// The lineage.
    pub(super) fn realm(&self) -> Realm {
        self.realm
    }

    /// Asks a host something in this lineage, and waits for its answer.
    pub(super) async fn call(
        &self,
        to: SocketAddr,
        request: &ControlRequest,
        within: Duration,
    ) -> Result<ControlReply, CallFailed> {
        let reply = match self.realm {
            Realm::Root => self.calls.exchange(to, request, within).await?,
            Realm::Island(lineage) => {
                let request = IslandRequest { lineage, request: request.clone() };
                self.calls.exchange(to, &request, within).await?
            }
        };
        if let ControlReply::NotHere { .. } = reply {
            return Err(CallFailed::NotHere);
        }
        Ok(reply)
    }

    /// As [`Calls::exchange`].
    pub(super) async fn exchange<Q: Message, A: Message>(
        &self,
        to: SocketAddr,
        request: &Q,
        within: Duration,
    ) -> Result<A, CallFailed> {
        self.calls.exchange(to, request, within).await
    }

    /// As [`Calls::stream`].
    pub(super) async fn stream(&self, to: SocketAddr) -> Result<(FrameSender, FrameReceiver), CallFailed> {
        self.calls.stream(to).await
    }

    /// As [`Calls::datagram`].
    pub(super) fn datagram(&self, to: SocketAddr, datagram: Bytes) {
        self.calls.datagram(to, datagram);
    }

    /// As [`Calls::datagrams`]; they are of all lineages.
    pub(super) fn datagrams(&self) -> mpsc::Receiver<Bytes> {
        self.calls.datagrams()
    }
}
