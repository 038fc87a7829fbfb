//! What clients of the stories say.

use std::collections::BTreeMap;

use bytes::Bytes;
use colony_core::colony::Caller;
use colony_wire::client::{Ack, Done, Read, Refusal, ReplyBody, Request, RequestBody, Token};
use colony_wire::op::Stamp;
use colony_wire::session::{
    AttributeChange, Base, Changes, Content, EndKind, Key, Mutation, Precondition, SessionView,
};
use colony_wire::{ClientId, Position, RequestId};

use crate::world::{COLONY, World};

const DEADLINE_MS: u32 = 5_000;

pub(crate) fn key(name: &'static str) -> Key {
    Key::new(name).unwrap()
}

/// A request of client 1, which has no other unanswered.
pub(crate) fn request(number: u64, mutation: Mutation) -> Request {
    request_of(1, number, number, mutation)
}

pub(crate) fn request_of(client: u128, number: u64, lowest_unanswered: u64, mutation: Mutation) -> Request {
    let stamp = Stamp { request: RequestId { client: ClientId(client), number }, lowest_unanswered };
    let body = RequestBody::Mutate { stamp, mutation, ack: Ack::InSync };
    Request { colony: COLONY, deadline_ms: DEADLINE_MS, token: Token::default(), body, attempt: None }
}

pub(crate) fn blob(name: &'static str, value: &'static str) -> Mutation {
    let content = Content::Blob(Bytes::from(value));
    Mutation::Put { key: key(name), content, tags: Vec::new(), ttl: None, precondition: Precondition::None }
}

pub(crate) fn attributes(name: &'static str, values: &[(&str, &'static str)]) -> Mutation {
    let values: BTreeMap<String, Bytes> =
        values.iter().map(|(name, value)| ((*name).to_owned(), Bytes::from(*value))).collect();
    let content = Content::Attributes(values);
    Mutation::Put { key: key(name), content, tags: Vec::new(), ttl: None, precondition: Precondition::None }
}

pub(crate) fn change(name: &str, value: &'static str) -> AttributeChange {
    (name.to_owned(), Some(Bytes::from(value)))
}

/// A save of attributes by somebody who had loaded the session as `base` says.
pub(crate) fn save(name: &'static str, base: Done, changes: Vec<AttributeChange>) -> Mutation {
    save_with(name, base, changes, None)
}

pub(crate) fn save_with(
    name: &'static str,
    base: Done,
    changes: Vec<AttributeChange>,
    base_values: Option<Vec<AttributeChange>>,
) -> Mutation {
    let base = Base { life: base.life, version: base.version };
    let changes = Changes::Attributes(changes);
    Mutation::Save { key: key(name), base, changes, tags: Vec::new(), ttl: None, base_values }
}

pub(crate) fn delete(name: &'static str) -> Mutation {
    delete_as(name, EndKind::Logout)
}

pub(crate) fn delete_as(name: &'static str, kind: EndKind) -> Mutation {
    Mutation::Delete { key: key(name), precondition: Precondition::None, kind }
}

impl World {
    /// Asks and lets everything arrive.
    pub(crate) fn done(&mut self, host: usize, request: Request) -> Done {
        let caller = self.ask(host, request);
        self.quiet();
        match self.answer(caller) {
            Some(ReplyBody::Done(done)) => *done,
            other => panic!("expected that it is done, got {other:?}"),
        }
    }

    pub(crate) fn read(&mut self, host: usize, name: &'static str) -> ReplyBody {
        self.read_after(host, name, None)
    }

    /// Reads as one who has seen this position.
    pub(crate) fn read_after(&mut self, host: usize, name: &'static str, token: Option<Position>) -> ReplyBody {
        self.read_seen(host, name, token).1
    }

    /// The same, with the position that comes with the answer.
    pub(crate) fn read_seen(
        &mut self,
        host: usize,
        name: &'static str,
        token: Option<Position>,
    ) -> (Option<Position>, ReplyBody) {
        let body = RequestBody::Get { key: key(name), read: Read::Token };
        let caller = self.ask(
            host,
            Request {
                colony: COLONY,
                deadline_ms: DEADLINE_MS,
                token: token.map(Token::from).unwrap_or_default(),
                body,
                attempt: None,
            },
        );
        (self.seen(caller), self.answer(caller).expect("a read is answered at once").clone())
    }

    /// Asks for a linearizable read.
    pub(crate) fn confirm(&mut self, host: usize, name: &'static str) -> Caller {
        let body = RequestBody::Get { key: key(name), read: Read::Confirm };
        self.ask(
            host,
            Request { colony: COLONY, deadline_ms: DEADLINE_MS, token: Token::default(), body, attempt: None },
        )
    }

    pub(crate) fn found(&mut self, host: usize, name: &'static str) -> SessionView {
        match self.read(host, name) {
            ReplyBody::Found(view) => view,
            other => panic!("expected a session, got {other:?}"),
        }
    }

    /// The blob that is read under this key; none if there is no session.
    pub(crate) fn value(&mut self, host: usize, name: &'static str) -> Option<Bytes> {
        match self.read(host, name) {
            ReplyBody::Found(SessionView { content: Content::Blob(bytes), .. }) => Some(bytes),
            ReplyBody::Absent => None,
            other => panic!("expected a blob or nothing, got {other:?}"),
        }
    }

    /// The attribute that is read; none if the session does not have it.
    pub(crate) fn attribute(&mut self, host: usize, name: &'static str, attribute: &str) -> Option<Bytes> {
        match self.found(host, name).content {
            Content::Attributes(map) => map.get(attribute).cloned(),
            Content::Blob(_) => panic!("expected attributes"),
        }
    }

    pub(crate) fn refusal(&self, caller: Caller) -> Option<&Refusal> {
        match self.answer(caller) {
            Some(ReplyBody::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }

    pub(crate) fn is_done(&self, caller: Caller) -> bool {
        matches!(self.answer(caller), Some(ReplyBody::Done(_)))
    }
}
