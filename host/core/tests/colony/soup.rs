//! Everything that may happen, in any order: whatever was acknowledged survives, and once it is over the
//! colony serves again (`PROTOCOL.md` 2).

use std::collections::BTreeMap;

use colony_core::colony::{Caller, Settings};
use colony_core::group::{Command, Entry};
use colony_wire::admin::Policy;
use colony_wire::client::{ReplyBody, Request};
use colony_wire::control::Fate;
use colony_wire::{Position, StartId};

use crate::calls::{attributes, blob, delete, request_of};
use crate::world::{A, B, C, COLONY, World, world_with};

const STEPS: u32 = 600;
const SEEDS: u64 = 400;
const KEYS: [&str; 3] = ["k1", "k2", "k3"];

/// A small generator of numbers: the same seed, the same story.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

struct Soup {
    w: World,
    dice: Dice,
    /// Every entry there ever was: any may be heard late.
    entries: Vec<Entry>,
    requests: Vec<Request>,
    /// Which request each call was for.
    calls: Vec<(Caller, usize)>,
}

impl Soup {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let log_kept = [0, 3, 1024][dice.roll(3)];
        let holders: &[usize] = [&[A][..], &[A, B], &[A, B, C]][dice.roll(3)];
        let w = world_with(holders, Policy::default(), Settings { log_kept, ..Settings::default() });
        let entries = vec![w.entry()];
        Self { w, dice, entries, requests: Vec::new(), calls: Vec::new() }
    }

    fn note_entry(&mut self) {
        let entry = self.w.entry();
        if self.entries.last() != Some(&entry) {
            self.entries.push(entry);
        }
    }

    fn is_dead(&self, host: usize) -> bool {
        !self.w.group.is_up(self.w.start(host))
    }

    fn step(&mut self) {
        let host = self.dice.roll(3);
        match self.dice.roll(100) {
            0..35 => self.message(),
            35..50 => self.w.tick(host),
            50..62 => self.call(host),
            62..68 => self.decide(),
            68..80 => {
                let newest = self.entries.len() - 1;
                let age = if self.dice.roll(3) == 0 { self.dice.roll(4).min(newest) } else { 0 };
                self.w.tell_entry(host, self.entries[newest - age].clone());
            }
            80..84 => self.plan(),
            84..86 if !self.is_dead(host) => self.w.declare_dead(host),
            86..90 if self.is_dead(host) && self.w.hosts[host].runs => drop(self.w.reborn(host)),
            90..95 => self.ask_fate(host),
            95 => self.w.pass(400),
            96 => self.w.kill(host),
            97..100 => self.w.wake(host),
            _ => {}
        }
        self.note_entry();
        self.w.check();
    }

    fn message(&mut self) {
        if self.w.bag.is_empty() {
            return;
        }
        // The older ones sooner, but any of them.
        let reach = self.w.bag.len().min(if self.dice.roll(4) == 0 { 20 } else { 2 });
        let index = self.dice.roll(reach);
        match self.dice.roll(10) {
            0 => drop(self.w.bag.remove(index)),
            1 => {
                let again = self.w.bag[index].clone();
                self.w.arrive(again);
            }
            _ => {
                let envelope = self.w.bag.remove(index);
                self.w.arrive(envelope);
            }
        }
    }

    fn call(&mut self, host: usize) {
        let index = if self.requests.is_empty() || self.dice.roll(3) > 0 {
            let number = 1 + self.requests.len() as u64;
            let key = KEYS[self.dice.roll(KEYS.len())];
            let mutation = match self.dice.roll(4) {
                0 => delete(key),
                1 => attributes(key, &[("n", "v")]),
                _ => blob(key, "v"),
            };
            self.requests.push(request_of(1, number, 1, mutation));
            self.requests.len() - 1
        } else {
            self.dice.roll(self.requests.len())
        };
        if self.w.hosts[host].runs {
            let caller = self.w.ask(host, self.requests[index].clone());
            self.calls.push((caller, index));
        }
    }

    fn decide(&mut self) {
        if self.w.proposals.is_empty() {
            return;
        }
        let index = self.dice.roll(self.w.proposals.len());
        let command = self.w.proposals[index].clone();
        if self.dice.roll(4) > 0 {
            self.w.proposals.remove(index);
        }
        self.w.apply(&command);
    }

    fn plan(&mut self) {
        let mut up: Vec<usize> = (A..=C).filter(|host| !self.is_dead(*host)).collect();
        let keep = 1 + self.dice.roll(3);
        while up.len() > keep || (!up.is_empty() && self.dice.roll(4) == 0) {
            up.remove(self.dice.roll(up.len()));
        }
        if !up.is_empty() {
            let by = self.dice.roll(up.len());
            up.rotate_left(by);
            self.w.want(&up);
        }
    }

    /// As the leader does it: restore what is to be restored, then answer. The answer may be lost.
    fn ask_fate(&mut self, host: usize) {
        let Some(dead) = self.kept_under(host) else { return };
        if self.is_dead(host) {
            return;
        }
        self.w.restore(host);
        let fate = self.w.fate(host);
        self.note_entry();
        if self.dice.roll(3) > 0 {
            self.w.hear_fate(host, dead, fate);
        }
    }

    /// The start under which a host keeps a copy whose fate it does not know.
    fn kept_under(&self, host: usize) -> Option<StartId> {
        self.w.hosts[host].shard.kept().next().map(|(dead, _)| dead)
    }

    /// Whatever was wrong is over: everybody runs, talks and hears.
    fn heal(&mut self) {
        for host in A..=C {
            self.w.wake(host);
            if self.is_dead(host) {
                self.w.reborn(host);
            }
        }
        for _ in 0..3 {
            for host in A..=C {
                while let Some(dead) = self.kept_under(host) {
                    self.w.restore(host);
                    let fate = self.w.fate(host);
                    self.w.hear_fate(host, dead, fate);
                    if fate == Fate::Wait {
                        break;
                    }
                }
            }
            self.w.tell_all();
        }
        let entry = self.w.entry();
        if entry.primary.is_none()
            && let Some(to) = entry.in_sync.iter().find(|start| self.w.group.is_up(**start))
        {
            self.w.apply(&Command::Promote { colony: COLONY, cfg: entry.cfg, to: *to });
        }
        self.w.want(&[B, C, A]);
        self.w.tell_all();
        self.w.quiet();
        self.w.run(8_000);
    }

    fn assert_all_is_well(&mut self) {
        let entry = self.w.entry();
        assert_eq!(entry.primary, Some(self.w.start(B)), "it is led by whom placement wants");
        assert_eq!(entry.in_sync.len(), 3, "all copies are in sync");
        for host in A..=C {
            assert_eq!(self.w.replica(host).committed(), self.w.replica(B).prepared());
            assert_eq!(self.w.replica(host).store().digest(), self.w.replica(B).store().digest());
        }
        let mut answers: BTreeMap<usize, Position> = BTreeMap::new();
        for (caller, index) in &self.calls {
            let Some(ReplyBody::Done(done)) = self.w.answer(*caller) else { continue };
            assert!(self.w.replica(B).history().covers(done.version), "what was acknowledged is there");
            let earlier = answers.insert(*index, done.version);
            assert!(earlier.is_none_or(|earlier| earlier == done.version), "one request, one effect");
        }
        let caller = self.w.ask(B, request_of(2, 1, 1, blob("after", "v")));
        self.w.quiet();
        assert!(self.w.is_done(caller), "and it takes writes");
    }
}

/// `PROTOCOL.md` 2 (I2, I3, I4, I9, I12), 3 to 7; A1, B1, B5, C4, D9, F1.
#[test]
fn whatever_happens_what_was_acknowledged_survives_and_the_colony_serves_again() {
    for seed in 0..SEEDS {
        let story = std::panic::catch_unwind(|| {
            let mut soup = Soup::new(seed);
            (0..STEPS).for_each(|_| soup.step());
            soup.heal();
            soup.assert_all_is_well();
        });
        assert!(story.is_ok(), "seed {seed}");
    }
}
