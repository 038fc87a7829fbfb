//! What other hosts and people ask on the control port.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use colony_core::group::{Command, Member, MemberState, Outcome, Refusal, State};
use colony_link::{Connection, FrameReceiver, FrameSender, PeerIdentity, Role};
use colony_raft::{Feed, ProposeError};
use colony_wire::admin::AdminRequest;
use colony_wire::client::RoutesRequest;
use colony_wire::control::{Beacon, ControlReply, ControlRequest, Fate, Introduction, IslandRequest};
use colony_wire::limits::MAX_RELAYS;
use colony_wire::plugin::{ContentId, PluginPart, Readiness};
use colony_wire::{ColonyId, DecodeError, Frame, LineageId, Message, Revision, StartId};
use tokio::sync::{Semaphore, oneshot};

use super::propose::COMMIT_WITHIN;
use super::view::FEED_HOLD;
use super::{Control, Realms, admin, apart, lock, routes};

/// Requests of one connection worked on at a time; further ones wait in its stream.
const AT_A_TIME: usize = 256;
/// How long the leader waits for a joiner, or for the namesake of one, to answer.
const CONTACT_WITHIN: Duration = Duration::from_millis(500);
/// Code of a connection that is closed for what it sent.
const MALFORMED: u32 = 1;

/// Takes connections until the transport is closed.
pub(super) async fn accept(realms: Arc<Realms>) {
    while let Some(connection) = realms.root.host.transport.accept().await {
        tokio::spawn(beacons(realms.clone(), connection.clone()));
        tokio::spawn(streams(realms.clone(), connection));
    }
}

/// Datagrams of a connection: beacons are answered on it.
async fn beacons(realms: Arc<Realms>, connection: Connection) {
    if connection.peer().role != Role::Host {
        return;
    }
    while let Ok(datagram) = connection.recv_datagram().await {
        let Ok(beacon) = Frame::parse(datagram).and_then(|frame| frame.decode::<Beacon>()) else { continue };
        // That it came in shows one direction of the link. What counts is the answer, at the other side.
        if beacon.answers.is_none()
            && let Ok(answer) = realms.of(beacon.lineage).beacon(beacon.nonce, Some(beacon.nonce)).to_frame(0)
        {
            let _ = connection.send_datagram(answer);
        }
    }
}

async fn streams(realms: Arc<Realms>, connection: Connection) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    while let Ok((sender, receiver)) = connection.accept_stream().await {
        tokio::spawn(read(realms.clone(), connection.clone(), sender, receiver, places.clone()));
    }
}

async fn read(
    realms: Arc<Realms>,
    connection: Connection,
    sender: FrameSender,
    mut receiver: FrameReceiver,
    places: Arc<Semaphore>,
) {
    while let Ok(Some(bytes)) = receiver.recv().await {
        let frame = match Frame::parse(bytes) {
            Ok(frame) => frame,
            Err(error) => return refuse_connection(&connection, &error),
        };
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (realms, connection, sender) = (realms.clone(), connection.clone(), sender.clone());
        tokio::spawn(async move {
            match answer(&realms, connection.peer(), &frame).await {
                Ok(Some(reply)) => {
                    if let Err(error) = sender.send_wait(reply).await {
                        tracing::debug!(%error, "an answer was not taken");
                    }
                }
                Ok(None) => {}
                Err(error) => refuse_connection(&connection, &error),
            }
            drop(place);
        });
    }
}

/// Foreign bytes end the connection they came on and nothing else.
fn refuse_connection(connection: &Connection, error: &DecodeError) {
    let peer = connection.peer();
    tracing::warn!(address = %connection.remote_addr(), name = %peer.name, %error, "malformed frame");
    connection.close(MALFORMED, &error.to_string());
}

/// The answer to one frame; none to a kind that is not asked here.
async fn answer(realms: &Arc<Realms>, peer: &PeerIdentity, frame: &Frame) -> Result<Option<Bytes>, DecodeError> {
    let control = &realms.root;
    let encoded = if frame.kind == ControlRequest::KIND && peer.role == Role::Host {
        let reply = match frame.decode()? {
            request @ (ControlRequest::Consent { .. }
            | ControlRequest::OpenIsland { .. }
            | ControlRequest::CancelIsland { .. }) => realms.ask_of_islands(peer, request).await,
            request => control.clone().control(peer, request).await,
        };
        reply.to_frame(frame.call)
    } else if frame.kind == IslandRequest::KIND && peer.role == Role::Host {
        let IslandRequest { lineage, request } = frame.decode()?;
        let reply = match realms.island_of(lineage) {
            Some(island) => island.control(peer, request).await,
            None => ControlReply::NotHere { lineages: realms.lineages() },
        };
        reply.to_frame(frame.call)
    } else if frame.kind == RoutesRequest::KIND {
        routes::routes(realms).to_frame(frame.call)
    } else if frame.kind == AdminRequest::KIND {
        let reply = admin::answer(realms, peer, frame.decode()?).await;
        reply.to_frame(frame.call)
    } else if frame.kind == PluginPart::KIND {
        control.take_plugin_part(peer, frame.decode()?).await.to_frame(frame.call)
    } else {
        tracing::debug!(kind = frame.kind.0, name = %peer.name, "a frame of this kind is not taken here");
        return Ok(None);
    };
    match encoded {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be sent");
            Ok(None)
        }
    }
}

fn refused(why: impl Into<String>) -> ControlReply {
    ControlReply::Refused { why: why.into(), retryable: true }
}

/// Who proposes it for colonies it serves; none if it is for the leader to propose.
fn proposer(command: &Command) -> Option<StartId> {
    match command {
        Command::ChangeInSync { by, .. } | Command::Absorbed { by, .. } => Some(*by),
        Command::Adopt(adoption) => adoption.copies.first().copied(),
        Command::Swap { from, .. } => Some(*from),
        Command::Dropped { start, .. } => Some(*start),
        _ => None,
    }
}

/// Whether another host passed the command on, which checked that its asker may propose it: it is believed.
fn passed_on(relays: u8, command: &Command) -> bool {
    usize::from(relays) < MAX_RELAYS && proposer(command).is_some()
}

impl Realms {
    /// What is asked about islands waits for its turn there.
    async fn ask_of_islands(&self, peer: &PeerIdentity, request: ControlRequest) -> ControlReply {
        let (answer, answered) = oneshot::channel();
        let asked = apart::Event::Asked { peer: peer.clone(), request, answer };
        if self.opening.send(asked).await.is_err() {
            return refused("this host ends");
        }
        answered.await.unwrap_or_else(|_| refused("this host ends"))
    }
}

impl Control {
    /// What this host says in a beacon.
    pub(super) fn beacon(&self, nonce: u64, answers: Option<u64>) -> Beacon {
        let attachment = self.attachment();
        let (quorum_age_ms, electorate) = (attachment.age_ms(self.host.clock.now()), attachment.electorate().cloned());
        let (from, state) = (self.start(), self.state());
        Beacon { from, lineage: state.lineage, view: state.view, nonce, answers, quorum_age_ms, electorate }
    }

    async fn control(self: Arc<Self>, peer: &PeerIdentity, request: ControlRequest) -> ControlReply {
        match request {
            ControlRequest::Introduce { .. } => ControlReply::Introduction(self.introduction()),
            ControlRequest::Raft { lineage, to, message } => self.raft(lineage, to, message).await,
            ControlRequest::Feed { lineage, have } => self.feed(lineage, have).await,
            ControlRequest::Propose { command } => match Command::decode(&command) {
                Ok(command) if self.may_propose(peer, &command) => self.commit(&command).await,
                Ok(_) => refused("this host may not propose this"),
                Err(error) => refused(format!("the command does not decode: {error}")),
            },
            ControlRequest::Load => ControlReply::Load { counts: self.load_counts().await },
            ControlRequest::ReadIndex => self.read_index().await,
            ControlRequest::Copies { colony } => ControlReply::Copies { copies: self.held_copies(colony).await },
            ControlRequest::Accuse { observer, accused } => {
                if !self.group.is_leader() {
                    return self.not_leader();
                }
                if self.is_host_of(peer, observer) && !self.accuse(observer, accused).await {
                    return self.not_leader();
                }
                ControlReply::Noted
            }
            ControlRequest::Join { cluster, member } => match Member::decode(&member) {
                Ok(member) if member.name == peer.name => self.admit(cluster, member).await,
                Ok(member) => refused(format!("the certificate is of host {}, not of {}", peer.name, member.name)),
                Err(error) => refused(format!("the member record does not decode: {error}")),
            },
            ControlRequest::Leave { start, anyway } => {
                if self.is_host_of(peer, start) {
                    self.let_go(start, anyway).await
                } else {
                    refused("not this host")
                }
            }
            ControlRequest::Fates { earlier, now, colonies } => self.fates(peer, &earlier, now, &colonies).await,
            ControlRequest::Troubles => ControlReply::Troubles { lines: self.own_troubles() },
            ControlRequest::Plugins => ControlReply::Plugins(self.plugin_report()),
            ControlRequest::PluginPart { content, offset } => self.plugin_piece(content, offset),
            ControlRequest::HoldPlugin { content, from, .. } => self.hold_plugin(content, &from).await,
            ControlRequest::Consent { .. }
            | ControlRequest::OpenIsland { .. }
            | ControlRequest::CancelIsland { .. } => refused("islands open under the root only"),
            ControlRequest::IsOver => ControlReply::IsOver { is_over: self.is_over.load(Ordering::Relaxed) },
            ControlRequest::Reach { target } => ControlReply::Reached { answered: self.answers_here(target).await },
            ControlRequest::Forward { command, relays } => match Command::decode(&command) {
                Ok(command) if passed_on(relays, &command) || self.may_propose(peer, &command) => {
                    self.pass_on(&peer.name, &command, relays).await
                }
                Ok(_) => refused("this host may not propose this"),
                Err(error) => refused(format!("the command does not decode: {error}")),
            },
        }
    }

    fn introduction(&self) -> Introduction {
        let state = self.state();
        let own = self.own();
        Introduction {
            start: own.start,
            name: own.name,
            cluster: state.has_begun().then_some(state.cluster),
            lineage: state.has_begun().then_some(state.lineage),
            leader: self.leader_now(),
            in_use: !state.namespaces.is_empty(),
        }
    }

    /// The leader's address as said to others: this host's own, if it leads.
    fn leader_now(&self) -> Option<String> {
        if self.group.is_leader() {
            return Some(lock(&self.own).address.to_string());
        }
        self.leader_address().map(|address| address.to_string())
    }

    pub(super) fn not_leader(&self) -> ControlReply {
        ControlReply::NotLeader { leader: self.leader_now() }
    }

    async fn raft(&self, lineage: LineageId, to: colony_wire::RaftId, message: Bytes) -> ControlReply {
        let own = self.state();
        if to != self.group.id() || (own.has_begun() && own.lineage != lineage) {
            return refused("no such log here");
        }
        match self.group.handle(message).await {
            Ok(message) => ControlReply::Raft { message },
            Err(error) => refused(error.to_string()),
        }
    }

    /// What the asker lacks. Held back until there is something, so that it hears of a commit at once. A host whose
    /// own Raft is silent passes on what it was fed; that nothing is new here would mean nothing.
    async fn feed(&self, lineage: LineageId, have: Revision) -> ControlReply {
        if !self.group.is_told() {
            let shown = self.state();
            let is_news = shown.has_begun() && (shown.lineage != lineage || shown.revision > have);
            return if is_news {
                ControlReply::FeedSnapshot { revision: shown.revision, state: shown.encode() }
            } else {
                self.not_leader()
            };
        }
        let mut state = self.group.state();
        let wait = state.wait_for(|state| state.has_begun() && (state.lineage != lineage || state.revision > have));
        match tokio::time::timeout(FEED_HOLD, wait).await {
            Err(_) if self.group.state().borrow().has_begun() => ControlReply::FeedCommands { commands: Vec::new() },
            Err(_) | Ok(Err(_)) => self.not_leader(),
            Ok(Ok(newer)) => {
                let whole = (newer.lineage != lineage).then(|| (newer.revision, newer.encode()));
                drop(newer);
                match (whole, self.group.feed(have)) {
                    (Some((revision, state)), _) | (None, Feed::Snapshot { revision, state }) => {
                        ControlReply::FeedSnapshot { revision, state }
                    }
                    (None, Feed::Commands(commands)) => ControlReply::FeedCommands { commands },
                }
            }
        }
    }

    /// A host proposes for colonies it serves, and that it is to leave itself.
    fn may_propose(&self, peer: &PeerIdentity, command: &Command) -> bool {
        match command {
            Command::Drain { starts } => starts.iter().all(|start| self.is_host_of(peer, *start)),
            _ => proposer(command).is_some_and(|start| self.is_host_of(peer, start)),
        }
    }

    fn is_host_of(&self, peer: &PeerIdentity, start: StartId) -> bool {
        self.state().members.get(&start).is_some_and(|member| member.name == peer.name)
    }

    /// Commits a command here, if this host leads.
    pub(super) async fn commit(&self, command: &Command) -> ControlReply {
        match self.group.propose(command, COMMIT_WITHIN).await {
            Ok(outcome) => ControlReply::Proposed { outcome: outcome.encode() },
            Err(ProposeError::NotLeader { .. }) => self.not_leader(),
            Err(error) => refused(error.to_string()),
        }
    }

    /// Admits a process (`PROTOCOL.md` 7): one of this cluster, that this host can reach, and whose earlier
    /// process no longer answers.
    pub(super) async fn admit(&self, cluster: Option<colony_wire::ClusterId>, member: Member) -> ControlReply {
        if !self.group.is_confirmed() {
            return self.not_leader();
        }
        let state = self.state();
        if cluster.is_some_and(|cluster| cluster != state.cluster) {
            let why = format!("host {} belongs to another cluster", member.name);
            return ControlReply::Refused { why, retryable: false };
        }
        if let Some(wait) = self.has_to_wait(&state, &member) {
            return refused(format!("host {} died again and again: it may be admitted in {wait:.1?}", member.name));
        }
        if let Err(why) = self.reach(&member).await {
            return refused(why);
        }
        let namesake = state.up().find(|old| old.name == member.name && old.start != member.start);
        let mut deviations = Vec::new();
        if let Some(old) = namesake {
            if old.address != member.address && self.reach(old).await.is_ok() {
                let why = format!("a host named {} is running at {}", old.name, old.address);
                return ControlReply::Refused { why, retryable: false };
            }
            deviations = self.heirs(&state, old.start).await;
        }
        let plugins = match self.compiled_by(&state, &member).await {
            Ok(plugins) => plugins,
            Err(why) => return refused(why),
        };
        let join = Command::Join { member: Member { state: MemberState::Up, ..member }, deviations, plugins };
        match self.group.propose(&join, COMMIT_WITHIN).await {
            Ok(Outcome::Refused(Refusal::Dead(_))) => ControlReply::Over,
            Ok(Outcome::Refused(why)) => refused(why.to_string()),
            Ok(_) => ControlReply::Joined { revision: self.group.state().borrow().revision },
            Err(ProposeError::NotLeader { .. }) => self.not_leader(),
            Err(error) => refused(error.to_string()),
        }
    }

    /// The plugins that a joiner can run, if any are active.
    async fn compiled_by(&self, state: &State, member: &Member) -> Result<Vec<ContentId>, String> {
        if state.active_plugins().next().is_none() {
            return Ok(Vec::new());
        }
        let report = if member.start == self.start() {
            self.plugin_report()
        } else {
            match self.calls.call(member.address, &ControlRequest::Plugins, CONTACT_WITHIN).await {
                Ok(ControlReply::Plugins(report)) => report,
                Ok(_) => return Err(format!("{} answers another question", member.name)),
                Err(error) => return Err(format!("{} does not say what it has compiled: {error}", member.name)),
            }
        };
        let ready = report.versions.into_iter().filter(|(_, readiness)| *readiness == Readiness::Ready);
        Ok(ready.map(|(content, _)| content).collect())
    }

    /// Whether the process answers at its address.
    async fn reach(&self, member: &Member) -> Result<(), String> {
        if member.start == self.start() {
            return Ok(());
        }
        let introduce = ControlRequest::Introduce { start: self.start() };
        match self.calls.call(member.address, &introduce, CONTACT_WITHIN).await {
            Ok(ControlReply::Introduction(found)) if found.start == member.start => Ok(()),
            Ok(_) => Err(format!("another process than {} answers at {}", member.name, member.address)),
            Err(error) => Err(format!("{} at {} cannot be reached from here: {error}", member.name, member.address)),
        }
    }

    /// What becomes of the copies a process kept (`PROTOCOL.md` 7). Restorations are committed first.
    pub(super) async fn fates(
        &self,
        peer: &PeerIdentity,
        earlier: &[StartId],
        now: StartId,
        colonies: &[ColonyId],
    ) -> ControlReply {
        if !self.group.is_confirmed() {
            return self.not_leader();
        }
        if !self.is_host_of(peer, now) {
            return refused("this start is not a member");
        }
        // A copy may be dropped on this answer: a commit of this term makes sure that the state it is given
        // from is the newest there is.
        let look = Command::Plan { moves: Vec::new(), reason: "a fate is asked for".to_owned(), inputs: 0 };
        match self.group.propose(&look, COMMIT_WITHIN).await {
            Ok(_) => {}
            Err(ProposeError::NotLeader { .. }) => return self.not_leader(),
            Err(error) => return refused(error.to_string()),
        }
        let mut fates = Vec::with_capacity(colonies.len());
        for colony in colonies {
            let state: Arc<State> = self.group.state().borrow().clone();
            if let Some(restore) = state.restoration(*colony, earlier, now)
                && !matches!(self.group.propose(&restore, COMMIT_WITHIN).await, Ok(Outcome::Applied))
            {
                fates.push(Fate::Wait);
                continue;
            }
            let state: Arc<State> = self.group.state().borrow().clone();
            let fate = state.fate(*colony, earlier, now);
            // What was not committed is not said.
            let is_done = fate != Fate::Restore || state.table.get(colony).is_some_and(|entry| entry.is_in_sync(now));
            fates.push(if is_done { fate } else { Fate::Wait });
        }
        ControlReply::Fates { fates }
    }
}
