//! What goes wrong, and when it ends.

use colony_wire::{ColonyId, StartId};

use crate::clock::{MS, Micros};
use crate::event::{Event, Fault};
use crate::phase::Phase;
use crate::seen::Sight;
use crate::violation::Violation;
use crate::world::World;

impl World {
    /// Sets the first fault of every kind that this seed has.
    pub(crate) fn schedule_faults(&mut self) {
        for fault in [
            Fault::Crash,
            Fault::Massacre,
            Fault::Pause,
            Fault::Split,
            Fault::OneWay,
            Fault::Clog,
            Fault::Groupless,
            Fault::Depose,
            Fault::Accuse,
            Fault::Shuffle,
            Fault::Flap,
        ] {
            self.schedule_next(fault);
        }
    }

    fn schedule_next(&mut self, fault: Fault) {
        if let Some(mean) = self.mean(&fault) {
            let after = self.dice.faults.around(mean);
            self.clock.after(after, Event::Fault(fault));
        }
    }

    fn mean(&self, fault: &Fault) -> Option<Micros> {
        let faults = &self.mix.faults;
        match fault {
            Fault::Crash => faults.crash,
            Fault::Massacre => faults.massacre,
            Fault::Pause => faults.pause,
            Fault::Split => faults.split,
            Fault::OneWay => faults.one_way,
            Fault::Clog => faults.clog,
            Fault::Groupless => faults.groupless,
            Fault::Depose => faults.depose,
            Fault::Accuse => faults.accuse,
            Fault::Shuffle => faults.shuffle,
            Fault::Flap => faults.flap,
            Fault::Restart(_)
            | Fault::Resume(_)
            | Fault::Mend(_)
            | Fault::Bury(_)
            | Fault::DeposeNext(..)
            | Fault::Want(..)
            | Fault::HealAll => None,
        }
    }

    /// A fault begins or ends.
    pub(crate) fn fault(&mut self, fault: Fault) -> Result<(), Violation> {
        match fault {
            Fault::Restart(host) => {
                self.restart(host);
                return Ok(());
            }
            Fault::Resume(host) => return self.resume(host),
            Fault::Mend(links) => {
                links.iter().for_each(|(from, to)| self.net.mend(*from, *to));
                return Ok(());
            }
            Fault::Bury(start) => return self.bury(start),
            Fault::HealAll => return self.heal_all(),
            _ if self.phase != Phase::Faulty => return Ok(()),
            Fault::Want(colony, start) => return self.want_again(colony, start),
            Fault::DeposeNext(colony, more) => {
                self.depose(colony, more);
                return Ok(());
            }
            _ => {}
        }
        self.schedule_next(fault.clone());
        self.trace.words(self.clock.now(), format_args!("fault {fault:?}"));
        let any = self.dice.faults.index(self.hosts.len());
        match fault {
            Fault::Crash => self.crash(any),
            Fault::Massacre => {
                let mut hosts: Vec<usize> = (0..self.hosts.len()).collect();
                self.dice.faults.shuffle(&mut hosts);
                hosts.truncate(1 + self.dice.faults.index(self.hosts.len()));
                hosts.into_iter().for_each(|host| self.crash(host));
            }
            Fault::Pause => self.pause(any),
            Fault::Split => self.split(),
            Fault::OneWay => self.one_way(),
            Fault::Clog => self.clog(),
            Fault::Groupless => {
                self.oracle.seen.note(Sight::Groupless);
                let until = self.clock.now() + self.lasting();
                self.group.leave(until);
            }
            Fault::Depose => {
                let colony = self.dice.faults.pick(&self.colonies());
                let more = self.dice.faults.pick(&[0, 1, 2, 3]);
                self.depose(colony, more);
            }
            Fault::Accuse => self.accuse(any)?,
            Fault::Shuffle => self.shuffle_one()?,
            Fault::Flap => self.flap()?,
            _ => {}
        }
        Ok(())
    }

    fn lasting(&mut self) -> Micros {
        50 * MS + self.dice.faults.around(self.mix.faults.lasting)
    }

    /// Kills a host's process, unless it is spared.
    fn crash(&mut self, host: usize) {
        if self.hosts[host].process.is_none() || (self.mix.faults.merciful && self.is_last_holder(host)) {
            return;
        }
        self.oracle.seen.note(Sight::Crash);
        self.trace.words(self.clock.now(), format_args!("h{host} is killed"));
        self.hosts[host].process = None;
        self.hosts[host].stopped = None;
        let down = self.lasting();
        self.clock.after(down, Event::Fault(Fault::Restart(host)));
    }

    /// Whether a colony has no in-sync start that runs elsewhere.
    fn is_last_holder(&self, host: usize) -> bool {
        let runs_elsewhere = |start: &StartId| {
            let home = self.homes.get(start).copied().filter(|home| *home != host);
            let process = home.and_then(|home| self.hosts[home].process.as_ref());
            process.is_some_and(|process| process.start() == *start)
        };
        self.group.state.table.values().any(|entry| !entry.in_sync.iter().any(runs_elsewhere))
    }

    pub(crate) fn restart(&mut self, host: usize) {
        if self.hosts[host].process.is_none() {
            self.begin_process(host);
        }
    }

    fn pause(&mut self, host: usize) {
        if !self.hosts[host].runs() {
            return;
        }
        self.oracle.seen.note(Sight::Pause);
        self.trace.words(self.clock.now(), format_args!("h{host} is stopped"));
        self.hosts[host].stopped = Some(std::collections::VecDeque::new());
        let span = self.lasting();
        self.clock.after(span, Event::Fault(Fault::Resume(host)));
    }

    /// What waited for a stopped process reaches it all at once.
    pub(crate) fn resume(&mut self, host: usize) -> Result<(), Violation> {
        let Some(waiting) = self.hosts[host].stopped.take() else { return Ok(()) };
        self.trace.words(self.clock.now(), format_args!("h{host} goes on"));
        for what in waiting {
            if let Some(number) = self.hosts[host].process.as_ref().map(|process| process.number) {
                self.take(host, number, what)?;
            }
        }
        Ok(())
    }

    fn split(&mut self) {
        self.oracle.seen.note(Sight::Split);
        let count = self.hosts.len();
        let mut hosts: Vec<usize> = (0..count).collect();
        self.dice.faults.shuffle(&mut hosts);
        // Isolating one is the commonest cause of failures in the field (Alquraan and others, OSDI 2018).
        let size = if self.dice.faults.chance(500) { 1 } else { 1 + self.dice.faults.index(count - 1) };
        let (one, other) = hosts.split_at(size);
        let both_ways = self.dice.faults.chance(700);
        let mut links = Vec::new();
        for (from, to) in one.iter().flat_map(|from| other.iter().map(|to| (*from, *to))) {
            links.push((from, to));
            if both_ways {
                links.push((to, from));
            }
        }
        self.cut(links);
    }

    fn one_way(&mut self) {
        self.oracle.seen.note(Sight::OneWay);
        let from = self.dice.faults.index(self.hosts.len());
        let to = (from + 1 + self.dice.faults.index(self.hosts.len() - 1)) % self.hosts.len();
        self.cut(vec![(from, to)]);
    }

    fn cut(&mut self, links: Vec<(usize, usize)>) {
        self.trace.words(self.clock.now(), format_args!("cut {links:?}"));
        links.iter().for_each(|(from, to)| self.net.cut(*from, *to));
        let span = self.lasting();
        self.clock.after(span, Event::Fault(Fault::Mend(links)));
    }

    /// Swizzle-clogging, as FoundationDB calls it: links stop one by one and go on in another order.
    fn clog(&mut self) {
        self.oracle.seen.note(Sight::Clog);
        let now = self.clock.now();
        for from in 0..self.hosts.len() {
            for to in 0..self.hosts.len() {
                if from != to && self.dice.faults.chance(400) {
                    let until = now + self.lasting();
                    self.net.hold(from, to, until);
                }
            }
        }
    }

    fn accuse(&mut self, host: usize) -> Result<(), Violation> {
        let start = self.hosts[host].process.as_ref().map(|process| process.start());
        start.map_or(Ok(()), |start| self.bury(start))
    }

    fn bury(&mut self, start: StartId) -> Result<(), Violation> {
        if !self.group.decides(self.clock.now()) || !self.group.state.is_up(start) {
            return Ok(());
        }
        self.oracle.seen.note(Sight::Accusation);
        self.declare_dead(start)
    }

    /// A primary's ops stop reaching one peer, and before it can propose to go on without that peer it is
    /// declared dead: the peers differ in what they have prepared. With `more`, its heir meets the same before
    /// it has brought them together, so that three logs differ (KIP-279's fast double failover).
    fn depose(&mut self, colony: ColonyId, more: u32) {
        let Some(entry) = self.group.state.table.get(&colony) else { return };
        let others: Vec<StartId> =
            entry.in_sync.iter().copied().filter(|start| Some(*start) != entry.primary).collect();
        let Some(primary) = entry.primary else { return };
        if let Some(heir) = others.first().copied() {
            let lagging = if self.dice.faults.chance(500) { heir } else { self.dice.faults.pick(&others) };
            let (Some(from), Some(to)) = (self.homes.get(&primary), self.homes.get(&lagging)) else { return };
            self.cut(vec![(*from, *to)]);
        }
        let after = self.dice.faults.between(20, 250) * MS;
        self.clock.after(after, Event::Fault(Fault::Bury(primary)));
        if let Some(more) = more.checked_sub(1) {
            let next = after + self.dice.faults.between(1, 50) * MS;
            self.clock.after(next, Event::Fault(Fault::DeposeNext(colony, more)));
        }
    }
}
