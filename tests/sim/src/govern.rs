//! What the group's leader does besides deciding: it judges who is dead, admits who came back, gives colonies
//! without a primary one, plans copies where there are too few, and tells kept copies their fate
//! (`PROTOCOL.md` 5, 7).

use std::collections::BTreeMap;

use colony_core::group::{Command, Deviation, Move};
use colony_core::placement::{Even, Planner};
use colony_wire::control::Fate;
use colony_wire::{ColonyId, StartId};

use crate::clock::{MS, Micros, SECOND};
use crate::coverage::Strike;
use crate::event::{Event, Fault, What};
use crate::seen::Sight;
use crate::violation::Violation;
use crate::world::{GOVERN_EVERY, World};

/// How often a process asks what becomes of its kept copies.
const ASK_EVERY: Micros = SECOND;

impl World {
    /// One look around.
    pub(crate) fn govern(&mut self) -> Result<(), Violation> {
        self.clock.after(GOVERN_EVERY, Event::Govern);
        let now = self.clock.now();
        let runs: Vec<bool> = self.hosts.iter().map(|host| host.runs()).collect();
        let net = &self.net;
        self.group.elect(now, &runs, |one, other| net.joins(one, other));
        if self.group.decides(now) {
            self.judge_the_silent(now)?;
            for host in 0..self.hosts.len() {
                if self.group_hears(host) {
                    self.admit_or_tell(host);
                    self.tell_fates(host, now)?;
                }
            }
            self.promote()?;
            if self.dice.group.chance(500) {
                self.fill_up()?;
            }
            self.let_go()?;
        }
        self.oracle.look_at_all(&self.group.state, &self.hosts)?;
        self.stay_steady()?;
        self.after_the_heal()
    }

    fn judge_the_silent(&mut self, now: Micros) -> Result<(), Violation> {
        for host in 0..self.hosts.len() {
            if self.group_hears(host)
                && let Some(process) = &self.hosts[host].process
            {
                self.group.note_reached(process.start(), now);
            }
        }
        for start in self.group.silent(now, self.mix.group.suspect_after) {
            self.declare_dead(start)?;
        }
        Ok(())
    }

    /// One entry of the group for all colonies of a dead start.
    pub(crate) fn declare_dead(&mut self, start: StartId) -> Result<(), Violation> {
        let mut deviations = Vec::new();
        for (colony, entry) in &self.group.state.table {
            if entry.primary == Some(start) && self.dice.group.chance(self.mix.group.deviate) {
                let others: Vec<StartId> = entry.in_sync.iter().copied().filter(|other| *other != start).collect();
                let primary =
                    (!others.is_empty() && self.dice.group.chance(700)).then(|| self.dice.group.pick(&others));
                deviations.push(Deviation { colony: *colony, primary });
            }
        }
        self.commit(&Command::Dead { start, deviations }).map(|_| ())
    }

    /// A process that is no member asks to join; one that was declared dead is told so.
    fn admit_or_tell(&mut self, host: usize) {
        let Some(process) = &self.hosts[host].process else { return };
        let (start, number) = (process.start(), process.number);
        // A process that was replaced by a namesake is forgotten, and dead all the same.
        let is_buried = self.group.state.buried.contains(&start);
        if self.group.state.has_left(start) {
            return;
        }
        let is_new = !self.group.state.members.contains_key(&start) && !is_buried;
        if is_new {
            // Some join at once, some ask for long.
            if self.dice.group.chance(500) {
                let member = self.member(host, start);
                self.propose(host, Command::Join { member, deviations: Vec::new(), plugins: Vec::new() });
            }
        } else if !self.group.state.is_up(start) && self.dice.group.chance(500) {
            let after = self.dice.group.around(self.mix.group.tell);
            let what = What::Died(start);
            self.clock.after(after, Event::Host { host, process: Some(number), what });
        }
    }

    /// Answers what becomes of the copies that a process kept of an earlier start.
    fn tell_fates(&mut self, host: usize, now: Micros) -> Result<(), Violation> {
        let Some(process) = &mut self.hosts[host].process else { return Ok(()) };
        let (start, number) = (process.start(), process.number);
        if process.asks_at > now || !self.group.state.is_up(start) {
            return Ok(());
        }
        process.asks_at = now + ASK_EVERY;
        let mut kept = Vec::new();
        for shard in &process.shards {
            let earlier = shard.earlier().to_vec();
            kept.extend(shard.kept().map(|(dead, replica)| (replica.colony(), dead, earlier.clone())));
        }
        for (colony, dead, earlier) in kept {
            let fate = self.fate(colony, &earlier, start)?;
            if self.dice.group.chance(self.mix.group.loss) {
                continue;
            }
            let after = self.dice.group.around(self.mix.group.feed);
            let what = What::Fate { colony, dead, now: start, fate };
            self.clock.after(after, Event::Host { host, process: Some(number), what });
        }
        Ok(())
    }

    /// What becomes of a copy; a restoration is committed before it is told.
    fn fate(&mut self, colony: ColonyId, earlier: &[StartId], now: StartId) -> Result<Fate, Violation> {
        let fate = self.group.state.fate(colony, earlier, now);
        if let Some(command) = self.group.state.restoration(colony, earlier, now) {
            self.commit(&command)?;
        }
        match fate {
            Fate::Discard => self.oracle.seen.note(Sight::Discard),
            Fate::Wait => self.oracle.seen.note(Sight::Wait),
            Fate::Restore => {}
        }
        Ok(fate)
    }

    /// A colony without a primary gets one of its in-sync starts, if one is up.
    fn promote(&mut self) -> Result<(), Violation> {
        if self.mix.group.planner {
            let promotions = Planner::new(&self.group.state, &Even).promotions();
            return promotions.iter().try_for_each(|command| self.commit(command).map(|_| ()));
        }
        for colony in self.colonies() {
            let Some(entry) = self.group.state.table.get(&colony) else { continue };
            let heir = entry.in_sync.iter().copied().find(|start| self.group.state.is_up(*start));
            if entry.primary.is_none()
                && let Some(to) = heir
            {
                self.commit(&Command::Promote { colony, cfg: entry.cfg, to })?;
            }
        }
        Ok(())
    }

    /// Wants what the planner plans, or a further copy, on the host that carries least, of every colony that has
    /// too few.
    fn fill_up(&mut self) -> Result<(), Violation> {
        if self.mix.group.planner {
            let plan = Planner::new(&self.group.state, &Even).rebalance("what has changed");
            return plan.map_or(Ok(()), |plan| self.commit(&plan.command).map(|_| ()));
        }
        let state = &self.group.state;
        let up: Vec<StartId> = state.staying().map(|member| member.start).collect();
        let mut loads: BTreeMap<StartId, usize> = up.iter().map(|start| (*start, 0)).collect();
        for start in state.table.values().flat_map(|entry| &entry.want) {
            *loads.entry(*start).or_default() += 1;
        }
        let copies = usize::from(self.mix.policy.copies).min(up.len());
        let mut moves = Vec::new();
        for (colony, entry) in &state.table {
            let mut want = entry.want.clone();
            while want.len() < copies {
                let free = up.iter().filter(|start| !want.contains(start));
                let Some(start) = free.min_by_key(|start| loads.get(start)) else { break };
                *loads.entry(*start).or_default() += 1;
                want.push(*start);
            }
            if want != entry.want && entry.primary.is_some() {
                moves.push(Move { colony: *colony, cfg: entry.cfg, want });
            }
        }
        if moves.is_empty() {
            return Ok(());
        }
        self.commit(&Command::Plan { moves, reason: "too few copies".into(), inputs: 0 }).map(|_| ())
    }

    fn want(&mut self, colony: ColonyId, want: Vec<StartId>) -> Result<(), Violation> {
        let Some(entry) = self.group.state.table.get(&colony) else { return Ok(()) };
        let moves = vec![Move { colony, cfg: entry.cfg, want }];
        self.commit(&Command::Plan { moves, reason: "elsewhere".into(), inputs: 0 }).map(|_| ())
    }

    /// Does not want one secondary for a moment: its process drops the copy and begins another, perhaps before
    /// the primary has heard of it.
    pub(crate) fn flap(&mut self, colony: ColonyId) -> Result<(), Violation> {
        let Some(mut want) = self.group.state.table.get(&colony).map(|entry| entry.want.clone()) else {
            return Ok(());
        };
        if want.len() < 2 || !self.group.decides(self.clock.now()) {
            return Ok(());
        }
        self.met_in(Strike::Flap, colony);
        let start = want.remove(1 + self.dice.faults.index(want.len() - 1));
        let after = self.dice.faults.between(50, 800) * MS;
        self.clock.after(after, Event::Fault(Fault::Want(colony, start)));
        self.want(colony, want)
    }

    /// Wants a copy again.
    pub(crate) fn want_again(&mut self, colony: ColonyId, start: StartId) -> Result<(), Violation> {
        let Some(entry) = self.group.state.table.get(&colony) else { return Ok(()) };
        if entry.is_wanted(start) || !self.group.decides(self.clock.now()) {
            return Ok(());
        }
        let mut want = entry.want.clone();
        want.truncate(usize::from(self.mix.policy.copies) - 1);
        want.push(start);
        self.want(colony, want)
    }

    /// Wants one colony's copies on other hosts, or its primary on another copy.
    pub(crate) fn shuffle_one(&mut self, colony: ColonyId) -> Result<(), Violation> {
        if !self.group.decides(self.clock.now()) {
            return Ok(());
        }
        let state = &self.group.state;
        let Some(entry) = state.table.get(&colony).filter(|entry| entry.primary.is_some()) else {
            return Ok(());
        };
        let mut hosts: Vec<StartId> = if self.dice.faults.chance(400) {
            entry.want.clone()
        } else {
            state.staying().map(|member| member.start).collect()
        };
        self.dice.faults.shuffle(&mut hosts);
        hosts.truncate(usize::from(self.mix.policy.copies));
        self.met_in(Strike::Shuffle, colony);
        self.want(colony, hosts)
    }
}
