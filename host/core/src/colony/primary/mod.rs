//! Serving a colony for one reign (`PROTOCOL.md` 3, 4, 5.3, 6).
//!
//! ```text
//!   requests.rs    clients: once-only, reads, changes, merges      evaluate.rs  one mutation, judged
//!   replicate.rs   peers: what each has, what it is sent next      progress.rs  one peer
//!   membership.rs  the in-sync set and the hand-over: what is proposed to the group
//!   survey.rs      what it is in the middle of
//! ```
//!
//! A reign begins with a barrier op. Until that is committed nothing is served: its commit shows that every
//! in-sync peer follows this reign, and settles what earlier reigns left in the log.

mod evaluate;
mod membership;
mod progress;
mod replicate;
mod requests;
mod survey;

use std::collections::{BTreeMap, BTreeSet};

use colony_wire::client::{Refusal, Reply, ReplyBody};
use colony_wire::op::{Change, Op, Stamp};
use colony_wire::peer::{PeerBody, PeerMessage};
use colony_wire::session::{EndKind, Key};
use colony_wire::{ColonyId, LineageId, Position, Reign, RequestId, Seq, StartId};

use self::membership::{Handover, Proposed};
use self::progress::Progress;
pub(super) use self::replicate::Ack;
use self::requests::{Deferred, Parked};
use super::holding::Holding;
use super::io::{Caller, Lane, Output, Space};
use super::session::Session;
use super::settings::Settings;
use crate::group::Entry;
use crate::merge::Ticket;
use crate::{Now, Time};

/// What a primary works on, lent for the length of one input.
pub(super) struct Desk<'a> {
    pub(super) me: StartId,
    pub(super) colony: ColonyId,
    pub(super) lineage: LineageId,
    pub(super) entry: &'a Entry,
    pub(super) holding: &'a mut Holding,
    pub(super) settings: &'a Settings,
    pub(super) space: &'a Space,
    /// Source of numbers for transfers and tickets, never used twice by this process.
    pub(super) serial: &'a mut u64,
    pub(super) now: Now,
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
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Tip {
    session: Option<Session>,
    last: Seq,
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
        };
        primary.inherit(desk);
        if !mutant!(desk.settings, PromoteWithoutPad) {
            desk.holding.store.pad_deadlines(desk.settings.promotion_pad);
        }
        desk.holding.store.records.restart(desk.now.mono);
        primary.append(desk, Change::Barrier, None);
        primary.meet_peers(desk);
        primary.settle(desk);
        primary
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
            let session = Session::after(self.current(desk, key), op, desk.now.mono);
            self.tips.insert(key.clone(), Tip { session, last: seq });
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

    /// Gives a change the next place in the log.
    fn append(&mut self, desk: &mut Desk<'_>, change: Change, by: Option<(Stamp, Caller)>) -> Seq {
        let seq = desk.holding.prepared().next();
        let newest = desk.holding.log.get(desk.holding.prepared()).map_or(0, |op| op.written_at);
        let op = Op {
            position: Position { lineage: desk.lineage, reign: self.reign, seq },
            stamp: by.map(|(stamp, _)| stamp),
            written_at: desk.now.wall_ms.max(newest).max(desk.holding.store.clock()),
            change,
        };
        self.remember(desk, &op, by.map(|(_, caller)| caller));
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
    pub(super) fn settle(&mut self, desk: &mut Desk<'_>) {
        self.commit(desk);
        self.send_what_is_due(desk);
        self.look_after_the_set(desk);
    }

    pub(super) fn tick(&mut self, desk: &mut Desk<'_>) {
        self.refuse_the_late(desk);
        self.send_again(desk);
        self.settle(desk);
        self.tell_news(desk);
    }

    /// Slow work, done for every colony in turn: sessions whose time is over end, old records go.
    pub(super) fn sweep(&mut self, desk: &mut Desk<'_>) {
        let is_kept = !mutant!(desk.settings, ForgetAnswersAtOnce);
        let record_ttl = if is_kept { desk.settings.record_ttl } else { std::time::Duration::ZERO };
        desk.holding.store.records.age(desk.now.mono, record_ttl);
        if !self.is_settled(desk.holding) || self.handover.is_some() {
            return;
        }
        let due = desk.holding.store.expired(desk.now.mono).take(desk.settings.max_expiries);
        let due: Vec<Key> = due.cloned().collect();
        #[cfg(feature = "mutants")]
        let due = if mutant!(desk.settings, ExpireByWallClock) {
            desk.holding.store.overdue_by(desk.now.wall_ms)
        } else {
            due
        };
        for key in due {
            // A session with a change under way is in use; what the change leaves is looked at next time.
            let busy = self.tips.contains_key(&key) || self.parked_keys.contains_key(&key);
            if !busy && self.has_room(desk) {
                self.append(desk, Change::End { key, kind: EndKind::Expiry }, None);
            }
        }
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
        let everywhere = if mutant!(desk.settings, AckBeforeAllInSync) { prepared } else { slowest.min(prepared) };
        let copies = u8::try_from(needed.len() + 1).unwrap_or(u8::MAX);
        let log_kept = self.log_kept(desk);
        for committed in desk.holding.commit_to(everywhere, log_kept, desk.now.mono) {
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

    /// Leaves office: everybody who waits is told to ask again.
    pub(super) fn abdicate(self, desk: &mut Desk<'_>) {
        for caller in self.waiting.into_values().filter_map(|waiter| waiter.caller) {
            desk.reply(caller, ReplyBody::Refused(Refusal::Deposed));
        }
        let reign = desk.entry.reign;
        for deferred in self.deferred.into_values().flatten() {
            desk.reply(deferred.caller, ReplyBody::Refused(Refusal::NotPrimary { reign }));
        }
        for parked in self.parked.into_values() {
            for caller in parked.callers() {
                desk.reply(caller, ReplyBody::Refused(Refusal::NotPrimary { reign }));
            }
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
            || self.wants_change(desk)
            || self.peers.values().any(|peer| peer.is_restless(prepared, committed))
    }

    fn has_room(&self, desk: &Desk<'_>) -> bool {
        let uncommitted = desk.holding.prepared().0 - desk.holding.committed().0;
        usize::try_from(uncommitted).is_ok_and(|count| count < desk.settings.max_uncommitted)
    }

    /// When a time that was noted lies longer back than `span`.
    fn is_over(now: Time, since: Time, span: std::time::Duration) -> bool {
        now.since(since) >= span
    }
}
