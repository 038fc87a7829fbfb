//! Hosts that watch each other over links that are cut, slow and lossy, with a leader that judges.
//!
//! It stands in for the shell: datagrams may be lost, calls are repeated until they arrive, a paused host finds
//! everything that came meanwhile when it wakes, its own timer first.

use std::collections::{BTreeMap, BTreeSet};

use colony_core::watch::{Config, Input, Jury, Output, Watch};
use colony_core::{Now, Time};
use colony_wire::StartId;

/// One way of a link.
const LATENCY: u64 = 1_000;
/// What a lost packet of a call costs: it is sent again.
const SENT_AGAIN_AFTER: u64 = 60_000;
/// From a verdict to the entry that every host knows.
const COMMIT: u64 = 5_000;

/// Most voters (`PROTOCOL.md` 15).
const VOTERS: usize = 3;

pub(crate) const MS: u64 = 1_000;
pub(crate) const SECOND: u64 = 1_000 * MS;

#[derive(Clone, Copy, Debug)]
enum Event {
    Tick,
    Beacon {
        from: usize,
    },
    Answer {
        from: usize,
    },
    /// Somebody asks this host whether it reaches the target.
    Asked {
        by: usize,
        target: usize,
    },
    /// A helper's question to the silent one itself.
    Probed {
        by: usize,
        asker: usize,
    },
    /// The silent one's answer at the helper.
    ProbeAnswered {
        target: usize,
        asker: usize,
    },
    /// The helper gives up.
    ProbeOver {
        target: usize,
        asker: usize,
    },
    Told {
        target: usize,
        through: usize,
        answered: Option<bool>,
    },
    Accused {
        observer: usize,
        accused: usize,
    },
    Committed {
        dead: usize,
    },
    Pause,
    Wake,
}

/// A verdict: when, about whom, and who had accused the host in the time that an accusation holds.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) at: u64,
    pub(crate) dead: usize,
    pub(crate) observers: BTreeSet<usize>,
    /// Hosts that were up then.
    pub(crate) up: usize,
}

struct Host {
    watch: Watch,
    jury: Jury,
    /// It stands still about this often, and for so long; never if zero.
    pauses: (u64, u64),
    paused_until: u64,
    waiting: Vec<Event>,
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) config: Config,
    hosts: Vec<Host>,
    /// `link[from][to]`.
    pub(crate) link: Vec<Vec<bool>>,
    /// Of a thousand packets so many are lost.
    pub(crate) lost: u64,
    events: BTreeMap<(u64, u64), (usize, Event)>,
    made: u64,
    rng: u64,
    pub(crate) up: BTreeSet<usize>,
    voters: Vec<usize>,
    leader: Option<usize>,
    accusations: Vec<(u64, usize, usize)>,
    pub(crate) verdicts: Vec<Verdict>,
    /// When a host took an accusation back last.
    pub(crate) last_clear: u64,
    pub(crate) accused: u64,
    pub(crate) links_named: BTreeSet<(usize, usize)>,
}

impl World {
    pub(crate) fn new(hosts: usize, seed: u64) -> Self {
        let config = Config::default();
        let mut world = Self {
            now: 0,
            config,
            hosts: Vec::new(),
            link: vec![vec![true; hosts]; hosts],
            lost: 0,
            events: BTreeMap::new(),
            made: 0,
            rng: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            up: (0..hosts).collect(),
            voters: (0..hosts.min(VOTERS)).collect(),
            leader: None,
            accusations: Vec::new(),
            verdicts: Vec::new(),
            last_clear: 0,
            accused: 0,
            links_named: BTreeSet::new(),
        };
        for host in 0..hosts {
            let begins = world.below(100 * MS);
            let watch = Watch::new(config, start(host), at(begins));
            world.hosts.push(Host {
                watch,
                jury: Jury::new(config),
                pauses: (0, 0),
                paused_until: 0,
                waiting: Vec::new(),
            });
            world.push(begins, host, Event::Tick);
        }
        (0..hosts).for_each(|host| world.tell_members(host));
        world
    }

    /// From now on all hosts stand still at random, about this often and for so long.
    pub(crate) fn pauses(&mut self, every: u64, pause: u64) {
        (0..self.hosts.len()).for_each(|host| self.pauses_of(host, every, pause));
    }

    /// From now on this host does.
    pub(crate) fn pauses_of(&mut self, host: usize, every: u64, pause: u64) {
        self.hosts[host].pauses = (every, pause);
        self.plan_pause(host);
    }

    pub(crate) fn run_until(&mut self, end: u64) {
        while let Some((&(time, made), _)) = self.events.first_key_value()
            && time <= end
        {
            let (host, event) = self.events.remove(&(time, made)).expect("it was just seen");
            self.now = time;
            self.meet(host, event);
        }
        self.now = end;
    }

    /// The one that leads: it reaches a majority of the voters, and stays while it does.
    pub(crate) fn leader(&mut self) -> Option<usize> {
        let leads = |host: &usize| {
            let reached = self.voters.iter().filter(|voter| self.up.contains(voter) && self.meets(*host, **voter));
            self.up.contains(host) && reached.count() > self.voters.len() / 2
        };
        self.leader = self.leader.filter(leads).or_else(|| self.voters.iter().copied().find(leads));
        self.leader
    }

    /// Whether the link between them works both ways.
    pub(crate) fn meets(&self, one: usize, other: usize) -> bool {
        one == other || (self.link[one][other] && self.link[other][one])
    }

    /// Who reaches nobody and is reached by nobody.
    pub(crate) fn isolate(&mut self, host: usize) {
        for other in (0..self.hosts.len()).filter(|other| *other != host) {
            self.link[host][other] = false;
            self.link[other][host] = false;
        }
    }

    fn push(&mut self, time: u64, host: usize, event: Event) {
        self.made += 1;
        self.events.insert((time, self.made), (host, event));
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        self.rng % bound
    }

    fn plan_pause(&mut self, host: usize) {
        let after = 1 + self.below(2 * self.hosts[host].pauses.0);
        self.push(self.now + after, host, Event::Pause);
    }

    fn is_lost(&mut self) -> bool {
        self.lost > 0 && self.below(1000) < self.lost
    }

    fn datagram(&mut self, from: usize, to: usize, event: Event) {
        if self.link[from][to] && !self.is_lost() {
            self.push(self.now + LATENCY, to, event);
        }
    }

    /// A packet of a call arrives in the end if the link works both ways.
    fn call(&mut self, from: usize, to: usize, event: Event) {
        if !self.meets(from, to) {
            return;
        }
        let mut after = LATENCY;
        while self.is_lost() {
            after += SENT_AGAIN_AFTER;
        }
        self.push(self.now + after, to, event);
    }

    fn meet(&mut self, host: usize, event: Event) {
        if let Event::Committed { dead } = event {
            return self.bury(dead);
        }
        match event {
            Event::Pause => {
                let wakes = self.now + self.hosts[host].pauses.1;
                self.hosts[host].paused_until = wakes;
                self.push(wakes, host, Event::Wake);
            }
            Event::Wake => {
                self.wake(host);
                self.plan_pause(host);
            }
            _ if self.now < self.hosts[host].paused_until => self.hosts[host].waiting.push(event),
            _ => self.carry_out(host, event),
        }
    }

    /// All that came meanwhile, the own timer first.
    fn wake(&mut self, host: usize) {
        let mut waiting = std::mem::take(&mut self.hosts[host].waiting);
        waiting.sort_by_key(|event| !matches!(event, Event::Tick));
        waiting.into_iter().for_each(|event| self.carry_out(host, event));
    }

    fn carry_out(&mut self, host: usize, event: Event) {
        match event {
            Event::Tick => {
                self.tell(host, Input::Tick);
                let due = self.hosts[host].watch.tick_due().0;
                self.push(due, host, Event::Tick);
            }
            Event::Beacon { from } => self.datagram(host, from, Event::Answer { from: host }),
            Event::Answer { from } => self.tell(host, Input::BeaconAnswered { from: start(from) }),
            Event::Asked { by, target } => {
                self.call(host, target, Event::Probed { by: host, asker: by });
                let within = micros(self.config.relay_probe_within);
                self.push(self.now + within, host, Event::ProbeOver { target, asker: by });
            }
            Event::Probed { by, asker } => {
                if self.up.contains(&host) {
                    self.call(host, by, Event::ProbeAnswered { target: host, asker });
                }
            }
            Event::ProbeAnswered { target, asker } => {
                self.call(host, asker, Event::Told { target, through: host, answered: Some(true) });
            }
            Event::ProbeOver { target, asker } => {
                self.call(host, asker, Event::Told { target, through: host, answered: Some(false) });
            }
            Event::Told { target, through, answered } => {
                self.tell(host, Input::Told { peer: start(target), through: start(through), answered });
            }
            Event::Accused { observer, accused } => self.judge(host, observer, accused),
            Event::Committed { .. } | Event::Pause | Event::Wake => unreachable!("these are met before"),
        }
    }

    fn tell(&mut self, host: usize, input: Input) {
        let mut out = Vec::new();
        self.hosts[host].watch.handle(at(self.now), input, &mut out);
        for output in out {
            self.obey(host, output);
        }
    }

    fn obey(&mut self, host: usize, output: Output) {
        match output {
            Output::SendBeacon { to } => self.datagram(host, index(to), Event::Beacon { from: host }),
            Output::Ask { peer, through } => {
                let (target, through) = (index(peer), index(through));
                self.call(host, through, Event::Asked { by: host, target });
                let within = micros(self.config.relay_within);
                self.push(self.now + within, host, Event::Told { target, through, answered: None });
            }
            Output::Accuse { accused } => {
                self.accused += 1;
                if let Some(leader) = self.leader() {
                    self.call(host, leader, Event::Accused { observer: host, accused: index(accused) });
                }
            }
            Output::Clear { accused } => {
                self.last_clear = self.now;
                self.hosts[host].jury.withdraw(start(host), accused);
            }
            Output::LinkBroken { peer, .. } => {
                self.links_named.insert((host, index(peer)));
            }
            Output::LinkMended { peer } => {
                self.links_named.remove(&(host, index(peer)));
            }
            Output::Probe { .. } => unreachable!("no sentinel breaks here"),
        }
    }

    fn judge(&mut self, host: usize, observer: usize, accused: usize) {
        if self.leader() != Some(host) {
            return;
        }
        self.accusations.push((self.now, observer, accused));
        let Some(dead) = self.hosts[host].jury.accuse(at(self.now), start(observer), start(accused)) else { return };
        let dead = index(dead);
        let since = self.now.saturating_sub(micros(self.config.accusation_holds));
        let agree = |made: &&(u64, usize, usize)| made.0 >= since && made.2 == dead;
        let observers = self.accusations.iter().filter(agree).map(|made| made.1).collect();
        self.verdicts.push(Verdict { at: self.now, dead, observers, up: self.up.len() });
        self.push(self.now + COMMIT, host, Event::Committed { dead });
    }

    fn bury(&mut self, dead: usize) {
        self.up.remove(&dead);
        if let Some(place) = self.voters.iter().position(|voter| *voter == dead)
            && let Some(spare) = self.up.iter().copied().find(|host| !self.voters.contains(host))
        {
            self.voters[place] = spare;
        }
        (0..self.hosts.len()).for_each(|host| self.tell_members(host));
    }

    fn tell_members(&mut self, host: usize) {
        let up: Vec<StartId> = self.up.iter().copied().map(start).collect();
        self.hosts[host].jury.members(up.iter().copied());
        let named = up.into_iter().map(|start| (start, format!("h{}", start.0))).collect();
        self.tell(host, Input::Members(named));
    }
}

pub(crate) fn at(micros: u64) -> Now {
    Now { mono: Time(micros), wall_ms: 0 }
}

pub(crate) fn start(host: usize) -> StartId {
    StartId(host as u64 + 1)
}

fn index(start: StartId) -> usize {
    usize::try_from(start.0 - 1).expect("hosts are few")
}

pub(crate) fn micros(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_micros()).expect("settings are short")
}
