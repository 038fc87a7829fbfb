//! The streams to hosts, one for each port, opened when first used.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use colony_link::{ConnectError, Expect, Transport};
use colony_wire::StartId;
use tokio::sync::watch;

use crate::limits::LINKS_MAX;
use crate::pipe::Pipe;
use crate::routes::{Peer, RouteTable};
use crate::sync::lock;

/// What a stream is for. A watch waits for as long as nothing happens: on a stream of their own, watches take no
/// room from calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Calls that are answered at once.
    Calls,
    /// Calls that wait for something to happen.
    Watches,
    /// Plugins on their way in: a piece is larger than many calls.
    Uploads,
}

/// Opens a stream to each port and for each lane once, however many calls ask for it at the same time.
///
/// A dial is a task of its own: a caller that gives up does not take it from the others.
#[derive(Debug)]
pub(crate) struct Links {
    transport: Arc<dyn Transport>,
    slots: Mutex<HashMap<Place, Slot>>,
}

/// Where a stream leads and what it is for.
type Place = (SocketAddr, Option<StartId>, Lane);
type Slot = watch::Receiver<Dial>;

#[derive(Clone, Debug)]
enum Dial {
    UnderWay,
    Open(Pipe),
    Failed(DialError),
}

/// Nothing went out: there is no stream.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct DialError {
    text: Arc<str>,
    /// Whether dialing again is of no use: certificates do not change by waiting.
    pub(crate) is_final: bool,
}

impl DialError {
    fn passing(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), is_final: false }
    }
}

impl From<ConnectError> for DialError {
    fn from(error: ConnectError) -> Self {
        let is_final = matches!(
            error,
            ConnectError::WrongAuthority { .. }
                | ConnectError::NotAccepted { .. }
                | ConnectError::Expired { .. }
                | ConnectError::BadCertificate { .. }
                | ConnectError::BadAddress { .. }
                | ConnectError::BadName(_)
                | ConnectError::Closed { .. }
        );
        Self { text: error.to_string().into(), is_final }
    }
}

impl Links {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, slots: Mutex::default() }
    }

    /// The stream to a port, opened if there is none. Cancel safe.
    pub(crate) async fn pipe(&self, peer: &Peer, lane: Lane) -> Result<Pipe, DialError> {
        let mut slot = self.slot(peer, lane)?;
        let dial = slot.wait_for(|dial| !matches!(dial, Dial::UnderWay)).await;
        match dial.as_deref() {
            Ok(Dial::Open(pipe)) => Ok(pipe.clone()),
            Ok(Dial::Failed(error)) => Err(error.clone()),
            Ok(Dial::UnderWay) | Err(_) => Err(DialError::passing("the dial was abandoned")),
        }
    }

    /// Closes the streams to processes that serve no more. Calls on them keep theirs until they end.
    pub(crate) fn retain(&self, table: &RouteTable) {
        lock(&self.slots).retain(|(_, start, _), _| start.is_none_or(|start| table.serves(start)));
    }

    /// Closes every stream.
    pub(crate) fn close(&self) {
        lock(&self.slots).clear();
    }

    fn slot(&self, peer: &Peer, lane: Lane) -> Result<Slot, DialError> {
        let (address, start) = peer.key();
        let place: Place = (address, start, lane);
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.get(&place).filter(|slot| is_usable(slot)) {
            return Ok(slot.clone());
        }
        if slots.len() >= LINKS_MAX {
            slots.retain(|_, slot| is_usable(slot));
        }
        if slots.len() >= LINKS_MAX {
            return Err(DialError::passing("this client holds as many streams as it may"));
        }
        let (done, slot) = watch::channel(Dial::UnderWay);
        tokio::spawn(dial(Arc::clone(&self.transport), peer.clone(), done));
        slots.insert(place, slot.clone());
        Ok(slot)
    }
}

/// Whether a slot leads or may still lead to a stream.
fn is_usable(slot: &Slot) -> bool {
    match &*slot.borrow() {
        Dial::UnderWay => slot.has_changed().is_ok(),
        Dial::Open(pipe) => pipe.is_open(),
        Dial::Failed(_) => false,
    }
}

async fn dial(transport: Arc<dyn Transport>, peer: Peer, done: watch::Sender<Dial>) {
    let expect = match &peer.host {
        Some((_, name)) => Expect::Host(name.to_string()),
        None => Expect::AnyHost,
    };
    let opened = async {
        let connection = transport.connect(peer.address, expect).await.map_err(DialError::from)?;
        let opened = Pipe::open(connection).await;
        opened.map_err(|error| DialError::passing(format!("{}: {error}", peer.address)))
    };
    let dial = tokio::select! {
        opened = opened => match opened {
            Ok(pipe) => Dial::Open(pipe),
            Err(error) => Dial::Failed(error),
        },
        // Nobody wants it any more: the client is gone, or the process serves no more.
        () = done.closed() => return,
    };
    done.send_replace(dial);
}
