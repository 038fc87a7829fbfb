//! Serving a colony for one reign (`PROTOCOL.md` 3, 4, 5.3, 6).
//!
//! ```text
//!   requests.rs    clients: once-only, reads, changes, merges      evaluate.rs  one mutation, judged
//!   ends.rs        sessions whose time is over, old tombstones     brake.rs     not too many at once
//!   tagged.rs      clients: sessions by what they carry            watch.rs     what happened to a session
//!   replicate.rs   peers: what each has, what it is sent next      progress.rs  one peer
//!   pace.rs        peers: how quickly each acknowledges
//!   catch_up.rs    a peer that needs the state and not the log
//!   membership.rs  the in-sync set and the hand-over: what is proposed to the group
//!   confirm.rs     reads that are linearizable, and a primary that doubts its own reign
//!   absorbing.rs   what another side of a split did is taken in    giving.rs    this side is taken in by another
//!   survey.rs      what it is in the middle of
//! ```
//!
//! A reign begins with a barrier op. Until that is committed nothing is served: its commit shows that every
//! in-sync peer follows this reign, and settles what earlier reigns left in the log.

mod absorbing;
mod brake;
mod catch_up;
mod confirm;
mod ends;
mod evaluate;
mod giving;
mod membership;
mod overridden;
mod pace;
mod progress;
mod replicate;
mod requests;
mod survey;
mod tagged;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colony_wire::client::{Ack, Attempt, Refusal, Reply, ReplyBody};
use colony_wire::op::{Absorption, Change, Op, Stamp};
use colony_wire::peer::{PeerBody, PeerMessage};
use colony_wire::session::{EndKind, Key};
use colony_wire::{ColonyId, LineageId, Position, Reign, RequestId, Seq, StartId};

use self::absorbing::Absorbing;
use self::brake::Brake;
use self::confirm::Confirms;
use self::giving::Giving;
use self::membership::{Handover, Proposed};
use self::progress::Progress;
pub(super) use self::replicate::Held;
use self::requests::{Deferred, Parked};
use self::watch::Watchers;
use super::clock::{Moment, SessionTime};
use super::holding::Holding;
use super::io::{Caller, Lane, Output, Space, Staying};
use super::session::Session;
use super::settings::Settings;
use super::slots::Slots;
use super::store;
use super::transfer::Throttle;
use crate::group::Entry;
use crate::merge::Ticket;
use crate::{Now, Time};

/// What a primary works on, lent for the length of one input.
pub(super) struct Desk<'a> {
    pub(super) me: StartId,
    pub(super) colony: ColonyId,
    /// The group's.
    pub(super) lineage: LineageId,
    pub(super) entry: &'a Entry,
    /// Whether the colony goes on apart, on one side of a split.
    pub(super) is_apart: bool,
    /// The side that stays, if this one yields and reaches it.
    pub(super) staying: Option<&'a Staying>,
    pub(super) holding: &'a mut Holding,
    pub(super) settings: &'a Settings,
    pub(super) space: &'a Space,
    /// Source of numbers for transfers and tickets, never used twice by this process.
    pub(super) serial: &'a mut u64,
    pub(super) throttle: &'a mut Throttle,
    pub(super) handovers: &'a mut Slots,
    pub(super) intakes: &'a mut Slots,
    pub(super) now: Now,
    /// What sessions live by: their deadlines, and nothing else.
    pub(super) session_time: SessionTime,
    pub(super) out: &'a mut Vec<Output>,
}

/// One reign of one colony.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Primary {
    reign: Reign,
    /// Place of this reign's first op.
    barrier: Seq,
    peers: BTreeMap<StartId, Progress>,
    proposed: Option<Proposed>,
    handover: Option<Handover>,
    /// No hand-over is tried before this.
    handover_from: Time,
    /// Sessions as the newest prepared op leaves them, where that is not committed yet.
    tips: BTreeMap<Key, Tip>,
    /// Clients' ops that are not committed yet.
    waiting: BTreeMap<Seq, Waiter>,
    in_flight: BTreeMap<RequestId, Seq>,
    /// Answers that were judged by an op that is not committed yet: said when it is, for it may never be.
    deferred: BTreeMap<Seq, Vec<Deferred>>,
    parked: BTreeMap<Ticket, Parked>,
    /// Which sessions wait for a merge.
    parked_keys: BTreeMap<Key, Ticket>,
    /// Up to here this reign has logged that tombstones go.
    forgotten: Seq,
    brake: Brake,
    confirms: Confirms,
    watchers: Watchers,
    /// What another side brings.
    absorbing: Option<Absorbing>,
    /// Up to here this reign has logged what other sides brought.
    absorbed: Seq,
    /// How this side is being taken in by another.
    giving: Option<Giving>,
    /// That is not tried before this.
    give_from: Time,
    /// Up to here clients were told on the primary's word alone.
    vouched: Seq,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Tip {
    session: Option<Session>,
    last: Seq,
    /// Lives that ended on the way, each with its kind: no tombstone says so yet.
    ended: Vec<(Position, EndKind)>,
}

/// Who asked for a change, and what must be done before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Asker {
    caller: Caller,
    stamp: Stamp,
    ack: Ack,
    attempt: Option<Attempt>,
}

/// Who is told when an op is committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiter {
    request: RequestId,
    /// None for an op that an earlier reign left: its client asks again.
    caller: Option<Caller>,
}

impl Desk<'_> {
    pub(super) fn send(&mut self, to: StartId, lane: Lane, body: PeerBody) {
        let message = PeerMessage { colony: self.colony, lineage: self.lineage, from: self.me, to, body };
        self.out.push(Output::Send { to, lane, message });
    }

    pub(super) fn reply(&mut self, to: Caller, body: ReplyBody) {
        let seen = self.holding.store.position();
        self.out.push(Output::Reply { to, reply: Reply { served_by: self.me, seen, body } });
    }

    fn next_serial(&mut self) -> u64 {
        *self.serial += 1;
        *self.serial
    }
}

/// How long to wait before something is said again that was said so often: the second time comes as soon as the first.
fn backed_off(least: Duration, said: u32, doublings: u32) -> Duration {
    least * 2_u32.pow(said.saturating_sub(1).min(doublings))
}

impl Primary {
    /// Takes office: keeps everything prepared, for any of it may have been acknowledged, and puts the
    /// barrier behind it (`PROTOCOL.md` 5.3).
    pub(super) fn begin(desk: &mut Desk<'_>) -> Self {
        if mutant!(desk.settings, DropInheritedSuffix) {
            let committed = desk.holding.committed();
            desk.holding.log.truncate_after(committed);
        }
        let mut primary = Self {
            reign: desk.entry.reign,
            barrier: desk.holding.prepared().next(),
            peers: BTreeMap::new(),
            proposed: None,
            handover: None,
            handover_from: desk.now.mono,
            tips: BTreeMap::new(),
            waiting: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            deferred: BTreeMap::new(),
            parked: BTreeMap::new(),
            parked_keys: BTreeMap::new(),
            forgotten: Seq(0),
            brake: Brake::new(desk.session_time, ends::allowance(desk)),
            confirms: Confirms::default(),
            watchers: Watchers::default(),
            absorbing: None,
            absorbed: Seq(0),
            giving: None,
            give_from: desk.now.mono,
            vouched: Seq(0),
        };
        primary.inherit(desk);
        if !mutant!(desk.settings, PromoteWithoutPad) {
            desk.holding.store.pad_deadlines(desk.settings.promotion_pad);
        }
        desk.holding.store.records.restart(desk.now.mono);
        let opening = primary.opening(desk);
        primary.append(desk, opening, None);
        primary.meet_peers(desk);
        primary.settle(desk);
        primary
    }

    /// The first op of the reign. It pins where a side begins to go on apart, lets go of what was pinned where the sides
    /// have met again, and unites the path with those that were taken in.
    fn opening(&self, desk: &Desk<'_>) -> Change {
        let store = &desk.holding.store;
        let is_united =
            |end: &Position| desk.entry.absorbed_of(end.lineage).is_some_and(|absorbed| absorbed.end == *end);
        let unites: Vec<Position> = store.absorbing.paths.keys().copied().filter(is_united).collect();
        let is_here = |op: &Op| op.position.lineage == desk.entry.lineage;
        let went_on_here = store.history.entries().iter().any(|(lineage, ..)| *lineage == desk.entry.lineage)
            || desk.holding.log.after_place(desk.holding.committed()).any(is_here);
        // A pin of an earlier split is not where this one began.
        let begins_apart = desk.is_apart && !went_on_here;
        let unpins = !desk.is_apart && store.images.is_pinned();
        if begins_apart || unpins || !unites.is_empty() {
            // Who goes on apart lets go of nothing, and what an earlier reign pinned may stand in the log only.
            Change::Open { pins: desk.is_apart, unites }
        } else {
            Change::Barrier
        }
    }

    /// What a primary whose reign is over knows to be worth keeping of its log: beyond what it committed it told nobody
    /// but those who were content with its word. What an earlier reign left, that one may have acknowledged.
    pub(super) fn told_up_to(&self, holding: &Holding) -> Seq {
        let told = holding.committed().max(self.vouched);
        let inherited = holding.log.after_place(told).take_while(|op| op.position.reign < self.reign);
        inherited.last().map_or(told, |op| op.position.seq)
    }

    /// Ops that earlier reigns prepared are proposed again, under the positions they have.
    fn inherit(&mut self, desk: &Desk<'_>) {
        let suffix: Vec<Op> = desk.holding.log.after_place(desk.holding.committed()).cloned().collect();
        for op in suffix {
            self.remember(desk, &op, None);
        }
    }

    /// Notes an op that is prepared and not committed.
    fn remember(&mut self, desk: &Desk<'_>, op: &Op, caller: Option<Caller>) {
        let seq = op.position.seq;
        if let Some(key) = op.change.key() {
            let before = self.current(desk, key);
            let ended = match (&op.change, before) {
                (Change::End { kind, .. } | Change::Absorb { into: Absorption::End(kind), .. }, Some(session)) => {
                    Some((session.life, *kind))
                }
                (Change::Absorb { into: Absorption::Over { life, kind }, .. }, _) => Some((*life, *kind)),
                _ => None,
            };
            let session = Session::after(before, op, desk.session_time);
            let tip =
                self.tips.entry(key.clone()).or_insert_with(|| Tip { session: None, last: seq, ended: Vec::new() });
            tip.session = session;
            tip.last = seq;
            tip.ended.extend(ended);
        }
        if let Some(stamp) = op.stamp {
            self.in_flight.insert(stamp.request, seq);
            self.waiting.insert(seq, Waiter { request: stamp.request, caller });
        }
    }

    /// The session as the newest prepared op leaves it.
    fn current<'a>(&'a self, desk: &'a Desk<'_>, key: &Key) -> Option<&'a Session> {
        match self.tips.get(key) {
            Some(tip) => tip.session.as_ref(),
            None => desk.holding.store.get(key),
        }
    }

    /// Gives a change the next place in the log. Whoever asked for the primary's word alone has it with that.
    fn append(&mut self, desk: &mut Desk<'_>, change: Change, by: Option<Asker>) -> Seq {
        let seq = desk.holding.prepared().next();
        let newest = desk.holding.log.get(desk.holding.prepared()).map_or(0, |op| op.written_at);
        let op = Op {
            position: Position { lineage: desk.entry.lineage, reign: self.reign, seq },
            stamp: by.map(|asker| asker.stamp),
            written_at: desk.now.wall_ms.max(newest).max(desk.holding.store.clock()),
            change,
        };
        let at_once = by.filter(|asker| asker.ack == Ack::Primary);
        let before = at_once.and(op.change.key()).and_then(|key| self.current(desk, key)).cloned();
        self.remember(desk, &op, by.filter(|asker| asker.ack != Ack::Primary).map(|asker| asker.caller));
        if let Some(asker) = at_once {
            self.vouched = seq;
            let after = op.change.key().and_then(|key| self.current(desk, key));
            let done = store::answer(&op, before.as_ref(), after);
            let done = colony_wire::client::Done { copies: 1, ack: Ack::Primary, ..done };
            desk.reply(asker.caller, ReplyBody::Done(done));
        }
        desk.holding.log.push(op);
        seq
    }

    /// Whether reads and changes may be answered: the barrier is committed.
    pub(super) fn is_settled(&self, holding: &Holding) -> bool {
        holding.committed() >= self.barrier
    }

    /// The table entry changed and this start still reigns.
    pub(super) fn entry_changed(&mut self, desk: &mut Desk<'_>) {
        if self.proposed.as_ref().is_some_and(|proposed| desk.entry.cfg > proposed.decided) {
            self.proposed = None;
        }
        self.handover_after_change(desk);
        self.meet_peers(desk);
        self.settle(desk);
    }

    /// After anything that may let things go on: commit, send, propose.
    pub(in crate::colony) fn settle(&mut self, desk: &mut Desk<'_>) {
        self.commit(desk);
        self.send_what_is_due(desk);
        self.look_after_the_set(desk);
        self.confirm(desk);
    }

    /// The same, now or when what is gathered goes to the copies.
    pub(super) fn settle_soon(&mut self, desk: &mut Desk<'_>) {
        if !desk.settings.gather {
            self.settle(desk);
        }
    }

    pub(super) fn tick(&mut self, desk: &mut Desk<'_>) {
        self.refuse_the_late(desk);
        self.send_again(desk);
        self.confirm_again(desk);
        self.absorb(desk);
        self.give(desk);
        self.settle(desk);
        self.end_watches(desk);
        self.tell_news(desk);
    }

    /// Slow work, done for every colony in turn: sessions whose time is over end, old records and tombstones
    /// go.
    pub(super) fn sweep(&mut self, desk: &mut Desk<'_>) {
        let is_kept = !mutant!(desk.settings, ForgetAnswersAtOnce);
        let record_ttl = if is_kept { desk.settings.record_ttl } else { Duration::ZERO };
        desk.holding.store.records.age(desk.now.mono, record_ttl);
        if !self.is_settled(desk.holding) || self.handover.is_some() || self.stands_still(desk) {
            return;
        }
        self.end_what_is_over(desk);
        self.forget_ends(desk);
        self.settle(desk);
    }

    /// Commits what every needed peer holds, and answers (`PROTOCOL.md` 3.5, 3.6).
    fn commit(&mut self, desk: &mut Desk<'_>) {
        let prepared = desk.holding.prepared();
        let needed = self.needed(desk);
        let held = |start: &StartId| self.peers.get(start).map_or(Seq(0), |peer| peer.matched);
        let mut places: Vec<Seq> = needed.iter().map(held).collect();
        places.sort_unstable();
        let enough = if mutant!(desk.settings, CommitByMajority) { places.len() / 2 } else { 0 };
        let slowest = places.get(enough).copied().unwrap_or(prepared);
        let mut everywhere = if mutant!(desk.settings, AckBeforeAllInSync) { prepared } else { slowest.min(prepared) };
        // Every copy must know of the pin when it takes in what stands before it.
        if desk.holding.log.pinned().is_some_and(|pinned| pinned.next() == self.barrier && everywhere < self.barrier) {
            everywhere = desk.holding.committed();
        }
        let copies = u8::try_from(needed.len() + 1).unwrap_or(u8::MAX);
        let log_kept = self.log_kept(desk);
        let now = Moment { mono: desk.now.mono, sessions: desk.session_time };
        let committed = desk.holding.commit_to(everywhere, log_kept, now);
        self.tell_watchers(desk, &committed);
        for committed in committed {
            let seq = committed.op.position.seq;
            if let Some(key) = committed.op.change.key()
                && self.tips.get(key).is_some_and(|tip| tip.last <= seq)
            {
                self.tips.remove(key);
            }
            for deferred in self.deferred.remove(&seq).into_iter().flatten() {
                desk.reply(deferred.caller, deferred.body);
            }
            let Some(waiter) = self.waiting.remove(&seq) else { continue };
            self.in_flight.remove(&waiter.request);
            if let Some(caller) = waiter.caller {
                let done = colony_wire::client::Done { copies, ..committed.done };
                desk.reply(caller, ReplyBody::Done(done));
            }
        }
    }

    /// Whose acknowledgement every commit needs: the in-sync set, and while an addition may already be
    /// decided, the peer it adds (`PROTOCOL.md` 3.5, 6.3).
    fn needed(&self, desk: &Desk<'_>) -> BTreeSet<StartId> {
        let mut needed: BTreeSet<StartId> = desk.entry.in_sync.iter().copied().collect();
        if !mutant!(desk.settings, CommitWithoutUnion) {
            needed.extend(self.peers.iter().filter(|(_, peer)| peer.counted_on).map(|(start, _)| *start));
            needed.extend(self.proposed.as_ref().and_then(|proposed| proposed.add));
        }
        needed.remove(&desk.me);
        if mutant!(desk.settings, DropSilentAlone) {
            let is_silent = |peer: &Progress| membership::is_silent(desk, peer.owes_since, peer.heard);
            needed.retain(|start| !self.peers.get(start).is_some_and(is_silent));
        }
        needed
    }

    /// Leaves office: everybody who waits is told to ask again, and of the highest reign that is known here.
    pub(super) fn abdicate(self, desk: &mut Desk<'_>, reign: Reign) {
        for caller in self.waiting.into_values().filter_map(|waiter| waiter.caller) {
            desk.reply(caller, ReplyBody::Refused(Refusal::Deposed));
        }
        for deferred in self.deferred.into_values().flatten() {
            desk.reply(deferred.caller, ReplyBody::Refused(Refusal::NotPrimary { reign }));
        }
        let held = self.handover.into_iter().flat_map(|mut handover| std::mem::take(handover.held()));
        for queued in held {
            desk.reply(queued.caller(), ReplyBody::Refused(Refusal::NotPrimary { reign }));
        }
        for caller in self.confirms.into_callers() {
            desk.reply(caller, ReplyBody::Refused(Refusal::NotPrimary { reign }));
        }
        for parked in self.parked.into_values() {
            for caller in parked.callers() {
                desk.reply(caller, ReplyBody::Refused(Refusal::NotPrimary { reign }));
            }
        }
        for caller in self.watchers.callers() {
            desk.reply(caller, ReplyBody::Refused(Refusal::NotPrimary { reign }));
        }
    }

    /// Whether time alone may give it something to do.
    pub(super) fn is_restless(&self, desk: &Desk<'_>) -> bool {
        let prepared = desk.holding.prepared();
        let committed = desk.holding.committed();
        prepared > committed
            || self.proposed.is_some()
            || self.handover.is_some()
            || !self.parked.is_empty()
            || self.confirms.is_restless()
            || self.absorbing.is_some()
            || desk.staying.is_some()
            || self.giving.is_some()
            || desk.holding.store.frozen().is_some()
            || !self.watchers.is_empty()
            || self.wants_change(desk)
            || self.peers.values().any(|peer| peer.is_restless(prepared, committed))
    }

    fn has_room(&self, desk: &Desk<'_>) -> bool {
        let uncommitted = desk.holding.prepared().0 - desk.holding.committed().0;
        usize::try_from(uncommitted).is_ok_and(|count| count < desk.settings.max_uncommitted)
    }

    /// When a time that was noted lies longer back than `span`.
    fn is_over(now: Time, since: Time, span: Duration) -> bool {
        now.since(since) >= span
    }
}
