//! A small cluster in one thread: one shard a host, the group's state, and a bag of messages from which a
//! test delivers, drops and reorders by hand. Nothing happens by itself; time is a number.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use colony_core::colony::{Caller, Input, Joined, Lane, Output, Replica, Settings, Shard, Space};
use colony_core::group::{Command, Entry, Member, MemberState, Move, Outcome, State};
use colony_core::merge::{Conflict, Ticket};
use colony_core::{Now, Time};
use colony_wire::admin::Policy;
use colony_wire::client::{ReplyBody, Request};
use colony_wire::control::Fate;
use colony_wire::heal::HealMessage;
use colony_wire::peer::{PeerBody, PeerMessage};
use colony_wire::{Cfg, ClusterId, ColonyId, LineageId, NamespaceId, Position, RaftId, Reign, RequestId, StartId};

/// The hosts of every story.
pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;
pub(crate) const C: usize = 2;

/// The one colony of every story.
pub(crate) const COLONY: ColonyId = ColonyId { namespace: NamespaceId(1), bucket: 0 };

pub(crate) const LINEAGE: LineageId = LineageId(7);

/// Wall clock at the beginning of every story, in milliseconds.
const WALL_MS: u64 = 1_700_000_000_000;

pub(crate) struct World {
    pub(crate) hosts: Vec<Host>,
    pub(crate) group: State,
    /// Messages under way, oldest first.
    pub(crate) bag: Vec<Envelope>,
    /// Commands that were proposed and are not decided.
    pub(crate) proposals: Vec<Command>,
    /// Questions to whoever merges, each with the host that asks.
    pub(crate) merges: Vec<(usize, Ticket, Conflict)>,
    /// What could not be read, of each conflict that was decided without a question.
    pub(crate) decided: Vec<Option<String>>,
    /// Hosts that asked for a linearizable read of the table, and their nonces.
    pub(crate) group_reads: Vec<(usize, u64)>,
    /// States that were reported as too large to be copied: by whom, their size, and the limit.
    pub(crate) too_large: Vec<(usize, u64, u64)>,
    /// Whether states are too large to be compared after every step: the story does it at its end.
    pub(crate) is_large: bool,
    /// Bytes of chunks that each host has sent.
    pub(crate) chunk_bytes: [usize; 3],
    /// How many sessions were said to be held, each time it was said.
    pub(crate) held: Vec<u64>,
    /// What was said to another side of a split.
    pub(crate) told: Vec<HealMessage>,
    /// What came of the sessions that another side brought.
    pub(crate) joined: Vec<Joined>,
    /// Changes that were said to be done on both sides.
    pub(crate) doubled: Vec<RequestId>,
    replies: BTreeMap<Caller, (Option<Position>, ReplyBody)>,
    space: Arc<Space>,
    settings: Settings,
    pub(crate) now: Time,
    callers: u64,
}

pub(crate) struct Host {
    pub(crate) shard: Shard,
    /// Whether its process runs. One that does not loses what is sent to it.
    pub(crate) runs: bool,
    /// How many starts it has had.
    starts: u64,
    /// Its name.
    name: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) lane: Lane,
    pub(crate) message: PeerMessage,
}

impl Envelope {
    pub(crate) fn body(&self) -> &PeerBody {
        &self.message.body
    }
}

/// Three hosts; copies on those named, the primary first.
pub(crate) fn world(holders: &[usize]) -> World {
    world_with(holders, Policy::default(), Settings::default())
}

/// Hosts that went on apart.
pub(crate) struct Apart {
    pub(crate) shards: Vec<Shard>,
    entry: Entry,
    space: Arc<Space>,
    now: Now,
}

impl Apart {
    /// Another of them leads from now on, and all that they tell each other arrives.
    pub(crate) fn lead(&mut self, primary: StartId) {
        let (cfg, reign) = (Cfg(self.entry.cfg.0 + 1), Reign(self.entry.reign.0 + 1));
        self.entry = Entry { cfg, reign, primary: Some(primary), ..self.entry.clone() };
        let starts: Vec<StartId> = self.shards.iter().map(Shard::start).collect();
        let table = || Input::Table { colony: COLONY, entry: self.entry.clone(), space: Arc::clone(&self.space) };
        let mut inputs: VecDeque<(StartId, Input)> = starts.iter().map(|start| (*start, table())).collect();
        while let Some((to, input)) = inputs.pop_front() {
            let Some(shard) = self.shards.iter_mut().find(|shard| shard.start() == to) else { continue };
            let mut out = Vec::new();
            shard.handle(self.now, input, &mut out);
            inputs.extend(out.into_iter().filter_map(|output| match output {
                Output::Send { to, message, .. } => Some((to, Input::Peer(message))),
                _ => None,
            }));
        }
    }

    /// What one of them holds.
    pub(crate) fn replica(&self, start: StartId) -> &Replica {
        self.shards.iter().find(|shard| shard.start() == start).and_then(|shard| shard.replica(COLONY)).unwrap()
    }
}

pub(crate) fn world_with(holders: &[usize], policy: Policy, settings: Settings) -> World {
    let host = |index: usize| Host {
        shard: Shard::new(LINEAGE, start(index, 0), settings.clone()),
        runs: true,
        starts: 1,
        name: format!("h{index}"),
    };
    let policy = Policy { copies: 3, buckets: 1, ..policy };
    let mut world = World {
        hosts: (A..=C).map(host).collect(),
        group: State::default(),
        bag: Vec::new(),
        proposals: Vec::new(),
        merges: Vec::new(),
        decided: Vec::new(),
        held: Vec::new(),
        group_reads: Vec::new(),
        too_large: Vec::new(),
        is_large: false,
        chunk_bytes: [0; 3],
        told: Vec::new(),
        joined: Vec::new(),
        doubled: Vec::new(),
        replies: BTreeMap::new(),
        space: Arc::new(Space { name: "carts".into(), policy: policy.clone() }),
        settings,
        now: Time(1_000_000),
        callers: 0,
    };
    world.apply(&Command::Genesis { cluster: ClusterId(1), lineage: LINEAGE, member: world.member(A) });
    world.join(B);
    world.join(C);
    let placement = vec![holders.iter().map(|host| world.start(*host)).collect()];
    let created = world.apply(&Command::CreateNamespace { name: "carts".into(), policy, placement });
    assert_eq!(created, Outcome::Created(COLONY.namespace));
    world.tell_all();
    world.quiet();
    world.tick(A);
    world.quiet();
    world
}

fn start(host: usize, number: u64) -> StartId {
    StartId(((host as u64 + 10) << 16) + number)
}

impl World {
    /// The start a host acts under.
    pub(crate) fn start(&self, host: usize) -> StartId {
        self.hosts[host].shard.start()
    }

    pub(crate) fn replica(&self, host: usize) -> &Replica {
        self.hosts[host].shard.replica(COLONY).expect("the host holds a copy")
    }

    pub(crate) fn holds(&self, host: usize) -> bool {
        self.hosts[host].shard.replica(COLONY).is_some()
    }

    /// How many copies a host keeps for a fate that is not known.
    pub(crate) fn kept(&self, host: usize) -> usize {
        self.hosts[host].shard.kept().count()
    }

    /// The colony's entry as the group has it.
    pub(crate) fn entry(&self) -> Entry {
        self.group.table[&COLONY].clone()
    }

    pub(crate) fn member(&self, host: usize) -> Member {
        let port = 7000 + u16::try_from(host).unwrap();
        Member {
            start: self.start(host),
            name: self.hosts[host].name.clone(),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            shards: 1,
            labels: BTreeMap::new(),
            raft: RaftId(1 + host as u64),
            earlier: self.hosts[host].shard.earlier().to_vec(),
            state: MemberState::Up,
        }
    }

    // The group.

    /// Commits a command. Nobody hears of it yet.
    pub(crate) fn apply(&mut self, command: &Command) -> Outcome {
        self.group.apply(command)
    }

    pub(crate) fn join(&mut self, host: usize) {
        let member = self.member(host);
        assert_eq!(
            self.apply(&Command::Join { member, deviations: Vec::new(), plugins: Vec::new() }),
            Outcome::Applied
        );
    }

    /// Hosts go on apart with their copies; the first leads. What they say to others goes nowhere.
    pub(crate) fn part(&mut self, hosts: &[usize], lineage: LineageId) -> Apart {
        let now = self.now();
        let mut shards = Vec::new();
        for host in hosts {
            let mut out = Vec::new();
            let departed = self.hosts[*host].shard.fork(now, &mut out);
            let mut shard = Shard::apart(lineage, StartId(1 + *host as u64), self.settings.clone());
            shard.take_over(now, departed, &mut out);
            shards.push(shard);
        }
        let starts: Vec<StartId> = shards.iter().map(Shard::start).collect();
        let entry = Entry { lineage, primary: None, want: starts.clone(), in_sync: starts.clone(), ..self.entry() };
        let mut apart = Apart { shards, entry, space: Arc::clone(&self.space), now };
        apart.lead(starts[0]);
        apart
    }

    fn now(&self) -> Now {
        Now { mono: self.now, wall_ms: WALL_MS + self.now.0 / 1000 }
    }

    /// The group declares a host's present start dead.
    pub(crate) fn declare_dead(&mut self, host: usize) {
        let start = self.start(host);
        assert_eq!(self.apply(&Command::Dead { start, deviations: Vec::new() }), Outcome::Applied);
    }

    /// Placement wants the copies there.
    pub(crate) fn want(&mut self, hosts: &[usize]) {
        let want = hosts.iter().map(|host| self.start(*host)).collect();
        let moves = vec![Move { colony: COLONY, cfg: self.entry().cfg, want }];
        self.apply(&Command::Plan { moves, reason: "a story".into(), inputs: 0 });
    }

    /// Commits everything that was proposed, in order.
    pub(crate) fn decide(&mut self) -> Vec<Outcome> {
        let proposals = std::mem::take(&mut self.proposals);
        proposals.iter().map(|command| self.apply(command)).collect()
    }

    /// A host hears the present entry.
    pub(crate) fn tell(&mut self, host: usize) {
        self.tell_entry(host, self.entry());
    }

    pub(crate) fn tell_all(&mut self) {
        for host in A..=C {
            self.tell(host);
        }
    }

    pub(crate) fn tell_entry(&mut self, host: usize, entry: Entry) {
        let space = Arc::clone(&self.space);
        self.feed(host, Input::Table { colony: COLONY, entry, space });
    }

    // Time and messages.

    /// Hands an input to a host and sorts what comes of it.
    pub(crate) fn feed(&mut self, host: usize, input: Input) {
        if !self.hosts[host].runs {
            return;
        }
        let (mut out, now) = (Vec::new(), self.now());
        self.hosts[host].shard.handle(now, input, &mut out);
        for output in out {
            match output {
                Output::Send { lane, message, .. } => {
                    if let PeerBody::Chunk(chunk) = &message.body {
                        self.chunk_bytes[host] += chunk.bytes.len();
                    }
                    self.bag.push(Envelope { lane, message });
                }
                Output::Reply { to, reply } => {
                    let earlier = self.replies.insert(to, (reply.seen, reply.body));
                    assert!(earlier.is_none(), "a call is answered once");
                }
                Output::Propose(command) => self.proposals.push(command),
                Output::ReadGroup { nonce, .. } => self.group_reads.push((host, nonce)),
                Output::Merge { ticket, conflict, .. } => self.merges.push((host, ticket, conflict)),
                Output::TooLarge { bytes, limit, .. } => self.too_large.push((host, bytes, limit)),
                Output::ExpiryHeld { held, .. } => self.held.push(held),
                Output::Decided { unread, .. } => self.decided.push(unread),
                Output::FellBack { .. } | Output::FetchTable { .. } => {}
                Output::Heal(message) => self.told.push(message),
                Output::Joined { how, .. } => self.joined.push(how),
                Output::Doubled { request, .. } => self.doubled.push(request),
                Output::ProposeStaying(_) | Output::TakenIn { .. } => unreachable!("nobody lives apart"),
            }
        }
    }

    /// The clock goes on and nobody notices.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }

    pub(crate) fn tick(&mut self, host: usize) {
        self.pass(20);
        self.feed(host, Input::Tick);
    }

    /// Everything under way arrives, and what is sent on that, until nothing is under way.
    pub(crate) fn quiet(&mut self) {
        for _ in 0..100_000 {
            if self.bag.is_empty() {
                return self.check();
            }
            let next = self.bag.remove(0);
            self.arrive(next);
        }
        panic!("messages beget messages without end");
    }

    /// What was under way to this host arrives, and nothing else.
    pub(crate) fn deliver(&mut self, host: usize) {
        let to = self.start(host);
        for envelope in self.take(|envelope| envelope.message.to == to) {
            self.arrive(envelope);
        }
    }

    pub(crate) fn arrive(&mut self, envelope: Envelope) {
        let to = envelope.message.to;
        if let Some(host) = (A..=C).find(|host| self.start(*host) == to) {
            self.feed(host, Input::Peer(envelope.message));
        }
    }

    /// Takes messages out of the bag: to lose them, or to let them arrive later.
    pub(crate) fn take(&mut self, which: impl Fn(&Envelope) -> bool) -> Vec<Envelope> {
        let (taken, left) = std::mem::take(&mut self.bag).into_iter().partition(which);
        self.bag = left;
        taken
    }

    /// Loses everything under way to this host.
    pub(crate) fn lose_to(&mut self, host: usize) {
        let to = self.start(host);
        self.take(|envelope| envelope.message.to == to);
    }

    /// Time passes as on a good day: ticks, messages, decisions, and everybody hears of them.
    pub(crate) fn run(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(20) {
            self.pass(20);
            for host in A..=C {
                self.feed(host, Input::Tick);
            }
            self.quiet();
            if !self.decide().is_empty() {
                self.tell_all();
                self.quiet();
            }
        }
    }

    // Processes.

    /// Its process ends; nobody knows yet.
    pub(crate) fn kill(&mut self, host: usize) {
        self.hosts[host].runs = false;
    }

    /// A process that had only been stopped goes on, knowing nothing of what happened meanwhile.
    pub(crate) fn wake(&mut self, host: usize) {
        self.hosts[host].runs = true;
    }

    /// A process that was declared dead draws a new start and joins under it.
    pub(crate) fn reborn(&mut self, host: usize) -> StartId {
        let dead = self.start(host);
        let start = start(host, self.hosts[host].starts);
        self.hosts[host].starts += 1;
        self.feed(host, Input::Reborn { start });
        self.join(host);
        dead
    }

    /// A process that was declared dead is started again: it has nothing.
    pub(crate) fn restart(&mut self, host: usize) {
        let start = start(host, self.hosts[host].starts);
        self.hosts[host].starts += 1;
        self.hosts[host].shard = Shard::new(LINEAGE, start, self.settings.clone());
        self.hosts[host].runs = true;
        self.join(host);
    }

    /// What the group says of the copy that a host kept.
    pub(crate) fn fate(&self, host: usize) -> Fate {
        self.group.fate(COLONY, self.hosts[host].shard.earlier(), self.start(host))
    }

    /// The group gives the colony back to a host, if the host kept the last copy.
    pub(crate) fn restore(&mut self, host: usize) -> Option<Outcome> {
        let earlier = self.hosts[host].shard.earlier();
        let command = self.group.restoration(COLONY, earlier, self.start(host))?;
        Some(self.apply(&command))
    }

    pub(crate) fn hear_fate(&mut self, host: usize, dead: StartId, fate: Fate) {
        self.feed(host, Input::Fate { colony: COLONY, dead, fate });
    }

    /// The answer to a linearizable read of the table.
    pub(crate) fn hear_group_read(&mut self, host: usize, nonce: u64) {
        let entry = Some(self.entry());
        self.feed(host, Input::GroupRead { colony: COLONY, nonce, entry });
    }

    // Clients.

    pub(crate) fn ask(&mut self, host: usize, request: Request) -> Caller {
        self.callers += 1;
        let from = Caller(self.callers);
        self.feed(host, Input::Request { from, request });
        from
    }

    /// What a caller was told, if it was.
    pub(crate) fn answer(&self, caller: Caller) -> Option<&ReplyBody> {
        self.replies.get(&caller).map(|(_, body)| body)
    }

    /// The newest position that a caller was told of.
    pub(crate) fn seen(&self, caller: Caller) -> Option<Position> {
        self.replies.get(&caller).and_then(|(seen, _)| *seen)
    }

    /// Copies at the same place are equal (I12), and nothing is committed anywhere that an in-sync copy
    /// which takes part in the present reign lacks (I2).
    pub(crate) fn check(&self) {
        let copies: Vec<&Replica> = self.hosts.iter().filter_map(|host| host.shard.replica(COLONY)).collect();
        for (index, one) in copies.iter().enumerate().filter(|_| !self.is_large) {
            for other in copies.iter().skip(index + 1) {
                if one.position() == other.position() {
                    assert_eq!(one.store().digest(), other.store().digest(), "equal places, equal states");
                }
            }
        }
        let entry = self.entry();
        // A path that was given up has no say in what the present one must hold.
        let of_the_path = |copy: &&&Replica| copy.entry().lineage == entry.lineage;
        let newest = copies.iter().filter(of_the_path).map(|copy| copy.committed()).max();
        for host in self.hosts.iter().filter(|host| entry.is_in_sync(host.shard.start())) {
            if let Some(copy) = host.shard.replica(COLONY) {
                assert!(Some(copy.prepared()) >= newest, "what is committed, every in-sync copy has prepared");
            }
        }
    }
}
