//! Clients: each has one call open at a time, and asks again under the same request until it is answered.

use std::collections::BTreeMap;

use bytes::Bytes;
use colony_wire::client::{Ack, Attempt, Read, Refusal, Reply, ReplyBody, Request, RequestBody, Token};
use colony_wire::op::Stamp;
use colony_wire::session::{Base, Changes, Content, EndKind, Key, Mutation, Precondition, SessionView};
use colony_wire::{ClientId, ColonyId, LineageId, NamespaceId, RequestId};

use super::world::{ROOT, World};

/// Sessions of a run.
const KEYS: u64 = 24;
/// Of these, the ones that half of all calls are for: of them some merge is out most of the time.
const HOT: u64 = 3;
/// Of a thousand counts, how many do not read first.
const OLD_PER_MILLE: u32 = 500;
/// A call without an answer is made again after this, in microseconds.
const AGAIN: u64 = 150_000;
const PAUSE: u64 = 15_000;

/// A request on its way.
pub(super) struct Sent {
    /// The host that the client is beside.
    pub(super) near: usize,
    /// Names the attempt.
    pub(super) call: u64,
    pub(super) request: Request,
}

/// What a client wants to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// There is such a session.
    Begin,
    /// So much more. No two amounts are equal, for two sides that come to the same bytes have done the same.
    Count(u64),
    /// An attribute that nobody else sets.
    Set(String),
    /// A logout.
    End,
}

#[derive(Clone, Debug)]
enum Step {
    /// The session must be read first.
    Read,
    /// This changes it.
    Change(Mutation),
}

#[derive(Clone, Debug)]
struct Open {
    key: Key,
    wish: Wish,
    step: Step,
    /// The request's number, once it changes something.
    number: u64,
    /// What was read.
    base: Option<SessionView>,
    /// In which line the change was sent first.
    first: Option<LineageId>,
    /// Whether an attempt may have been done: one was not answered.
    is_open: bool,
}

pub(super) struct Client {
    number: usize,
    /// The host it is beside.
    near: usize,
    open: Option<Open>,
    /// When it wakes next.
    pub(super) alarm: u64,
    /// Attempts made so far.
    attempt: u64,
    /// Every attempt up to this one is over, and nothing came of it.
    settled: u64,
    /// The first attempt of what is open now: an answer to any since is as good.
    since: u64,
    requests: u64,
    /// What was read last of a session: some changes are based on it, however old it is, and meet those made since.
    seen: BTreeMap<Key, SessionView>,
    /// What was done, by session.
    pub(super) done: BTreeMap<Key, Vec<Wish>>,
    /// What each request was for.
    pub(super) wishes: BTreeMap<RequestId, (Key, Wish)>,
    /// What may have been done.
    pub(super) unknown: BTreeMap<Key, Vec<Wish>>,
}

impl Client {
    pub(super) fn new(number: usize, near: usize) -> Self {
        let (done, unknown, wishes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self {
            number,
            near,
            open: None,
            alarm: 0,
            attempt: 0,
            settled: 0,
            since: 0,
            requests: 0,
            seen: BTreeMap::new(),
            done,
            wishes,
            unknown,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_none()
    }
}

impl World {
    pub(super) fn colony_of(&self, key: &Key) -> ColonyId {
        ColonyId::of(NamespaceId(1), key.as_bytes(), self.space.policy.buckets)
    }

    /// A client begins something, or asks again.
    pub(super) fn act(&mut self, client: usize) {
        if self.clients[client].open.is_none() {
            if !self.calls_open {
                return;
            }
            let open = self.wish(client);
            let known = self.clients[client].seen.get(&open.key).cloned();
            let known = known.filter(|_| matches!(open.wish, Wish::Count(_)) && self.dice.chance(OLD_PER_MILLE));
            self.begin(client, open.clone());
            if let Some(view) = known {
                self.found(client, open, view);
                return self.wake(client, AGAIN);
            }
        }
        self.attempt(client);
        self.wake(client, AGAIN);
    }

    fn wish(&mut self, client: usize) -> Open {
        let keys = self.dice.pick(&[HOT, KEYS]);
        let key = Key::new(format!("s{}", self.dice.below(keys))).unwrap_or_else(|_| unreachable!("a short key"));
        let wish = match self.dice.below(100) {
            0..=9 => Wish::Begin,
            10..=54 => Wish::Count(1 + self.dice.below(1 << 40)),
            55..=95 => {
                self.clients[client].requests += 1;
                Wish::Set(format!("u{client}-{}", self.clients[client].requests))
            }
            _ => Wish::End,
        };
        // Who ends a session means the one it has seen, and a key begins once.
        Open { key, wish, step: Step::Read, number: 0, base: None, first: None, is_open: false }
    }

    fn attempt(&mut self, client: usize) {
        self.clients[client].attempt += 1;
        let it = &self.clients[client];
        let (near, call) = (it.near, (it.number as u64) << 32 | it.attempt);
        let Some(open) = it.open.clone() else { return };
        let colony = self.colony_of(&open.key);
        let body = match open.step {
            Step::Read => RequestBody::Get { key: open.key.clone(), read: Read::Any },
            Step::Change(mutation) => {
                let request = RequestId { client: ClientId(1 + it.number as u128), number: open.number };
                let stamp = Stamp { request, lowest_unanswered: open.number };
                RequestBody::Mutate { stamp, mutation, ack: Ack::InSync }
            }
        };
        let group = self.group_asked(near, colony);
        let Some(primary) = self.primary_of(colony, group) else { return };
        let lineage = self.groups[group].state.lineage;
        let attempt = Attempt { lineage: open.first.unwrap_or(lineage), is_first: !open.is_open };
        if let Some(open) = &mut self.clients[client].open {
            // Until this one is answered nobody knows.
            (open.first, open.is_open) = (Some(attempt.lineage), true);
        }
        let request = Request { colony, deadline_ms: 5_000, token: Token::default(), body, attempt: Some(attempt) };
        self.request(primary, group, Sent { near, call, request });
    }

    /// A client asks the side that its host is of, and the root once its colony is there.
    pub(super) fn group_asked(&self, near: usize, colony: ColonyId) -> usize {
        let is_served = |group: usize| {
            let shard = self.hosts[near].island.as_ref().filter(|(own, _)| *own == group);
            shard.is_some_and(|(_, shard)| shard.replica(colony).is_none_or(|replica| !replica.is_taken_in()))
                && self.groups[ROOT].state.table.get(&colony).is_none_or(|entry| {
                    let of_it = self.groups[group].state.table.get(&colony).map(|entry| entry.lineage);
                    of_it.is_some_and(|lineage| entry.absorbed_of(lineage).is_none()) || !self.hears(near, ROOT)
                })
        };
        let island = self.hosts[near].island.as_ref().map(|(group, _)| *group).filter(|group| is_served(*group));
        island.unwrap_or(ROOT)
    }

    pub(super) fn answered(&mut self, call: u64, reply: &Reply) {
        let client = usize::try_from(call >> 32).unwrap_or(usize::MAX);
        let Some(it) = self.clients.get_mut(client) else { return };
        let Some(open) = it.open.clone().filter(|_| call & u64::from(u32::MAX) >= it.since) else { return };
        match (&reply.body, &open.step) {
            (ReplyBody::Found(view), Step::Read) => self.found(client, open, view.clone()),
            (ReplyBody::Absent, Step::Read) if open.wish == Wish::Begin => {
                let content = Content::Attributes(BTreeMap::new());
                let precondition = Precondition::Absent;
                let put = Mutation::Put { key: open.key.clone(), content, tags: Vec::new(), ttl: None, precondition };
                self.change(client, Open { step: Step::Change(put), ..open });
            }
            (ReplyBody::Absent, Step::Read) => self.end(client),
            (ReplyBody::Done(_), Step::Change(_)) => {
                it.done.entry(open.key.clone()).or_default().push(open.wish.clone());
                self.say(|| {
                    format!("client {client}: {:?} {:?} {:?} by {}", open.key, open.wish, reply.body, reply.served_by)
                });
                self.end(client);
            }
            (ReplyBody::NeedBase { .. }, Step::Change(Mutation::Save { key, base, changes, tags, ttl, .. })) => {
                let Changes::Attributes(changed) = changes else { return };
                let content = open.base.as_ref().map(|view| view.content.clone());
                let Some(Content::Attributes(values)) = content else { return };
                let base_values = changed.iter().map(|(name, _)| (name.clone(), values.get(name).cloned())).collect();
                let (key, base, changes) = (key.clone(), *base, changes.clone());
                let (tags, ttl, base_values) = (tags.clone(), *ttl, Some(base_values));
                let step = Step::Change(Mutation::Save { key, base, changes, tags, ttl, base_values });
                self.clients[client].open = Some(Open { step, ..open });
                self.attempt(client);
            }
            (ReplyBody::Refused(refusal), _) => {
                // The attempts before it were refused as well, or there were none.
                let is_only = call & u64::from(u32::MAX) == it.attempt && it.settled + 1 == it.attempt;
                if is_only && refusal.leaves_no_trace() {
                    it.settled = it.attempt;
                }
                self.refused(client, &open, refusal, is_only);
            }
            _ => {}
        }
    }

    fn refused(&mut self, client: usize, open: &Open, refusal: &Refusal, is_only: bool) {
        if refusal.is_retryable() {
            // Nothing was done by an attempt that was the only one under way.
            let it = &mut self.clients[client];
            if refusal.leaves_no_trace()
                && is_only
                && let Some(open) = &mut it.open
            {
                (open.first, open.is_open) = (None, false);
            }
            return;
        }
        if matches!(refusal, Refusal::Unknown) {
            self.clients[client].unknown.entry(open.key.clone()).or_default().push(open.wish.clone());
        }
        self.end(client);
    }

    fn found(&mut self, client: usize, open: Open, view: SessionView) {
        let Content::Attributes(values) = &view.content else { return self.end(client) };
        self.clients[client].seen.insert(open.key.clone(), view.clone());
        let base = Base { life: view.life, version: view.version };
        let value =
            |name: &str| values.get(name).and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok());
        let (name, value) = match &open.wish {
            Wish::Begin => return self.end(client),
            Wish::End => {
                let precondition = Precondition::Version(view.version);
                let delete = Mutation::Delete { key: open.key.clone(), precondition, kind: EndKind::Logout };
                return self.change(client, Open { step: Step::Change(delete), ..open });
            }
            Wish::Count(amount) => ("n".to_owned(), Bytes::from((value("n").unwrap_or(0) + amount).to_string())),
            Wish::Set(name) => (name.clone(), Bytes::from_static(b"1")),
        };
        let changes = Changes::Attributes(vec![(name, Some(value))]);
        let key = open.key.clone();
        let save = Mutation::Save { key, base, changes, tags: Vec::new(), ttl: None, base_values: None };
        self.change(client, Open { step: Step::Change(save), base: Some(view), ..open });
    }

    fn change(&mut self, client: usize, open: Open) {
        self.clients[client].requests += 1;
        let number = self.clients[client].requests;
        let request = RequestId { client: ClientId(1 + client as u128), number };
        self.clients[client].wishes.insert(request, (open.key.clone(), open.wish.clone()));
        self.begin(client, Open { number, first: None, is_open: false, ..open });
        self.attempt(client);
    }

    /// Whatever was asked before is not waited for any more.
    fn begin(&mut self, client: usize, open: Open) {
        let it = &mut self.clients[client];
        it.since = it.attempt + 1;
        it.settled = it.attempt;
        it.open = Some(open);
    }

    fn end(&mut self, client: usize) {
        self.clients[client].open = None;
        let pause = self.dice.around(PAUSE);
        self.wake(client, pause);
    }
}
