//! One state of everything: three hosts, what is under way between them, the group, and what is true.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use colony_core::colony::{Caller, Input, Output, Part, Replica, Shard, Space};
use colony_core::group::{Command, Entry, Member, MemberState, State};
use colony_core::{Now, Time};
use colony_sim::panics;
use colony_wire::admin::Policy;
use colony_wire::client::{Ack, Read, Reply, ReplyBody, Request, RequestBody};
use colony_wire::op::Stamp;
use colony_wire::peer::{PeerBody, PeerMessage};
use colony_wire::session::{Key, Mutation, Precondition};
use colony_wire::{
    Cfg, ClientId, ClusterId, ColonyId, LineageId, NamespaceId, RaftId, RequestId, Revision, StartId, View,
};

use crate::hashed::Hashed;
use crate::net::Net;
use crate::scope::{Bounds, STEP, Scope};
use crate::truth::{Rule, Truth, value};

/// How many hosts there are.
pub(crate) const HOSTS: usize = 3;

/// The one colony.
pub(crate) const COLONY: ColonyId = ColonyId { namespace: NamespaceId(1), bucket: 0 };

const LINEAGE: LineageId = LineageId(7);
/// What every clock shows at the beginning: no timer has begun before.
const ORIGIN: Time = Time(1_000_000);
/// The copies that the colony may have.
const COPIES: u8 = 3;

/// One state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) hosts: [Host; HOSTS],
    pub(crate) net: Net,
    pub(crate) group: Hashed<Group>,
    /// Commands under way to the group, in the order of their digests.
    pub(crate) proposals: Vec<Hashed<Command>>,
    pub(crate) truth: Truth,
    /// What may still happen.
    pub(crate) left: Bounds,
    /// The first rule that was broken.
    pub(crate) broken: Option<Rule>,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Host {
    /// Its process, if one runs.
    pub(crate) process: Option<Process>,
    /// How many starts it has had.
    pub(crate) starts: u64,
}

/// A running process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// The product's own state machine.
    pub(crate) shard: Hashed<Shard>,
    /// By how many steps its clock has gone on.
    pub(crate) clock: u8,
    /// The newest entry it has heard, or has no business with.
    pub(crate) knows: Cfg,
}

/// The group: its state, and the entries that some process may yet hear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    pub(crate) state: State,
    /// Oldest first; the last one holds.
    pub(crate) entries: Vec<Entry>,
}

impl Process {
    pub(crate) fn replica(&self) -> Option<&Replica> {
        self.shard.replica(COLONY)
    }

    /// Its copy, if it plays this part.
    pub(crate) fn primary(&self) -> Option<&Replica> {
        self.replica().filter(|replica| replica.part() == Part::Primary)
    }

    fn now(&self) -> Now {
        Now { mono: ORIGIN + STEP * u32::from(self.clock), wall_ms: 0 }
    }
}

impl Host {
    /// The start it has, or had last.
    pub(crate) fn start(&self, index: usize) -> StartId {
        start_of(index, self.starts - 1)
    }
}

/// The starts of a host, counted from zero.
pub(crate) fn start_of(host: usize, number: u64) -> StartId {
    StartId(((host as u64 + 10) << 8) | number)
}

impl World {
    /// A colony that has just begun: its copies are empty, in sync, and follow their first primary, whose barrier is
    /// committed and known to be.
    #[must_use]
    pub fn begin(scope: &Scope) -> Self {
        let mut world = Self {
            hosts: std::array::from_fn(|_| Host { process: None, starts: 1 }),
            net: Net::new(scope.window),
            group: Hashed::new(Group { state: State::default(), entries: Vec::new() }),
            proposals: Vec::new(),
            truth: Truth::default(),
            left: Bounds::default(),
            broken: None,
        };
        for index in 0..HOSTS {
            world.begin_process(scope, index);
        }
        world.decide(&Command::Genesis { cluster: ClusterId(1), lineage: LINEAGE, member: world.member(0) });
        for index in 1..HOSTS {
            world.decide(&Command::Join { member: world.member(index), deviations: Vec::new() });
        }
        let holders = (0..scope.copies).map(|index| world.hosts[index].start(index)).collect();
        let policy = policy();
        world.decide(&Command::CreateNamespace { name: "carts".into(), policy, placement: vec![holders] });
        for index in 0..scope.copies {
            world.hear(index, &world.entry().clone());
        }
        world.settle_down();
        // Tells the commit position of the barrier, at no cost of time.
        world.feed(0, Input::Tick);
        world.settle_down();
        world.left = scope.bounds;
        world.tidy();
        world
    }

    /// A host starts a process that has heard of nothing.
    pub(crate) fn begin_process(&mut self, scope: &Scope, host: usize) {
        let start = self.hosts[host].start(host);
        let shard = Hashed::new(Shard::new(LINEAGE, start, scope.settings()));
        self.hosts[host].process = Some(Process { shard, clock: 0, knows: Cfg(0) });
    }

    fn settle_down(&mut self) {
        loop {
            let Some(message) = self.net.messages().next().cloned() else { return };
            self.net.take(&message);
            if let Some(host) = self.host_of(message.to) {
                self.feed(host, Input::Peer(PeerMessage::clone(&message)));
            }
        }
    }

    /// The colony's entry as the group has it.
    pub(crate) fn entry(&self) -> &Entry {
        &self.group.state.table[&COLONY]
    }

    /// The host whose process runs under this start.
    pub(crate) fn host_of(&self, start: StartId) -> Option<usize> {
        self.hosts.iter().position(|host| host.process.as_ref().is_some_and(|process| process.shard.start() == start))
    }

    /// Those that hold copies in use, each with its start.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = (StartId, &Replica)> {
        let processes = self.hosts.iter().filter_map(|host| host.process.as_ref());
        processes.filter_map(|process| Some((process.shard.start(), process.replica()?)))
    }

    /// Whether a process keeps a copy whose fate it does not know.
    pub(crate) fn keeps_a_copy(&self) -> bool {
        self.hosts.iter().filter_map(|host| host.process.as_ref()).any(|process| process.shard.kept().next().is_some())
    }

    pub(crate) fn member(&self, index: usize) -> Member {
        let port = 7000 + u16::try_from(index).unwrap_or_default();
        Member {
            start: self.hosts[index].start(index),
            name: format!("h{index}"),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            shards: 1,
            labels: BTreeMap::new(),
            raft: RaftId(index as u64),
            earlier: self.hosts[index]
                .process
                .as_ref()
                .map_or_else(Vec::new, |process| process.shard.earlier().to_vec()),
            state: MemberState::Up,
        }
    }

    /// The group carries a command out. Nobody hears of it yet.
    pub(crate) fn decide(&mut self, command: &Command) {
        let mut group = Group::clone(&self.group);
        let before = group.state.table.get(&COLONY).cloned();
        group.state.apply(command);
        // Counters that nothing is decided by: states that differ in them alone are one.
        group.state.revision = Revision(1);
        group.state.view = View(1);
        let after = group.state.table.get(&COLONY).cloned();
        if let Some(after) = after.filter(|after| before.as_ref() != Some(after)) {
            if let Some(before) = &before {
                self.check_entitled(command, before, &after);
            }
            group.entries.push(after);
        }
        self.group = Hashed::new(group);
    }

    /// A group with a bug: the first wanted start that is not in sync becomes primary.
    pub(crate) fn promote_who_catches_up(&mut self) {
        let mut group = Group::clone(&self.group);
        let Some(entry) = group.state.table.get_mut(&COLONY) else { return };
        let Some(heir) = entry.want.iter().copied().find(|start| !entry.is_in_sync(*start)) else { return };
        entry.primary = Some(heir);
        let after = entry.clone();
        if let (Some(before), Some(last)) = (self.group.entries.last(), group.entries.last_mut()) {
            *last = after.clone();
            let was_in_sync = before.is_in_sync(heir);
            self.check(if was_in_sync { Ok(()) } else { Err(Rule::Entitled) });
        }
        self.group = Hashed::new(group);
    }

    /// A host hears an entry of the table.
    pub(crate) fn hear(&mut self, host: usize, entry: &Entry) {
        let space = Arc::new(Space { name: "carts".into(), policy: policy() });
        self.feed(host, Input::Table { colony: COLONY, entry: entry.clone(), space });
        if let Some(process) = &mut self.hosts[host].process {
            process.knows = entry.cfg;
        }
    }

    /// A client sends a mutation, the first time or again.
    pub(crate) fn ask(&mut self, host: usize, request: u8) {
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
        let body = RequestBody::Mutate { stamp, mutation, ack: Ack::InSync };
        self.feed(host, Input::Request { from: Caller(u64::from(request)), request: call(body) });
    }

    /// Hands an input to a host's shard, takes what comes of it, and looks at what the shard holds now.
    pub(crate) fn feed(&mut self, host: usize, input: Input) {
        let Some(process) = &self.hosts[host].process else { return };
        let before = process.shard.clone();
        let mut shard = Shard::clone(&before);
        let mut out = Vec::new();
        let now = process.now();
        if panics::caught(|| shard.handle(now, input, &mut out)).is_err() {
            self.broken.get_or_insert(Rule::NoPanic);
            return;
        }
        let shard = Hashed::new(shard);
        if let Some(process) = &mut self.hosts[host].process {
            process.shard = shard;
        }
        self.look_at(host, &before);
        for output in out {
            match output {
                Output::Send { message, .. } => self.net.send(message),
                Output::Propose(command) => insert(&mut self.proposals, command),
                Output::Reply { to, reply } => self.told(host, to, &reply),
                // Hosts hear the table whenever they like.
                Output::FetchTable { .. } => {}
                Output::Merge { .. } | Output::FellBack { .. } => unreachable!("a put is never merged"),
                Output::ReadGroup { .. } => unreachable!("nobody asks for a linearizable read"),
                Output::TooLarge { .. } | Output::ExpiryHeld { .. } => unreachable!("one small session, without end"),
            }
        }
    }

    fn told(&mut self, host: usize, to: Caller, reply: &Reply) {
        let ReplyBody::Done(done) = &reply.body else { return };
        let request = u8::try_from(to.0).unwrap_or_default();
        let reign = self.hosts[host].process.as_ref().and_then(Process::replica).map(Replica::reign);
        let judged = self.truth.acknowledge(reign.unwrap_or_default(), request, done.version);
        self.check(judged);
    }

    /// What a client that reads at this host is told.
    pub(crate) fn read(&self, host: usize) -> Option<Reply> {
        let process = self.hosts[host].process.as_ref()?;
        let mut out = Vec::new();
        let request = call(RequestBody::Get { key: key(), read: Read::Token });
        Shard::clone(&process.shard).handle(process.now(), Input::Request { from: Caller(0), request }, &mut out);
        out.into_iter().find_map(|output| match output {
            Output::Reply { reply, .. } => Some(reply),
            _ => None,
        })
    }

    /// Forgets what can have no effect any more, so that states which differ in it alone are one.
    ///
    /// - A message to a start that no process runs under: a start never comes back.
    /// - An answer to a primary whose copy is in a later reign, and word of a reign that is not later than the
    ///   copy's: reigns only grow, and the core passes both over without a trace.
    /// - A proposal decided on an older entry: the group refuses it, now and ever.
    /// - An entry that every process has gone beyond.
    pub(crate) fn tidy(&mut self) {
        let spent: Vec<_> = self.net.messages().filter(|message| self.is_spent(message)).cloned().collect();
        for message in spent {
            self.net.take(&message);
        }
        let cfg = self.entry().cfg;
        self.proposals.retain(|command| match **command {
            Command::ChangeInSync { cfg: decided, .. } | Command::Swap { cfg: decided, .. } => decided == cfg,
            _ => true,
        });
        let knows = self.hosts.iter().filter_map(|host| host.process.as_ref()).map(|process| process.knows).min();
        let oldest = knows.unwrap_or(cfg);
        let is_old = |entry: &Entry| entry.cfg <= oldest && entry.cfg < cfg;
        if self.group.entries.iter().any(is_old) {
            let mut group = Group::clone(&self.group);
            group.entries.retain(|entry| !is_old(entry));
            self.group = Hashed::new(group);
        }
    }

    fn is_spent(&self, message: &PeerMessage) -> bool {
        let Some(host) = self.host_of(message.to) else { return true };
        let Some(replica) = self.hosts[host].process.as_ref().and_then(Process::replica) else { return false };
        match message.body {
            PeerBody::Append(_) | PeerBody::Offer(_) | PeerBody::Chunk(_) | PeerBody::Confirm { .. } => false,
            PeerBody::Deposed { reign } => reign <= replica.reign(),
            PeerBody::Appended { reign, .. }
            | PeerBody::Mismatch { reign, .. }
            | PeerBody::Confirmed { reign, .. }
            | PeerBody::Wanted { reign, .. }
            | PeerBody::ChunkTaken { reign, .. }
            | PeerBody::ChunkRefused { reign, .. } => reign < replica.reign(),
        }
    }
}

/// Puts a value where its digest belongs, unless it is there.
fn insert<T: std::hash::Hash>(set: &mut Vec<Hashed<T>>, value: T) {
    let value = Hashed::new(value);
    if let Err(place) = set.binary_search_by_key(&value.digest(), Hashed::digest) {
        set.insert(place, value);
    }
}

fn policy() -> Policy {
    Policy { copies: COPIES, buckets: 1, ttl_ms: None, ..Policy::default() }
}

fn key() -> Key {
    Key::new("k").expect("a short key is a key")
}

fn call(body: RequestBody) -> Request {
    Request { colony: COLONY, deadline_ms: 30_000, token: None, body }
}
