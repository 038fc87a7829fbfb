//! What a shard thread does: one input at a time into the core, its outputs out into the world.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use colony_core::Time;
use colony_core::colony::{Caller, Input, Output, Replica, Settings, Shard, Space};
use colony_core::group::State;
use colony_link::{FrameSender, Transport};
use colony_wire::client::{Refusal, Reply, ReplyBody, Request};
use colony_wire::control::HeldCopy;
use colony_wire::load::CopyCounts;
use colony_wire::peer::PeerMessage;
use colony_wire::{Cfg, ColonyId, LineageId, Message, NamespaceId, Reign, StartId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::time::MissedTickBehavior;

use super::admission::{Admission, ConnectionId, Place};
use super::links::Links;
use super::merges::{Merges, Question};
use super::serve::Asked;
use super::tally::Tally;
use super::{KeptCopies, Order, Seat, serve};
use crate::host::seen::{Glance, Kind, ShardMeters};

/// Inputs that a burst may put into the core before outputs are carried out: none, each is carried out at
/// once. What is bounded is the answers of merges under way to this thread.
const MERGE_ANSWERS: usize = 4096;

/// A shard's state, shared by the tasks of its one thread.
pub(super) struct Actor {
    seat: Seat,
    /// None until the host belongs to a lineage.
    shard: Option<(LineageId, Shard)>,
    state: Arc<State>,
    /// The entries handed to the core last.
    heard: BTreeMap<ColonyId, Cfg>,
    spaces: BTreeMap<NamespaceId, Arc<Space>>,
    pub(super) links: Links,
    pub(super) admission: Admission<Asked>,
    /// Wakes who serves the calls that wait.
    pub(super) asked: Rc<Notify>,
    calls: BTreeMap<Caller, Call>,
    last_caller: u64,
    last_connection: u64,
    merges: Merges,
    outputs: Vec<Output>,
    pub(super) tally: Tally,
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
        meters: Arc<ShardMeters>,
        transport: Arc<dyn Transport>,
        mut orders: mpsc::Receiver<Order>,
    ) {
        let (answers, mut answered) = mpsc::channel(MERGE_ANSWERS);
        let settings = Settings::default();
        let mut view = seat.view.clone();
        let merges = Merges::start(answers);
        let links = Links::new(transport.clone());
        let tally = Tally::new(meters, seat.plugins.clone());
        let actor: Shared = Rc::new(RefCell::new(Self {
            seat,
            shard: None,
            state: Arc::default(),
            heard: BTreeMap::new(),
            spaces: BTreeMap::new(),
            links,
            admission: Admission::default(),
            asked: Rc::default(),
            calls: BTreeMap::new(),
            last_caller: 0,
            last_connection: 0,
            merges,
            outputs: Vec::new(),
            tally,
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
                    Some(order) => Self::obey(&actor, order),
                    None => break,
                },
                changed = view.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let state = view.borrow_and_update().clone();
                    Self::follow(&actor, state);
                }
                Some((ticket, answer)) = answered.recv() => {
                    Self::handle(&actor, Input::Merged { ticket, answer });
                }
                _ = ticks.tick() => Self::handle(&actor, Input::Tick),
            }
        }
        transport.close();
        transport.drained().await;
    }

    /// One input into the core, and what comes of it out.
    fn handle(actor: &Shared, input: Input) {
        let mut this = actor.borrow_mut();
        let this = &mut *this;
        let now = this.seat.clock.now();
        let mut outputs = std::mem::take(&mut this.outputs);
        let Some((_, shard)) = &mut this.shard else { return };
        let concern = this.tally.before(&input, shard);
        shard.handle(now, input, &mut outputs);
        this.tally.after(now.mono, &concern, shard);
        for output in outputs.drain(..) {
            this.tally.output(&concern, &output);
            this.carry_out(actor, concern.colony, output);
        }
        this.outputs = outputs;
    }

    /// `about` is the colony that the input was about.
    fn carry_out(&mut self, actor: &Shared, about: Option<ColonyId>, output: Output) {
        match output {
            Output::Send { to, lane, message } => {
                let Some(member) = self.state.members.get(&to) else { return };
                let shard = message.colony.shard(member.shards);
                match message.to_frame(0) {
                    Ok(frame) => self.links.send(actor, member, shard, lane, frame),
                    Err(error) => {
                        let (colony, reign) = (message.colony, self.reign(message.colony));
                        tracing::error!(%colony, %reign, peer = %member.name, %error, "a message to a peer was not sent");
                    }
                }
            }
            Output::Reply { to, reply } => self.reply(to, &reply),
            Output::Propose(command) => {
                if let Err(TrySendError::Full(_)) = self.seat.proposals.try_send(command) {
                    tracing::warn!("the queue of proposals is full; the core will propose again");
                }
            }
            Output::ReadGroup { colony, nonce } => {
                let question = super::Question { shard: self.seat.index, colony, nonce };
                if self.seat.questions.try_send(question).is_err() {
                    tracing::warn!("the queue of questions to the group is full; the core will ask again");
                }
            }
            Output::Merge { ticket, colony, key, by, conflict } => {
                let reign = self.reign(colony);
                tracing::debug!(%colony, %reign, attributes = conflict.attributes.len(), "a merge is asked for");
                let judge = self.seat.plugins.judge(&self.state, &by);
                self.merges.ask(Question { ticket, colony, key, judge, conflict });
            }
            Output::ExpiryHeld { colony, held } => {
                let reign = self.reign(colony);
                tracing::warn!(%colony, %reign, held, "sessions came due while nobody could use them; they end little by little");
            }
            Output::Decided { colony, unread } => {
                let reign = self.reign(colony);
                match unread {
                    None => tracing::debug!(%colony, %reign, "a merge was decided by what is built in"),
                    Some(why) => tracing::warn!(%colony, %reign, %why, "a built-in merge kept the later write"),
                }
            }
            // Whoever asked the plugin has warned of it, as often as a log bears.
            Output::FellBack { ticket, to, why } => {
                let (colony, reign) = (about, about.map(|colony| self.reign(colony)));
                tracing::debug!(?colony, ?reign, ticket = ticket.0, ?to, %why, "a merge gave no usable answer");
            }
            Output::TooLarge { colony, to, bytes, limit } => {
                let reign = self.reign(colony);
                tracing::error!(%colony, %reign, peer = %to, bytes, limit, "a state is too large to be copied to a peer");
            }
            // The table is pushed here as soon as this host has it; there is nothing to fetch it from sooner.
            Output::FetchTable { colony, reign } => tracing::debug!(%colony, %reign, "a newer reign is heard of"),
        }
    }

    /// The reign of a colony as it is known here.
    fn reign(&self, colony: ColonyId) -> Reign {
        self.state.table.get(&colony).map(|entry| entry.reign).unwrap_or_default()
    }

    fn reply(&mut self, to: Caller, reply: &Reply) {
        let Some(call) = self.calls.remove(&to) else { return };
        self.tally.answered(call.kind, call.since, self.seat.clock.now().mono, reply);
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
        let caller = {
            let mut this = actor.borrow_mut();
            this.tally.asked(kind);
            if this.shard.is_none() {
                this.admission.answered(place);
                drop(this);
                return Self::refuse(actor, stream, number, Refusal::NoColony);
            }
            this.last_caller += 1;
            let caller = Caller(this.last_caller);
            let since = this.seat.clock.now().mono;
            this.calls.insert(caller, Call { stream: stream.clone(), number, kind, since, place });
            caller
        };
        Self::handle(actor, Input::Request { from: caller, request });
    }

    /// Answers a call that the core has not seen.
    pub(super) fn refuse(actor: &Shared, stream: &FrameSender, number: u64, refusal: Refusal) {
        let this = actor.borrow();
        this.tally.refused(&refusal);
        let served_by = this.shard.as_ref().map_or(this.seat.start, |(_, shard)| shard.start());
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
        {
            let mut this = actor.borrow_mut();
            let state = this.state.clone();
            // Who speaks for a start must be the host that has it.
            let Some(member) = state.members.get(&message.from).filter(|member| member.name == host) else { return };
            let shard = message.colony.shard(member.shards);
            this.links.learn(member.start, shard, &message, stream);
        }
        Self::handle(actor, Input::Peer(message));
    }

    /// The group state is newer: the core hears of every entry of this shard that changed.
    fn follow(actor: &Shared, state: Arc<State>) {
        if !state.has_begun() {
            return;
        }
        let changed = {
            let mut this = actor.borrow_mut();
            this.begin(&state);
            let news = this.news(&state);
            this.links.forget_all_but(&state);
            this.state = state;
            news
        };
        for (colony, entry, space) in changed {
            Self::handle(actor, Input::Table { colony, entry, space });
        }
        let mut this = actor.borrow_mut();
        let Self { tally, shard, .. } = &mut *this;
        if let Some((_, shard)) = shard {
            tally.look_through(shard);
        }
    }

    fn begin(&mut self, state: &State) {
        if self.shard.as_ref().is_none_or(|(lineage, _)| *lineage != state.lineage) {
            let shard = Shard::new(state.lineage, self.seat.start, Settings::default());
            self.shard = Some((state.lineage, shard));
            self.heard.clear();
        }
    }

    fn news(&mut self, state: &State) -> Vec<(ColonyId, colony_core::group::Entry, Arc<Space>)> {
        let Self { seat, heard, spaces, .. } = self;
        let mut news = Vec::new();
        for (colony, entry) in &state.table {
            if colony.shard(seat.shards) != seat.index || heard.get(colony).is_some_and(|cfg| *cfg >= entry.cfg) {
                continue;
            }
            let Some(namespace) = state.namespaces.get(&colony.namespace) else { continue };
            let space = spaces
                .entry(colony.namespace)
                .or_insert_with(|| Arc::new(Space { name: namespace.name.clone(), policy: namespace.policy.clone() }));
            heard.insert(*colony, entry.cfg);
            news.push((*colony, entry.clone(), space.clone()));
        }
        news
    }

    fn obey(actor: &Shared, order: Order) {
        match order {
            Order::Reborn(start) => {
                actor.borrow_mut().seat.start = start;
                Self::handle(actor, Input::Reborn { start });
            }
            Order::Kept(answer) => {
                let this = actor.borrow();
                let kept = this.shard.as_ref().map(|(_, shard)| KeptCopies {
                    earlier: shard.earlier().to_vec(),
                    copies: shard.kept().map(|(dead, replica)| (replica.colony(), dead)).collect(),
                });
                let _ = answer.send(kept.unwrap_or_default());
            }
            Order::GroupRead { colony, nonce, entry } => {
                Self::handle(actor, Input::GroupRead { colony, nonce, entry });
            }
            Order::Copies(colony, answer) => {
                let this = actor.borrow();
                let copies = this.shard.as_ref().map(|(_, shard)| held_copies(shard, colony));
                let _ = answer.send(copies.unwrap_or_default());
            }
            Order::Glance { after, limit, answer } => {
                let _ = answer.send(actor.borrow().glance(after, limit));
            }
            Order::Count(answer) => {
                let this = actor.borrow();
                let _ = answer.send(this.shard.as_ref().map(|(_, shard)| counts(shard)).unwrap_or_default());
            }
            Order::Fate { colony, dead, fate } => Self::handle(actor, Input::Fate { colony, dead, fate }),
        }
    }

    fn glance(&self, after: Option<ColonyId>, limit: usize) -> Glance {
        let calls = self.calls.len();
        let Some((_, shard)) = &self.shard else { return Glance { calls, ..Glance::default() } };
        let later = shard.replicas().skip_while(|replica| after.is_some_and(|after| replica.colony() <= after));
        let copies = later.take(limit).map(|replica| (replica.colony(), replica.standing())).collect();
        Glance { copies, kept: shard.kept().count(), calls }
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
