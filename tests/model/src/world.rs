//! One state of everything: three hosts, what is under way between them, the group, and what is true.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use colony_core::colony::{Part, Replica, Shard};
use colony_core::group::{Command, Entry, Member, MemberState, State};
use colony_wire::admin::Policy;
use colony_wire::peer::{PeerBody, PeerMessage};
use colony_wire::{Cfg, ClusterId, ColonyId, LineageId, NamespaceId, RaftId, StartId};

use crate::group;
use crate::hashed::Hashed;
use crate::net::Net;
use crate::react::{self, Event};
use crate::scope::{Bounds, Scope};
use crate::truth::{Rule, Truth};

/// How many hosts there are.
pub(crate) const HOSTS: usize = 3;

/// The one colony.
pub(crate) const COLONY: ColonyId = ColonyId { namespace: NamespaceId(1), bucket: 0 };

const LINEAGE: LineageId = LineageId(7);
/// The copies that the colony may have.
const COPIES: u8 = 3;

/// One state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) hosts: [Host; HOSTS],
    pub(crate) net: Net,
    pub(crate) group: Hashed<State>,
    /// The colony's entries that some process may yet hear, oldest first; the last one holds.
    pub(crate) entries: Vec<Hashed<Entry>>,
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

impl Process {
    pub(crate) fn replica(&self) -> Option<&Replica> {
        self.shard.replica(COLONY)
    }

    /// Its copy, if it plays this part.
    pub(crate) fn primary(&self) -> Option<&Replica> {
        self.replica().filter(|replica| replica.part() == Part::Primary)
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

/// Whether a message goes from this host to another, or from another to it.
pub(crate) fn crosses(host: usize, message: &PeerMessage) -> bool {
    let is_here = |start: StartId| start.0 >> 8 == start_of(host, 0).0 >> 8;
    is_here(message.from) != is_here(message.to)
}

impl World {
    /// A colony that has just begun: its copies are empty, in sync, and follow their first primary, whose barrier is
    /// committed and known to be.
    #[must_use]
    pub fn begin(scope: &Scope) -> Self {
        let mut world = Self {
            hosts: std::array::from_fn(|_| Host { process: None, starts: 1 }),
            net: Net::new(scope.order),
            group: Hashed::new(State::default()),
            entries: Vec::new(),
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
            world.decide(&Command::Join { member: world.member(index), deviations: Vec::new(), plugins: Vec::new() });
        }
        let holders = (0..scope.copies).map(|index| world.hosts[index].start(index)).collect();
        let policy = policy();
        world.decide(&Command::CreateNamespace { name: "carts".into(), policy, placement: vec![holders] });
        for index in 0..scope.copies {
            world.hear(index, &world.newest().clone());
        }
        world.settle_down();
        // Tells the commit position of the barrier, at no cost of time.
        world.feed(0, Event::Tick);
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
            let Some(message) = self.net.arriving().next().cloned() else { return };
            self.net.take(&message);
            if let Some(host) = self.host_of(message.to) {
                self.feed(host, Event::Peer(message));
            }
        }
    }

    /// The colony's entry as the group has it.
    pub(crate) fn entry(&self) -> &Entry {
        &self.group.table[&COLONY]
    }

    fn newest(&self) -> &Hashed<Entry> {
        self.entries.last().expect("the entry that holds is never forgotten")
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
        self.carry_out(&Hashed::new(command.clone()));
    }

    /// The group carries a command out that was worked out before.
    pub(crate) fn carry_out(&mut self, command: &Hashed<Command>) {
        let decision = group::decide(&self.group, command);
        let before = self.group.table.get(&COLONY);
        if let (Some(before), Some(after)) = (before, &decision.entry) {
            let judged = is_entitled(command, before, after);
            self.check(judged);
        }
        self.entries.extend(decision.entry.clone());
        self.group = decision.state.clone();
    }

    /// A group with a bug: the first wanted start that is not in sync becomes primary.
    pub(crate) fn promote_who_catches_up(&mut self) {
        let mut state = State::clone(&self.group);
        let Some(entry) = state.table.get_mut(&COLONY) else { return };
        let Some(heir) = entry.want.iter().copied().find(|start| !entry.is_in_sync(*start)) else { return };
        entry.primary = Some(heir);
        let after = entry.clone();
        let judged = if self.newest().is_in_sync(heir) { Ok(()) } else { Err(Rule::Entitled) };
        self.check(judged);
        self.entries.pop();
        self.entries.push(Hashed::new(after));
        self.group = Hashed::new(state);
    }

    /// A host hears an entry of the table.
    pub(crate) fn hear(&mut self, host: usize, entry: &Hashed<Entry>) {
        self.feed(host, Event::Table(entry.clone()));
        if let Some(process) = &mut self.hosts[host].process {
            process.knows = entry.cfg;
        }
    }

    /// Hands an event to a host's shard, takes what comes of it, and looks at what the shard holds now.
    pub(crate) fn feed(&mut self, host: usize, event: Event) {
        let Some(process) = &mut self.hosts[host].process else { return };
        let Some(reaction) = react::react(&process.shard, process.clock, event) else {
            self.broken.get_or_insert(Rule::NoPanic);
            return;
        };
        let before = std::mem::replace(&mut process.shard, reaction.shard.clone());
        self.look_at(host, &before, reaction.read.as_ref());
        for message in &reaction.sent {
            self.net.send(message.clone());
        }
        for command in &reaction.proposed {
            if let Err(place) = self.proposals.binary_search_by_key(&command.digest(), Hashed::digest) {
                self.proposals.insert(place, command.clone());
            }
        }
        for (request, version) in &reaction.done {
            let reign = reaction.shard.replica(COLONY).map(Replica::reign).unwrap_or_default();
            let judged = self.truth.acknowledge(reign, *request, *version);
            self.check(judged);
        }
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
        self.entries.retain(|entry| entry.cfg > oldest || entry.cfg == cfg);
    }

    /// What a host would make of the next entry that it has not heard, if that is nothing: then it has heard it.
    ///
    /// - A process that holds nothing of the colony, and that the entry does not concern.
    /// - A peer that follows a primary and has to go on doing so: what it does hangs on its reign and its log alone.
    ///   Heard later, or passed over, the entry would be followed by the same.
    pub(crate) fn hear_what_changes_nothing(&mut self) {
        for host in 0..HOSTS {
            while let Some(process) = &self.hosts[host].process
                && let Some(entry) = self.entries.iter().find(|entry| entry.cfg > process.knows)
            {
                let concerns = entry.concerns(process.shard.start());
                let stays_a_peer = |replica: &Replica| {
                    concerns
                        && replica.part() != Part::Primary
                        && (replica.reign(), entry.lineage) == (entry.reign, replica.entry().lineage)
                };
                let is_nothing = match process.replica() {
                    None => !concerns && process.shard.kept().next().is_none(),
                    Some(replica) => stays_a_peer(replica),
                };
                if !is_nothing {
                    break;
                }
                let entry = entry.clone();
                self.hear(host, &entry);
            }
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

/// I5: a new primary was in sync, unless its own last copy was given back to it, and begins a reign.
fn is_entitled(command: &Command, before: &Entry, after: &Entry) -> Result<(), Rule> {
    if after.primary.is_none() || (after.primary, after.reign) == (before.primary, before.reign) {
        return Ok(());
    }
    let was_in_sync = after.primary.is_some_and(|start| before.is_in_sync(start));
    let is_restored = matches!(command, Command::Restore { dead, now, .. } if before.in_sync == [*dead] && after.primary == Some(*now));
    if (was_in_sync || is_restored) && after.reign > before.reign { Ok(()) } else { Err(Rule::Entitled) }
}

pub(crate) fn policy() -> Policy {
    Policy { copies: COPIES, buckets: 1, ttl_ms: None, ..Policy::default() }
}
