//! Streams to the shards of other hosts: opened when first needed, one for replication and one for bulk.
//!
//! Each has a connection of its own, and so a congestion window and a send buffer of its own: states on their
//! way fill the one and delay nothing on the other (`PROTOCOL.md` 6.2; E2). Which of the two a message goes on,
//! its kind alone says ([`colony_wire::peer::PeerBody::is_bulk`]). Answers to bulk are small and go on the stream
//! for replication, in the other direction.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use colony_core::colony::Lane;
use colony_core::group::Member;
use colony_link::{Connection, Expect, FrameSender, Transport};
use colony_wire::StartId;
use tokio::time::Instant;

use super::actor::{Actor, Shared};
use super::serve;

/// Frames kept while a stream is being opened. What exceeds it is lost; the core sends again.
const WAITING: usize = 1024;
/// A peer that could not be reached is not dialed again for this long. The core sends again more often.
const REDIAL_AFTER: Duration = Duration::from_millis(50);

/// Which shard of which process, on which connection.
type Place = (StartId, u16, Lane);

/// The streams of one shard.
pub(super) struct Links {
    transport: Arc<dyn Transport>,
    links: BTreeMap<Place, Link>,
}

enum Link {
    Opening(VecDeque<Bytes>),
    Open {
        stream: FrameSender,
        /// Set where this side dialed: the connection ends with the link.
        dialed: Option<Connection>,
    },
    Failed(Instant),
}

impl Links {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, links: BTreeMap::new() }
    }

    /// Sends a frame, or loses it.
    pub(super) fn send(&mut self, actor: &Shared, to: &Member, shard: u16, lane: Lane, frame: Bytes) {
        let place = (to.start, shard, lane);
        match self.links.get_mut(&place) {
            Some(Link::Open { stream, .. }) if stream.is_open() => {
                if let Err(error) = stream.send(frame) {
                    tracing::debug!(peer = %to.name, shard, %error, "a frame to a peer was not taken");
                }
                return;
            }
            Some(Link::Opening(waiting)) => {
                if waiting.len() < WAITING {
                    waiting.push_back(frame);
                }
                return;
            }
            Some(Link::Failed(at)) if at.elapsed() < REDIAL_AFTER => return,
            Some(Link::Open { .. } | Link::Failed(_)) | None => {}
        }
        let Some(port) = to.address.port().checked_add(1 + shard) else { return };
        let address = SocketAddr::new(to.address.ip(), port);
        self.links.insert(place, Link::Opening(VecDeque::from([frame])));
        tokio::task::spawn_local(open(actor.clone(), self.transport.clone(), place, address, to.name.clone()));
    }

    /// A peer opened a stream to us: answers go back on it.
    pub(super) fn learn(&mut self, from: StartId, shard: u16, lane: Lane, stream: &FrameSender) {
        let place = (from, shard, lane);
        let is_open = matches!(self.links.get(&place), Some(Link::Open { stream, .. }) if stream.is_open());
        if !is_open && !matches!(self.links.get(&place), Some(Link::Opening(_))) {
            self.links.insert(place, Link::Open { stream: stream.clone(), dialed: None });
        }
    }

    /// Streams to processes that no group holds for running any more are closed.
    pub(super) fn forget_all_but(&mut self, is_up: impl Fn(StartId) -> bool) {
        self.links.retain(|(start, ..), link| {
            let is_up = is_up(*start);
            if !is_up && let Link::Open { dialed: Some(connection), .. } = link {
                connection.close(0, "declared dead");
            }
            is_up
        });
    }

    fn opened(&mut self, place: Place, opened: Result<(Connection, FrameSender), String>) {
        let waiting = match self.links.get_mut(&place) {
            Some(Link::Opening(waiting)) => std::mem::take(waiting),
            // Forgotten meanwhile.
            _ => return,
        };
        let link = match opened {
            Ok((connection, stream)) => {
                for frame in waiting {
                    if stream.send(frame).is_err() {
                        break;
                    }
                }
                Link::Open { stream, dialed: Some(connection) }
            }
            Err(why) => {
                tracing::debug!(start = %place.0, shard = place.1, %why, "a peer's shard cannot be reached");
                Link::Failed(Instant::now())
            }
        };
        self.links.insert(place, link);
    }
}

/// Dials, and reads what comes back on the same stream.
async fn open(actor: Shared, transport: Arc<dyn Transport>, place: Place, address: SocketAddr, name: String) {
    let opened = async {
        let connection =
            transport.connect(address, Expect::Host(name.clone())).await.map_err(|error| error.to_string())?;
        let (stream, receiver) = connection.open().await.map_err(|error| error.to_string())?;
        Ok((connection, stream, receiver))
    };
    match opened.await {
        Ok((connection, stream, receiver)) => {
            actor.borrow_mut().links.opened(place, Ok((connection.clone(), stream.clone())));
            let id = Actor::connection(&actor);
            serve::read(actor.clone(), (id, connection), stream, receiver).await;
            Actor::hang_up(&actor, id);
        }
        Err(why) => actor.borrow_mut().links.opened(place, Err(why)),
    }
}
