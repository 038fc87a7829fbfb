//! Hosts are drained, leave, and come back (`PROTOCOL.md` 7).

use colony_core::colony::Mutant;
use colony_core::group::{Command, Outcome};
use colony_wire::{ColonyId, StartId};

use crate::clock::SECOND;
use crate::coverage::Strike;
use crate::event::{Event, Fault};
use crate::seen::Sight;
use crate::violation::Violation;
use crate::world::World;

impl World {
    /// A host is to leave, or two; one stays. Some are taken back while they drain.
    pub(crate) fn drain(&mut self, host: usize) -> Result<(), Violation> {
        let other = (host + 1 + self.dice.faults.index(self.hosts.len() - 1)) % self.hosts.len();
        let hosts = if self.dice.faults.chance(300) { vec![host, other] } else { vec![host] };
        let (lasts, is_taken_back) = (self.dice.faults.between(1, 8) * SECOND, self.dice.faults.chance(300));
        let state = &self.group.state;
        let started = hosts.iter().filter_map(|host| Some(self.hosts[*host].process.as_ref()?.start()));
        let starts: Vec<StartId> = started.filter(|start| state.is_staying(*start)).collect();
        if !self.group.decides(self.clock.now()) || starts.is_empty() || state.staying().count() <= starts.len() {
            return Ok(());
        }
        self.met_on(Strike::Drain, host);
        self.trace.words(self.clock.now(), format_args!("{starts:?} are to leave"));
        if is_taken_back {
            self.clock.after(lasts, Event::Fault(Fault::Stay(starts.clone())));
        }
        self.commit(&Command::Drain { starts }).map(|_| ())
    }

    /// Whoever drains still stays after all.
    pub(crate) fn take_drain_back(&mut self, mut starts: Vec<StartId>) -> Result<(), Violation> {
        starts.retain(|start| self.group.state.is_draining(*start));
        if starts.is_empty() || !self.group.decides(self.clock.now()) {
            return Ok(());
        }
        self.oracle.seen.note(Sight::Stayed);
        self.commit(&Command::CancelDrain { starts }).map(|_| ())
    }

    /// Drained processes that hold nothing any more leave. They hear of it a moment later, end, and come back.
    pub(crate) fn let_go(&mut self) -> Result<(), Violation> {
        for host in 0..self.hosts.len() {
            let Some(process) = &self.hosts[host].process else { continue };
            let (start, number) = (process.start(), process.number);
            let keeps_copies = process.shards.iter().any(|shard| shard.kept().next().is_some());
            if keeps_copies || !self.group_hears(host) || !self.group.state.is_draining(start) {
                continue;
            }
            let is_careless = self.mix.settings.mutant == Some(Mutant::LeaveHolding);
            if !is_careless && !self.group.state.holdings(start).is_empty() {
                continue;
            }
            if self.commit(&Command::Leave { start })? == Outcome::Applied {
                self.oracle.seen.note(Sight::Left);
                let after = self.dice.group.around(self.mix.group.feed);
                self.clock.after(after, Event::Fault(Fault::End { host, process: number }));
            }
        }
        Ok(())
    }

    /// A process that has left ends, and later another begins.
    pub(crate) fn end_process(&mut self, host: usize, process: u64) {
        if self.hosts[host].process.as_ref().is_none_or(|running| running.number != process) {
            return;
        }
        self.trace.words(self.clock.now(), format_args!("h{host} has left"));
        self.hosts[host].process = None;
        self.hosts[host].stopped = None;
        self.hosts[host].slow = None;
        let away = self.lasting();
        self.clock.after(away, Event::Fault(Fault::Restart(host)));
    }

    /// A host that drains and could be rid of what it holds.
    pub(crate) fn drains_still(&self) -> Option<String> {
        let state = &self.group.state;
        let drained = state.up().filter(|member| state.is_draining(member.start));
        // A copy that is kept of a colony without any that runs may be the best there will ever be (`PROTOCOL.md` 7): an
        // operator may choose it, and until then who keeps it stays.
        let is_lost = |colony: ColonyId| {
            state.table.get(&colony).is_some_and(|entry| !entry.in_sync.iter().any(|start| state.is_up(*start)))
        };
        let keeps_the_last = |start: StartId| {
            let process = self.hosts.iter().filter_map(|host| host.process.as_ref()).find(|it| it.start() == start);
            let mut shards = process.into_iter().flat_map(|process| &process.shards);
            shards.any(|shard| shard.kept().any(|(_, replica)| is_lost(replica.colony())))
        };
        let is_rid = |start: StartId| state.holdings(start).iter().all(|held| !held.is_stuck) && !keeps_the_last(start);
        let mut unfinished = drained.filter(|member| is_rid(member.start));
        unfinished.next().map(|member| format!("{} drains still: {:?}", member.name, state.holdings(member.start)))
    }
}
