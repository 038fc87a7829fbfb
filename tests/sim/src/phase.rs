//! First faults, then the proof that the cluster gets over them: everything heals, and within a bound every
//! colony that kept an in-sync copy takes a write, serves it, and settles on full and equal copies. Safety
//! alone would be kept by a cluster that does nothing.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use colony_core::placement::{Even, Planner};
use colony_wire::ColonyId;
use colony_wire::client::{Reply, ReplyBody};
use colony_wire::session::{Content, Key, Mutation, Precondition};

use crate::client::{NAMESPACE, key_of};
use crate::clock::{MS, Micros, SECOND};
use crate::host::Host;
use crate::oracle::table;
use crate::seen::Sight;
use crate::swarm::{Agreement, Wire};
use crate::violation::{Rule, Violation, demand};
use crate::world::World;

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Faults happen.
    Faulty,
    /// Everything is healed, load goes on, every colony is asked for a write and a read.
    Healing,
    /// Nothing new is asked; copies settle.
    Settling,
    /// All is proved.
    Over,
}

/// What is left to prove after the heal.
#[derive(Debug, Default)]
pub(crate) struct Aftermath {
    /// Colonies of which an in-sync copy never stopped existing.
    recoverable: BTreeSet<ColonyId>,
    /// What the prober has still to do: write the key, then read it.
    pub(crate) todo: VecDeque<(Key, Ask)>,
    /// When the phase must be over.
    ends: Micros,
}

/// What the prober asks of a colony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Write,
    Read,
}

/// How long healing may take. Death, rejoining, a fate asked for each second, a snapshot and a move come one
/// after the other; the slowest of those waits a few seconds.
const HEAL_BOUND: Micros = 30 * SECOND;
/// How long copies may take to settle once nothing is asked any more.
const SETTLE_BOUND: Micros = 30 * SECOND;

impl World {
    /// All faults end.
    pub(crate) fn heal_all(&mut self) -> Result<(), Violation> {
        self.trace.words(self.clock.now(), format_args!("everything heals"));
        self.phase = Phase::Healing;
        let calm = Wire { least: MS / 5, more: MS, loss: 0, twice: 0, ordered: true };
        self.net.heal(calm.clone());
        self.edge.heal(calm);
        self.group.return_now();
        self.ambushes.clear();
        self.doom = None;
        let group = &self.mix.group;
        self.mix.group = Agreement {
            commit: group.commit.min(5 * MS),
            loss: 0,
            twice: 0,
            late: 0,
            feed: group.feed.min(5 * MS),
            deviate: 0,
            ..group.clone()
        };
        let recoverable = self.colonies().into_iter().filter(|colony| self.has_in_sync_copy(*colony)).collect();
        for host in 0..self.hosts.len() {
            self.resume(host)?;
            self.restart(host);
            self.hosts[host].slow = None;
        }
        let ends = self.clock.now() + HEAL_BOUND;
        let prober = self.prober();
        self.clients[prober].calls.clear();
        self.aftermath = Aftermath { recoverable, todo: VecDeque::new(), ends };
        let keys = self.aftermath.recoverable.iter().map(|colony| (self.key_in(*colony), Ask::Write));
        self.aftermath.todo = keys.collect();
        self.probe()
    }

    /// Whether a process that runs or is stopped holds a copy under a start that is in sync. A copy that was
    /// never begun, since nothing was committed yet, counts while its start is not dead: after that nobody
    /// can tell that it was empty.
    fn has_in_sync_copy(&self, colony: ColonyId) -> bool {
        let Some(entry) = self.group.state.table.get(&colony) else { return false };
        entry.in_sync.iter().any(|start| {
            let Some(host) = self.homes.get(start).map(|home| &self.hosts[*home]) else { return false };
            let Some(process) = host.process.as_ref().filter(|process| process.starts.contains(start)) else {
                return false;
            };
            let to_begin = self.oracle.is_empty(colony) && process.start() == *start && self.group.state.is_up(*start);
            to_begin || host.copies(colony).next().is_some()
        })
    }

    pub(crate) fn key_in(&self, colony: ColonyId) -> Key {
        let keys = (0_u64..).map(|number| key_of(format!("probe-{number}")));
        let mut fitting = keys.filter(|key| ColonyId::of(NAMESPACE, key.as_bytes(), self.mix.policy.buckets) == colony);
        fitting.next().unwrap_or_else(|| key_of("probe".into()))
    }

    pub(crate) fn prober(&self) -> usize {
        self.mix.load.clients
    }

    /// The prober goes on with what is left.
    pub(crate) fn probe(&mut self) -> Result<(), Violation> {
        let prober = self.prober();
        let is_asked = self.phase == Phase::Healing || self.mix.quiet.is_some();
        if !is_asked || !self.clients[prober].calls.is_empty() {
            return Ok(());
        }
        let Some((key, step)) = self.aftermath.todo.front().cloned() else { return Ok(()) };
        self.calls += 1;
        let now = self.clock.now();
        let patience = 10 * SECOND;
        if step == Ask::Write {
            let content = Content::Blob(Bytes::from_static(b"probe"));
            let put = Mutation::Put { key, content, tags: Vec::new(), ttl: None, precondition: Precondition::None };
            self.clients[prober].mutate(self.calls, put, now, patience);
        } else {
            self.clients[prober].get(self.calls, key, now, patience);
        }
        self.attempt(prober, self.calls)
    }

    /// A call of some client is over; the prober's next one begins.
    pub(crate) fn probed(&mut self, client: usize, reply: &Reply) -> Result<(), Violation> {
        if client != self.prober() {
            return Ok(());
        }
        match (&reply.body, self.aftermath.todo.front_mut()) {
            (ReplyBody::Done(_), Some(_)) if self.phase == Phase::Faulty => {
                self.aftermath.todo.pop_front();
                self.oracle.seen.note(Sight::Steady);
            }
            (ReplyBody::Done(_), Some((_, step))) => *step = Ask::Read,
            (ReplyBody::Found(_), Some((_, Ask::Read))) => {
                self.aftermath.todo.pop_front();
            }
            _ => {}
        }
        self.probe()
    }

    /// Looks whether the phase is over, or overdue.
    pub(crate) fn after_the_heal(&mut self) -> Result<(), Violation> {
        let now = self.clock.now();
        match self.phase {
            Phase::Healing if self.aftermath.todo.is_empty() => {
                self.phase = Phase::Settling;
                self.aftermath.ends = now + SETTLE_BOUND;
                Ok(())
            }
            Phase::Healing => demand(now < self.aftermath.ends, Rule::Progress, || {
                let (key, step) = &self.aftermath.todo[0];
                let colony = ColonyId::of(NAMESPACE, key.as_bytes(), self.mix.policy.buckets);
                format!("{colony} answers no {step:?} after the heal: {}", self.words_of(colony))
            }),
            Phase::Settling => {
                let unsettled = self.unsettled();
                if unsettled.is_none() {
                    self.finish()?;
                    self.phase = Phase::Over;
                    return Ok(());
                }
                demand(now < self.aftermath.ends, Rule::Progress, || unsettled.unwrap_or_default())
            }
            Phase::Faulty | Phase::Over => Ok(()),
        }
    }

    /// The first colony that has not come to rest, and why.
    fn unsettled(&self) -> Option<String> {
        if self.clients.iter().any(|client| !client.calls.is_empty()) {
            return Some("clients still wait for answers".into());
        }
        let state = &self.group.state;
        let is_member = |host: &Host| host.process.as_ref().is_some_and(|process| state.is_up(process.start()));
        if let Some(host) = self.hosts.iter().find(|host| !is_member(host)) {
            return Some(format!("{} is no member", host.name));
        }
        if self.mix.group.planner
            && let Some(plan) = Planner::new(state, &Even).rebalance("is it at rest?")
        {
            return Some(format!("the planner is not content: {:?}", plan.command));
        }
        if let Some(drains) = self.drains_still() {
            return Some(drains);
        }
        // Who is to leave and cannot keeps what it has, and gets nothing.
        let most = usize::from(self.mix.policy.copies).min(state.up().count());
        let least = usize::from(self.mix.policy.copies).min(state.staying().count());
        // A proposal that was under way may have saved what was thought lost: whatever has a primary is held to the rules.
        let is_led = |colony: &&ColonyId| state.table.get(*colony).is_some_and(|entry| entry.primary.is_some());
        for colony in
            self.colonies().iter().filter(|colony| self.aftermath.recoverable.contains(*colony) || is_led(colony))
        {
            let Some(entry) = state.table.get(colony) else { continue };
            let in_sync: BTreeSet<_> = entry.in_sync.iter().collect();
            let want: BTreeSet<_> = entry.want.iter().collect();
            let is_placed = in_sync == want && (least..=most).contains(&want.len()) && entry.primary.is_some();
            let end = self.oracle.end(*colony);
            let rests = self.hosts.iter().all(|host| {
                host.copies(*colony).all(|(start, replica)| {
                    entry.is_in_sync(start)
                        && Some(replica.committed()) == end
                        && replica.prepared() == replica.committed()
                })
            });
            let held = self.hosts.iter().filter(|host| host.copies(*colony).next().is_some()).count();
            if !is_placed || !rests || held != want.len() {
                return Some(format!("{colony} does not settle on {least} copies: {}", self.words_of(*colony)));
            }
        }
        None
    }

    /// The last checks of a run, on a cluster at rest.
    fn finish(&mut self) -> Result<(), Violation> {
        self.compare_counters()?;
        table::spread(&self.group.state, self.mix.group.planner)?;
        for colony in self.colonies() {
            let is_led = self.group.state.table.get(&colony).is_some_and(|entry| entry.primary.is_some());
            if self.aftermath.recoverable.contains(&colony) || is_led {
                self.oracle.compare_sessions(&self.hosts, colony)?;
                continue;
            }
            self.oracle.seen.note(Sight::Lost);
            let entry = self.group.state.table.get(&colony);
            let serving = self.hosts.iter().flat_map(|host| host.copies(colony));
            let serves = serving.into_iter().any(|(_, replica)| replica.is_serving());
            demand(!serves && entry.is_some_and(|entry| entry.primary.is_none()), Rule::HonestlyOffline, || {
                format!("{colony} lost every in-sync copy, yet: {}", self.words_of(colony))
            })?;
        }
        Ok(())
    }

    /// A colony as a person wants to see it.
    pub(crate) fn words_of(&self, colony: ColonyId) -> String {
        let mut words = format!("table {:?}", self.group.state.table.get(&colony));
        for (index, host) in self.hosts.iter().enumerate() {
            for (start, replica) in host.copies(colony) {
                words += &format!(
                    "; h{index} {start} {:?} {} committed {} prepared {} serving {}",
                    replica.part(),
                    replica.reign(),
                    replica.committed(),
                    replica.prepared(),
                    replica.is_serving()
                );
            }
        }
        words
    }
}
