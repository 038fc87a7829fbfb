//! A simulated application: it reads sessions, changes them on the base of what it read, repeats what was
//! not answered under the same request id, and keeps its read token, as `colony-client` does.

use std::collections::BTreeMap;

use bytes::Bytes;
use colony_wire::client::{Ack, Read, Refusal, Reply, ReplyBody, Request, RequestBody, Token};
use colony_wire::op::Stamp;
use colony_wire::session::{
    AttributeChange, Base, Changes, Content, EndKind, Key, Mutation, Precondition, SessionView,
};
use colony_wire::{ClientId, ColonyId, NamespaceId, Position, RequestId, StartId};

use crate::clock::{MS, Micros};
use crate::plugin::{COUNT, counted};
use crate::rng::Rng;
use crate::swarm::Load;
use crate::watching::{Watching, tags};

/// The one namespace of a run: the first that a group creates.
pub const NAMESPACE: NamespaceId = NamespaceId(1);

/// The longest deadline of a mutation (`PROTOCOL.md` 12).
const MAX_DEADLINE_MS: u32 = 30_000;

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Who it is.
    pub id: ClientId,
    /// The number of its next mutation.
    next: u64,
    /// The newest position it has seen of each colony.
    tokens: BTreeMap<ColonyId, Position>,
    /// Sessions as it read them last.
    read: BTreeMap<Key, SessionView>,
    /// The primaries it knows.
    pub routes: BTreeMap<ColonyId, StartId>,
    /// Whom it took for the primary before.
    pub earlier: BTreeMap<ColonyId, StartId>,
    /// Its open calls.
    pub calls: BTreeMap<u64, Call>,
    /// What it watches.
    watching: Watching,
    buckets: u32,
}

/// A call that has no final answer.
#[derive(Clone, Debug)]
pub struct Call {
    /// Of which colony.
    pub colony: ColonyId,
    /// What is asked.
    pub body: RequestBody,
    /// Which attempt is the newest.
    pub attempt: u32,
    /// When it began.
    pub began: Micros,
    /// When it is given up.
    pub ends: Micros,
    /// What the client had read when it began.
    base: Option<Content>,
    /// Whether it adds one to a counter, and is repeated until it is known whether it did.
    pub adds: bool,
}

/// What a client makes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The call is over.
    Over,
    /// Send it again at once.
    Again,
    /// Send it again a little later, to whom the table names then.
    Later,
}

impl Client {
    /// A client that has seen nothing.
    #[must_use]
    pub fn new(id: ClientId, buckets: u32) -> Self {
        Self {
            id,
            next: 1,
            tokens: BTreeMap::new(),
            read: BTreeMap::new(),
            routes: BTreeMap::new(),
            earlier: BTreeMap::new(),
            calls: BTreeMap::new(),
            watching: Watching::default(),
            buckets,
        }
    }

    /// Draws the next thing to do.
    pub fn begin(&mut self, rng: &mut Rng, load: &Load, number: u64, now: Micros) {
        let index = rng.below(load.keys as u64);
        let key = session_key(index);
        let next = &mut self.next;
        if let Some(body) = self.watching.draw(rng, &key, || numbered(self.id, next)) {
            return self.open(number, &key, body, None, now, load.patience);
        }
        let total: u64 = load.weights.iter().sum();
        let mut drawn = rng.below(total.max(1));
        let mut kind = 0;
        while drawn >= load.weights[kind] {
            drawn -= load.weights[kind];
            kind += 1;
        }
        let known = self.read.get(&key).cloned();
        let mutation = match (kind, &known) {
            (1, _) => put(key.clone(), content(index, number, load.bulk), known.as_ref(), rng),
            (2, Some(view)) => save(key.clone(), number, view, load.bulk, rng),
            (3, Some(_)) => Mutation::Touch { key: key.clone(), ttl: ttl(rng) },
            (4, Some(view)) => delete(key.clone(), view, rng),
            // What was never read is created if it is not there.
            (2, None) if rng.chance(300) => put(key.clone(), content(index, number, load.bulk), None, rng),
            _ => {
                let read = if rng.chance(300) { Read::Confirm } else { Read::Token };
                let body = RequestBody::Get { key: key.clone(), read };
                return self.open(number, &key, body, None, now, load.patience);
            }
        };
        let stamp = self.stamp();
        let base = known.map(|view| view.content);
        let body = RequestBody::Mutate { stamp, mutation, ack: Ack::InSync };
        self.open(number, &key, body, base, now, load.patience);
    }

    /// Adds one to a counter that it has read, else reads it, or creates it. True if it adds.
    pub fn increment(&mut self, rng: &mut Rng, key: Key, number: u64, now: Micros, patience: Micros) -> bool {
        let Some(view) = self.read.get(&key).cloned() else {
            if rng.chance(800) {
                self.get(number, key, now, patience);
            } else {
                let content = counter("0".to_owned());
                let put =
                    Mutation::Put { key, content, tags: Vec::new(), ttl: None, precondition: Precondition::Absent };
                self.mutate(number, put, now, patience);
            }
            return false;
        };
        let count = counted(&view.content) + 1;
        let mutation = if rng.chance(500) {
            let precondition = Precondition::Version(view.version);
            Mutation::Put { key, content: counter(count.to_string()), tags: Vec::new(), ttl: None, precondition }
        } else {
            let base = Base { life: view.life, version: view.version };
            let value = Some(Bytes::from(format!("{count}+{number}")));
            let changes = Changes::Attributes(vec![(COUNT.to_owned(), value)]);
            Mutation::Save { key, base, changes, tags: Vec::new(), ttl: None, base_values: None }
        };
        let stamp = self.stamp();
        let key = mutation.key().clone();
        let body = RequestBody::Mutate { stamp, mutation, ack: Ack::InSync };
        self.open(number, &key, body, Some(view.content), now, patience);
        if let Some(call) = self.calls.get_mut(&number) {
            call.adds = true;
        }
        true
    }

    /// Opens a call for `mutation`, to be given up after `patience`.
    pub fn mutate(&mut self, number: u64, mutation: Mutation, now: Micros, patience: Micros) {
        let stamp = self.stamp();
        let key = mutation.key().clone();
        self.open(number, &key, RequestBody::Mutate { stamp, mutation, ack: Ack::InSync }, None, now, patience);
    }

    /// Opens a read of `key`, to be given up after `patience`.
    pub fn get(&mut self, number: u64, key: Key, now: Micros, patience: Micros) {
        self.open(number, &key.clone(), RequestBody::Get { key, read: Read::Token }, None, now, patience);
    }

    /// Opens a linearizable read of `key`, to be given up after `patience`.
    pub fn confirm(&mut self, number: u64, key: Key, now: Micros, patience: Micros) {
        self.open(number, &key.clone(), RequestBody::Get { key, read: Read::Confirm }, None, now, patience);
    }

    /// The session as it was read last.
    #[must_use]
    pub fn known(&self, key: &Key) -> Option<&SessionView> {
        self.read.get(key)
    }

    /// Opens a call of the colony that holds `key`.
    fn open(
        &mut self,
        number: u64,
        key: &Key,
        body: RequestBody,
        base: Option<Content>,
        began: Micros,
        patience: Micros,
    ) {
        let colony = ColonyId::of(NAMESPACE, key.as_bytes(), self.buckets);
        let call = Call { colony, body, attempt: 0, began, ends: began + patience, base, adds: false };
        self.calls.insert(number, call);
    }

    fn stamp(&mut self) -> Stamp {
        numbered(self.id, &mut self.next)
    }

    /// The next attempt at a call, as it is sent now.
    pub fn request(&mut self, number: u64, now: Micros) -> Option<Request> {
        let lowest = self.lowest_unanswered();
        let call = self.calls.get_mut(&number)?;
        call.attempt += 1;
        if let Some(stamp) = call.body.stamp_mut() {
            stamp.lowest_unanswered = lowest;
        }
        Some(Request {
            colony: call.colony,
            deadline_ms: u32::try_from(call.ends.saturating_sub(now) / MS).unwrap_or(u32::MAX).min(MAX_DEADLINE_MS),
            token: self.tokens.get(&call.colony).copied().map(Token::from).unwrap_or_default(),
            body: call.body.clone(),
            attempt: None,
        })
    }

    fn lowest_unanswered(&self) -> u64 {
        let open = self.calls.values().filter_map(|call| call.body.stamp().map(|stamp| stamp.request.number));
        open.min().unwrap_or(self.next)
    }

    /// Takes an answer in.
    pub fn take(&mut self, number: u64, reply: &Reply, rng: &mut Rng) -> Next {
        let Some(call) = self.calls.get_mut(&number) else { return Next::Over };
        if let Some(position) = reply.seen {
            let token = self.tokens.entry(call.colony).or_insert(position);
            if position.seq > token.seq {
                *token = position;
            }
        }
        let key = call.body.key().cloned();
        if let Some(key) = &key {
            self.watching.take(key, &reply.body);
        }
        let forget = |read: &mut BTreeMap<Key, SessionView>| key.as_ref().and_then(|key| read.remove(key));
        let next = match &reply.body {
            ReplyBody::Found(view) => {
                self.read.extend(key.map(|key| (key, view.clone())));
                Next::Over
            }
            ReplyBody::Absent => {
                forget(&mut self.read);
                Next::Over
            }
            ReplyBody::Done(_) => {
                // Going on from what was read before makes conflicts with one's own saves as well.
                if rng.chance(700) {
                    forget(&mut self.read);
                }
                Next::Over
            }
            ReplyBody::NeedBase { attributes } => {
                if call.give_base(attributes) {
                    Next::Again
                } else {
                    Next::Over
                }
            }
            ReplyBody::Sessions { .. } | ReplyBody::Events { .. } | ReplyBody::Overridden { .. } => Next::Over,
            ReplyBody::Refused(refusal) => {
                // That one attempt came too late says nothing of the attempts before it.
                let is_open = call.adds && *refusal == Refusal::Late;
                if refusal.is_retryable() || is_open {
                    Next::Later
                } else {
                    forget(&mut self.read);
                    Next::Over
                }
            }
        };
        if next == Next::Over {
            self.calls.remove(&number);
        }
        next
    }
}

impl Call {
    /// Puts the values at the base into the save; false if the client does not have them.
    fn give_base(&mut self, attributes: &[String]) -> bool {
        let RequestBody::Mutate { mutation: Mutation::Save { base_values, .. }, .. } = &mut self.body else {
            return false;
        };
        let value = |name: &String| -> Option<AttributeChange> {
            match self.base.as_ref()? {
                Content::Blob(bytes) => Some((name.clone(), Some(bytes.clone()))),
                Content::Attributes(map) => Some((name.clone(), map.get(name).cloned())),
            }
        };
        *base_values = attributes.iter().map(value).collect();
        base_values.is_some()
    }
}

/// The stamp of a client's next request.
fn numbered(client: ClientId, next: &mut u64) -> Stamp {
    let request = RequestId { client, number: *next };
    *next += 1;
    Stamp { request, lowest_unanswered: 0 }
}

fn counter(value: String) -> Content {
    Content::Attributes(BTreeMap::from([(COUNT.to_owned(), Bytes::from(value))]))
}

/// The key of this number: short, so that several share a colony.
pub(crate) fn session_key(index: u64) -> Key {
    key_of(format!("s{index}"))
}

/// A key of this text.
///
/// # Panics
/// If the text is no key; those of a run are short and not empty.
#[must_use]
pub fn key_of(text: String) -> Key {
    Key::new(text).expect("a short text is a key")
}

/// Content that no other write has: the number of the call is in it.
fn content(index: u64, number: u64, bulk: usize) -> Content {
    // Every third session is a blob, the others count. Bulk is for blobs alone.
    if index % 3 == 2 || bulk > 0 {
        return Content::Blob(blob(number, bulk));
    }
    let count = (COUNT.to_owned(), Bytes::from_static(b"0"));
    let made = ("made".to_owned(), Bytes::from(number.to_string()));
    Content::Attributes(BTreeMap::from([count, made]))
}

fn blob(number: u64, bulk: usize) -> Bytes {
    Bytes::from(format!("blob of {number:0bulk$}"))
}

fn put(key: Key, content: Content, known: Option<&SessionView>, rng: &mut Rng) -> Mutation {
    let precondition = match known {
        Some(view) if rng.chance(400) => Precondition::Version(view.version),
        _ if rng.chance(600) => Precondition::Absent,
        _ => Precondition::None,
    };
    Mutation::Put { key, content, tags: tags(rng), ttl: ttl(rng), precondition }
}

fn save(key: Key, number: u64, view: &SessionView, bulk: usize, rng: &mut Rng) -> Mutation {
    let changes = match &view.content {
        Content::Blob(_) => Changes::Blob(blob(number, bulk)),
        Content::Attributes(_) => {
            let mut changes = Vec::new();
            if rng.chance(800) {
                // A random amount: two sides that write the same bytes are no conflict, so equal amounts
                // would, by rule, count once.
                let count = counted(&view.content) + rng.between(1, 1 << 32);
                changes.push((COUNT.to_owned(), Some(Bytes::from(count.to_string()))));
            }
            let other = format!("a{}", rng.below(4));
            let value = rng.chance(800).then(|| Bytes::from(number.to_string()));
            changes.push((other, value));
            Changes::Attributes(changes)
        }
    };
    let base = Base { life: view.life, version: view.version };
    let ttl = rng.chance(200).then(|| ttl(rng));
    Mutation::Save { key, base, changes, tags: tags(rng), ttl, base_values: None }
}

fn delete(key: Key, view: &SessionView, rng: &mut Rng) -> Mutation {
    let precondition = match rng.below(3) {
        0 => Precondition::Version(view.version),
        _ => Precondition::None,
    };
    let kind = rng.pick(&[EndKind::Logout, EndKind::Logout, EndKind::Revoke]);
    Mutation::Delete { key, precondition, kind }
}

fn ttl(rng: &mut Rng) -> Option<u64> {
    rng.pick(&[None, Some(500), Some(2_000), Some(30_000)])
}
