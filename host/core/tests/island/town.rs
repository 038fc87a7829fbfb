//! Hosts that can be cut off from each other, each with its opening and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use colony_core::group::{Command, Member, MemberState, Outcome, State};
use colony_core::island::{Attachment, Config, Opening, Output, Sight};
use colony_core::{Now, Time};
use colony_wire::admin::{OnPartition, Policy};
use colony_wire::control::Electorate;
use colony_wire::{ClusterId, LineageId, RaftId, StartId};

/// Time passes in steps of this.
const STEP: u64 = 10;
/// Every host ticks so often, each at a step of its own, and asks all others what they know.
const TICK: u64 = 100;
/// What is said takes this long.
const TRAVEL: u64 = 20;
/// Who has not answered for so long is not reached.
const REACHED_FOR: u64 = 1000;

/// Host `index` as the group knows it.
pub(crate) fn start(index: usize) -> StartId {
    StartId(100 + index as u64)
}

pub(crate) fn member(index: usize) -> Member {
    Member {
        start: start(index),
        name: format!("h{index}"),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 7400 + u16::try_from(index).expect("a few"))),
        shards: 1,
        labels: BTreeMap::new(),
        raft: RaftId(start(index).0),
        earlier: Vec::new(),
        state: MemberState::Up,
    }
}

/// A group of so many hosts with a namespace whose colonies have their copies on these.
pub(crate) fn group(hosts: usize, on_partition: OnPartition, copies: &[&[usize]]) -> State {
    let mut state = State::default();
    let genesis = Command::Genesis { cluster: ClusterId(1), lineage: LineageId(7), member: member(0) };
    assert_eq!(state.apply(&genesis), Outcome::Applied);
    for index in 1..hosts {
        let join = Command::Join { member: member(index), deviations: Vec::new(), plugins: Vec::new() };
        assert_eq!(state.apply(&join), Outcome::Applied);
    }
    create(&mut state, "cart", on_partition, 1, copies);
    state
}

/// One namespace more.
pub(crate) fn create(state: &mut State, name: &str, on_partition: OnPartition, least: u8, copies: &[&[usize]]) {
    let buckets = u32::try_from(copies.len()).expect("a few");
    let policy = Policy { copies: 3, buckets, min_in_sync: least, on_partition, ..Policy::default() };
    let placement = copies.iter().map(|hosts| hosts.iter().copied().map(start).collect()).collect();
    let outcome = state.apply(&Command::CreateNamespace { name: name.to_owned(), policy, placement });
    assert!(matches!(outcome, Outcome::Created(_)), "{outcome:?}");
}

/// What is on its way.
#[derive(Clone, Debug)]
enum Said {
    Question { nonce: u64 },
    Consent { nonce: u64, until: Time },
    Refusal { nonce: u64, is_for_now: bool },
    Cancel { nonce: u64 },
    Open { nonce: u64, with: Vec<usize> },
}

struct Host {
    opening: Opening,
    attachment: Attachment,
    answered: BTreeMap<StartId, u64>,
    runs: bool,
    /// Does nothing until then, and then goes on.
    asleep_until: u64,
    fenced_until: Time,
    /// The founder of the island it lives in, and everyone it takes to live there.
    island: Option<(usize, Vec<usize>)>,
}

/// The hosts.
pub(crate) struct Town {
    pub(crate) state: State,
    now: u64,
    hosts: Vec<Host>,
    voters: Vec<usize>,
    /// Those of one part reach each other.
    parts: Vec<Vec<usize>>,
    /// Nobody leads the group, whoever reaches whom.
    pub(crate) leaderless: bool,
    on_the_way: Vec<(u64, usize, usize, Said)>,
    /// Everything that was said, for stories that strike at a step.
    pub(crate) log: Vec<String>,
}

impl Town {
    pub(crate) fn new(hosts: usize, voters: &[usize], state: State) -> Self {
        let config = Config::default();
        let host = |index: usize| {
            let mut attachment = Attachment::new(config.island_after);
            let voters = voters.iter().map(|voter| RaftId(start(*voter).0)).collect();
            attachment.heard_voters(&Electorate { at: 1, voters });
            Host {
                opening: Opening::new(config, start(index), 40 + index as u64, Now::default()),
                attachment,
                answered: BTreeMap::new(),
                runs: true,
                asleep_until: 0,
                fenced_until: Time::default(),
                island: None,
            }
        };
        let mut town = Self {
            state,
            now: 0,
            hosts: (0..hosts).map(host).collect(),
            voters: voters.to_vec(),
            parts: vec![(0..hosts).collect()],
            leaderless: false,
            on_the_way: Vec::new(),
            log: Vec::new(),
        };
        town.run(3000);
        town
    }

    pub(crate) fn cut(&mut self, parts: &[&[usize]]) {
        self.parts = parts.iter().map(|part| part.to_vec()).collect();
    }

    pub(crate) fn kill(&mut self, host: usize) {
        self.hosts[host].runs = false;
    }

    pub(crate) fn sleep(&mut self, host: usize, ms: u64) {
        self.hosts[host].asleep_until = self.now + ms;
    }

    /// The islands that hosts which run live in: founder and those it took with it, as each of them knows it.
    pub(crate) fn islands(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut islands: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, host) in self.hosts.iter().enumerate().filter(|(_, host)| host.runs) {
            if let Some((founder, _)) = &host.island {
                islands.entry(*founder).or_default().push(index);
            }
        }
        islands
    }

    pub(crate) fn is_fenced(&self, host: usize) -> bool {
        Time(self.now * 1000) < self.hosts[host].fenced_until
    }

    pub(crate) fn run(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    /// Runs for so long, or until something is so; says whether it was.
    pub(crate) fn run_until(&mut self, ms: u64, mut is_so: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + ms;
        while self.now < end {
            if is_so(self) {
                return true;
            }
            self.now += STEP;
            self.step();
        }
        is_so(self)
    }

    fn reach(&self, one: usize, other: usize) -> bool {
        let awake = |host: usize| self.hosts[host].runs && self.hosts[host].asleep_until <= self.now;
        awake(one) && awake(other) && self.parts.iter().any(|part| part.contains(&one) && part.contains(&other))
    }

    /// Who leads: the first voter that reaches a majority.
    fn leader(&self) -> Option<usize> {
        let leads =
            |one: &usize| self.voters.iter().filter(|other| self.reach(*one, **other)).count() * 2 > self.voters.len();
        self.voters.iter().copied().find(leads).filter(|_| !self.leaderless)
    }

    fn step(&mut self) {
        let now = Now { mono: Time(self.now * 1000), wall_ms: 0 };
        if let Some(leader) = self.leader() {
            self.hosts[leader].attachment.heard(now.mono, Duration::ZERO);
        }
        let (due, later) = std::mem::take(&mut self.on_the_way).into_iter().partition(|(at, ..)| *at <= self.now);
        self.on_the_way = later;
        let due: Vec<(u64, usize, usize, Said)> = due;
        for (_, from, to, said) in due {
            if self.reach(from, to) {
                self.hear(now, from, to, said);
            }
        }
        for index in 0..self.hosts.len() {
            let is_due = self.now % TICK == (index as u64 * STEP) % TICK;
            if is_due && self.hosts[index].runs && self.hosts[index].asleep_until <= self.now {
                // Whoever wakes judges before anything new has come in.
                self.with_sight(index, now, |opening, sight, out| opening.tick(now, sight, out));
                self.beacons(index, now);
            }
        }
    }

    /// Everyone who is reached answers with what it knows. The question was sent a while ago.
    fn beacons(&mut self, index: usize, now: Now) {
        for other in 0..self.hosts.len() {
            if other == index || !self.reach(index, other) {
                continue;
            }
            let age = self.hosts[other].attachment.age(now);
            let host = &mut self.hosts[index];
            host.answered.insert(start(other), self.now);
            if let Some(age) = age {
                host.attachment.heard(now.mono - Duration::from_millis(TRAVEL), age);
            }
        }
    }

    fn with_sight<R>(
        &mut self,
        index: usize,
        now: Now,
        act: impl FnOnce(&mut Opening, &Sight<'_>, &mut Vec<Output>) -> R,
    ) -> R {
        let host = &mut self.hosts[index];
        let heard = host.answered.iter().filter(|(_, at)| self.now - **at < REACHED_FOR);
        let reached: BTreeSet<StartId> = heard.map(|(start, _)| *start).collect();
        let sight = Sight { state: &self.state, attachment: &host.attachment, reached: &reached };
        let mut out = Vec::new();
        let result = act(&mut host.opening, &sight, &mut out);
        for output in out {
            self.carry_out(index, now, output);
        }
        result
    }

    fn say(&mut self, from: usize, to: usize, said: Said) {
        self.log.push(format!("{} {from}->{to} {said:?}", self.now));
        self.on_the_way.push((self.now + TRAVEL, from, to, said));
    }

    fn carry_out(&mut self, index: usize, now: Now, output: Output) {
        let of = |start: StartId| usize::try_from(start.0 - 100).expect("a few");
        match output {
            Output::Ask { nonce, hosts } => {
                hosts.into_iter().for_each(|to| self.say(index, of(to), Said::Question { nonce }))
            }
            Output::Cancel { nonce, hosts } => {
                hosts.into_iter().for_each(|to| self.say(index, of(to), Said::Cancel { nonce }));
            }
            Output::Fence { until } => self.hosts[index].fenced_until = until.unwrap_or_default(),
            Output::Found { nonce, with } => {
                let is_done = self.with_sight(index, now, |opening, sight, out| opening.founded(now, sight, out));
                if is_done.is_ok() {
                    let mut all: Vec<usize> = with.iter().copied().map(of).collect();
                    all.push(index);
                    all.sort_unstable();
                    self.log.push(format!("{} {index} founds with {all:?}", self.now));
                    self.hosts[index].island = Some((index, all.clone()));
                    for to in with {
                        self.say(index, of(to), Said::Open { nonce, with: all.clone() });
                    }
                }
            }
        }
    }

    fn hear(&mut self, now: Now, from: usize, to: usize, said: Said) {
        match said {
            Said::Question { nonce } => {
                let answer =
                    self.with_sight(to, now, |opening, sight, out| opening.asked(now, sight, nonce, start(from), out));
                let said = match answer {
                    Ok(until) => Said::Consent { nonce, until },
                    Err(refusal) => Said::Refusal { nonce, is_for_now: refusal.is_for_now() },
                };
                self.say(to, from, said);
            }
            Said::Consent { nonce, until } => {
                assert!(now.mono < until, "a consent that is over");
                self.hosts[to].opening.consented(nonce, start(from));
            }
            Said::Refusal { nonce, is_for_now } => self.hosts[to].opening.refused(nonce, start(from), is_for_now),
            Said::Cancel { nonce } => self.with_sight(to, now, |opening, _, out| opening.cancelled(now, nonce, out)),
            Said::Open { nonce, with } => {
                let was_fenced = self.is_fenced(to);
                if self.with_sight(to, now, |opening, sight, _| opening.open(now, sight, nonce)).is_ok() {
                    assert!(was_fenced, "what it brought may have been acknowledged elsewhere since");
                    self.hosts[to].island = Some((from, with));
                }
            }
        }
    }
}
