//! The part of a host around its shards: it feeds what happens, and carries out what they want done.

use bytes::Bytes;
use colony_core::colony::{Caller, Input, Output, Shard};
use colony_wire::client::{ReplyBody, Request};
use colony_wire::control::Fate;
use colony_wire::peer::{PeerBody, PeerMessage};
use colony_wire::{ColonyId, Frame, Message, Revision, StartId};

use crate::clock::{MS, Micros, SECOND};
use crate::event::{Event, What};
use crate::panics;
use crate::plugin;
use crate::seen::Sight;
use crate::violation::{Rule, Violation, demand};
use crate::world::World;

/// What a slow host needs for one thing that happens to it: a hundred times what a good one does.
const SLOW_WORK: Micros = 2 * MS;
/// What comes to a slow host that is further behind finds its queues full.
const SLOW_QUEUE: Micros = 2 * SECOND;

impl World {
    /// Something comes to a host: a slow one gets to it later.
    pub(crate) fn reach(&mut self, host: usize, process: Option<u64>, what: What) -> Result<(), Violation> {
        let now = self.clock.now();
        let Some(slow) = &mut self.hosts[host].slow else { return self.reach_at_last(host, process, what) };
        if now >= slow.until.max(slow.free_at) {
            self.hosts[host].slow = None;
            return self.reach_at_last(host, process, what);
        }
        let begins = slow.free_at.max(now);
        if begins > now + SLOW_QUEUE && matches!(what, What::Peer(_) | What::Call { .. }) {
            return Ok(());
        }
        slow.free_at = begins + self.dice.shell.around(SLOW_WORK);
        let after = slow.free_at - now;
        self.clock.after(after, Event::Late { host, process, what });
        Ok(())
    }

    /// Something happens to a host, if the process it is meant for still runs.
    pub(crate) fn reach_at_last(&mut self, host: usize, process: Option<u64>, what: What) -> Result<(), Violation> {
        let Some(running) = self.hosts[host].process.as_ref().map(|process| process.number) else {
            return Ok(());
        };
        if process.is_some_and(|meant| meant != running) {
            return Ok(());
        }
        if let Some(waiting) = &mut self.hosts[host].stopped {
            waiting.push_back(what);
            return Ok(());
        }
        self.take(host, running, what)
    }

    /// A running process takes in what happened.
    pub(crate) fn take(&mut self, host: usize, running: u64, what: What) -> Result<(), Violation> {
        match what {
            What::Tick => {
                for shard in 0..usize::from(self.hosts[host].shards) {
                    self.handle(host, shard, Input::Tick, None, None)?;
                }
                let tick = u64::try_from(self.mix.settings.tick.as_micros()).unwrap_or(SECOND);
                self.clock.after(tick, Event::Host { host, process: Some(running), what: What::Tick });
                Ok(())
            }
            What::Peer(frame) => {
                let message: PeerMessage = decode(frame.clone())?;
                let colony = message.colony;
                self.handle_of(host, colony, Input::Peer(message), Some(&frame))
            }
            What::Call { from, frame } => {
                let request: Request = decode(frame.clone())?;
                let colony = request.colony;
                self.handle_of(host, colony, Input::Request { from, request }, Some(&frame))?;
                // If not now, then with a later call, or at the next tick.
                if self.mix.settings.gather && self.dice.calls.chance(700) {
                    let shard = usize::from(colony.shard(self.hosts[host].shards));
                    return self.handle(host, shard, Input::Flush, None, None);
                }
                Ok(())
            }
            What::Feed(revision) => self.take_feed(host, running, revision),
            What::Merged { shard, ticket, answer } => {
                self.handle(host, shard, Input::Merged { ticket, answer }, None, None)
            }
            What::GroupRead { shard, colony, nonce, entry } => {
                self.handle(host, shard, Input::GroupRead { colony, nonce, entry }, Some(colony), None)
            }
            What::Died(start) => self.be_reborn(host, start),
            What::Fate { colony, dead, now, fate } => self.take_fate(host, colony, dead, now, fate),
        }
    }

    fn take_feed(&mut self, host: usize, running: u64, revision: Revision) -> Result<(), Violation> {
        if !self.group_hears(host) {
            let later = self.dice.group.between(50, 250) * MS;
            let what = What::Feed(revision);
            self.clock.after(later, Event::Host { host, process: Some(running), what });
            return Ok(());
        }
        let Some(process) = &mut self.hosts[host].process else { return Ok(()) };
        let have = process.have;
        process.have = have.max(revision);
        for (colony, entry) in self.group.changed(have, revision) {
            let space = self.space.clone();
            self.handle_of(host, colony, Input::Table { colony, entry, space }, None)?;
        }
        Ok(())
    }

    fn be_reborn(&mut self, host: usize, dead: StartId) -> Result<(), Violation> {
        if self.hosts[host].process.as_ref().is_none_or(|process| process.start() != dead) {
            return Ok(());
        }
        self.oracle.seen.note(Sight::Reborn);
        let start = self.new_start(host);
        if let Some(process) = &mut self.hosts[host].process {
            process.starts.push(start);
        }
        for shard in 0..usize::from(self.hosts[host].shards) {
            self.handle(host, shard, Input::Reborn { start }, None, None)?;
        }
        Ok(())
    }

    /// A fate that was told to an earlier start of the process is of no use any more.
    fn take_fate(
        &mut self,
        host: usize,
        colony: ColonyId,
        dead: StartId,
        now: StartId,
        fate: Fate,
    ) -> Result<(), Violation> {
        if self.hosts[host].process.as_ref().is_none_or(|process| process.start() != now) {
            return Ok(());
        }
        self.handle_of(host, colony, Input::Fate { colony, dead, fate }, None)
    }

    fn handle_of(
        &mut self,
        host: usize,
        colony: ColonyId,
        input: Input,
        frame: Option<&Bytes>,
    ) -> Result<(), Violation> {
        let shard = usize::from(colony.shard(self.hosts[host].shards));
        self.handle(host, shard, input, Some(colony), frame)
    }

    /// One shard takes one input; the oracle looks at what it holds then, and at everything it wants done.
    /// `touched` is the one colony that the input is about, if there is one.
    fn handle(
        &mut self,
        host: usize,
        shard: usize,
        input: Input,
        touched: Option<ColonyId>,
        frame: Option<&Bytes>,
    ) -> Result<(), Violation> {
        let at = self.clock.now();
        let now = self.hosts[host].shows(at);
        self.note_input(host, shard, &input, frame);
        let Some(process) = &mut self.hosts[host].process else { return Ok(()) };
        let kept_before = kept(&process.shards[shard]);
        let told = match &input {
            Input::Fate { colony, dead, fate: Fate::Discard } => Some((*dead, *colony)),
            // The entry that holds this process in sync gives its copy back.
            Input::Table { colony, entry, .. } if entry.is_in_sync(process.shards[shard].start()) => {
                kept_before.iter().copied().find(|(_, kept)| kept == colony)
            }
            _ => None,
        };
        let mut out = Vec::new();
        panics::caught(|| process.shards[shard].handle(now, input, &mut out))
            .map_err(|words| Violation::of(Rule::NoPanic, format!("host {host}.{shard}: {words}")))?;
        let kept_now = kept(&process.shards[shard]);
        let dropped = kept_before.into_iter().find(|copy| !kept_now.contains(copy) && Some(*copy) != told);
        demand(dropped.is_none(), Rule::Kept, || format!("host {host}.{shard} dropped {dropped:?}"))?;
        let number = self.hosts[host].process.as_ref().map(|process| process.number);
        self.oracle.observe(&self.group.state, &self.hosts, host, shard, touched)?;
        self.spring(host, touched);
        for output in out {
            self.carry_out(host, shard, output)?;
            // What a process that was killed meanwhile still wanted to do is not done.
            if self.hosts[host].process.as_ref().map(|process| process.number) != number {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Messages are noted by the bytes that arrived, everything else by its words.
    fn note_input(&mut self, host: usize, shard: usize, input: &Input, frame: Option<&Bytes>) {
        let at = self.clock.now();
        let words = || format!("h{host}.{shard} <- {}", input_words(input));
        match (frame, input) {
            (Some(frame), _) => self.trace.note(at, frame, words),
            (None, Input::Tick) => {}
            (None, _) => self.trace.note(at, words().as_bytes(), words),
        }
    }

    fn carry_out(&mut self, host: usize, shard: usize, output: Output) -> Result<(), Violation> {
        let at = self.clock.now();
        match output {
            Output::Send { to, lane, message } => {
                self.oracle.sent(&self.hosts[host], &message)?;
                let frame = encode(&message, 0)?;
                self.trace.note(at, &frame, || format!("h{host}.{shard} -> {to} {lane:?} {message:?}"));
                self.send(host, to, &frame);
            }
            Output::Reply { to, reply } => {
                let frame = encode(&reply, to.0)?;
                self.trace.note(at, &frame, || format!("h{host}.{shard} => {to:?} {reply:?}"));
                self.judge_reply(host, to, &reply)?;
                if matches!(reply.body, ReplyBody::Done(_)) && self.is_cut_short(host) {
                    return Ok(());
                }
                self.send_answer(host, to, frame);
            }
            Output::Propose(command) => {
                self.trace.note(at, &command.encode(), || format!("h{host}.{shard} proposes {command:?}"));
                self.oracle.proposed(&self.hosts[host], &command)?;
                self.propose(host, command);
            }
            Output::Merge { ticket, by, conflict, .. } => {
                self.trace.words(at, format_args!("h{host}.{shard} merge {ticket:?} by {by:?} {conflict:?}"));
                self.oracle.seen.note(Sight::Merge);
                let dice = &mut self.dice.plugin;
                let answer = if dice.chance(self.mix.merges.fails) {
                    Err("the plugin trapped".to_owned())
                } else if dice.chance(self.mix.merges.nonsense) {
                    Ok(plugin::nonsense(&conflict))
                } else {
                    plugin::merge(&conflict)
                };
                let span = dice.around(self.mix.merges.delay);
                let what = What::Merged { shard, ticket, answer };
                let process = self.hosts[host].process.as_ref().map(|process| process.number);
                self.clock.after(span, Event::Host { host, process, what });
            }
            Output::FetchTable { colony, reign } => {
                self.trace.words(at, format_args!("h{host}.{shard} fetches {colony} for {reign}"));
                self.oracle.seen.note(Sight::FetchTable);
                self.feed(host);
            }
            Output::ReadGroup { colony, nonce } => {
                self.trace.words(at, format_args!("h{host}.{shard} reads the entry of {colony} for {nonce}"));
                self.oracle.seen.note(Sight::GroupRead);
                self.read_group(host, shard, colony, nonce);
            }
            Output::TooLarge { colony, to, bytes, limit } => {
                let what = format!("h{host}.{shard} cannot copy {colony} to {to}: {bytes} of {limit}");
                return Err(Violation::of(Rule::Progress, what));
            }
            Output::Heal(_)
            | Output::ProposeStaying(_)
            | Output::Joined { .. }
            | Output::TakenIn { .. }
            | Output::Doubled { .. } => {
                let what = format!("h{host}.{shard} has to do with another side, and there is none");
                return Err(Violation::of(Rule::Progress, what));
            }
            Output::ExpiryHeld { colony, held } => {
                self.trace.words(at, format_args!("h{host}.{shard} holds {held} sessions of {colony}"));
            }
            Output::Decided { colony, unread } => {
                self.trace.words(at, format_args!("h{host}.{shard} decides a conflict of {colony}, unread {unread:?}"));
            }
            Output::FellBack { ticket, why, .. } => {
                self.trace.words(at, format_args!("h{host}.{shard} fell back {ticket:?} {why}"));
                self.oracle.seen.note(Sight::MergeFailed);
            }
        }
        Ok(())
    }

    /// A linearizable read of the table: answered only while the group decides.
    fn read_group(&mut self, host: usize, shard: usize, colony: ColonyId, nonce: u64) {
        if !self.group_hears(host) || !self.group.decides(self.clock.now()) {
            return;
        }
        let entry = self.group.state.table.get(&colony).cloned();
        let span = self.dice.group.around(self.mix.group.commit);
        let what = What::GroupRead { shard, colony, nonce, entry };
        let process = self.hosts[host].process.as_ref().map(|process| process.number);
        self.clock.after(span, Event::Host { host, process, what });
    }

    /// Messages go to a host; which process of it takes them is its own business.
    fn send(&mut self, from: usize, to: StartId, frame: &Bytes) {
        let Some(host) = self.homes.get(&to).copied() else { return };
        if host == from {
            return;
        }
        for span in self.net.send(self.clock.now(), from, host).into_iter().flatten() {
            let what = What::Peer(frame.clone());
            self.clock.after(span, Event::Host { host, process: None, what });
        }
    }

    fn send_answer(&mut self, host: usize, to: Caller, frame: Bytes) {
        let Some(asked) = self.asked(to) else { return };
        let node = self.hosts.len() + asked.client;
        for span in self.edge.send(self.clock.now(), host, node).into_iter().flatten() {
            self.clock.after(span, Event::Answer { caller: to, frame: frame.clone() });
        }
    }
}

/// The copies a shard keeps, each with the start it was held under.
fn kept(shard: &Shard) -> Vec<(StartId, ColonyId)> {
    shard.kept().map(|(dead, replica)| (dead, replica.colony())).collect()
}

fn input_words(input: &Input) -> String {
    match input {
        Input::Table { colony, entry, .. } => format!("table {colony} {entry:?}"),
        other => format!("{other:?}"),
    }
}

fn encode(message: &impl Message, call: u64) -> Result<Bytes, Violation> {
    message.to_frame(call).map_err(|error| Violation::of(Rule::WireAgrees, error.to_string()))
}

/// What a frame holds: both ends are ours, so it must decode.
pub(crate) fn decode<M: Message>(frame: Bytes) -> Result<M, Violation> {
    let message = Frame::parse(frame).and_then(|frame| frame.decode());
    message.map_err(|error| Violation::of(Rule::WireAgrees, error.to_string()))
}

/// What a peer message says of itself when it is counted.
pub(crate) fn sight_of(body: &PeerBody) -> Option<Sight> {
    match body {
        PeerBody::Mismatch { .. } => Some(Sight::Mismatch),
        PeerBody::Deposed { .. } => Some(Sight::Deposed),
        PeerBody::ChunkRefused { .. } => Some(Sight::ChunkRefused),
        PeerBody::Confirm { .. } => Some(Sight::Confirm),
        PeerBody::Append(_)
        | PeerBody::Appended { .. }
        | PeerBody::Confirmed { .. }
        | PeerBody::Offer(_)
        | PeerBody::Wanted { .. }
        | PeerBody::Chunk(_)
        | PeerBody::ChunkTaken { .. } => None,
    }
}
