//! Going on apart while the network is split (`PROTOCOL.md` 8): opening an island, coming along into one, living there,
//! and going back.
//!
//! ```text
//!   watching:  core::island::Opening is shown what this host sees, every beacon interval
//!      |  Ask, or another host's Consent: fence the copies, say where they end      settler.rs
//!      v
//!   founding:  the island's group, of this host alone; its first command is all it begins with
//!      |  or another host's OpenIsland
//!      v
//!   living:    copies go over, a second Control is begun; until the root has all     life.rs
//! ```
//!
//! All of it is one task: what is asked meanwhile waits for its turn.

mod life;
mod settler;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use colony_core::Time;
use colony_core::group::{Command, Member, MemberState, Outcome, Settler, State};
use colony_core::island::{Config, Opening, Output, Refusal, Sight};
use colony_link::PeerIdentity;
use colony_wire::control::{ControlReply, ControlRequest};
use colony_wire::island::Consent;
use colony_wire::{LineageId, StartId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use self::life::Life;
pub(super) use self::life::not_taken_in;
use self::settler::Own;
use super::calls::CallFailed;
use super::{Control, Realms};
use crate::host::HostError;
use crate::host::shard::Order;

/// Questions, answers and news under way to the one task. Hosts that are cut off together are few, and each asks once.
pub(super) const EVENTS: usize = 256;
/// How often the opening looks around: as often as beacons are sent.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A fence that held until now stands so much longer while copies go over: far above what that takes. If the process
/// stands still meanwhile the copies go over all the same, for the order to do so is under way by then.
const HELD: Duration = Duration::from_secs(5);
/// Longest wait for a host's answer to what became of an attempt. It is told once: one that does not hear stays where it
/// was, and the island lets its copies go like those of a silent host.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// What happens to the one task.
pub(super) enum Event {
    /// Another host asks.
    Asked {
        /// Who it is.
        peer: PeerIdentity,
        /// One of the requests that are about islands.
        request: ControlRequest,
        answer: oneshot::Sender<ControlReply>,
    },
    /// A host that was asked for its consent has answered, or will not.
    Answered { nonce: u64, from: StartId, answer: Result<ControlReply, CallFailed> },
}

/// Runs for as long as the host does; returns what ends it.
pub(super) async fn run(realms: Arc<Realms>, mut events: mpsc::Receiver<Event>) -> HostError {
    let seed = match realms.root.host.surroundings.random() {
        Ok(seed) => seed,
        Err(error) => return error,
    };
    let opening = Opening::new(Config::default(), realms.root.start(), seed, realms.root.host.clock.now());
    let mut apart = Apart {
        me: realms.root.start(),
        realms,
        seed,
        opening,
        fenced: None,
        own: None,
        consents: BTreeMap::new(),
        life: None,
    };
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let outcome = tokio::select! {
            Some(event) = events.recv() => apart.take(event).await,
            failed = ended(&mut apart.life) => return failed,
            _ = ticks.tick() => apart.look().await,
        };
        if let Err(error) = outcome {
            return error;
        }
    }
}

/// What ends the process, of the island that it lives in.
async fn ended(life: &mut Option<Life>) -> HostError {
    match life {
        Some(life) => life.failed().await,
        None => std::future::pending().await,
    }
}

struct Apart {
    realms: Arc<Realms>,
    /// The start under the root that the opening knows.
    me: StartId,
    seed: u64,
    opening: Opening,
    /// Until when the copies that may fork are fenced.
    fenced: Option<Time>,
    /// This host's part in the attempt that is under way.
    own: Option<Own>,
    /// What others bring into the island that this host founds, by their starts under the root.
    consents: BTreeMap<StartId, Consent>,
    life: Option<Life>,
}

impl Apart {
    fn root(&self) -> &Arc<Control> {
        &self.realms.root
    }

    /// Shows the opening what this host sees.
    async fn see<T>(&mut self, show: impl FnOnce(&mut Opening, colony_core::Now, &Sight<'_>) -> T) -> T {
        let root = self.root().clone();
        let reached: BTreeSet<StartId> = root.answering().await.into_iter().collect();
        let (state, attachment) = (root.state(), root.attachment());
        let sight = Sight { state: &state, attachment: &attachment, reached: &reached };
        show(&mut self.opening, root.host.clock.now(), &sight)
    }

    /// A beacon interval has passed.
    async fn look(&mut self) -> Result<(), HostError> {
        if let Some(life) = &mut self.life {
            if life.go_on(&self.realms.root).await {
                self.go_back().await;
            }
            return Ok(());
        }
        let start = self.root().start();
        if self.me != start {
            // The root's group held this process for dead: whatever it was about to do, it did under another start.
            self.me = start;
            self.opening = Opening::new(Config::default(), start, self.seed, self.root().host.clock.now());
            self.fence(None).await;
        }
        let mut out = Vec::new();
        self.see(|opening, now, sight| opening.tick(now, sight, &mut out)).await;
        self.carry_out(out).await
    }

    /// The root has all that the island had.
    async fn go_back(&mut self) {
        if let Some(life) = self.life.take() {
            self.realms.live_in(None);
            life.end().await;
        }
        self.opening.left(self.root().host.clock.now());
    }

    async fn take(&mut self, event: Event) -> Result<(), HostError> {
        match event {
            Event::Asked { peer, request, answer } => {
                let reply = match request {
                    ControlRequest::Consent { nonce, founder } => self.consent(&peer, nonce, founder).await?,
                    ControlRequest::OpenIsland { nonce, lineage, founder_address, state } => {
                        self.come_along(nonce, lineage, &founder_address, &state).await?
                    }
                    ControlRequest::CancelIsland { nonce } => {
                        let mut out = Vec::new();
                        self.opening.cancelled(self.root().host.clock.now(), nonce, &mut out);
                        self.carry_out(out).await?;
                        ControlReply::Noted
                    }
                    _ => refused("another question was meant", false),
                };
                let _ = answer.send(reply);
            }
            Event::Answered { nonce, from, answer } => match answer {
                Ok(ControlReply::Consented(consent)) if consent.nonce == nonce => {
                    self.consents.insert(from, consent);
                    self.opening.consented(nonce, from);
                }
                Ok(ControlReply::Refused { why, retryable }) => {
                    tracing::info!(%from, %why, "does not come along into an island");
                    self.opening.refused(nonce, from, retryable);
                }
                Ok(_) | Err(_) => self.opening.silent(nonce, from),
            },
        }
        Ok(())
    }

    /// What the opening wants done. Nothing of it is done in an island.
    async fn carry_out(&mut self, outputs: Vec<Output>) -> Result<(), HostError> {
        let mut waiting: std::collections::VecDeque<Output> = outputs.into();
        while let Some(output) = waiting.pop_front() {
            match output {
                Output::Fence { until } => self.fence(until).await,
                Output::Ask { nonce, hosts } => {
                    self.consents.clear();
                    self.ask(nonce, &hosts);
                }
                Output::Cancel { nonce, hosts } => self.tell(&hosts, &ControlRequest::CancelIsland { nonce }),
                Output::Found { nonce, with } => waiting.extend(self.found(nonce, &with).await?),
            }
        }
        Ok(())
    }

    async fn fence(&mut self, until: Option<Time>) {
        self.fenced = until;
        for shard in self.root().shards() {
            self.root().tell(shard, Order::Fence { until }).await;
        }
    }

    /// Whether the fence has stood without a gap until now; it stands for long enough from here on.
    async fn hold(&mut self) -> bool {
        let Some(fenced) = self.fenced else { return false };
        let until = self.root().host.clock.now().mono + HELD;
        let mut is_whole = true;
        for shard in self.root().shards() {
            let held = self.root().ask(shard, |answer| Order::Hold { fenced, until, answer }).await;
            is_whole &= held.unwrap_or(false);
        }
        self.fenced = Some(until);
        is_whole
    }

    fn address_of(&self, start: StartId) -> Option<std::net::SocketAddr> {
        self.root().state().members.get(&start).map(|member| member.address)
    }

    fn ask(&self, nonce: u64, hosts: &[StartId]) {
        tracing::warn!(hosts = hosts.len(), "cut off from the group: asking who else is");
        let request = ControlRequest::Consent { nonce, founder: self.me };
        for from in hosts.iter().copied() {
            let (events, calls, request) = (self.realms.opening.clone(), self.root().calls.clone(), request.clone());
            let address = self.address_of(from);
            let within = Config::default().consent_within;
            tokio::spawn(async move {
                let answer = match address {
                    Some(address) => calls.call(address, &request, within).await,
                    None => Err(CallFailed::Unreachable("it is no member".into())),
                };
                let _ = events.send(Event::Answered { nonce, from, answer }).await;
            });
        }
    }

    fn tell(&self, hosts: &[StartId], request: &ControlRequest) {
        for address in hosts.iter().filter_map(|start| self.address_of(*start)) {
            let (calls, request) = (self.root().calls.clone(), request.clone());
            tokio::spawn(async move {
                match calls.call(address, &request, TOLD_WITHIN).await {
                    Ok(ControlReply::Noted) => {}
                    Ok(ControlReply::Refused { why, .. }) => tracing::info!(%address, %why, "did not come along"),
                    Ok(_) => tracing::info!(%address, "an answer to another question"),
                    Err(error) => tracing::info!(%address, %error, "was not told what became of the island"),
                }
            });
        }
    }

    /// Another host asks this one to come along.
    async fn consent(&mut self, peer: &PeerIdentity, nonce: u64, founder: StartId) -> Result<ControlReply, HostError> {
        let speaks_for_another =
            self.root().state().members.get(&founder).is_some_and(|member| member.name != peer.name);
        if speaks_for_another {
            return Ok(refused("this host is not the one it speaks for", false));
        }
        let mut out = Vec::new();
        let asked = self.see(|opening, now, sight| opening.asked(now, sight, nonce, founder, &mut out)).await;
        self.carry_out(out).await?;
        if let Err(refusal) = asked {
            return Ok(refused_by(refusal));
        }
        let own = Own::draw(self.root(), nonce).await?;
        let consent = own.consent(self.root());
        self.own = Some(own);
        Ok(ControlReply::Consented(consent))
    }

    /// The island that this host consented to is open.
    async fn come_along(
        &mut self,
        nonce: u64,
        lineage: LineageId,
        founder: &str,
        state: &Bytes,
    ) -> Result<ControlReply, HostError> {
        let begins = match begins_with(lineage, state) {
            Ok(begins) => Arc::new(begins),
            Err(why) => return Ok(refused(why, false)),
        };
        let Some(own) = self.own.take_if(|own| own.nonce == nonce && begins.is_up(own.member.start)) else {
            return Ok(refused_by(Refusal::NoAttempt));
        };
        if !self.hold().await {
            self.fence(None).await;
            return Ok(refused_by(Refusal::NoAttempt));
        }
        if let Err(refusal) = self.see(|opening, now, sight| opening.open(now, sight, nonce)).await {
            self.fence(None).await;
            return Ok(refused_by(refusal));
        }
        let life = Life::prepare(self.root(), lineage, own, begins).await?;
        life.control.note_leader(founder.parse().ok());
        self.settle(life).await;
        Ok(ControlReply::Noted)
    }

    /// Makes the island's group out of this host and those that consented. What is to be done instead, if it does not
    /// come to that.
    async fn found(&mut self, nonce: u64, with: &[StartId]) -> Result<Vec<Output>, HostError> {
        let own = Own::draw(self.root(), nonce).await?;
        let lineage = LineageId(self.root().host.surroundings.random_u128()?);
        let begins = self.beginning(lineage, &own, with);
        let (start, address) = (own.member.start, own.member.address);
        let mut out = Vec::new();
        if !begins.is_up(start) {
            tracing::warn!("the group holds this host for dead, as another that is cut off knows: no island is opened");
            self.opening.failed(self.root().host.clock.now(), &mut out);
            return Ok(out);
        }
        let life = Life::prepare(self.root(), lineage, own, Arc::default()).await?;
        let first = Command::Island { state: Box::new(begins.clone()) };
        let founded = life.control.group.found(&first, address, Config::default().fence).await;
        let is_held = self.hold().await;
        let outcome = match founded {
            Ok(()) if is_held => self
                .see(|opening, now, sight| opening.founded(now, sight, &mut out))
                .await
                .map_err(|why| why.to_string()),
            Ok(()) => {
                self.opening.failed(self.root().host.clock.now(), &mut out);
                Err("it took too long".to_owned())
            }
            Err(error) => {
                self.opening.failed(self.root().host.clock.now(), &mut out);
                Err(error.to_string())
            }
        };
        if let Err(why) = outcome {
            tracing::warn!(%why, "no island is opened");
            life.control.group.shutdown().await;
            return Ok(out);
        }
        let founder_address = address.to_string();
        self.settle(life).await;
        let open = ControlRequest::OpenIsland { nonce, lineage, founder_address, state: begins.encode() };
        let comes = |root: &StartId| self.consents.get(root).is_some_and(|it| begins.is_up(it.start));
        let (coming, left): (Vec<StartId>, Vec<StartId>) = with.iter().copied().partition(comes);
        self.tell(&coming, &open);
        self.tell(&left, &ControlRequest::CancelIsland { nonce });
        Ok(out)
    }

    /// What the island begins with, by the newest state that any of these has.
    fn beginning(&self, lineage: LineageId, own: &Own, with: &[StartId]) -> State {
        let mut newest = State::clone(&self.root().state());
        let mut settlers = vec![Settler { root: self.me, member: own.member.clone(), copies: own.copies.clone() }];
        for (root, consent) in with.iter().filter_map(|root| Some((*root, self.consents.get(root)?))) {
            let (Ok(member), Ok(state)) = (Member::decode(&consent.member), State::decode(&consent.state)) else {
                tracing::warn!(%root, "what it brings into the island does not decode: it stays out");
                continue;
            };
            // Its record is its own to make, its name and its start are not.
            let is_itself = newest.members.get(&root).is_none_or(|known| known.name == member.name);
            if !is_itself || member.start != consent.start || state.lineage != newest.lineage {
                continue;
            }
            if state.revision > newest.revision {
                newest = state;
            }
            let member = Member { state: MemberState::Up, ..member };
            settlers.push(Settler { root, member, copies: consent.copies.clone() });
        }
        newest.island(lineage, &settlers)
    }

    /// From here on this process lives in the island.
    async fn settle(&mut self, mut life: Life) {
        life.begin(self.root()).await;
        self.fenced = None;
        self.realms.live_in(Some(life.control.clone()));
        self.life = Some(life);
    }
}

/// The state of an island after its first command.
fn begins_with(lineage: LineageId, state: &Bytes) -> Result<State, String> {
    let state = State::decode(state).map_err(|error| format!("the state does not decode: {error}"))?;
    let mut begun = State::default();
    match begun.apply(&Command::Island { state: Box::new(state) }) {
        Outcome::Applied if begun.lineage == lineage => Ok(begun),
        Outcome::Applied => Err("the state is of another lineage".to_owned()),
        outcome => Err(format!("nothing begins with this state: {outcome:?}")),
    }
}

fn refused(why: impl Into<String>, retryable: bool) -> ControlReply {
    ControlReply::Refused { why: why.into(), retryable }
}

fn refused_by(refusal: Refusal) -> ControlReply {
    refused(refusal.to_string(), refusal.is_for_now())
}
