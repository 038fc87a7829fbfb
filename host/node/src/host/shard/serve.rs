//! Connections to a shard's port: clients and other hosts' shards.

use std::sync::Arc;
use std::time::Duration;

use colony_link::{Connection, FrameReceiver, FrameSender, PeerIdentity, Role, Transport};
use colony_wire::client::{Refusal, Request, RequestBody, RequestHead};
use colony_wire::heal::HealMessage;
use colony_wire::peer::PeerMessage;
use colony_wire::{DecodeError, Frame, Message};

use super::actor::{Actor, Shared};
use super::admission::{ConnectionId, Place, Turn};

/// Code of a connection that is closed for what it sent.
const MALFORMED: u32 = 1;
/// Frames that a reader takes before others have their turn: a stream's window holds thousands of short ones, and
/// peers, ticks and the news of the group would wait for all of them.
const READ_IN_A_ROW: usize = 64;
/// Calls served before others have their turn: well below a millisecond.
const SERVED_IN_A_ROW: usize = 16;
/// Calls refused before others have their turn. One costs a fraction of one that is served.
const REFUSED_IN_A_ROW: usize = 256;

/// A call that waits for its turn.
#[derive(Debug)]
pub(super) struct Asked {
    /// The request, its body not decoded.
    frame: Frame,
    /// Where the answer goes.
    stream: FrameSender,
    /// Where it came from.
    connection: Connection,
}

/// Takes connections until the transport is closed.
pub(super) async fn accept(actor: Shared, transport: Arc<dyn Transport>) {
    while let Some(connection) = transport.accept().await {
        tokio::task::spawn_local(streams(actor.clone(), connection));
    }
}

async fn streams(actor: Shared, connection: Connection) {
    let id = Actor::connection(&actor);
    while let Ok((sender, receiver)) = connection.accept_stream().await {
        tokio::task::spawn_local(read(actor.clone(), (id, connection.clone()), sender, receiver));
    }
    Actor::hang_up(&actor, id);
}

/// Reads one stream to its end. Foreign bytes end the connection they came on and nothing else.
pub(super) async fn read(
    actor: Shared,
    (id, connection): (ConnectionId, Connection),
    sender: FrameSender,
    mut receiver: FrameReceiver,
) {
    let mut in_a_row = 0;
    loop {
        let frame = match receiver.recv().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(peer = %connection.remote_addr(), %error, "a stream ended");
                return;
            }
        };
        let taken = Frame::parse(frame).and_then(|frame| take(&actor, (id, &connection), &sender, frame));
        if let Err(error) = taken {
            malformed(&connection, &error);
            return;
        }
        in_a_row += 1;
        if in_a_row == READ_IN_A_ROW {
            in_a_row = 0;
            tokio::task::yield_now().await;
        }
    }
}

fn malformed(connection: &Connection, error: &DecodeError) {
    tracing::warn!(peer = %connection.remote_addr(), name = %connection.peer().name, %error, "malformed frame");
    connection.close(MALFORMED, &error.to_string());
}

/// What a peer says goes into the core at once; what a client asks for waits for its turn.
fn take(
    actor: &Shared,
    (id, connection): (ConnectionId, &Connection),
    sender: &FrameSender,
    frame: Frame,
) -> Result<(), DecodeError> {
    let peer = connection.peer();
    if frame.kind == PeerMessage::KIND && peer.role == Role::Host {
        let message: PeerMessage = frame.decode()?;
        Actor::peer(actor, sender, &peer.name, message);
    } else if frame.kind == HealMessage::KIND && peer.role == Role::Host {
        let message: HealMessage = frame.decode()?;
        Actor::from_across(actor, sender, &peer.name, message);
    } else if frame.kind == Request::KIND {
        let now = Actor::now(actor);
        let deadline = now + Duration::from_millis(u64::from(RequestHead::of(&frame)?.deadline_ms));
        let size = (frame.size(), deadline);
        let asked = Asked { frame, stream: sender.clone(), connection: connection.clone() };
        let mut this = actor.borrow_mut();
        let offered = this.admission.offer(now, id, size, asked);
        this.asked.notify_one();
        drop(this);
        if let Err((asked, why)) = offered {
            Actor::refuse(actor, &asked.stream, asked.frame.call, why.refusal());
        }
    } else {
        // A kind that a later version may know, or one that this peer may not send.
        tracing::debug!(kind = frame.kind.0, name = %peer.name, "a frame of this kind is not taken here");
    }
    Ok(())
}

/// Serves the calls that wait, some at a time.
pub(super) async fn calls(actor: Shared) {
    let asked = actor.borrow().asked.clone();
    loop {
        let (mut served, mut refused) = (0, 0);
        while served < SERVED_IN_A_ROW && refused < REFUSED_IN_A_ROW {
            let now = Actor::now(&actor);
            let Some(turn) = actor.borrow_mut().admission.next(now) else { break };
            match turn {
                Turn::Serve(asked, place, waited) => {
                    served += 1;
                    serve(&actor, &asked, place, waited);
                }
                Turn::Refuse(asked, why) => {
                    refused += 1;
                    Actor::refuse(&actor, &asked.stream, asked.frame.call, why.refusal());
                }
            }
        }
        if served > 0 {
            Actor::flush(&actor);
        }
        if actor.borrow().admission.has_next() {
            tokio::task::yield_now().await;
        } else {
            asked.notified().await;
        }
    }
}

/// Decodes a call whose turn it is, and hands it on.
fn serve(actor: &Shared, asked: &Asked, place: Place, waited: Duration) {
    let Asked { frame, stream, connection } = asked;
    let refusal = match frame.decode::<Request>() {
        Ok(mut request) => match missing_right(connection.peer(), &request) {
            Some(right) => Refusal::Forbidden { right: right.to_owned() },
            None => {
                // What it has waited here is gone from its time.
                let waited = u32::try_from(waited.as_millis()).unwrap_or(u32::MAX);
                request.deadline_ms = request.deadline_ms.saturating_sub(waited);
                return Actor::request(actor, stream, frame.call, request, place);
            }
        },
        // The frame is whole and its call is known: the caller hears what is wrong with it.
        Err(error @ DecodeError::Limit { what, len, limit }) => {
            tracing::debug!(%error, "a request exceeds a limit");
            Refusal::TooLarge { what: what.to_owned(), len: len as u64, limit: limit as u64 }
        }
        Err(error @ DecodeError::NotYours { .. }) => {
            tracing::debug!(%error, "a request says what its sender may not say");
            Refusal::Malformed { what: error.to_string() }
        }
        Err(error) => {
            actor.borrow_mut().admission.answered(place);
            return malformed(connection, &error);
        }
    };
    actor.borrow_mut().admission.answered(place);
    Actor::refuse(actor, stream, frame.call, refusal);
}

fn missing_right(peer: &PeerIdentity, request: &Request) -> Option<&'static str> {
    match request.body {
        RequestBody::Get { .. } | RequestBody::Watch { .. } => (!peer.rights.read).then_some("read"),
        RequestBody::Mutate { .. } => (!peer.rights.write).then_some("write"),
        // Whoever reads and writes the sessions it knows the ids of must not learn or end those of others.
        RequestBody::Tagged { .. } | RequestBody::Revoke { .. } | RequestBody::Overridden { .. } => {
            (!peer.rights.admin).then_some("admin")
        }
    }
}
