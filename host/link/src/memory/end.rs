//! One end of a connection.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::pipe::Pipe;
use super::wire::{Packet, Wire};
use crate::sync::lock;
use crate::{LinkConfig, LinkError, PeerIdentity};

/// One end of a connection: what has arrived there, and how it ended.
#[derive(Debug)]
pub(super) struct End {
    /// The name of the host this end is at.
    pub(super) name: String,
    /// The address of the transport it belongs to.
    pub(super) local: SocketAddr,
    pub(super) peer: PeerIdentity,
    pub(super) remote: SocketAddr,
    pub(super) config: Arc<LinkConfig>,
    /// From here to the peer.
    pub(super) out: Arc<Wire>,
    /// From the peer to here.
    pub(super) inward: Arc<Wire>,
    /// Streams this end may open yet.
    pub(super) places: Arc<Semaphore>,
    state: Mutex<EndState>,
    /// Something arrived, or the end has come.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct EndState {
    reason: Option<LinkError>,
    /// Streams the peer opened; as many as there are places, at most.
    incoming: VecDeque<Incoming>,
    datagrams: VecDeque<Bytes>,
    datagram_bytes: usize,
}

/// A stream the peer has opened.
#[derive(Debug)]
pub(super) struct Incoming {
    /// What we read.
    pub(super) read: Arc<Pipe>,
    /// What we write.
    pub(super) write: Arc<Pipe>,
    pub(super) place: OwnedSemaphorePermit,
}

/// Held by everything the caller has of a connection; its drop closes the connection.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) end: Arc<End>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end.close(0, "");
    }
}

impl End {
    /// An end at a host and address, of a connection to a peer, which allows so many streams at once.
    pub(super) fn new(
        (name, local): (String, SocketAddr),
        (peer, remote): (PeerIdentity, SocketAddr),
        (config, streams_max): (Arc<LinkConfig>, u32),
        out: Arc<Wire>,
        inward: Arc<Wire>,
    ) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(streams_max as usize));
        Arc::new(Self {
            name,
            local,
            peer,
            remote,
            config,
            out,
            inward,
            places,
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Why this end has ended, if it has.
    pub(super) fn reason(&self) -> Option<LinkError> {
        lock(&self.state).reason.clone()
    }

    /// Ends this end; the first reason stays. The peer is told nothing.
    pub(super) fn end(&self, reason: LinkError) {
        lock(&self.state).reason.get_or_insert(reason);
        self.changed.notify_waiters();
        self.out.wake();
        self.inward.wake();
    }

    /// Ends this end and tells the peer `word`. What is on its way is lost.
    pub(super) fn end_telling(&self, word: LinkError) {
        if self.reason().is_none() {
            self.out.push_last(word);
            self.end(LinkError::ClosedHere);
        }
    }

    pub(super) fn close(&self, code: u32, reason: &str) {
        self.end_telling(LinkError::ClosedByPeer { code: code.into(), reason: reason.into() });
    }

    /// Waits until `look` finds something, or this end has ended; what has arrived comes first.
    async fn wait<T>(&self, mut look: impl FnMut(&mut EndState) -> Option<T>) -> Result<T, LinkError> {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut state = lock(&self.state);
                if let Some(found) = look(&mut state) {
                    return Ok(found);
                }
                if let Some(reason) = &state.reason {
                    return Err(reason.clone());
                }
            }
            changed.await;
        }
    }

    pub(super) async fn incoming(&self) -> Result<Incoming, LinkError> {
        self.wait(|state| state.incoming.pop_front()).await
    }

    pub(super) async fn datagram(&self) -> Result<Bytes, LinkError> {
        self.wait(|state| {
            let datagram = state.datagrams.pop_front()?;
            state.datagram_bytes -= datagram.len();
            Some(datagram)
        })
        .await
    }

    pub(super) async fn ended(&self) -> LinkError {
        match self.wait(|state| state.reason.clone()).await {
            Ok(reason) | Err(reason) => reason,
        }
    }

    /// A packet of a stream, or the peer's last word, has arrived.
    pub(super) fn arrive(&self, packet: Packet) {
        match packet {
            Packet::Open(incoming) => {
                lock(&self.state).incoming.push_back(incoming);
                self.changed.notify_waiters();
            }
            Packet::Data(pipe, bytes) => pipe.arrive(bytes),
            Packet::Finish(pipe) => pipe.arrive_end(),
            Packet::Stop(pipe) => pipe.arrive_stop(),
            Packet::Last(word) => self.end(word),
        }
    }

    /// A datagram has arrived. The oldest go when there are too many.
    pub(super) fn arrive_datagram(&self, datagram: Bytes) {
        let mut state = lock(&self.state);
        state.datagram_bytes += datagram.len();
        state.datagrams.push_back(datagram);
        while state.datagram_bytes > self.config.datagram_buffer {
            match state.datagrams.pop_front() {
                Some(oldest) => state.datagram_bytes -= oldest.len(),
                None => break,
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }
}
