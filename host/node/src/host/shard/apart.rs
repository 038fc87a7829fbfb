//! A shard in an island: copies go there and come back, and the two lineages of one process talk (`PROTOCOL.md` 8, 9).

use std::collections::BTreeMap;
use std::sync::Arc;

use colony_core::Time;
use colony_core::colony::{Input, Lane, Output, Shard, Staying};
use colony_core::group::{Entry, State};
use colony_link::FrameSender;
use colony_wire::heal::{HealBody, HealMessage};
use colony_wire::{Cfg, ColonyId, Message, StartId, View};
use tokio::sync::watch;

use super::Ties;
use super::actor::{Actor, Shared};
use super::line::Line;
use super::tally::Tally;
use crate::host::realm::{Realm, is_served_apart};

/// The island's line, and what it was told of the side that stays.
pub(super) struct Apart {
    pub(super) line: Line,
    /// Whether the root's group decides for this process.
    is_attached: bool,
    told: BTreeMap<ColonyId, Told>,
}

/// What the core was told of a colony last: this process's start under the root, and how new that was in the root's state
/// and in the island's.
type Told = (StartId, [(View, Cfg); 2]);

/// A colony, and how it stands on the side that stays, if that is in reach.
type News = (ColonyId, Option<Arc<Staying>>);

impl Actor {
    /// The process lives in an island: the copies of colonies that may fork go over to it.
    pub(super) fn enter(actor: &Shared, realm: Realm, start: StartId, ties: Ties) {
        let Some(lineage) = realm.island() else { return };
        let view = ties.view.clone();
        {
            let mut this = actor.borrow_mut();
            let this = &mut *this;
            let tally = Tally::new(this.meters.clone(), this.seat.plugins.clone());
            let mut line = Line::new(realm, start, ties, tally);
            line.begin(lineage);
            let now = this.seat.clock.now();
            let (mut here, mut there) = (Vec::new(), Vec::new());
            let copies = this.root.shard_mut().map(|shard| shard.fork(now, &mut here)).unwrap_or_default();
            this.carry_out_all(actor, Realm::Root, here);
            this.island = Some(Apart { line, is_attached: false, told: BTreeMap::new() });
            if let Some(island) = this.line_mut(realm).and_then(Line::shard_mut) {
                island.take_over(now, copies, &mut there);
            }
            this.carry_out_all(actor, realm, there);
        }
        let state = view.borrow().clone();
        Self::follow(actor, realm, state);
        tokio::task::spawn_local(keep_up(actor.clone(), realm, view));
    }

    /// The process lives in the island no more: the root has all that it had.
    pub(super) fn leave(actor: &Shared, realm: Realm) {
        {
            let mut this = actor.borrow_mut();
            if this.island.take_if(|island| island.line.realm == realm).is_none() {
                return;
            }
            this.forget_links();
        }
        Self::handle(actor, Realm::Root, Input::Back);
    }

    /// Whether it is fenced still; it stays so then.
    pub(super) fn hold(actor: &Shared, fenced: Time, until: Time) -> bool {
        let is_fenced = Self::now(actor) < fenced;
        if is_fenced {
            Self::handle(actor, Realm::Root, Input::Fence { until: Some(until) });
        }
        is_fenced
    }

    /// The root's group decides for this process again, or no more.
    pub(super) fn attached(actor: &Shared, is_attached: bool) {
        if let Some(island) = &mut actor.borrow_mut().island {
            island.is_attached = is_attached;
        }
        Self::tell_how_it_stands(actor);
    }

    /// Tells the island's side how its colonies stand on the side that stays, as far as that is news.
    pub(super) fn tell_how_it_stands(actor: &Shared) {
        let Some((realm, news)) = actor.borrow_mut().news_of_the_root() else { return };
        for (colony, staying) in news {
            Self::handle(actor, realm, Input::Staying { colony, staying });
        }
    }

    fn news_of_the_root(&mut self) -> Option<(Realm, Vec<News>)> {
        let (root, Apart { line, is_attached, told }) = (&self.root, self.island.as_mut()?);
        let me = Some(root.start).filter(|start| *is_attached && root.state.is_up(*start));
        let Some(me) = me else {
            let all = std::mem::take(told).into_keys();
            return Some((line.realm, all.map(|colony| (colony, None)).collect()));
        };
        let (here, there) = (&line.state, &root.state);
        let is_of_shard = |(colony, _): &(&ColonyId, &Entry)| colony.shard(self.seat.shards) == self.seat.index;
        let mut news = Vec::new();
        for (colony, entry) in here.table.iter().filter(is_of_shard) {
            let Some(staying) = there.table.get(colony) else { continue };
            let now = (me, [(there.view, staying.cfg), (here.view, entry.cfg)]);
            if told.insert(*colony, now) != Some(now) {
                news.push((*colony, there.seen_from(here, *colony, me).map(Arc::new)));
            }
        }
        Some((line.realm, news))
    }

    /// The lineage in which a client's call for this colony is answered.
    pub(super) fn serving(&self, colony: ColonyId) -> Realm {
        match &self.island {
            Some(Apart { line, is_attached, .. })
                if is_served_apart(&line.state, &self.root.state, *is_attached, colony) =>
            {
                line.realm
            }
            _ => Realm::Root,
        }
    }

    /// Copies that are the root's again go back to it.
    pub(super) fn take_back(&mut self, actor: &Shared, realm: Realm) {
        let now = self.seat.clock.now();
        let copies = self.line_mut(realm).and_then(Line::shard_mut).map(Shard::returning).unwrap_or_default();
        if copies.is_empty() {
            return;
        }
        let mut outputs = Vec::new();
        if let Some(root) = self.root.shard_mut() {
            root.take_over(now, copies, &mut outputs);
        }
        self.carry_out_all(actor, Realm::Root, outputs);
    }

    fn carry_out_all(&mut self, actor: &Shared, realm: Realm, outputs: Vec<Output>) {
        for output in outputs {
            self.carry_out(actor, realm, None, output);
        }
    }

    /// Sends a message to the other side, which may be on this very shard.
    pub(super) fn send_across(&mut self, actor: &Shared, message: HealMessage) {
        if message.to == self.root.start {
            if let Some(realm) = self.addressed(&message) {
                self.say(realm, Input::Heal(message));
            }
            return;
        }
        let Some(member) = self.root.state.members.get(&message.to) else { return };
        let (shard, lane) = (message.colony.shard(member.shards), lane(&message));
        match message.to_frame(0) {
            Ok(frame) => self.links.send(actor, member, shard, lane, frame),
            Err(error) => {
                let (colony, peer) = (message.colony, &member.name);
                tracing::error!(%colony, %peer, %error, "a message to the other side was not sent");
            }
        }
    }

    /// The other side speaks; `host` is the name in its certificate.
    pub(super) fn from_across(actor: &Shared, stream: &FrameSender, host: &str, message: HealMessage) {
        let realm = {
            let mut this = actor.borrow_mut();
            let this = &mut *this;
            let from = this.root.state.members.get(&message.from).filter(|member| member.name == host);
            let Some(member) = from.filter(|_| message.to == this.root.start) else { return };
            this.links.learn(member.start, message.colony.shard(member.shards), lane(&message), stream);
            this.addressed(&message)
        };
        if let Some(realm) = realm {
            Self::handle(actor, realm, Input::Heal(message));
        }
    }

    /// The lineage that is spoken to, if the shard lives in it.
    fn addressed(&self, message: &HealMessage) -> Option<Realm> {
        let is_root = self.root.state.lineage == message.to_lineage;
        let realm = if is_root { Realm::Root } else { Realm::Island(message.to_lineage) };
        self.line(realm).map(|line| line.realm)
    }
}

/// Sessions fill a stream; what else is said is short.
fn lane(message: &HealMessage) -> Lane {
    if matches!(message.body, HealBody::Part { .. }) { Lane::Bulk } else { Lane::Replication }
}

/// Follows the island's group until the shard or the process lives in it no more.
async fn keep_up(actor: Shared, realm: Realm, mut view: watch::Receiver<Arc<State>>) {
    while view.changed().await.is_ok() {
        let state = view.borrow_and_update().clone();
        if actor.borrow().line(realm).is_none() {
            return;
        }
        Actor::follow(&actor, realm, state);
    }
}
