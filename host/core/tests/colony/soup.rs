//! Everything that may happen, in any order: whatever was acknowledged survives, and once it is over the
//! colony serves again (`PROTOCOL.md` 2).

use colony_core::colony::{Input, Settings};
use colony_core::group::{Command, Entry};
use colony_core::merge::Resolution;
use colony_wire::StartId;
use colony_wire::admin::{MergeBy, Policy};
use colony_wire::client::Request;
use colony_wire::control::Fate;
use colony_wire::session::Mutation;

use crate::calls::{attributes, blob, change, delete, request_of, save_with};
use crate::oracle::Oracle;
use crate::world::{A, B, C, COLONY, World, world_with};

const STEPS: u32 = 800;
const SEEDS: u64 = 200;
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
    /// One in so many of the hard blows is dealt: some stories are mostly work, some mostly trouble.
    mercy: usize,
    /// Every entry there ever was: any may be heard late.
    entries: Vec<Entry>,
    requests: Vec<Request>,
    oracle: Oracle,
}

impl Soup {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let log_kept = [0, 3, 1024][dice.roll(3)];
        let mercy = [1, 2, 6][dice.roll(3)];
        let holders: &[usize] = [&[A][..], &[A, B], &[A, B, C]][dice.roll(3)];
        let policy = Policy { merge: MergeBy::Plugin("cart".into()), ..Policy::default() };
        let w = world_with(holders, policy, Settings { log_kept, ..Settings::default() });
        let entries = vec![w.entry()];
        Self { w, dice, mercy, entries, requests: Vec::new(), oracle: Oracle::default() }
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
            0..46 => self.message(),
            46..57 => self.w.tick(host),
            57..67 => self.call(),
            67..71 => self.read(),
            71..74 => self.answer_merge(),
            74..79 => self.decide(),
            79..89 => self.tell(host),
            89..100 if self.dice.roll(self.mercy) > 0 => self.message(),
            89..91 => self.plan(),
            91 if !self.is_dead(host) => self.w.declare_dead(host),
            92..94 if self.is_dead(host) && self.w.hosts[host].runs => drop(self.w.reborn(host)),
            94..96 => self.ask_fate(host),
            96 => self.w.pass(400),
            97 => self.w.kill(host),
            98..100 => self.w.wake(host),
            _ => {}
        }
        self.note_entry();
        self.w.check();
    }

    /// Somebody hears the newest entry, or an old one that was long on its way.
    fn tell(&mut self, host: usize) {
        let newest = self.entries.len() - 1;
        let age = if self.dice.roll(3) == 0 { self.dice.roll(4).min(newest) } else { 0 };
        self.w.tell_entry(host, self.entries[newest - age].clone());
    }

    /// Whom a client asks: the primary, as a rule.
    fn asked(&mut self) -> usize {
        let primary = self.w.entry().primary;
        let primary = (A..=C).find(|host| Some(self.w.start(*host)) == primary);
        primary.filter(|_| self.dice.roll(4) > 0).unwrap_or(self.dice.roll(3))
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

    /// A new request, or one made before, to whoever comes first.
    fn call(&mut self) {
        let host = self.asked();
        let index = if self.requests.is_empty() || self.dice.roll(3) > 0 {
            let number = 1 + self.requests.len() as u64;
            let mutation = self.mutation();
            self.requests.push(request_of(1, number, 1, mutation));
            self.requests.len() - 1
        } else {
            self.dice.roll(self.requests.len())
        };
        if self.w.hosts[host].runs {
            let caller = self.w.ask(host, self.requests[index].clone());
            self.oracle.called(caller, index);
        }
    }

    fn mutation(&mut self) -> Mutation {
        let key = KEYS[self.dice.roll(KEYS.len())];
        let base = self.oracle.found(key).filter(|_| self.dice.roll(2) == 0);
        match (self.dice.roll(4), base) {
            (0, _) => delete(key),
            (1, _) => blob(key, "v"),
            (_, Some(base)) => save_with(key, base, vec![change("n", "saved")], Some(vec![change("n", "base")])),
            (_, None) => attributes(key, &[("n", "v"), ("m", "v")]),
        }
    }

    fn read(&mut self) {
        let host = self.asked();
        if self.w.hosts[host].runs {
            let key = KEYS[self.dice.roll(KEYS.len())];
            let (seen, body) = self.w.read_seen(host, key, self.oracle.token());
            self.oracle.read(key, seen, &body);
        }
    }

    fn answer_merge(&mut self) {
        if self.w.merges.is_empty() {
            return;
        }
        let index = self.dice.roll(self.w.merges.len());
        if !self.w.hosts[self.w.merges[index].0].runs {
            return;
        }
        let (host, ticket, _) = self.w.merges.remove(index);
        let answer = match self.dice.roll(5) {
            0 => Ok(Resolution::KeepOurs),
            1 => Ok(Resolution::KeepTheirs),
            2 => Ok(Resolution::Attributes(vec![change("n", "merged")])),
            3 => Ok(Resolution::Delete),
            _ => Err("trapped".to_owned()),
        };
        self.w.feed(host, Input::Merged { ticket, answer });
    }

    fn answer_all_merges(&mut self) {
        while let Some((host, ticket, _)) = self.w.merges.pop() {
            self.w.feed(host, Input::Merged { ticket, answer: Ok(Resolution::KeepOurs) });
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
                    // One that is given back is kept until the entry that says so is heard.
                    if fate != Fate::Discard {
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
        // A hand-over that was tried while a merge was open is tried again after a pause.
        for _ in 0..15 {
            self.answer_all_merges();
            self.w.run(1_000);
            let entry = self.w.entry();
            if entry.primary == entry.want.first().copied() && entry.in_sync.len() == 3 {
                break;
            }
        }
        self.w.run(200);
    }
}

/// `PROTOCOL.md` 2 (I2, I3, I4, I9, I12), 3 to 7.
#[test]
fn whatever_happens_what_was_acknowledged_survives_and_the_colony_serves_again() {
    for seed in 0..SEEDS {
        let story = std::panic::catch_unwind(|| {
            let mut soup = Soup::new(seed);
            (0..STEPS).for_each(|_| soup.step());
            soup.heal();
            soup.oracle.judge(&mut soup.w);
        });
        assert!(story.is_ok(), "seed {seed}");
    }
}
