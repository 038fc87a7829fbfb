//! What may happen next, and what comes of it.

use colony_core::colony::Mutant;
use colony_core::group::{Command, Deviation, Entry, Move};
use colony_wire::peer::PeerMessage;
use colony_wire::{Cfg, StartId};

use crate::hashed::Hashed;
use crate::react::Event;
use crate::scope::{Order, STEPS_TO_SILENCE, Scope};
use crate::world::{COLONY, HOSTS, Process, World, crosses};

/// One thing that happens. Hosts are named by their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A client sends its next mutation to a host.
    Write(usize),
    /// A client sends a mutation again.
    Retry(usize, u8),
    /// A message arrives.
    Deliver(Hashed<PeerMessage>),
    /// A message arrives, and will arrive again.
    Double(Hashed<PeerMessage>),
    /// The group commits a proposal.
    Decide(Hashed<Command>),
    /// A host hears an entry of the table, not necessarily the newest, nor the next.
    Hear(usize, Cfg),
    /// A process ends with all it holds.
    Crash(usize),
    /// A host whose process ended starts another, which joins. Should the one before be primary yet, the copy named
    /// becomes it.
    Restart(usize, Option<StartId>),
    /// The group declares a host's start dead, rightly or wrongly. If it is primary, the copy named becomes it.
    DeclareDead(usize, Option<StartId>),
    /// A process hears that its start was declared dead, and joins under another.
    Reborn(usize),
    /// A process hears what becomes of the copy it kept.
    Fate(usize),
    /// Placement wants a copy on one more host.
    Join(usize),
    /// Time passes at a primary: it sends again, and tells what it has committed.
    Tick(usize),
    /// So much time passes at a primary that who owes it an answer is silent.
    Silence(usize),
    /// The end of a split that cut a host off from both others: what is under way between them is lost.
    EndSplit(usize),
}

impl World {
    /// What may happen next. What would change nothing is found out when it is tried.
    pub(crate) fn actions(&self, scope: &Scope, actions: &mut Vec<Action>) {
        if self.broken.is_some() {
            return;
        }
        actions.extend(self.net.arriving().cloned().map(Action::Deliver));
        if self.left.doubles > 0 {
            actions.extend(self.net.arriving().cloned().map(Action::Double));
        }
        actions.extend(self.proposals.iter().cloned().map(Action::Decide));
        for host in 0..HOSTS {
            self.clients(scope, host, actions);
            self.group_actions(scope, host, actions);
            self.faults(scope, host, actions);
        }
        self.splits(actions);
    }

    /// Only one who serves takes a mutation on; all others refuse it, which leaves no trace. Requests differ in
    /// nothing but their numbers, so they are sent in the order of these.
    fn clients(&self, scope: &Scope, host: usize, actions: &mut Vec<Action>) {
        let process = self.hosts[host].process.as_ref();
        if process.and_then(Process::primary).is_none_or(|replica| !replica.is_serving()) {
            return;
        }
        if self.left.writes > 0 {
            actions.push(Action::Write(host));
        }
        if self.left.retries > 0 {
            actions.extend((1..=scope.bounds.writes - self.left.writes).map(|request| Action::Retry(host, request)));
        }
    }

    fn group_actions(&self, scope: &Scope, host: usize, actions: &mut Vec<Action>) {
        let start = self.hosts[host].start(host);
        let state = &self.group;
        let entry = self.entry();
        if self.left.deaths > 0 && state.is_up(start) {
            actions.extend(self.heirs(scope, start).into_iter().map(|heir| Action::DeclareDead(host, heir)));
        }
        let Some(process) = &self.hosts[host].process else { return };
        // Without a copy, an entry that does not concern the host leaves nothing but the memory of its number.
        let is_news = |entry: &&Hashed<Entry>| {
            entry.cfg > process.knows && (process.replica().is_some() || entry.concerns(process.shard.start()))
        };
        actions.extend(self.entries.iter().filter(is_news).map(|entry| Action::Hear(host, entry.cfg)));
        if self.left.joins > 0 && state.is_up(start) && !entry.is_wanted(start) && entry.primary.is_some() {
            actions.push(Action::Join(host));
        }
        if self.left.rebirths > 0 && !state.is_up(start) {
            actions.push(Action::Reborn(host));
        }
        if process.shard.kept().next().is_some() {
            actions.push(Action::Fate(host));
        }
    }

    /// A split from one moment to another is the same as messages that are late from the one on and lost at the
    /// other: while it lasts nothing arrives across it, and nothing that was sent until its end ever does. So only
    /// its end is a step, and one that does not end is none.
    fn splits(&self, actions: &mut Vec<Action>) {
        if self.left.splits > 0 {
            let loses = |host: &usize| self.net.messages().any(|message| crosses(*host, message));
            actions.extend((0..HOSTS).filter(loses).map(Action::EndSplit));
        }
    }

    fn faults(&self, scope: &Scope, host: usize, actions: &mut Vec<Action>) {
        let Some(process) = &self.hosts[host].process else {
            let start = self.hosts[host].start(host);
            return actions.extend(self.heirs(scope, start).into_iter().map(|heir| Action::Restart(host, heir)));
        };
        // With a process that has no business with the colony nothing is lost.
        let has_business = |process: &Process| {
            let start = process.shard.start();
            process.replica().is_some() || process.shard.kept().next().is_some() || self.entry().concerns(start)
        };
        if self.left.crashes > 0 && has_business(process) {
            actions.push(Action::Crash(host));
        }
        if process.primary().is_none() {
            return;
        }
        if self.left.ticks > 0 {
            actions.push(Action::Tick(host));
        }
        // Where messages are lost by a split only, peers are silent because of it: not after its end.
        if self.left.silences > 0 && (scope.order == Order::Any || self.left.splits > 0) {
            actions.push(Action::Silence(host));
        }
    }

    /// The state after an action; none if that changes nothing worth a state.
    ///
    /// A message that arrives and leaves no trace is one: what may happen without the message may all happen with
    /// it under way.
    pub(crate) fn after(&self, scope: &Scope, action: &Action) -> Option<Self> {
        let mut next = self.clone();
        match action {
            Action::Write(host) => {
                let request = scope.bounds.writes - self.left.writes + 1;
                next.left.writes -= 1;
                next.feed(*host, Event::Ask(request));
            }
            Action::Retry(host, request) => {
                next.left.retries -= 1;
                next.feed(*host, Event::Ask(*request));
            }
            Action::Deliver(message) => next.arrive(message, true)?,
            Action::Double(message) => {
                next.left.doubles -= 1;
                next.arrive(message, false)?;
            }
            Action::Decide(command) => {
                next.proposals.retain(|other| other != command);
                next.carry_out(command);
            }
            Action::Hear(host, cfg) => {
                let entry = self.entries.iter().find(|entry| entry.cfg == *cfg)?;
                next.hear(*host, entry);
            }
            Action::Crash(host) => {
                next.left.crashes -= 1;
                next.hosts[*host].process = None;
            }
            Action::Restart(host, heir) => {
                next.hosts[*host].starts += 1;
                next.begin_process(scope, *host);
                next.admit(*host, *heir);
            }
            Action::DeclareDead(host, heir) => {
                next.left.deaths -= 1;
                let start = self.hosts[*host].start(*host);
                next.decide(&Command::Dead { start, deviations: deviations(*heir) });
                if scope.mutant == Some(Mutant::PromoteCatchingUp) {
                    next.promote_who_catches_up();
                }
            }
            Action::Reborn(host) => {
                next.left.rebirths -= 1;
                next.hosts[*host].starts += 1;
                next.feed(*host, Event::Reborn(next.hosts[*host].start(*host)));
                next.admit(*host, None);
            }
            Action::Fate(host) => next.hear_fate(*host)?,
            Action::Join(host) => {
                next.left.joins -= 1;
                next.want(*host);
            }
            Action::Tick(host) => {
                next.left.ticks -= 1;
                next.pass(*host, 1);
            }
            Action::Silence(host) => {
                next.left.silences -= 1;
                next.pass(*host, STEPS_TO_SILENCE);
            }
            Action::EndSplit(host) => {
                next.left.splits -= 1;
                next.net.lose(|message| crosses(*host, message));
            }
        }
        next.hear_what_changes_nothing();
        next.look_at_all();
        next.tidy();
        // With less left to happen and nothing else changed, nothing can happen that cannot happen without it.
        let is_loss = next.left != self.left && Self { left: self.left, ..next.clone() } == *self;
        (!is_loss).then_some(next)
    }

    fn arrive(&mut self, message: &Hashed<PeerMessage>, last: bool) -> Option<()> {
        let host = self.host_of(message.to)?;
        if last {
            self.net.take(message);
        }
        let (shard, net) = (self.hosts[host].process.as_ref()?.shard.clone(), self.net.clone());
        self.feed(host, Event::Peer(message.clone()));
        if self.net.order() == Order::Sent {
            // What comes behind it on its stream may arrive now.
            return Some(());
        }
        let is_same = self.hosts[host].process.as_ref()?.shard == shard && self.net == net;
        (!is_same || self.broken.is_some()).then_some(())
    }

    /// Who may become primary if this start is declared dead: every other in-sync start that is up. If all hosts have
    /// a copy from the beginning, one choice stands for all: the copies differ by their names alone, so what follows
    /// on the choice of one follows, by other names, on the choice of another.
    fn heirs(&self, scope: &Scope, dead: StartId) -> Vec<Option<StartId>> {
        let entry = self.entry();
        if entry.primary != Some(dead) || scope.copies == HOSTS {
            return vec![None];
        }
        let can = |start: &&StartId| **start != dead && self.group.is_up(**start);
        let heirs: Vec<Option<StartId>> = entry.in_sync.iter().filter(can).copied().map(Some).collect();
        if heirs.is_empty() { vec![None] } else { heirs }
    }

    /// A process that has not joined does nothing that shows, so starting and joining are one step. The process
    /// before it is thereby attested to be gone.
    fn admit(&mut self, host: usize, heir: Option<StartId>) {
        self.decide(&Command::Join { member: self.member(host), deviations: deviations(heir), plugins: Vec::new() });
        // What a joining process is told of the table is at least as new as its admission.
        let cfg = self.entry().cfg;
        if let Some(process) = &mut self.hosts[host].process {
            process.knows = process.knows.max(Cfg(cfg.0 - 1));
        }
    }

    fn hear_fate(&mut self, host: usize) -> Option<()> {
        let start = self.hosts[host].start(host);
        let shard = self.hosts[host].process.as_ref()?.shard.clone();
        let (dead, _) = shard.kept().next()?;
        let fate = self.group.fate(COLONY, shard.earlier(), start);
        // It is told what is committed.
        if let Some(command) = self.group.restoration(COLONY, shard.earlier(), start) {
            self.decide(&command);
        }
        self.feed(host, Event::Fate(dead, fate));
        (self.hosts[host].process.as_ref()?.shard != shard).then_some(())
    }

    fn want(&mut self, host: usize) {
        let entry = self.entry();
        let mut want = entry.want.clone();
        // Second choice: should the first one die, placement wants the joined copy to reign, and another heir hands
        // over to it.
        want.insert(1, self.hosts[host].start(host));
        let moves = vec![Move { colony: COLONY, cfg: entry.cfg, want }];
        self.decide(&Command::Plan { moves, reason: "a join".into(), inputs: 0 });
    }

    /// The clock of a host goes on, step by step, with a tick after each.
    fn pass(&mut self, host: usize, steps: u8) {
        for _ in 0..steps {
            if let Some(process) = &mut self.hosts[host].process {
                process.clock += 1;
            }
            self.feed(host, Event::Tick);
        }
    }
}

fn deviations(heir: Option<StartId>) -> Vec<Deviation> {
    heir.map(|heir| Deviation { colony: COLONY, primary: Some(heir) }).into_iter().collect()
}
