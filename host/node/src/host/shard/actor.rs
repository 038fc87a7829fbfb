//! What a shard thread does: one input at a time into the core, its outputs out into the world.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use colony_core::Time;
use colony_core::colony::{Caller, Input, Lane, Output, Replica, Settings, Shard};
use colony_core::group::State;
use colony_link::{FrameSender, Transport};
use colony_wire::client::{Refusal, Reply, ReplyBody, Request};
use colony_wire::control::HeldCopy;
use colony_wire::load::CopyCounts;
use colony_wire::peer::PeerMessage;
use colony_wire::{ColonyId, Message, StartId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::time::MissedTickBehavior;

use super::admission::{Admission, ConnectionId, Place};
use super::apart::Apart;
use super::line::Line;
use super::links::Links;
use super::merges::{Answer, Merges, Question};
use super::serve::Asked;
use super::tally::Tally;
use super::{KeptCopies, Order, Seat, Ties, serve};
use crate::host::realm::Realm;
use crate::host::seen::{Glance, Kind, ShardMeters};

/// Most answers of merges under way to this thread.
const MERGE_ANSWERS: usize = 4096;
/// Most of them that are handed in together, and what they change goes to the copies together: a heal has hundreds for one
/// colony, and calls and ticks have their turn after so many.
const MERGES_AT_ONCE: usize = 64;

/// A shard's state, shared by the tasks of its one thread.
pub(super) struct Actor {
    pub(super) seat: Seat,
    pub(super) meters: Arc<ShardMeters>,
    /// The root's lineage.
    pub(super) root: Line,
    /// The island's, while the host lives in one.
    pub(super) island: Option<Apart>,
    pub(super) links: Links,
    pub(super) admission: Admission<Asked>,
    /// Wakes who serves the calls that wait.
    pub(super) asked: Rc<Notify>,
    calls: BTreeMap<Caller, Call>,
    last_caller: u64,
    last_connection: u64,
    merges: Merges,
    outputs: Vec<Output>,
    /// What one lineage says to the other on this very shard.
    said: VecDeque<(Realm, Input)>,
}

/// Where the answer of a call goes, what was asked, and when.
struct Call {
    stream: FrameSender,
    number: u64,
    kind: Kind,
    since: Time,
    place: Place,
}

/// The actor as its thread's tasks hold it.
pub(super) type Shared = Rc<RefCell<Actor>>;

impl Actor {
    /// Serves until the control runtime drops its end.
    pub(super) async fn run(
        seat: Seat,
        (start, ties): (StartId, Ties),
        meters: Arc<ShardMeters>,
        transport: Arc<dyn Transport>,
        mut orders: mpsc::Receiver<(Realm, Order)>,
    ) {
        let (answers, mut answered) = mpsc::channel(MERGE_ANSWERS);
        let settings = Settings::default();
        let mut view = ties.view.clone();
        let merges = Merges::start(answers);
        let links = Links::new(transport.clone());
        let tally = Tally::new(meters.clone(), seat.plugins.clone());
        let actor: Shared = Rc::new(RefCell::new(Self {
            seat,
            meters,
            root: Line::new(Realm::Root, start, ties, tally),
            island: None,
            links,
            admission: Admission::default(),
            asked: Rc::default(),
            calls: BTreeMap::new(),
            last_caller: 0,
            last_connection: 0,
            merges,
            outputs: Vec::new(),
            said: VecDeque::new(),
        }));
        tokio::task::spawn_local(serve::accept(actor.clone(), transport.clone()));
        tokio::task::spawn_local(serve::calls(actor.clone()));
        let mut ticks = tokio::time::interval(settings.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        view.mark_changed();
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some((realm, order)) => Self::obey(&actor, realm, order),
                    None => break,
                },
                changed = view.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let state = view.borrow_and_update().clone();
                    Self::follow(&actor, Realm::Root, state);
                }
                _ = ticks.tick() => {
                    for realm in Self::realms(&actor) {
                        Self::handle(&actor, realm, Input::Tick);
                    }
                }
                Some(first) = answered.recv() => {
                    let others = std::iter::from_fn(|| answered.try_recv().ok()).take(MERGES_AT_ONCE);
                    for Answer { realm, ticket, answer } in std::iter::once(first).chain(others) {
                        Self::handle(&actor, realm, Input::Merged { ticket, answer });
                    }
                    Self::flush(&actor);
                    tokio::task::yield_now().await;
                }
            }
        }
        transport.close();
        transport.drained().await;
    }

    /// The lineages that the shard lives in.
    fn realms(actor: &Shared) -> impl Iterator<Item = Realm> + use<> {
        let island = actor.borrow().island.as_ref().map(|island| island.line.realm);
        std::iter::once(Realm::Root).chain(island)
    }

    /// The line of this realm, if the shard lives there.
    pub(super) fn line(&self, realm: Realm) -> Option<&Line> {
        match realm {
            Realm::Root => Some(&self.root),
            Realm::Island(_) => self.island.as_ref().map(|island| &island.line).filter(|line| line.realm == realm),
        }
    }

    /// The same, to be changed.
    pub(super) fn line_mut(&mut self, realm: Realm) -> Option<&mut Line> {
        match realm {
            Realm::Root => Some(&mut self.root),
            Realm::Island(_) => self.island.as_mut().map(|island| &mut island.line).filter(|line| line.realm == realm),
        }
    }

    /// One input into the core, and what comes of it out.
    pub(super) fn handle(actor: &Shared, realm: Realm, input: Input) {
        let mut this = actor.borrow_mut();
        this.take(actor, realm, input);
        while let Some((realm, input)) = this.said.pop_front() {
            this.take(actor, realm, input);
        }
    }

    /// One lineage says something to the other.
    pub(super) fn say(&mut self, realm: Realm, input: Input) {
        self.said.push_back((realm, input));
    }

    fn take(&mut self, actor: &Shared, realm: Realm, input: Input) {
        let now = self.seat.clock.now();
        let mut outputs = std::mem::take(&mut self.outputs);
        let Some(line) = self.line_mut(realm) else { return };
        let Line { shard: Some((_, shard)), tally, .. } = line else { return };
        let concern = tally.before(&input, shard);
        shard.handle(now, input, &mut outputs);
        tally.after(now.mono, &concern, shard);
        for output in &outputs {
            tally.output(&concern, output);
        }
        for output in outputs.drain(..) {
            self.carry_out(actor, realm, concern.colony, output);
        }
        self.outputs = outputs;
        if realm != Realm::Root {
            self.take_back(actor, realm);
        }
    }

    /// `about` is the colony that the input was about.
    pub(super) fn carry_out(&mut self, actor: &Shared, realm: Realm, about: Option<ColonyId>, output: Output) {
        // Not by `line`, which would borrow all of it.
        let line = match &self.island {
            Some(Apart { line, .. }) if line.realm == realm => line,
            _ => &self.root,
        };
        match output {
            Output::Send { to, lane, message } => {
                let Some(member) = line.state.members.get(&to) else { return };
                let shard = message.colony.shard(member.shards);
                match message.to_frame(0) {
                    Ok(frame) => self.links.send(actor, member, shard, lane, frame),
                    Err(error) => {
                        let (colony, reign) = (message.colony, line.reign(message.colony));
                        tracing::error!(%colony, %reign, peer = %member.name, %error, "a message to a peer was not sent");
                    }
                }
            }
            Output::Reply { to, reply } => self.reply(to, &reply),
            Output::Propose(command) => {
                if let Err(TrySendError::Full(_)) = line.ties.proposals.try_send(command) {
                    tracing::warn!("the queue of proposals is full; the core will propose again");
                }
            }
            Output::ReadGroup { colony, nonce } => {
                let question = super::Question { shard: self.seat.index, colony, nonce };
                if line.ties.questions.try_send(question).is_err() {
                    tracing::warn!("the queue of questions to the group is full; the core will ask again");
                }
            }
            Output::Merge { ticket, colony, key, by, conflict } => {
                let reign = line.reign(colony);
                tracing::debug!(%colony, %reign, attributes = conflict.attributes.len(), "a merge is asked for");
                let judge = self.seat.plugins.judge(&line.state, &by);
                self.merges.ask(Question { realm, ticket, colony, key, judge, conflict });
            }
            Output::ExpiryHeld { colony, held } => {
                let reign = line.reign(colony);
                tracing::warn!(%colony, %reign, held, "sessions came due while nobody could use them; they end little by little");
            }
            Output::Decided { colony, unread } => {
                let reign = line.reign(colony);
                match unread {
                    None => tracing::debug!(%colony, %reign, "a merge was decided by what is built in"),
                    Some(why) => tracing::warn!(%colony, %reign, %why, "a built-in merge kept the later write"),
                }
            }
            // Whoever asked the plugin has warned of it, as often as a log bears.
            Output::FellBack { ticket, to, why } => {
                let (colony, reign) = (about, about.map(|colony| line.reign(colony)));
                tracing::debug!(?colony, ?reign, ticket = ticket.0, ?to, %why, "a merge gave no usable answer");
            }
            Output::TooLarge { colony, to, bytes, limit } => {
                let reign = line.reign(colony);
                tracing::error!(%colony, %reign, peer = %to, bytes, limit, "a state is too large to be copied to a peer");
            }
            Output::Heal(message) => self.send_across(actor, message),
            Output::ProposeStaying(command) => {
                if let Err(TrySendError::Full(_)) = self.root.ties.proposals.try_send(command) {
                    tracing::warn!("the queue of proposals is full; the core will propose again");
                }
            }
            Output::Joined { colony, how } => {
                let reign = line.reign(colony);
                tracing::debug!(%colony, %reign, ?how, "a session of the other side was taken in");
            }
            Output::Doubled { colony, request } => {
                let reign = line.reign(colony);
                tracing::warn!(%colony, %reign, request = request.number, "a change was done on both sides of a split");
            }
            Output::TakenIn { colony } => self.say(Realm::Root, Input::TakenIn { colony }),
            // The table is pushed here as soon as this host has it; there is nothing to fetch it from sooner.
            Output::FetchTable { colony, reign } => tracing::debug!(%colony, %reign, "a newer reign is heard of"),
        }
    }

    fn reply(&mut self, to: Caller, reply: &Reply) {
        let Some(call) = self.calls.remove(&to) else { return };
        self.root.tally.answered(call.kind, call.since, self.seat.clock.now().mono, reply);
        self.admission.answered(call.place);
        match reply.to_frame(call.number) {
            Ok(frame) => send(&call.stream, frame),
            Err(error) => {
                tracing::error!(%error, "a reply was not sent");
                let what = error.to_string();
                let refused = Reply { body: ReplyBody::Refused(Refusal::Malformed { what }), ..reply.clone() };
                if let Ok(frame) = refused.to_frame(call.number) {
                    send(&call.stream, frame);
                }
            }
        }
    }

    /// It is a client's turn: the request goes into the core, its answer to this stream.
    pub(super) fn request(actor: &Shared, stream: &FrameSender, number: u64, request: Request, place: Place) {
        let kind = Kind::from(&request.body);
        let (caller, realm) = {
            let mut this = actor.borrow_mut();
            this.root.tally.asked(kind);
            if this.root.shard.is_none() {
                this.admission.answered(place);
                drop(this);
                return Self::refuse(actor, stream, number, Refusal::NoColony);
            }
            this.last_caller += 1;
            let caller = Caller(this.last_caller);
            let since = this.seat.clock.now().mono;
            this.calls.insert(caller, Call { stream: stream.clone(), number, kind, since, place });
            (caller, this.serving(request.colony))
        };
        Self::handle(actor, realm, Input::Request { from: caller, request });
    }

    /// The calls that were handed on go to the copies together.
    pub(super) fn flush(actor: &Shared) {
        for realm in Self::realms(actor) {
            Self::handle(actor, realm, Input::Flush);
        }
    }

    /// Answers a call that the core has not seen.
    pub(super) fn refuse(actor: &Shared, stream: &FrameSender, number: u64, refusal: Refusal) {
        let this = actor.borrow();
        this.root.tally.refused(&refusal);
        let served_by = this.root.shard().map_or(this.root.start, Shard::start);
        let reply = Reply { served_by, seen: None, body: ReplyBody::Refused(refusal) };
        if let Ok(frame) = reply.to_frame(number) {
            send(stream, frame);
        }
    }

    /// A number for a new connection.
    pub(super) fn connection(actor: &Shared) -> ConnectionId {
        let mut this = actor.borrow_mut();
        this.last_connection += 1;
        ConnectionId(this.last_connection)
    }

    /// What the clock of this shard shows.
    pub(super) fn now(actor: &Shared) -> Time {
        actor.borrow().seat.clock.now().mono
    }

    /// A peer's message came in on this stream; `host` is the name in its certificate.
    pub(super) fn peer(actor: &Shared, stream: &FrameSender, host: &str, message: PeerMessage) {
        let realm = {
            let mut this = actor.borrow_mut();
            let line = this.line(Realm::Island(message.lineage)).unwrap_or(&this.root);
            let (realm, state) = (line.realm, line.state.clone());
            // Who speaks for a start must be the host that has it.
            let Some(member) = state.members.get(&message.from).filter(|member| member.name == host) else { return };
            let shard = message.colony.shard(member.shards);
            let lane = if message.body.is_bulk() { Lane::Bulk } else { Lane::Replication };
            this.links.learn(member.start, shard, lane, stream);
            realm
        };
        Self::handle(actor, realm, Input::Peer(message));
    }

    /// The group state is newer: the core hears of every entry of this shard that changed.
    pub(super) fn follow(actor: &Shared, realm: Realm, state: Arc<State>) {
        if !state.has_begun() {
            return;
        }
        let changed = {
            let mut this = actor.borrow_mut();
            let (index, shards) = (this.seat.index, this.seat.shards);
            let Some(line) = this.line_mut(realm) else { return };
            let news = line.follow(state, index, shards);
            this.forget_links();
            news
        };
        for (colony, entry, space) in changed {
            Self::handle(actor, realm, Input::Table { colony, entry, space });
        }
        if let Some(Line { tally, shard: Some((_, shard)), .. }) = actor.borrow_mut().line_mut(realm) {
            tally.look_through(shard);
        }
        Self::tell_how_it_stands(actor);
    }

    /// Streams to processes that no group holds for running are closed.
    pub(super) fn forget_links(&mut self) {
        let Self { links, root, island, .. } = self;
        let is_up =
            |start| root.state.is_up(start) || island.as_ref().is_some_and(|island| island.line.state.is_up(start));
        links.forget_all_but(is_up);
    }

    fn obey(actor: &Shared, realm: Realm, order: Order) {
        match order {
            Order::Reborn(start) => {
                if let Some(line) = actor.borrow_mut().line_mut(realm) {
                    line.start = start;
                }
                Self::handle(actor, realm, Input::Reborn { start });
                Self::tell_how_it_stands(actor);
            }
            Order::Kept(answer) => {
                let kept = |shard: &Shard| KeptCopies {
                    earlier: shard.earlier().to_vec(),
                    copies: shard.kept().map(|(dead, replica)| (replica.colony(), dead)).collect(),
                };
                let _ = answer.send(actor.borrow().in_shard(realm, kept));
            }
            Order::GroupRead { colony, nonce, entry } => {
                Self::handle(actor, realm, Input::GroupRead { colony, nonce, entry });
            }
            Order::Copies(colony, answer) => {
                let _ = answer.send(actor.borrow().in_shard(realm, |shard| held_copies(shard, colony)));
            }
            Order::Glance { after, limit, answer } => {
                let this = actor.borrow();
                let seen = this.in_shard(realm, |shard| glance(shard, after, limit));
                let _ = answer.send(Glance { calls: this.calls.len(), ..seen });
            }
            Order::Count(answer) => {
                let _ = answer.send(actor.borrow().in_shard(realm, counts));
            }
            Order::Fate { colony, dead, fate } => Self::handle(actor, realm, Input::Fate { colony, dead, fate }),
            Order::Fence { until } => Self::handle(actor, realm, Input::Fence { until }),
            Order::Hold { fenced, until, answer } => {
                let _ = answer.send(Self::hold(actor, fenced, until));
            }
            Order::Ends(answer) => {
                let _ = answer.send(actor.borrow().in_shard(realm, Shard::ends));
            }
            Order::Enter { start, ties, done } => {
                Self::enter(actor, realm, start, ties);
                let _ = done.send(());
            }
            Order::Attached(is_attached) => Self::attached(actor, is_attached),
            Order::Left(answer) => {
                let _ = answer.send(actor.borrow().in_shard(realm, Shard::left));
            }
            Order::Leave => Self::leave(actor, realm),
        }
    }

    /// What there is to be said of the core's part in a lineage; nothing if it has none there.
    fn in_shard<T: Default>(&self, realm: Realm, say: impl FnOnce(&Shard) -> T) -> T {
        self.line(realm).and_then(Line::shard).map(say).unwrap_or_default()
    }

    /// A connection is gone: its calls have nobody to answer.
    pub(super) fn hang_up(actor: &Shared, connection: ConnectionId) {
        let mut this = actor.borrow_mut();
        let Self { admission, calls, .. } = &mut *this;
        admission.gone(connection);
        calls.retain(|_, call| {
            let is_open = call.stream.is_open();
            if !is_open {
                admission.answered(call.place);
            }
            is_open
        });
    }
}

/// How a shard stands, but for its clients.
fn glance(shard: &Shard, after: Option<ColonyId>, limit: usize) -> Glance {
    let later = shard.replicas().skip_while(|replica| after.is_some_and(|after| replica.colony() <= after));
    let copies = later.take(limit).map(|replica| (replica.colony(), replica.standing())).collect();
    Glance { copies, kept: shard.kept().count(), ..Glance::default() }
}

/// The copies of a colony in a shard: the one in use, and one that is kept.
fn held_copies(shard: &Shard, colony: ColonyId) -> Vec<HeldCopy> {
    let used = shard.replica(colony).map(|replica| (shard.start(), replica));
    let kept = shard.kept().filter(|(_, replica)| replica.colony() == colony);
    let held = |(held_as, replica): (StartId, &Replica)| HeldCopy {
        held_as,
        position: replica.position(),
        sessions: replica.store().len() as u64,
    };
    used.into_iter().chain(kept).map(held).collect()
}

/// What the copies in use hold and have done.
fn counts(shard: &Shard) -> Vec<CopyCounts> {
    let count = |replica: &Replica| CopyCounts {
        colony: replica.colony(),
        sessions: replica.store().len() as u64,
        bytes: replica.store().bytes(),
        committed: replica.committed(),
    };
    shard.replicas().map(count).collect()
}

/// A stream that takes no more is slow or gone; its client asks again.
pub(super) fn send(stream: &FrameSender, frame: Bytes) {
    if let Err(error) = stream.send(frame) {
        tracing::debug!(%error, "a reply was not taken");
    }
}
