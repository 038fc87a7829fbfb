//! One peer of one colony: what it holds and which part it plays.

use std::sync::Arc;
use std::time::Duration;

use colony_wire::client::{Refusal, ReplyBody, Request};
use colony_wire::heal::{HealBody, HealMessage};
use colony_wire::op::Op;
use colony_wire::peer::{PeerBody, PeerMessage};
use colony_wire::session::Key;
use colony_wire::{Cfg, ColonyId, LineageId, Position, Reign, Seq, StartId};

use super::clock::{CopyClock, Moment, SessionTime};
use super::doing::{Doing, Load};
use super::follower::Follower;
use super::history::History;
use super::holding::Holding;
use super::io::{Caller, Lane, Output, Space, Staying};
use super::primary::{Desk, Held, Primary};
use super::settings::Settings;
use super::slots::Slots;
use super::standing::Standing;
use super::store::Store;
use super::transfer::Throttle;
use crate::Now;
use crate::group::Entry;
use crate::merge::{Resolution, Ticket};

/// A peer's [`Desk`], borrowed field by field so that its role stays free.
macro_rules! desk {
    ($replica:expr, $loan:expr) => {
        Desk {
            me: $replica.me,
            colony: $replica.colony,
            lineage: $replica.lineage,
            entry: &$replica.entry,
            is_apart: $replica.is_apart,
            staying: $replica.staying.as_deref(),
            holding: &mut $replica.holding,
            settings: &$replica.settings,
            space: &$replica.space,
            serial: &mut *$loan.serial,
            throttle: &mut *$loan.throttle,
            handovers: &mut *$loan.handovers,
            intakes: &mut *$loan.intakes,
            now: $loan.now,
            session_time: $replica.clock.shows($loan.shard_time),
            out: &mut *$loan.out,
        }
    };
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    me: StartId,
    colony: ColonyId,
    lineage: LineageId,
    settings: Arc<Settings>,
    space: Arc<Space>,
    /// The table entry as last heard.
    entry: Entry,
    /// The table entry on which this copy was begun.
    begun: Cfg,
    /// The highest reign heard of, by the table or by a message. Lower ones are refused from then on.
    heard: Reign,
    /// What a reign said that the table here does not have yet: a new primary may hear of its reign before its peers
    /// do, and what was dropped here it would send again only after a while.
    early: Vec<PeerMessage>,
    /// Whether it is a copy of a side that goes on apart.
    is_apart: bool,
    /// The side that stays, if this one yields to it and reaches it.
    staying: Option<Arc<Staying>>,
    /// It was primary when its side began: what its log has beyond this it told nobody. Until that side's first reign.
    led: Option<Seq>,
    clock: CopyClock,
    holding: Holding,
    role: Role,
}

/// Most messages kept for a reign that the table does not have yet: what a new primary sends in the milliseconds until
/// the table is everywhere.
const MAX_EARLY: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Role {
    Primary(Box<Primary>),
    Follower(Follower),
}

/// The part a peer plays by the table it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// It serves.
    Primary,
    /// It holds all that was acknowledged.
    Secondary,
    /// It is to hold a copy and does not yet.
    CatchingUp,
}

/// What the shard lends to its peers for one input.
pub(super) struct Loan<'a> {
    pub(super) now: Now,
    /// What the clock shows that the sessions of the shard live by.
    pub(super) shard_time: SessionTime,
    pub(super) serial: &'a mut u64,
    pub(super) throttle: &'a mut Throttle,
    pub(super) handovers: &'a mut Slots,
    pub(super) intakes: &'a mut Slots,
    pub(super) out: &'a mut Vec<Output>,
}

impl Replica {
    #[expect(clippy::too_many_arguments, reason = "called once, by the shard that has each of them")]
    pub(super) fn new(
        me: StartId,
        colony: ColonyId,
        lineage: LineageId,
        is_apart: bool,
        settings: Arc<Settings>,
        space: Arc<Space>,
        entry: Entry,
        loan: &mut Loan<'_>,
    ) -> Self {
        let heard = entry.reign;
        let begun = entry.cfg;
        let role = Role::Follower(Follower::new(begun));
        let holding = Holding::default();
        let mut replica = Self {
            me,
            colony,
            lineage,
            settings,
            space,
            entry,
            begun,
            heard,
            early: Vec::new(),
            is_apart,
            staying: None,
            led: None,
            clock: CopyClock::default(),
            holding,
            role,
        };
        replica.take_part(loan);
        replica
    }

    /// The start it is held under.
    pub(super) fn start(&self) -> StartId {
        self.me
    }

    /// What its namespace says of it.
    pub(super) fn space(&self) -> &Space {
        &self.space
    }

    /// Position of the last op of its log, committed or not; none at the beginning.
    pub(super) fn end(&self) -> Option<Position> {
        self.op(self.prepared()).map(|op| op.position).or_else(|| self.position())
    }

    /// Whether the side that took it in goes on with this side's copies.
    pub(super) fn is_adopted(&self) -> bool {
        let end = self.end();
        let taken_in = || self.staying.as_ref()?.entry.absorbed_of(end?.lineage);
        taken_in().is_some_and(|absorbed| absorbed.adopted)
    }

    /// Which colony.
    #[must_use]
    pub fn colony(&self) -> ColonyId {
        self.colony
    }

    /// The table entry as last heard.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The reign it takes part in.
    #[must_use]
    pub fn reign(&self) -> Reign {
        self.entry.reign
    }

    /// Place of the last committed op.
    #[must_use]
    pub fn committed(&self) -> Seq {
        self.holding.committed()
    }

    /// Place of the last prepared op.
    #[must_use]
    pub fn prepared(&self) -> Seq {
        self.holding.prepared()
    }

    /// Position of the last committed op; none at the beginning.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.holding.store.position()
    }

    /// What its committed state covers.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.holding.store.history
    }

    /// Its committed state.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.holding.store
    }

    /// The op at this place, if the log still has it.
    #[must_use]
    pub fn op(&self, seq: Seq) -> Option<&Op> {
        self.holding.log.get(seq)
    }

    /// The part it plays.
    #[must_use]
    pub fn part(&self) -> Part {
        match self.role {
            Role::Primary(_) => Part::Primary,
            Role::Follower(_) if self.entry.is_in_sync(self.me) => Part::Secondary,
            Role::Follower(_) => Part::CatchingUp,
        }
    }

    /// Whether it answers clients: it is primary, its barrier is committed, and it knows of no later reign.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        match &self.role {
            Role::Primary(primary) => primary.is_settled(&self.holding) && self.heard == self.entry.reign,
            Role::Follower(_) => false,
        }
    }

    /// The highest reign heard of, by the table or by a message.
    #[must_use]
    pub fn heard(&self) -> Reign {
        self.heard
    }

    /// How it stands. Takes as long as ops are not acknowledged by the slowest peer: for people who ask now and then.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let (lag, catching_up) = match &self.role {
            Role::Primary(primary) => primary.lags(&self.holding, &self.entry),
            Role::Follower(_) => (None, None),
        };
        Standing {
            part: self.part(),
            is_serving: self.is_serving(),
            reign: self.entry.reign,
            sessions: self.store().len() as u64,
            bytes: self.store().bytes(),
            uncommitted: self.prepared().0.saturating_sub(self.committed().0),
            lag,
            catching_up,
        }
    }

    /// What it is in the middle of.
    #[must_use]
    pub fn doing(&self) -> Doing {
        let mut doing = Doing::default();
        let uncommitted = self.committed().0 + 1..=self.prepared().0;
        for op in uncommitted.filter_map(|place| self.op(Seq(place))) {
            doing.write |= op.stamp.is_some();
            doing.expiry |= op.stamp.is_none() && op.change.key().is_some();
        }
        match &self.role {
            Role::Primary(primary) => primary.doing(&self.holding, doing),
            Role::Follower(_) => doing,
        }
    }

    /// How full what it keeps is; the states of sessions count in the host's memory.
    pub fn loads(&self) -> impl Iterator<Item = Load> {
        let holding = self.holding.loads(&self.settings, self.entry.reign);
        let (primary, follower) = match &self.role {
            Role::Primary(primary) => (Some(primary.loads(&self.holding, &self.settings, &self.entry)), None),
            Role::Follower(follower) => (None, Some(follower.loads(&self.settings))),
        };
        let early = Load::new("messages of a reign that is not in the table", self.early.len(), MAX_EARLY);
        holding.into_iter().chain([early]).chain(primary.into_iter().flatten()).chain(follower.into_iter().flatten())
    }

    /// The newest table entry known to exist: heard, or named by the primary.
    pub(super) fn newest(&self) -> Cfg {
        match &self.role {
            Role::Primary(_) => self.entry.cfg,
            Role::Follower(follower) => self.entry.cfg.max(follower.named),
        }
    }

    /// The process goes on under another start, by decision of the group.
    pub(super) fn rebind(&mut self, me: StartId, loan: &mut Loan<'_>) {
        self.step_down(loan);
        self.me = me;
        // They were meant for the start that is over.
        self.early.clear();
    }

    /// It leaves the group that it was of, for another side of a split. Nothing that it says from here on is of the
    /// reigns it had there.
    pub(super) fn depart(&mut self, loan: &mut Loan<'_>) {
        let is_of_reign = |op: &Op| op.position.reign == self.entry.reign;
        self.led = match &self.role {
            Role::Primary(primary) if self.op(self.prepared()).is_some_and(is_of_reign) => {
                Some(primary.told_up_to(&self.holding))
            }
            _ => None,
        };
        self.step_down(loan);
        self.clock = self.clock.stop(loan.shard_time);
        self.begun = self.staying.take().map_or(Cfg(0), |staying| staying.entry.cfg);
        self.early.clear();
    }

    /// The same, for a side that is not the one that stays: the next entry it hears counts on from what it has heard.
    pub(super) fn depart_apart(&mut self, loan: &mut Loan<'_>) {
        self.staying = None;
        self.depart(loan);
    }

    /// It is a copy of that group from now on, under this start. The first entry it hears there says what part it plays.
    /// `shard_time` is what the clock of its new shard shows.
    pub(super) fn arrive(&mut self, me: StartId, lineage: LineageId, is_apart: bool, shard_time: SessionTime) {
        let clock = self.clock.go_on(shard_time);
        self.clock = if mutant!(self.settings, ForgetOwnTime) { CopyClock::default() } else { clock };
        self.me = me;
        self.lineage = lineage;
        self.is_apart = is_apart;
        // Reigns that were heard of and that nobody brought along are of the other group.
        self.heard = self.entry.reign;
        self.entry.primary = None;
        if let Some(before) = self.begun.0.checked_sub(1) {
            // That group's entries count by themselves, and the first that holds here is the one that took it back.
            self.entry.cfg = Cfg(before);
        }
        self.role = Role::Follower(Follower::new(self.begun));
    }

    /// How the colony stands on the side that stays.
    pub(super) fn staying(&mut self, staying: Option<Arc<Staying>>, loan: &mut Loan<'_>) {
        self.staying = staying;
        if self.is_taken_in() {
            self.step_down(loan);
        }
    }

    /// Whether the other side has all that this copy holds, and nothing may be added here any more.
    #[must_use]
    pub fn is_taken_in(&self) -> bool {
        let Some(staying) = &self.staying else { return false };
        let last = self.end();
        match staying.entry.absorbed_of(self.entry.lineage).map(|absorbed| absorbed.end) {
            // It never had all that was acknowledged here, and nobody will bring it the rest.
            Some(_) if self.part() == Part::CatchingUp => true,
            Some(_) if mutant!(self.settings, GiveUpMore) => true,
            Some(end) => {
                last.is_some_and(|last| (last.lineage, last.reign) == (end.lineage, end.reign) && last.seq <= end.seq)
            }
            None => false,
        }
    }

    /// The other side speaks.
    pub(super) fn heal(&mut self, message: HealMessage, loan: &mut Loan<'_>) {
        if self.heard > self.entry.reign {
            return;
        }
        self.as_primary(loan, |primary, desk| match message.body {
            HealBody::Ready { .. } | HealBody::Taken { .. } => primary.heard_of_giving(desk, &message),
            _ => primary.heard_of_absorbing(desk, message),
        });
    }

    /// The table has a newer entry.
    pub(super) fn table(&mut self, entry: Entry, space: Arc<Space>, loan: &mut Loan<'_>) {
        if entry.cfg <= self.entry.cfg {
            return;
        }
        let is_new_reign = entry.reign != self.entry.reign;
        let keeps_reign = !is_new_reign && entry.primary == Some(self.me);
        self.heard = self.heard.max(entry.reign);
        if !keeps_reign {
            self.step_down(loan);
        }
        self.entry = entry;
        self.space = space;
        match (&self.role, is_new_reign) {
            (Role::Primary(_), _) => self.as_primary(loan, |primary, desk| primary.entry_changed(desk)),
            (Role::Follower(_), true) => {
                self.role = Role::Follower(Follower::new(self.begun));
                self.take_part(loan);
                if mutant!(self.settings, TruncateToCommitted) && matches!(self.role, Role::Follower(_)) {
                    self.holding.log.truncate_after(self.holding.committed());
                }
            }
            (Role::Follower(_), false) => {}
        }
        for message in std::mem::take(&mut self.early) {
            self.peer(message, loan);
        }
    }

    /// Becomes primary if the table says so.
    fn take_part(&mut self, loan: &mut Loan<'_>) {
        // Whoever leads first on this side decides what its log has; one that leads later goes on from that.
        let led = self.led.take();
        if self.entry.primary == Some(self.me) && !self.is_taken_in() {
            if let Some(kept) = led {
                // Nobody was told of the rest, and its clients ask again (`PROTOCOL.md` 8).
                self.holding.log.truncate_after(kept);
            }
            self.holding.held.clear();
            let mut desk = desk!(self, loan);
            let primary = Primary::begin(&mut desk);
            self.role = Role::Primary(Box::new(primary));
        }
    }

    pub(super) fn step_down(&mut self, loan: &mut Loan<'_>) {
        let role = std::mem::replace(&mut self.role, Role::Follower(Follower::new(self.begun)));
        match role {
            Role::Primary(primary) => primary.abdicate(&mut desk!(self, loan), self.heard),
            follower @ Role::Follower(_) => self.role = follower,
        }
    }

    fn as_primary(&mut self, loan: &mut Loan<'_>, work: impl FnOnce(&mut Primary, &mut Desk<'_>)) {
        if let Role::Primary(primary) = &mut self.role {
            work(primary, &mut desk!(self, loan));
        }
    }

    /// A client calls.
    pub(super) fn request(&mut self, from: Caller, request: Request, loan: &mut Loan<'_>) {
        let reign = self.heard;
        let buckets = self.space.policy.buckets;
        let is_elsewhere = |key: &Key| ColonyId::of(self.colony.namespace, key.as_bytes(), buckets) != self.colony;
        let refusal = match &mut self.role {
            // A client that counts other buckets would begin a second life of the key here.
            _ if request.body.key().is_some_and(is_elsewhere) => Refusal::NoColony,
            Role::Primary(_) if self.heard > self.entry.reign && !mutant!(self.settings, ServeAfterHigherReign) => {
                Refusal::NotPrimary { reign }
            }
            Role::Primary(primary) => {
                return primary.request(&mut desk!(self, loan), from, request);
            }
            Role::Follower(_) if self.entry.primary.is_none() => Refusal::Offline,
            Role::Follower(_) => Refusal::NotPrimary { reign },
        };
        desk!(self, loan).reply(from, ReplyBody::Refused(refusal));
    }

    fn moment(&self, loan: &Loan<'_>) -> Moment {
        Moment { mono: loan.now.mono, sessions: self.clock.shows(loan.shard_time) }
    }

    /// Another peer speaks.
    pub(super) fn peer(&mut self, message: PeerMessage, loan: &mut Loan<'_>) {
        let (from, now) = (message.from, self.moment(loan));
        if let PeerBody::Append(append) = &message.body
            && append.reign > self.entry.reign
            && self.early.len() < MAX_EARLY
        {
            self.hear(append.reign, loan);
            return self.early.push(message);
        }
        match message.body {
            PeerBody::Append(append) => {
                if self.follows(from, append.reign, loan)
                    && let Role::Follower(follower) = &mut self.role
                    && let Some(body) = follower.append(&mut self.holding, &self.settings, append, now)
                {
                    desk!(self, loan).send(from, Lane::Replication, body);
                }
            }
            PeerBody::Offer(offer) => {
                if self.follows(from, offer.reign, loan)
                    && let Role::Follower(follower) = &mut self.role
                    && let Some(body) = follower.offer(&mut self.holding, &self.settings, offer, now)
                {
                    desk!(self, loan).send(from, Lane::Replication, body);
                }
            }
            PeerBody::Chunk(chunk) => {
                if self.follows(from, chunk.reign, loan)
                    && let Role::Follower(follower) = &mut self.role
                    && let Some(body) = follower.chunk(&mut self.holding, &self.settings, &chunk, now)
                {
                    desk!(self, loan).send(from, Lane::Replication, body);
                }
            }
            PeerBody::Confirm { reign, nonce } => {
                if self.follows(from, reign, loan) {
                    desk!(self, loan).send(from, Lane::Replication, PeerBody::Confirmed { reign, nonce });
                }
            }
            PeerBody::Deposed { reign } => self.hear(reign, loan),
            PeerBody::Appended { reign, cfg, begun, prepared, committed } if reign == self.entry.reign => {
                let held = Held { cfg, begun, prepared, committed };
                self.as_primary(loan, |primary, desk| primary.appended(desk, from, held));
            }
            PeerBody::Mismatch { reign, begun, epochs, .. } if reign == self.entry.reign => {
                self.as_primary(loan, |primary, desk| primary.mismatch(desk, from, begun, &epochs));
            }
            PeerBody::Wanted { reign, transfer, parts } if reign == self.entry.reign => {
                self.as_primary(loan, |primary, desk| primary.wanted(desk, from, transfer, &parts));
            }
            PeerBody::ChunkTaken { reign, transfer, index } if reign == self.entry.reign => {
                self.as_primary(loan, |primary, desk| primary.chunk_taken(desk, from, transfer, index));
            }
            PeerBody::ChunkRefused { reign, transfer } if reign == self.entry.reign => {
                self.as_primary(loan, |primary, desk| primary.chunk_refused(desk, from, transfer));
            }
            PeerBody::Confirmed { reign, nonce } if reign == self.entry.reign => {
                self.as_primary(loan, |primary, desk| primary.confirmed(desk, from, nonce));
            }
            PeerBody::Appended { .. }
            | PeerBody::Confirmed { .. }
            | PeerBody::Mismatch { .. }
            | PeerBody::Wanted { .. }
            | PeerBody::ChunkTaken { .. }
            | PeerBody::ChunkRefused { .. } => {}
        }
    }

    /// Whether a message of this reign may be acted on (`PROTOCOL.md` 3.4): a lower one is refused with the
    /// higher, a higher one must first stand in the table.
    fn follows(&mut self, from: StartId, reign: Reign, loan: &mut Loan<'_>) -> bool {
        if mutant!(self.settings, AcceptLowerReign) && reign <= self.entry.reign {
            return true;
        }
        if reign < self.heard {
            let body = PeerBody::Deposed { reign: self.heard };
            desk!(self, loan).send(from, Lane::Replication, body);
            return false;
        }
        if reign > self.entry.reign {
            self.hear(reign, loan);
            return false;
        }
        self.entry.primary == Some(from)
    }

    /// A reign is heard of that the table here does not have.
    fn hear(&mut self, reign: Reign, loan: &mut Loan<'_>) {
        self.heard = self.heard.max(reign);
        if reign > self.entry.reign {
            self.as_primary(loan, |primary, _| primary.end_confirming());
            loan.out.push(Output::FetchTable { colony: self.colony, reign });
        }
    }

    /// What was gathered goes to the copies.
    pub(super) fn flush(&mut self, loan: &mut Loan<'_>) {
        self.as_primary(loan, Primary::settle);
    }

    /// A merge was decided.
    pub(super) fn merged(&mut self, ticket: Ticket, answer: Result<Resolution, String>, loan: &mut Loan<'_>) {
        self.as_primary(loan, |primary, desk| primary.merged(desk, ticket, answer));
    }

    /// The group's entry by a linearizable read.
    pub(super) fn group_read(&mut self, nonce: u64, entry: Option<&Entry>, loan: &mut Loan<'_>) {
        self.as_primary(loan, |primary, desk| primary.group_read(desk, nonce, entry));
    }

    /// This host's own clock was stopped: nobody else is to blame for what was not heard meanwhile.
    pub(super) fn forgive(&mut self, slept: Duration, loan: &mut Loan<'_>) {
        self.as_primary(loan, |primary, desk| primary.forgive(desk, slept));
    }

    pub(super) fn tick(&mut self, loan: &mut Loan<'_>) {
        self.as_primary(loan, |primary, desk| primary.tick(desk));
    }

    /// Slow work, done for every peer in turn.
    pub(super) fn sweep(&mut self, loan: &mut Loan<'_>) {
        if matches!(self.role, Role::Follower(_)) {
            // Longer than the primary: a peer must not forget first what it may have to answer for.
            let ttl = self.settings.record_ttl * 2;
            self.holding.store.records.age(loan.now.mono, ttl);
            #[cfg(feature = "mutants")]
            if mutant!(self.settings, FollowersExpire) {
                let now = self.moment(loan);
                self.holding.store.end_overdue(now);
            }
        }
        self.as_primary(loan, |primary, desk| primary.sweep(desk));
    }

    /// Whether it sends its state to this process.
    #[must_use]
    pub fn sends_state_to(&self, start: StartId) -> bool {
        match &self.role {
            Role::Primary(primary) => primary.sends_state_to(start),
            Role::Follower(_) => false,
        }
    }

    /// Whether its reign is being handed over.
    pub(super) fn is_handing_over(&self) -> bool {
        matches!(&self.role, Role::Primary(primary) if primary.is_handing_over())
    }

    /// Whether it takes in what another side of a split did.
    pub(super) fn is_taking_in(&self) -> bool {
        matches!(&self.role, Role::Primary(primary) if primary.is_taking_in())
    }

    /// Whether time alone may give it something to do.
    pub(super) fn is_restless(&mut self, loan: &mut Loan<'_>) -> bool {
        match &self.role {
            Role::Primary(primary) => primary.is_restless(&desk!(self, loan)),
            Role::Follower(_) => false,
        }
    }
}
