//! Connections to a shard's port: clients and other hosts' shards.

use std::sync::Arc;

use colony_link::{Connection, FrameReceiver, FrameSender, PeerIdentity, Role, Transport};
use colony_wire::client::{Refusal, Reply, ReplyBody, Request, RequestBody};
use colony_wire::peer::PeerMessage;
use colony_wire::{DecodeError, Frame, Message, StartId};

use super::actor::{Actor, Shared, send};

/// Code of a connection that is closed for what it sent.
const MALFORMED: u32 = 1;

/// Takes connections until the transport is closed.
pub(super) async fn accept(actor: Shared, transport: Arc<dyn Transport>) {
    while let Some(connection) = transport.accept().await {
        tokio::task::spawn_local(streams(actor.clone(), connection));
    }
}

async fn streams(actor: Shared, connection: Connection) {
    while let Ok((sender, receiver)) = connection.accept_stream().await {
        tokio::task::spawn_local(read(actor.clone(), connection.clone(), sender, receiver));
    }
    Actor::hang_up(&actor);
}

/// Reads one stream to its end. Foreign bytes end the connection they came on and nothing else.
pub(super) async fn read(actor: Shared, connection: Connection, sender: FrameSender, mut receiver: FrameReceiver) {
    loop {
        let frame = match receiver.recv().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(peer = %connection.remote_addr(), %error, "a stream ended");
                return;
            }
        };
        let taken = Frame::parse(frame).and_then(|frame| take(&actor, connection.peer(), &sender, &frame));
        if let Err(error) = taken {
            tracing::warn!(peer = %connection.remote_addr(), name = %connection.peer().name, %error, "malformed frame");
            connection.close(MALFORMED, &error.to_string());
            return;
        }
    }
}

fn take(actor: &Shared, peer: &PeerIdentity, sender: &FrameSender, frame: &Frame) -> Result<(), DecodeError> {
    if frame.kind == PeerMessage::KIND && peer.role == Role::Host {
        let message: PeerMessage = frame.decode()?;
        Actor::peer(actor, sender, &peer.name, message);
    } else if frame.kind == Request::KIND {
        match frame.decode::<Request>() {
            Ok(request) => match missing_right(peer, &request) {
                Some(right) => refuse(actor, sender, frame.call, Refusal::Forbidden { right: right.to_owned() }),
                None => Actor::request(actor, sender, frame.call, request),
            },
            // The frame is whole and its call is known: the caller hears what is wrong with it.
            Err(error @ DecodeError::Limit { what, len, limit }) => {
                tracing::debug!(%error, "a request exceeds a limit");
                let refusal = Refusal::TooLarge { what: what.to_owned(), len: len as u64, limit: limit as u64 };
                refuse(actor, sender, frame.call, refusal);
            }
            Err(error @ DecodeError::NotYours { .. }) => {
                tracing::debug!(%error, "a request says what its sender may not say");
                refuse(actor, sender, frame.call, Refusal::Malformed { what: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    } else {
        // A kind that a later version may know, or one that this peer may not send.
        tracing::debug!(kind = frame.kind.0, name = %peer.name, "a frame of this kind is not taken here");
    }
    Ok(())
}

fn missing_right(peer: &PeerIdentity, request: &Request) -> Option<&'static str> {
    match request.body {
        RequestBody::Get { .. } | RequestBody::Watch { .. } => (!peer.rights.read).then_some("read"),
        RequestBody::Mutate { .. } => (!peer.rights.write).then_some("write"),
        // Whoever reads and writes the sessions it knows the ids of must not learn or end those of others.
        RequestBody::Tagged { .. } | RequestBody::Revoke { .. } => (!peer.rights.admin).then_some("admin"),
    }
}

fn refuse(actor: &Shared, sender: &FrameSender, call: u64, refusal: Refusal) {
    actor.borrow().tally.refused(&refusal);
    let reply = Reply { served_by: StartId(0), seen: None, body: ReplyBody::Refused(refusal) };
    if let Ok(frame) = reply.to_frame(call) {
        send(sender, frame);
    }
}
