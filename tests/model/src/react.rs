//! What a shard makes of what happens to it, worked out once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use colony_core::colony::{Caller, Input, Output, Part, Shard, Space};
use colony_core::group::{Command, Entry};
use colony_core::{Now, Time};
use colony_sim::panics;
use colony_wire::client::{Ack, Read, Reply, ReplyBody, Request, RequestBody, Token};
use colony_wire::control::Fate;
use colony_wire::op::Stamp;
use colony_wire::peer::PeerMessage;
use colony_wire::session::{Key, Mutation, Precondition};
use colony_wire::{ClientId, Position, RequestId, StartId};

use crate::hashed::Hashed;
use crate::scope::STEP;
use crate::truth::value;
use crate::world::{COLONY, policy};

/// What every clock shows at the beginning: no timer has begun before.
const ORIGIN: Time = Time(1_000_000);

/// Something that happens to a shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// It hears an entry of the table.
    Table(Hashed<Entry>),
    /// A client sends this mutation, the first time or again.
    Ask(u8),
    /// A message arrives.
    Peer(Hashed<PeerMessage>),
    /// It learns that its start was declared dead, and goes on under this one.
    Reborn(StartId),
    /// It learns what becomes of the copy that it kept under this start.
    Fate(StartId, Fate),
    /// Time has passed.
    Tick,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Reaction {
    /// The shard as it is now.
    pub(crate) shard: Hashed<Shard>,
    /// Messages that it sent.
    pub(crate) sent: Vec<Hashed<PeerMessage>>,
    /// What it proposed to the group.
    pub(crate) proposed: Vec<Hashed<Command>>,
    /// Requests that it said are done, and at which position.
    pub(crate) done: Vec<(u8, Position)>,
    /// What a client that reads is told now, if the shard's copy is primary.
    pub(crate) read: Option<Reply>,
}

/// By the digests of shard and event, and the clock.
type Known = HashMap<(u64, u8, u64), Arc<Reaction>>;

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// What a shard makes of an event when its clock has gone on by so many steps; none if it panics.
///
/// The shard is a pure function, and the same few shards meet the same few events in most of the states that are
/// walked: they differ in what is under way and on other hosts.
pub(crate) fn react(shard: &Hashed<Shard>, clock: u8, event: Event) -> Option<Arc<Reaction>> {
    let event = Hashed::new(event);
    let place = (shard.digest(), clock, event.digest());
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&place).cloned()) {
        return Some(known);
    }
    let reaction = Arc::new(work_out(shard, clock, Event::clone(&event))?);
    KNOWN.with_borrow_mut(|known| known.insert(place, Arc::clone(&reaction)));
    Some(reaction)
}

fn work_out(before: &Hashed<Shard>, clock: u8, event: Event) -> Option<Reaction> {
    let now = Now { mono: ORIGIN + STEP * u32::from(clock), wall_ms: 0 };
    let mut shard = Shard::clone(before);
    let mut out = Vec::new();
    let mut read = None;
    let told = panics::caught(|| {
        shard.handle(now, event.into(), &mut out);
        read = self::read(&shard, now);
    });
    told.ok()?;
    let shard = Hashed::new(shard);
    let shard = if shard == *before { before.clone() } else { shard };
    let mut reaction = Reaction { shard, sent: Vec::new(), proposed: Vec::new(), done: Vec::new(), read };
    for output in out {
        match output {
            Output::Send { message, .. } => reaction.sent.push(Hashed::new(message)),
            Output::Propose(command) => reaction.proposed.push(Hashed::new(command)),
            Output::Reply { to, reply } => {
                if let ReplyBody::Done(done) = reply.body {
                    reaction.done.push((u8::try_from(to.0).unwrap_or_default(), done.version));
                }
            }
            // Hosts hear the table whenever they like.
            Output::FetchTable { .. } => {}
            Output::Merge { .. } | Output::Decided { .. } | Output::FellBack { .. } => {
                unreachable!("a put is never merged")
            }
            Output::ReadGroup { .. } => unreachable!("nobody asks for a linearizable read"),
            Output::Heal(_)
            | Output::ProposeStaying(_)
            | Output::Joined { .. }
            | Output::TakenIn { .. }
            | Output::Doubled { .. } => {
                unreachable!("there is one side")
            }
            Output::TooLarge { .. } | Output::ExpiryHeld { .. } => unreachable!("one small session, without end"),
        }
    }
    Some(reaction)
}

/// What a client that reads is told.
fn read(shard: &Shard, now: Now) -> Option<Reply> {
    shard.replica(COLONY).filter(|replica| replica.part() == Part::Primary)?;
    let mut out = Vec::new();
    let request = call(RequestBody::Get { key: key(), read: Read::Token });
    shard.clone().handle(now, Input::Request { from: Caller(0), request }, &mut out);
    out.into_iter().find_map(|output| match output {
        Output::Reply { reply, .. } => Some(reply),
        _ => None,
    })
}

impl From<Event> for Input {
    fn from(event: Event) -> Self {
        match event {
            Event::Table(entry) => {
                let space = Arc::new(Space { name: "carts".into(), policy: policy() });
                Self::Table { colony: COLONY, entry: Entry::clone(&entry), space }
            }
            Event::Ask(request) => Self::Request { from: Caller(u64::from(request)), request: put(request) },
            Event::Peer(message) => Self::Peer(PeerMessage::clone(&message)),
            Event::Reborn(start) => Self::Reborn { start },
            Event::Fate(dead, fate) => Self::Fate { colony: COLONY, dead, fate },
            Event::Tick => Self::Tick,
        }
    }
}

fn put(request: u8) -> Request {
    let stamp = Stamp {
        request: RequestId { client: ClientId(1), number: u64::from(request) },
        // The client never says that it has an answer, so no record may go.
        lowest_unanswered: 1,
    };
    let mutation = Mutation::Put {
        key: key(),
        content: value(request),
        tags: Vec::new(),
        ttl: None,
        precondition: Precondition::None,
    };
    call(RequestBody::Mutate { stamp, mutation, ack: Ack::InSync })
}

fn key() -> Key {
    Key::new("k").expect("a short key is a key")
}

fn call(body: RequestBody) -> Request {
    Request { colony: COLONY, deadline_ms: 30_000, token: Token::default(), body, attempt: None }
}
