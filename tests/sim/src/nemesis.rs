//! What goes wrong, and when it ends.

use std::collections::VecDeque;

use colony_wire::{ColonyId, StartId};

use crate::clock::{MS, Micros, SECOND};
use crate::coverage::{Step, Strike};
use crate::event::{Aim, Event, Fault};
use crate::host::Slow;
use crate::phase::Phase;
use crate::seen::Sight;
use crate::violation::Violation;
use crate::world::World;

impl World {
    /// Sets the first fault of every kind that this seed has.
    pub(crate) fn schedule_faults(&mut self) {
        for strike in Strike::ALL {
            self.schedule_next(*strike);
        }
        if let Some(quiet) = &self.mix.quiet {
            self.clock.after(quiet.from, Event::Fault(Fault::LeaveAlone));
        }
    }

    fn schedule_next(&mut self, strike: Strike) {
        if let Some(mean) = self.mix.faults.means.get(&strike) {
            let after = self.dice.faults.around(*mean);
            self.clock.after(after, Event::Fault(Fault::Due(strike)));
        }
    }

    /// A fault begins or ends.
    pub(crate) fn fault(&mut self, fault: Fault) -> Result<(), Violation> {
        match fault {
            Fault::Restart(host) => self.restart(host),
            Fault::End { host, process } => self.end_process(host, process),
            Fault::Resume(host) => return self.resume(host),
            Fault::Mend(links) => links.iter().for_each(|(from, to)| self.net.mend(*from, *to)),
            Fault::HealAll => return self.heal_all(),
            // False word of a death is a fault too: what is under way of it ends with the others.
            _ if self.phase != Phase::Faulty => {}
            Fault::Bury(start) => return self.bury(start),
            Fault::Stay(starts) => return self.take_drain_back(starts),
            Fault::Want(colony, start) => return self.want_again(colony, start),
            Fault::DeposeNext(colony, more) => self.depose(colony, more),
            Fault::LeaveAlone => self.leave_alone(),
            Fault::Due(strike) => {
                self.schedule_next(strike);
                if self.dice.faults.chance(self.mix.faults.aimed) {
                    let rare = self.dice.faults.chance(500);
                    let step = self.dice.faults.pick(if rare { Step::RARE } else { Step::ALL });
                    self.lie_in_wait(strike, step);
                } else {
                    return self.strike(strike, None);
                }
            }
            Fault::Aimed(strike, aim) => return self.strike(strike, Some(aim)),
        }
        Ok(())
    }

    /// A fault strikes: in the middle of what it was waiting for, or at random.
    fn strike(&mut self, strike: Strike, aim: Option<Aim>) -> Result<(), Violation> {
        self.trace.words(self.clock.now(), format_args!("fault {strike:?} {aim:?}"));
        let host = self.victim(aim);
        let colony = aim.map_or_else(|| self.dice.faults.pick(&self.colonies()), |aim| aim.colony);
        match strike {
            Strike::Crash => self.crash(strike, host),
            Strike::Massacre => {
                let mut hosts: Vec<usize> = (0..self.hosts.len()).collect();
                self.dice.faults.shuffle(&mut hosts);
                hosts.truncate(1 + self.dice.faults.index(self.hosts.len()));
                if aim.is_some() && !hosts.contains(&host) {
                    hosts.push(host);
                }
                hosts.into_iter().for_each(|host| self.crash(strike, host));
            }
            Strike::CutShort => self.doom = Some(None),
            Strike::Pause => self.pause(host),
            Strike::Slow => self.slow_down(host),
            Strike::Rate => self.change_rate(host),
            Strike::Step => self.set_wall(host),
            Strike::Jump => self.jump(host),
            Strike::Split => self.split(aim.map(|_| host)),
            Strike::OneWay => self.one_way(host),
            Strike::Clog => self.clog(),
            Strike::Groupless => {
                self.met_anywhere(strike);
                let until = self.clock.now() + self.lasting();
                self.group.leave(until);
            }
            Strike::Depose => {
                self.met_in(strike, colony);
                let more = self.dice.faults.pick(&[0, 1, 2, 3]);
                self.depose(colony, more);
            }
            Strike::Accuse => self.accuse(host)?,
            Strike::Shuffle => self.shuffle_one(colony)?,
            Strike::Flap => self.flap(colony)?,
            Strike::Drain => self.drain(host)?,
        }
        Ok(())
    }

    /// Whom a fault strikes: mostly the host where its step was seen, else another that holds the colony.
    fn victim(&mut self, aim: Option<Aim>) -> usize {
        let any = self.dice.faults.index(self.hosts.len());
        let Some(aim) = aim else { return any };
        if self.dice.faults.chance(600) {
            return aim.host;
        }
        let holds = |host: &usize| self.hosts[*host].copies(aim.colony).next().is_some();
        let holders: Vec<usize> = (0..self.hosts.len()).filter(holds).collect();
        if holders.is_empty() { any } else { self.dice.faults.pick(&holders) }
    }

    /// The group goes away, and is away for minutes.
    fn leave_alone(&mut self) {
        if let Some(quiet) = &self.mix.quiet {
            self.trace.words(self.clock.now(), format_args!("the group is gone for {} us", quiet.span));
            self.group.leave(self.clock.now() + quiet.span);
        }
    }

    pub(crate) fn lasting(&mut self) -> Micros {
        50 * MS + self.dice.faults.around(self.mix.faults.lasting)
    }

    /// Kills a host's process, unless it is spared.
    pub(crate) fn crash(&mut self, strike: Strike, host: usize) {
        if self.hosts[host].process.is_none() || self.is_spared(host) {
            return;
        }
        self.met_on(strike, host);
        self.kills += u64::from(strike == Strike::CutShort);
        self.trace.words(self.clock.now(), format_args!("h{host} is killed"));
        let dead = self.hosts[host].process.take();
        if let Some(process) = dead.filter(|_| self.mix.faults.noticed) {
            self.clock.after(0, Event::Fault(Fault::Bury(process.start())));
        }
        self.hosts[host].stopped = None;
        self.hosts[host].slow = None;
        let down = self.lasting();
        self.clock.after(down, Event::Fault(Fault::Restart(host)));
    }

    /// Whether a host is not killed.
    pub(crate) fn is_spared(&self, host: usize) -> bool {
        let is_unheard = self.mix.faults.careful && !self.group.decides(self.clock.now());
        is_unheard || (self.mix.faults.merciful && self.is_last_holder(host))
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
        self.met_on(Strike::Pause, host);
        self.trace.words(self.clock.now(), format_args!("h{host} is stopped"));
        self.hosts[host].stopped = Some(VecDeque::new());
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

    /// The host does everything a hundred times as slowly.
    fn slow_down(&mut self, host: usize) {
        if !self.hosts[host].runs() {
            return;
        }
        self.met_on(Strike::Slow, host);
        let now = self.clock.now();
        let until = now + self.lasting();
        self.trace.words(now, format_args!("h{host} is slow until {until}"));
        self.hosts[host].slow = Some(Slow { until, free_at: now });
    }

    fn change_rate(&mut self, host: usize) {
        self.met_on(Strike::Rate, host);
        let dice = &mut self.dice.faults;
        let rate = if dice.chance(500) { dice.pick(&[500, 1000, 2000]) } else { dice.between(500, 2000) };
        let now = self.clock.now();
        self.hosts[host].clock.set_rate(now, rate);
        let highest = self.hosts.iter().map(|host| host.clock.rate()).max();
        self.fastest.set_rate(now, highest.unwrap_or(1000));
        self.trace.words(now, format_args!("h{host} runs at {rate}"));
    }

    fn set_wall(&mut self, host: usize) {
        const HOUR_MS: i64 = 3_600_000;
        self.met_on(Strike::Step, host);
        let dice = &mut self.dice.faults;
        let by = dice.pick(&[HOUR_MS, HOUR_MS, 60_000, 5_000, 500]);
        let by = if dice.chance(500) { by } else { -by };
        self.hosts[host].clock.set_wall(by);
        self.trace.words(self.clock.now(), format_args!("h{host} sets its wall clock by {by} ms"));
    }

    fn jump(&mut self, host: usize) {
        self.met_on(Strike::Jump, host);
        let span = self.dice.faults.pick(&[100 * MS, 400 * MS, 2 * SECOND, 10 * SECOND]);
        self.hosts[host].clock.jump(span);
        self.fastest.jump(span);
        self.trace.words(self.clock.now(), format_args!("h{host} jumps by {span}"));
    }

    fn split(&mut self, alone: Option<usize>) {
        self.met_anywhere(Strike::Split);
        let count = self.hosts.len();
        let mut hosts: Vec<usize> = (0..count).collect();
        self.dice.faults.shuffle(&mut hosts);
        // Isolating one is the commonest cause of failures in the field (Alquraan and others, OSDI 2018).
        let size = if self.dice.faults.chance(500) { 1 } else { 1 + self.dice.faults.index(count - 1) };
        if let Some(at) = alone.and_then(|alone| hosts.iter().position(|host| *host == alone)) {
            hosts.swap(0, at);
        }
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

    fn one_way(&mut self, from: usize) {
        self.met_on(Strike::OneWay, from);
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
        self.met_anywhere(Strike::Clog);
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
        let Some(start) = self.hosts[host].process.as_ref().map(|process| process.start()) else { return Ok(()) };
        if self.group.decides(self.clock.now()) && self.group.state.is_up(start) {
            self.met_on(Strike::Accuse, host);
        }
        self.bury(start)
    }

    fn bury(&mut self, start: StartId) -> Result<(), Violation> {
        if !self.group.decides(self.clock.now()) || !self.group.state.is_up(start) {
            return Ok(());
        }
        let runs = |process: &crate::host::Process| process.start() == start;
        if self.hosts.iter().filter_map(|host| host.process.as_ref()).any(runs) {
            self.oracle.seen.note(Sight::Accusation);
        }
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
