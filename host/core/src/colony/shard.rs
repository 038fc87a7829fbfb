//! All peers of one shard, and the copies kept by a process that was declared dead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use colony_wire::admin::OnPartition;
use colony_wire::client::{Refusal, Reply, ReplyBody, Request};
use colony_wire::control::Fate;
use colony_wire::peer::PeerMessage;
use colony_wire::{Cfg, ColonyId, LineageId, StartId};

use super::clock::{SessionClock, SessionTime};
use super::io::{Caller, Input, Output, Space, Staying};
use super::replica::{Loan, Replica};
use super::settings::Settings;
use super::sides::Sides;
use super::slots::Slots;
use super::transfer::Throttle;
use crate::group::{Command, Entry, MAX_DROPPED};
use crate::merge::Ticket;
use crate::{Now, Time};

/// What a peer is lent, borrowed field by field so that the peers stay free.
macro_rules! loan {
    ($shard:expr, $now:expr, $out:expr) => {
        Loan {
            now: $now,
            shard_time: $shard.clock.shows(),
            serial: &mut $shard.serial,
            throttle: &mut $shard.throttle,
            handovers: &mut $shard.handovers,
            intakes: &mut $shard.intakes,
            out: $out,
        }
    };
}

/// One shard of a host: its peers and what it knows of the table. See the module's documentation for how
/// to drive it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    lineage: LineageId,
    start: StartId,
    settings: Arc<Settings>,
    table: BTreeMap<ColonyId, (Entry, Arc<Space>)>,
    replicas: BTreeMap<ColonyId, Replica>,
    /// Copies held under a start that was declared dead, until the group has said what becomes of them. No
    /// other peer of such a colony is begun here meanwhile: it might take the place of the last good copy.
    kept: BTreeMap<ColonyId, Kept>,
    /// Peers that time alone may give something to do.
    restless: BTreeSet<ColonyId>,
    /// Colonies that gathered changes. No more of them than replicas.
    gathered: BTreeSet<ColonyId>,
    /// Where the round of slow work goes on.
    swept: Option<ColonyId>,
    /// Ticks until the table is looked through again.
    ticks_to_look: usize,
    /// What its sessions live by.
    clock: SessionClock,
    /// When the last tick came.
    ticked: Option<Time>,
    /// The starts this process had and lost while it kept a copy, oldest first.
    earlier: Vec<StartId>,
    tickets: BTreeMap<Ticket, ColonyId>,
    serial: u64,
    /// The bound of what all peers send in snapshots.
    throttle: Throttle,
    /// How this shard has to do with other sides of a split.
    pub(super) sides: Sides,
    /// The bound of what stands still at a time.
    handovers: Slots,
    /// The bound of what is taken in at a time.
    intakes: Slots,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kept {
    dead: StartId,
    replica: Replica,
}

/// In how many ticks the slow work visits every peer once.
const SWEEP_TICKS: usize = 50;

impl Shard {
    /// A shard without peers. `start` is the process's; what it is to hold, the table says.
    #[must_use]
    pub fn new(lineage: LineageId, start: StartId, settings: Settings) -> Self {
        Self {
            lineage,
            start,
            settings: Arc::new(settings),
            table: BTreeMap::new(),
            replicas: BTreeMap::new(),
            kept: BTreeMap::new(),
            restless: BTreeSet::new(),
            gathered: BTreeSet::new(),
            swept: None,
            ticks_to_look: SWEEP_TICKS,
            clock: SessionClock::default(),
            ticked: None,
            earlier: Vec::new(),
            tickets: BTreeMap::new(),
            serial: 0,
            throttle: Throttle::default(),
            sides: Sides::default(),
            handovers: Slots::default(),
            intakes: Slots::default(),
        }
    }

    /// The start it acts under.
    #[must_use]
    pub fn start(&self) -> StartId {
        self.start
    }

    /// What the clock shows that its sessions live by.
    pub(super) fn session_time(&self) -> SessionTime {
        self.clock.shows()
    }

    /// What it goes by.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The line of group state that it is of.
    pub(super) fn lineage(&self) -> LineageId {
        self.lineage
    }

    /// Every colony that its table knows.
    pub(super) fn colonies(&self) -> impl Iterator<Item = ColonyId> {
        self.table.keys().copied()
    }

    /// The colonies that have copies here by its table, each with the lineage of its positions.
    pub(super) fn served_here(&self) -> impl Iterator<Item = (ColonyId, LineageId)> {
        let served = self.table.iter().filter(|(_, (entry, _))| !entry.in_sync.is_empty());
        served.map(|(colony, (entry, _))| (*colony, entry.lineage))
    }

    /// Whether a colony goes on on both sides of a split.
    pub(super) fn may_fork(&self, colony: ColonyId) -> bool {
        self.table.get(&colony).is_some_and(|(_, space)| space.policy.on_partition == OnPartition::Island)
    }

    /// The copy goes, and nothing here concerns it any more.
    pub(super) fn hand_out(&mut self, colony: ColonyId) -> Option<Replica> {
        self.restless.remove(&colony);
        self.throttle.release(colony, |_| false);
        self.replicas.remove(&colony)
    }

    /// The lost start of this process under which the table still has it in sync, if it does not have the present one so.
    pub(super) fn held_before(&self, colony: ColonyId) -> Option<StartId> {
        let (entry, _) = self.table.get(&colony)?;
        let held = self.earlier.iter().copied().find(|start| entry.is_in_sync(*start));
        held.filter(|_| !entry.is_in_sync(self.start))
    }

    /// The copy that is kept of a colony until the group has said what becomes of it.
    pub(super) fn kept_of(&self, colony: ColonyId) -> Option<&Replica> {
        self.kept.get(&colony).map(|kept| &kept.replica)
    }

    /// A kept copy hears how its colony stands on the side that stays.
    pub(super) fn tell_kept(
        &mut self,
        now: Now,
        colony: ColonyId,
        staying: Option<Arc<Staying>>,
        out: &mut Vec<Output>,
    ) {
        if let Some(kept) = self.kept.get_mut(&colony) {
            kept.replica.staying(staying, &mut loan!(self, now, out));
        }
    }

    /// A kept copy goes to another side, or nowhere: what the group says of it counts no more.
    pub(super) fn hand_out_kept(
        &mut self,
        now: Now,
        colony: ColonyId,
        out: &mut Vec<Output>,
        depart: impl FnOnce(&mut Replica, &mut Loan<'_>),
    ) -> Option<Replica> {
        let Kept { mut replica, .. } = self.kept.remove(&colony)?;
        depart(&mut replica, &mut loan!(self, now, out));
        Some(replica)
    }

    /// A copy is kept as that of a lost start, until the group has said what becomes of it.
    pub(super) fn keep(&mut self, dead: StartId, replica: Replica) {
        self.kept.insert(replica.colony(), Kept { dead, replica });
    }

    /// A copy comes that was begun elsewhere.
    pub(super) fn put_in(&mut self, replica: Replica) {
        self.replicas.insert(replica.colony(), replica);
    }

    /// Its peers, by colony.
    pub fn replicas(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.values()
    }

    /// Its peer of a colony.
    #[must_use]
    pub fn replica(&self, colony: ColonyId) -> Option<&Replica> {
        self.replicas.get(&colony)
    }

    /// Copies kept under a start that was declared dead: ask the group for the [`Fate`] of each, again and
    /// again while it is [`Fate::Wait`].
    pub fn kept(&self) -> impl Iterator<Item = (StartId, &Replica)> {
        self.kept.values().map(|kept| (kept.dead, &kept.replica))
    }

    /// The starts this process had and lost since it keeps copies, oldest first: a restoration may have
    /// been committed for any of them.
    #[must_use]
    pub fn earlier(&self) -> &[StartId] {
        &self.earlier
    }

    /// Something happened; what is to be done is put behind what `out` holds.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        let begin = out.len();
        self.clock.follow(now.mono);
        // Who wakes up to hear that it is dead says nothing more under that start.
        if !matches!(input, Input::Reborn { .. }) {
            self.forgive_after_sleep(now, out);
        }
        match input {
            Input::Table { colony, entry, space } => self.hear(now, colony, entry, space, out),
            Input::Request { from, request } => self.request(now, from, request, out),
            Input::Flush => {
                for colony in std::mem::take(&mut self.gathered) {
                    self.with(now, colony, out, Replica::flush);
                }
            }
            Input::Peer(message) => self.peer(now, message, out),
            Input::Merged { ticket, answer } => {
                if let Some(colony) = self.tickets.remove(&ticket) {
                    if self.settings.gather && self.replicas.contains_key(&colony) {
                        self.gathered.insert(colony);
                    }
                    self.with(now, colony, out, |replica, loan| replica.merged(ticket, answer, loan));
                }
            }
            Input::GroupRead { colony, nonce, entry } => {
                self.with(now, colony, out, |replica, loan| replica.group_read(nonce, entry.as_ref(), loan));
            }
            Input::Reborn { start } => self.reborn(now, start, out),
            Input::Fate { colony, dead, fate } => self.fate(now, colony, dead, fate, out),
            Input::Staying { colony, staying } => self.staying(now, colony, staying, out),
            Input::Heal(message) => self.heal(now, message, out),
            Input::TakenIn { colony } => self.taken_in(now, colony, out),
            Input::Back => self.back(now, out),
            Input::Fence { until } => self.fence(now, until, out),
            Input::Tick => self.tick(now, out),
        }
        self.note_tickets(out.get(begin..).unwrap_or_default());
    }

    /// A shard that was not ticked in time slept: whatever comes first now, nobody else is to blame for what
    /// was not heard meanwhile.
    fn forgive_after_sleep(&mut self, now: Now, out: &mut Vec<Output>) {
        let slept = self.ticked.map(|last| now.mono.since(last)).unwrap_or_default();
        if slept <= self.settings.replica_timeout / 2 {
            return;
        }
        self.ticked = Some(now.mono);
        // A long sleep concerns every reign, a short one only who waits for something.
        let is_long = slept > self.settings.doubt_after;
        let concerned: Vec<ColonyId> =
            if is_long { self.replicas.keys().copied().collect() } else { self.restless.iter().copied().collect() };
        for colony in concerned {
            self.with(now, colony, out, |replica, loan| replica.forgive(slept, loan));
        }
    }

    /// Lends what is needed to one peer, then sees whether it must be ticked.
    pub(super) fn with(
        &mut self,
        now: Now,
        colony: ColonyId,
        out: &mut Vec<Output>,
        work: impl FnOnce(&mut Replica, &mut Loan<'_>),
    ) {
        let Some(replica) = self.replicas.get_mut(&colony) else { return };
        let mut loan = loan!(self, now, out);
        work(replica, &mut loan);
        if replica.is_restless(&mut loan) {
            self.restless.insert(colony);
        } else {
            self.restless.remove(&colony);
        }
        self.throttle.release(colony, |start| replica.sends_state_to(start));
        if !replica.is_handing_over() {
            self.handovers.release(colony);
        }
        if !replica.is_taking_in() {
            self.intakes.release(colony);
        }
    }

    fn hear(&mut self, now: Now, colony: ColonyId, entry: Entry, space: Arc<Space>, out: &mut Vec<Output>) {
        if self.table.get(&colony).is_some_and(|(known, _)| entry.cfg <= known.cfg) {
            return;
        }
        self.table.insert(colony, (entry, space));
        if !self.is_fenced(now, colony) {
            self.follow_table(now, colony, out);
        }
    }

    /// Brings the peer of a colony, if there is or should be one, to what the table says.
    pub(super) fn follow_table(&mut self, now: Now, colony: ColonyId, out: &mut Vec<Output>) {
        let Some((entry, space)) = self.table.get(&colony).cloned() else { return };
        if mutant!(self.settings, TakeKeptCopy)
            && let Some(Kept { mut replica, .. }) = self.kept.remove(&colony)
        {
            replica.rebind(self.start, &mut loan!(self, now, out));
            self.replicas.insert(colony, replica);
        }
        if self.kept.contains_key(&colony) && !self.take_back(now, colony, &entry, out) {
            return;
        }
        if self.replicas.get(&colony).is_some_and(|replica| entry.cfg < replica.newest()) {
            // The primary has named a newer entry already: this one may say of a copy that it is not
            // wanted which that one wants again.
            return;
        }
        self.leave_another_path(now, colony, &entry, out);
        if self.kept.contains_key(&colony) {
            return;
        }
        let is_dropped = !entry.is_wanted(self.start) && mutant!(self.settings, DropBeforeRemoval);
        if !entry.concerns(self.start) || is_dropped {
            // If all others died, this process was declared dead before them and does not know it yet: what it
            // holds may be the best there will ever be.
            let is_lost = entry.in_sync.iter().all(|start| entry.dead.contains(start));
            self.leave(now, colony, is_lost && entry.is_unaccounted(self.start), out);
        } else if self.replicas.contains_key(&colony) {
            self.with(now, colony, out, |replica, loan| replica.table(entry, space, loan));
        } else if (self.sides.has_left(colony) || self.sides.is_over(colony))
            && !mutant!(self.settings, BeginBesideDeparted)
        {
            // This process holds it on another side, and what that did is not here yet. An empty copy must not pass for it;
            // and as long as it is not accounted for, nothing is forgotten that it must be told.
        } else if ((entry.is_in_sync(self.start) && self.sides.is_missed(colony))
            || self.sides.may_have_spoken(colony, entry.cfg))
            && !mutant!(self.settings, BeginBesideDeparted)
        {
            // The copy that is in sync by this entry went over to another side and is not back. It is on its way, or the
            // entry is older than that: either way another one is heard, and what is begun empty holds nothing of it. One
            // that was catching up is not waited for, but none may pass for it: the group is told that it is gone.
        } else {
            self.sides.is_begun(colony);
            let is_apart = self.sides.is_apart();
            let mut loan = loan!(self, now, out);
            let settings = Arc::clone(&self.settings);
            let replica = Replica::new(self.start, colony, self.lineage, is_apart, settings, space, entry, &mut loan);
            self.replicas.insert(colony, replica);
            self.with(now, colony, out, |_, _| {});
        }
    }

    /// A kept copy is the colony's again once the table holds this process in sync: no other copy is begun here
    /// while it is kept, so it is the one that is meant, by a restoration or by an operator.
    fn take_back(&mut self, now: Now, colony: ColonyId, entry: &Entry, out: &mut Vec<Output>) -> bool {
        if !entry.is_in_sync(self.start) {
            return false;
        }
        let Some(Kept { mut replica, .. }) = self.kept.remove(&colony) else { return false };
        replica.rebind(self.start, &mut loan!(self, now, out));
        self.replicas.insert(colony, replica);
        true
    }

    /// An operator let the colony go on from another copy: what this one holds is not the colony's path any
    /// more. If it may be ahead of that copy it is kept, for it may hold what was acknowledged.
    fn leave_another_path(&mut self, now: Now, colony: ColonyId, entry: &Entry, out: &mut Vec<Output>) {
        let is_of_another = |replica: &Replica| replica.entry().lineage != entry.lineage;
        // Who is in sync holds the path: it was chosen itself, and may hear of that only after it lost the office.
        if entry.is_in_sync(self.start) || !self.replicas.get(&colony).is_some_and(is_of_another) {
            return;
        }
        self.leave(now, colony, entry.is_unaccounted(self.start), out);
    }

    /// The colony has no peer here any more. Its copy is kept if it may be needed yet.
    fn leave(&mut self, now: Now, colony: ColonyId, is_kept: bool, out: &mut Vec<Output>) {
        self.restless.remove(&colony);
        self.throttle.release(colony, |_| false);
        self.handovers.release(colony);
        self.intakes.release(colony);
        let Some(mut replica) = self.replicas.remove(&colony) else { return };
        replica.step_down(&mut loan!(self, now, out));
        if is_kept {
            self.kept.insert(colony, Kept { dead: self.start, replica });
        }
    }

    /// Tells the group which copies are gone that it cannot account for, or that it wants again (`PROTOCOL.md` 8).
    fn account_for_dropped_copies(&self, out: &mut Vec<Output>) {
        let mut dropped: BTreeMap<StartId, Vec<(ColonyId, Cfg)>> = BTreeMap::new();
        for (colony, (entry, _)) in &self.table {
            let is_to_begin = !entry.is_in_sync(self.start) && entry.is_wanted(self.start);
            let is_awaited = is_to_begin && self.sides.may_have_spoken(*colony, entry.cfg);
            let awaited = (is_awaited && !entry.is_unaccounted(self.start)).then_some(self.start);
            for start in entry.unaccounted.iter().map(|one| one.start).chain(awaited) {
                let holds_it = start == self.start && self.replicas.contains_key(colony);
                let was_here = start == self.start || self.earlier.contains(&start);
                let keeps_it = self.kept.contains_key(colony) || self.sides.has_left(*colony);
                if was_here && !holds_it && !keeps_it {
                    dropped.entry(start).or_default().push((*colony, entry.cfg));
                }
            }
        }
        for (start, colonies) in dropped {
            for colonies in colonies.chunks(MAX_DROPPED) {
                out.push(Output::Propose(Command::Dropped { start, colonies: colonies.to_vec() }));
            }
        }
    }

    fn request(&mut self, now: Now, from: Caller, request: Request, out: &mut Vec<Output>) {
        let colony = request.colony;
        if self.is_fenced(now, colony) {
            let body = ReplyBody::Refused(Refusal::NotReady);
            return out.push(Output::Reply { to: from, reply: Reply { served_by: self.start, seen: None, body } });
        }
        if self.replicas.contains_key(&colony) {
            if self.settings.gather && request.body.stamp().is_some() {
                self.gathered.insert(colony);
            }
            return self.with(now, colony, out, |replica, loan| replica.request(from, request, loan));
        }
        let refusal = match self.table.get(&colony) {
            None => Refusal::NoColony,
            Some((entry, _)) if entry.primary.is_none() => Refusal::Offline,
            Some((entry, _)) => Refusal::NotPrimary { reign: entry.reign },
        };
        let reply = Reply { served_by: self.start, seen: None, body: ReplyBody::Refused(refusal) };
        out.push(Output::Reply { to: from, reply });
    }

    fn peer(&mut self, now: Now, message: PeerMessage, out: &mut Vec<Output>) {
        // A message for an earlier process at this address, or for the start this one has lost.
        if message.to != self.start || message.lineage != self.lineage {
            return;
        }
        let colony = message.colony;
        if self.is_fenced(now, colony) {
            return;
        }
        if self.replicas.contains_key(&colony) {
            self.with(now, colony, out, |replica, loan| replica.peer(message, loan));
        } else if !self.kept.contains_key(&colony) {
            let reign = self.table.get(&colony).map(|(entry, _)| entry.reign).unwrap_or_default();
            out.push(Output::FetchTable { colony, reign });
        }
    }

    /// The group declared this process dead: nothing is served, nothing is dropped (`PROTOCOL.md` 7).
    fn reborn(&mut self, now: Now, start: StartId, out: &mut Vec<Output>) {
        if mutant!(self.settings, KeepDeadStart) {
            return;
        }
        let dead = std::mem::replace(&mut self.start, start);
        if mutant!(self.settings, GoOnWhenDead) {
            return;
        }
        for (colony, mut replica) in std::mem::take(&mut self.replicas) {
            replica.step_down(&mut loan!(self, now, out));
            self.kept.insert(colony, Kept { dead, replica });
        }
        self.throttle = Throttle::default();
        self.handovers = Slots::default();
        self.intakes = Slots::default();
        self.restless.clear();
        self.earlier.push(dead);
        // What no copy and no entry hangs on is forgotten.
        let (kept, table, sides) = (&self.kept, &self.table, &self.sides);
        self.earlier.retain(|start| {
            let is_named = |entry: &Entry| entry.concerns(*start) || entry.is_unaccounted(*start);
            !kept.is_empty() || sides.have_left() || table.values().any(|(entry, _)| is_named(entry))
        });
    }

    fn fate(&mut self, now: Now, colony: ColonyId, dead: StartId, fate: Fate, out: &mut Vec<Output>) {
        let waits = fate == Fate::Wait && !mutant!(self.settings, DiscardOnWait);
        if self.kept.get(&colony).is_none_or(|kept| kept.dead != dead) || waits {
            return;
        }
        // A copy is given back by the entry that says so, for the answer may overtake it: by the entry known here
        // this process may have no business with the colony.
        if fate != Fate::Restore {
            self.kept.remove(&colony);
        }
        self.follow_table(now, colony, out);
    }

    fn tick(&mut self, now: Now, out: &mut Vec<Output>) {
        self.ticked = Some(now.mono);
        self.lift_fence_in_time(now, out);
        for colony in self.restless.clone() {
            if !self.is_fenced(now, colony) {
                self.with(now, colony, out, |replica, loan| replica.tick(loan));
            }
        }
        self.ticks_to_look -= 1;
        if self.ticks_to_look == 0 {
            self.ticks_to_look = SWEEP_TICKS;
            self.account_for_dropped_copies(out);
        }
        for _ in 0..self.replicas.len().div_ceil(SWEEP_TICKS) {
            let next = match self.swept {
                Some(last) => self.replicas.range((std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded)).next(),
                None => None,
            };
            let next = next.or_else(|| self.replicas.first_key_value()).map(|(colony, _)| *colony);
            let Some(colony) = next else { return };
            self.swept = Some(colony);
            if self.is_fenced(now, colony) {
                continue;
            }
            self.with(now, colony, out, |replica, loan| replica.sweep(loan));
        }
    }

    fn note_tickets(&mut self, outputs: &[Output]) {
        for output in outputs {
            if let Output::Merge { ticket, colony, .. } = output {
                self.tickets.insert(*ticket, *colony);
            }
        }
    }
}
