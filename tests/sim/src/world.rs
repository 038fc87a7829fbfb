//! One run: a cluster, its clients and its group in virtual time, and how they are wired together.
//!
//! ```text
//!   nemesis.rs  faults         govern.rs  the group's leader: deaths, promotions, plans, fates
//!   shell.rs    hosts          visit.rs   clients
//!        \          \            /          /
//!         ------------  world.rs  ----------      every step: oracle/
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use colony_core::colony::{Mutant, Space};
use colony_core::group::{Command, Member, MemberState, Outcome, Refusal};
use colony_wire::{ClientId, ClusterId, ColonyId, LineageId, RaftId, StartId};

use crate::client::{Client, NAMESPACE};
use crate::clock::{Clock, MS, Micros, SECOND};
use crate::counters::Tally;
use crate::coverage::{Step, Strike};
use crate::event::{Event, Fault, What};
use crate::group::Group;
use crate::host::{Host, Process};
use crate::net::Net;
use crate::oracle::Oracle;
use crate::phase::{Aftermath, Phase};
use crate::recorder::Recorder;
use crate::rng::Rng;
use crate::seen::Sight;
use crate::swarm::Mix;
use crate::timepiece::Timepiece;
use crate::trace::Trace;
use crate::violation::Violation;
use crate::visit::Asked;

/// How often the group's leader looks after the cluster.
pub(crate) const GOVERN_EVERY: Micros = 100 * MS;

/// The line of group state of every run.
pub(crate) const LINEAGE: LineageId = LineageId(0xC0_1011);

/// Everything there is in a run.
#[derive(Debug)]
pub struct World {
    pub(crate) mix: Mix,
    pub(crate) clock: Clock<Event>,
    pub(crate) trace: Trace,
    pub(crate) net: Net,
    pub(crate) edge: Net,
    pub(crate) group: Group,
    pub(crate) hosts: Vec<Host>,
    pub(crate) clients: Vec<Client>,
    /// What was asked under each caller.
    pub(crate) asked: Vec<Asked>,
    pub(crate) calls: u64,
    pub(crate) oracle: Oracle,
    pub(crate) phase: Phase,
    pub(crate) aftermath: Aftermath,
    pub(crate) space: Arc<Space>,
    /// On which host each start was drawn.
    pub(crate) homes: BTreeMap<StartId, usize>,
    pub(crate) dice: Dice,
    /// As fast as the fastest host's clock at every moment, with every jump that one of them made: no host has
    /// counted more time between two moments.
    pub(crate) fastest: Timepiece,
    /// Which kinds of faults lie in wait, and for which step.
    pub(crate) ambushes: BTreeMap<Strike, Step>,
    /// Whether the next process that acknowledges something is killed before that leaves it, or the next one
    /// that does while this step is under way.
    pub(crate) doom: Option<Option<Step>>,
    /// How many processes were killed so.
    pub(crate) kills: u64,
    /// What clients have counted, in a run that does nothing else.
    pub(crate) tally: Option<Tally>,
    /// What is written down, if the run is recorded.
    pub(crate) recorder: Option<Recorder>,
    serial: u64,
}

/// A stream of chance for each part, so that they do not shift each other.
#[derive(Debug)]
pub(crate) struct Dice {
    pub(crate) group: Rng,
    pub(crate) faults: Rng,
    pub(crate) clients: Rng,
    pub(crate) plugin: Rng,
    pub(crate) shell: Rng,
    pub(crate) calls: Rng,
}

impl World {
    /// The cluster of this seed, all hosts up, the namespace created, nothing asked yet.
    ///
    /// # Errors
    /// If the group's rules break one of the oracle's while the cluster is founded.
    pub fn new(seed: u64, mutant: Option<Mutant>, print: bool) -> Result<Self, Violation> {
        Self::of(Mix::draw(seed, mutant), seed, print)
    }

    /// The cluster of this mix; chance comes from `seed`.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn of(mix: Mix, seed: u64, print: bool) -> Result<Self, Violation> {
        let root = Rng::new(seed);
        let nodes = mix.hosts + mix.load.clients + 1;
        let space = Space { name: "sessions".into(), policy: mix.policy.clone() };
        let mut world = Self {
            clock: Clock::new(),
            trace: Trace::new(print),
            net: Net::new(mix.net.clone(), mix.hosts, root.fork("net")),
            edge: Net::new(mix.edge.clone(), nodes, root.fork("edge")),
            group: Group::new(mix.settings.mutant),
            hosts: (0..mix.hosts).map(|i| Host::new(i, mix.shards[i], clock_of(mix.clocks[i]))).collect(),
            clients: Vec::new(),
            asked: Vec::new(),
            calls: 0,
            oracle: Oracle::new(&mix),
            phase: Phase::Faulty,
            aftermath: Aftermath::default(),
            space: Arc::new(space),
            homes: BTreeMap::new(),
            dice: Dice {
                group: root.fork("group"),
                faults: root.fork("faults"),
                clients: root.fork("clients"),
                plugin: root.fork("plugin"),
                shell: root.fork("shell"),
                calls: root.fork("calls"),
            },
            fastest: clock_of((0, mix.clocks.iter().map(|(_, rate)| *rate).max().unwrap_or(1000))),
            ambushes: BTreeMap::new(),
            doom: None,
            kills: 0,
            tally: None,
            recorder: None,
            serial: 0,
            mix,
        };
        world.trace.words(0, format_args!("seed {seed}: {:?}", world.mix));
        world.found()?;
        Ok(world)
    }

    fn found(&mut self) -> Result<(), Violation> {
        for host in 0..self.hosts.len() {
            let start = self.begin_process(host);
            let member = self.member(host, start);
            let command = if host == 0 {
                Command::Genesis { cluster: ClusterId(1), lineage: LINEAGE, member }
            } else {
                Command::Join { member, deviations: Vec::new(), plugins: Vec::new() }
            };
            self.commit(&command)?;
        }
        self.create_namespace()?;
        for client in 0..=self.mix.load.clients {
            let id = ClientId(u128::from(self.dice.clients.draw()));
            self.clients.push(Client::new(id, self.mix.policy.buckets));
            if client < self.mix.load.clients {
                self.clock.after(client as u64 * MS, Event::Wake { client });
            }
        }
        self.clock.after(GOVERN_EVERY, Event::Govern);
        self.clock.after(self.mix.faulty_for, Event::Fault(Fault::HealAll));
        self.schedule_faults();
        Ok(())
    }

    fn create_namespace(&mut self) -> Result<(), Violation> {
        let starts: Vec<StartId> = self.group.state.up().map(|member| member.start).collect();
        let copies = usize::from(self.mix.policy.copies).min(starts.len());
        let placement = (0..self.mix.policy.buckets as usize)
            .map(|bucket| (0..copies).map(|copy| starts[(bucket + copy) % starts.len()]).collect());
        let command = Command::CreateNamespace {
            name: self.space.name.clone(),
            policy: self.mix.policy.clone(),
            placement: placement.collect(),
        };
        let outcome = self.commit(&command)?;
        assert_eq!(outcome, Outcome::Created(NAMESPACE), "a run has one namespace");
        Ok(())
    }

    /// A new process on a host that has none, under a new start.
    pub(crate) fn begin_process(&mut self, host: usize) -> StartId {
        let start = self.new_start(host);
        let shards = self.hosts[host].shards;
        self.serial += 1;
        let process = Process::new(self.serial, start, LINEAGE, shards, &self.mix.settings);
        let number = Some(process.number);
        self.hosts[host].process = Some(process);
        self.hosts[host].stopped = None;
        let phase = self.dice.shell.below(20) * MS;
        self.clock.after(phase, Event::Host { host, process: number, what: What::Tick });
        self.feed(host);
        start
    }

    /// A start that no process has had.
    pub(crate) fn new_start(&mut self, host: usize) -> StartId {
        let start = StartId(self.dice.shell.draw());
        self.homes.insert(start, host);
        start
    }

    /// The member record of a start.
    pub(crate) fn member(&self, host: usize, start: StartId) -> Member {
        let zone = (self.mix.zones > 0).then(|| ("zone".to_owned(), format!("z{}", host % self.mix.zones)));
        let port = 7000 + u16::try_from(host).unwrap_or(0) * 10;
        Member {
            start,
            name: self.hosts[host].name.clone(),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            shards: self.hosts[host].shards,
            labels: zone.into_iter().collect(),
            raft: RaftId(start.0),
            earlier: self.hosts[host].earlier(),
            state: MemberState::Up,
        }
    }

    /// Lets one event happen; false if none is left or the run is over.
    ///
    /// # Errors
    /// The first rule that is broken by it.
    pub fn step(&mut self) -> Result<bool, Violation> {
        if self.phase == Phase::Over {
            return Ok(false);
        }
        let Some(event) = self.clock.advance() else { return Ok(false) };
        self.oracle.counts(self.counted());
        self.happen(event).map_err(|violation| Violation { at: self.clock.now(), ..violation })?;
        Ok(true)
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Host { host, process, what } => self.reach(host, process, what),
            Event::Late { host, process, what } => self.reach_at_last(host, process, what),
            Event::Answer { caller, frame } => self.answer(caller, frame),
            Event::Wake { client } => self.wake(client),
            Event::Retry { client, call, attempt } => self.retry(client, call, attempt),
            Event::Commit(command) => self.reach_group(command),
            Event::Govern => self.govern(),
            Event::Fault(fault) => self.fault(fault),
        }
    }

    /// The group carries a command out: the oracle judges, the hosts will hear.
    pub(crate) fn commit(&mut self, command: &Command) -> Result<Outcome, Violation> {
        let now = self.clock.now();
        let (outcome, changes) = self.group.commit(command);
        let revision = self.group.state.revision;
        self.trace.note(now, &command.encode(), || format!("group {revision} {command:?} -> {outcome:?}"));
        if let Outcome::Refused(Refusal::Stale { .. }) = outcome {
            self.oracle.seen.note(Sight::Stale);
        }
        for change in &changes {
            self.trace
                .note(now, &change.after.cfg.0.to_le_bytes(), || format!("table {} {:?}", change.colony, change.after));
        }
        self.oracle.table(&self.group.state, &self.hosts, command, &changes)?;
        for change in &changes {
            self.spring_at_table(change.colony);
        }
        for host in 0..self.hosts.len() {
            self.feed(host);
        }
        Ok(outcome)
    }

    /// The host will hear of everything decided so far.
    pub(crate) fn feed(&mut self, host: usize) {
        let mean = self.mix.group.feed;
        let after = MS / 2 + self.dice.group.around(mean);
        if let Some(process) = &self.hosts[host].process {
            let what = What::Feed(self.group.state.revision);
            self.clock.after(after, Event::Host { host, process: Some(process.number), what });
        }
    }

    /// A proposal on its way to the group.
    pub(crate) fn propose(&mut self, from: usize, command: Command) {
        let is_heard = self.group_hears(from);
        let chance = &self.mix.group;
        let dice = &mut self.dice.group;
        if !is_heard || dice.chance(chance.loss) {
            return;
        }
        let mut spans = vec![dice.around(chance.commit)];
        if dice.chance(chance.late) {
            spans[0] += dice.between(200, 3000) * MS;
        }
        if dice.chance(chance.twice) {
            spans.push(spans[0] + dice.around(SECOND));
            self.oracle.seen.note(Sight::Twice);
        }
        for span in spans {
            self.clock.after(span, Event::Commit(command.clone()));
        }
    }

    /// Whether the seat hears a host now.
    pub(crate) fn group_hears(&self, host: usize) -> bool {
        let seat = self.group.seat();
        seat.is_some_and(|seat| self.hosts[host].runs() && self.net.joins(seat, host))
    }

    /// A proposal has arrived: carried out now, later, or never.
    fn reach_group(&mut self, command: Command) -> Result<(), Violation> {
        if self.group.decides(self.clock.now()) {
            return self.commit(&command).map(|_| ());
        }
        if self.dice.group.chance(500) {
            let later = self.dice.group.between(100, 600) * MS;
            self.clock.after(later, Event::Commit(command));
        }
        Ok(())
    }

    /// True time on the fastest clock there was at every moment.
    pub(crate) fn counted(&self) -> Micros {
        self.fastest.mono(self.clock.now())
    }

    /// All colonies of the run.
    pub(crate) fn colonies(&self) -> Vec<ColonyId> {
        self.group.state.table.keys().copied().collect()
    }
}

fn clock_of((ahead, rate): (Micros, u64)) -> Timepiece {
    Timepiece::new(ahead, rate)
}
