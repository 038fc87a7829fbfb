//! Evidence for the watch, and what it wants done: beacons, sentinels, probes, questions to others, accusations
//! (`PROTOCOL.md` 13).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use colony_core::Time;
use colony_core::group::{Member, State};
use colony_core::watch::{Config, Input, Output, Watch};
use colony_link::sentinel::{Probe, SentinelConnection, SentinelListener};
use colony_wire::control::{Beacon, ControlReply, ControlRequest};
use colony_wire::{Frame, Message, RaftId, StartId};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::{Control, Realms, lock};

/// Longest wait for a sentinel connection to be made.
const SENTINEL_WITHIN: Duration = Duration::from_secs(1);
/// Pause before a broken sentinel connection is made again.
const SENTINEL_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Each voter gives the one before it this much time to become the leader.
const CANDIDACY_AFTER: Duration = Duration::from_millis(150);
/// Who is heard by others is answered within this time: some beacons, of which one may be lost.
const ANSWERED_WITHIN: Duration = Duration::from_millis(300);
/// Accusations on their way to the leader at a time. They are repeated while they hold.
const ACCUSING: usize = 64;
/// Questions to others under way at a time. One that is not asked counts as one that was not answered.
const ASKING: usize = 256;

/// What was noticed.
#[derive(Debug)]
pub(super) enum Evidence {
    /// The sentinel connection with this host closed.
    SentinelBroken { name: String },
    /// A probe is over.
    Probed { peer: StartId, answered: bool, refused: bool },
    /// Somebody who was asked about a silent host has answered, or will not.
    Told { peer: StartId, through: StartId, answered: Option<bool> },
    /// No evidence but a question: who answers this host?
    WhoAnswers(oneshot::Sender<Vec<StartId>>),
}

/// Watches the other hosts for as long as this one runs.
pub(super) async fn run(control: Arc<Control>) {
    let Some(evidence) = lock(&control.watched).take() else { return };
    let datagrams = control.calls.datagrams();
    let config = Config::default();
    let watch = Watch::new(config, control.start(), control.host.clock.now());
    let mut watcher = Watcher {
        config,
        watch,
        me: control.start(),
        state: Arc::default(),
        nonce: 0,
        sentinels: BTreeMap::new(),
        accusing: Arc::new(Semaphore::new(ACCUSING)),
        asking: Arc::new(Semaphore::new(ASKING)),
        control,
    };
    watcher.go(evidence, datagrams).await;
}

/// Takes sentinel connections. They are of a host, not of a lineage: every watch hears of their end.
pub(super) async fn take_sentinels(realms: Arc<Realms>, listener: SentinelListener) {
    while let Some((hello, connection)) = listener.accept().await {
        let name = String::from_utf8_lossy(&hello).into_owned();
        let realms = realms.clone();
        tokio::spawn(async move {
            hold(&name, connection).await;
            realms.notice(|| Evidence::SentinelBroken { name: name.clone() }).await;
        });
    }
}

/// Holds a sentinel connection until it breaks.
async fn hold(name: &str, connection: SentinelConnection) {
    let how = connection.broken().await;
    tracing::debug!(%name, ?how, "a sentinel connection broke");
}

struct Watcher {
    control: Arc<Control>,
    config: Config,
    watch: Watch,
    me: StartId,
    state: Arc<State>,
    nonce: u64,
    /// Tasks that keep a sentinel connection to a host this one dials.
    sentinels: BTreeMap<StartId, AbortHandle>,
    accusing: Arc<Semaphore>,
    asking: Arc<Semaphore>,
}

impl Watcher {
    async fn go(&mut self, mut evidence: mpsc::Receiver<Evidence>, mut datagrams: mpsc::Receiver<Bytes>) {
        let mut view = self.control.view.subscribe();
        view.mark_changed();
        loop {
            let now = self.control.host.clock.now().mono;
            let until_tick = Duration::from_micros(self.watch.tick_due().0.saturating_sub(now.0));
            let input = tokio::select! {
                biased;
                () = tokio::time::sleep(until_tick) => Some(Input::Tick),
                Some(noticed) = evidence.recv() => self.input(noticed),
                Some(datagram) = datagrams.recv() => self.answer(datagram).map(|from| {
                    self.control.answered.notify_waiters();
                    Input::BeaconAnswered { from }
                }),
                changed = view.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let state = view.borrow_and_update().clone();
                    Some(self.follow(state))
                }
            };
            if let Some(input) = input {
                self.handle(input);
            }
        }
    }

    /// Who answered a beacon of this watch.
    fn answer(&self, datagram: Bytes) -> Option<StartId> {
        let beacon = Frame::parse(datagram).and_then(|frame| frame.decode::<Beacon>()).ok()?;
        // An island's watch and the root's hear the same datagrams. Starts are of one lineage, so that the root's need
        // not know its own: the watch passes over whom it does not watch.
        let is_ours = self.control.realm.island().is_none_or(|island| island == beacon.lineage);
        let nonce = beacon.answers.filter(|_| is_ours)?;
        self.control.heard(Time(nonce.min(self.control.host.clock.now().mono.0)), &beacon);
        Some(beacon.from)
    }

    /// A number for the next beacon: the time, so that the answer tells when it was asked for.
    fn next_nonce(&mut self) -> u64 {
        self.nonce = self.control.host.clock.now().mono.0.max(self.nonce + 1);
        self.nonce
    }

    fn input(&self, noticed: Evidence) -> Option<Input> {
        match noticed {
            Evidence::Probed { peer, answered, refused } => Some(Input::ProbeResult { peer, answered, refused }),
            Evidence::SentinelBroken { name } => {
                let peer = self.state.up().find(|member| member.name == name)?.start;
                Some(Input::SentinelBroken { peer })
            }
            Evidence::Told { peer, through, answered } => Some(Input::Told { peer, through, answered }),
            Evidence::WhoAnswers(asker) => {
                let _ = asker.send(self.watch.reached(self.control.host.clock.now()));
                None
            }
        }
    }

    /// It is held for dead. If it leads the group, the voters stand for election one after the other, by address,
    /// without waiting for its lease, which it may go on renewing though it hears nobody. One that is mistaken costs a
    /// change of leader and nothing else.
    fn succeed(&self, dead: StartId) {
        let Some(leader) = self.state.members.get(&dead).filter(|dead| self.control.leads(dead)) else { return };
        if !self.control.group.is_told() {
            // It voted once, and its own log does not tell it who votes now: it would only be in the way.
            return;
        }
        let voters = self.control.group.voters();
        if !self.reaches_majority(&voters) {
            // It would not be elected, and when it is heard again unseat whoever was, by a higher term.
            return;
        }
        let mut candidates: Vec<SocketAddr> =
            self.state.up().filter(|member| voters.contains(&member.raft)).map(|member| member.address).collect();
        candidates.retain(|address| *address != leader.address);
        candidates.sort_unstable();
        let own = self.control.own().address;
        let Some(rank) = candidates.iter().position(|address| *address == own) else { return };
        let (control, leader) = (self.control.clone(), leader.clone());
        tokio::spawn(async move {
            tokio::time::sleep(CANDIDACY_AFTER * u32::try_from(rank).unwrap_or(u32::MAX)).await;
            if control.leads(&leader) {
                tracing::info!(leader = %leader.name, rank, "the leader is held for dead: standing for election");
                if let Err(error) = control.group.take_over().await {
                    tracing::warn!(%error, "no election");
                }
            }
        });
    }

    /// Whether most of the voters answer this host, itself counted.
    fn reaches_majority(&self, voters: &[RaftId]) -> bool {
        let reached = self.watch.reached(self.control.host.clock.now());
        let mut reached: Vec<RaftId> =
            reached.iter().filter_map(|start| self.state.members.get(start)).map(|member| member.raft).collect();
        reached.push(self.control.group.id());
        voters.iter().filter(|voter| reached.contains(voter)).count() * 2 > voters.len()
    }

    fn handle(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.watch.handle(self.control.host.clock.now(), input, &mut outputs);
        for output in outputs {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::SendBeacon { to } => {
                let nonce = self.next_nonce();
                if let Some(member) = self.state.members.get(&to)
                    && let Ok(frame) = self.control.beacon(nonce, None).to_frame(0)
                {
                    self.control.calls.datagram(member.address, frame);
                }
            }
            Output::Probe { peer } => {
                self.control.host.journal.probes.inc();
                if let Some(member) = self.state.members.get(&peer) {
                    tokio::spawn(probe(self.control.clone(), member.clone(), self.config.probe_within));
                }
            }
            Output::Ask { peer, through } => self.ask(peer, through),
            Output::LinkBroken { peer, through } => {
                let (name, through) = (self.name(peer), self.name(through));
                tracing::warn!(%name, %through, "does not answer this host, but another: the link is broken");
            }
            Output::LinkMended { peer } => tracing::info!(name = %self.name(peer), "answers this host again"),
            Output::Accuse { accused } => {
                self.control.host.journal.accusations.inc();
                // The leader is told until it has decided; people are told once.
                if self.control.gone.send_if_modified(|gone| gone.insert(accused)) {
                    tracing::info!(name = %self.name(accused), "silent for too long, or gone: held for dead here");
                }
                self.succeed(accused);
                let (control, me) = (self.control.clone(), self.me);
                if let Ok(place) = self.accusing.clone().try_acquire_owned() {
                    tokio::spawn(async move {
                        control.tell_leader(me, accused).await;
                        drop(place);
                    });
                }
            }
            Output::Clear { accused } => {
                self.control.gone.send_if_modified(|gone| gone.remove(&accused));
                lock(&self.control.jury).withdraw(self.me, accused);
            }
        }
    }

    fn name(&self, start: StartId) -> String {
        self.state.members.get(&start).map_or_else(|| start.to_string(), |member| member.name.clone())
    }

    /// Asks another host whether it reaches the silent one.
    fn ask(&self, peer: StartId, through: StartId) {
        let Some(to) = self.state.members.get(&through).map(|member| member.address) else { return };
        let Ok(place) = self.asking.clone().try_acquire_owned() else { return };
        let (control, within) = (self.control.clone(), self.config.relay_within);
        tokio::spawn(async move {
            let told = control.calls.call(to, &ControlRequest::Reach { target: peer }, within).await;
            let answered = match told {
                Ok(ControlReply::Reached { answered }) => Some(answered),
                _ => None,
            };
            tracing::debug!(%peer, %through, ?answered, "asked about a silent host");
            let _ = control.evidence.send(Evidence::Told { peer, through, answered }).await;
            drop(place);
        });
    }

    /// The group state is newer: who is watched, who sits on the jury's list, who gets a sentinel.
    fn follow(&mut self, state: Arc<State>) -> Input {
        self.state = state;
        let own = self.control.own();
        if own.start != self.me {
            self.me = own.start;
            self.watch = Watch::new(self.config, own.start, self.control.host.clock.now());
            // What was concluded was the earlier one's.
            self.control.gone.send_if_modified(|gone| !std::mem::take(gone).is_empty());
        }
        let state = &self.state;
        {
            let mut jury = lock(&self.control.jury);
            jury.members(state.up().map(|member| member.start));
            // While this process is none of them it may be replaying a log of long ago: those deaths are old.
            if state.is_up(own.start) {
                let up = state.up().map(|member| (member.start, member.name.as_str()));
                jury.flapping_mut().members(self.control.host.clock.now(), up, state.buried.iter().copied());
            }
        }
        self.sentinels.retain(|start, task| {
            let stays = state.is_up(*start) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        self.control.gone.send_if_modified(|gone| {
            let known = gone.len();
            gone.retain(|start| state.is_up(*start));
            gone.len() < known
        });
        // One connection for each pair: the lower name dials.
        for member in state.up().filter(|member| own.name < member.name) {
            self.sentinels.entry(member.start).or_insert_with(|| {
                tokio::spawn(keep_sentinel(self.control.clone(), member.clone(), own.name.clone())).abort_handle()
            });
        }
        Input::Members(state.up().map(|member| (member.start, member.name.clone())).collect())
    }
}

impl Control {
    /// The processes that answer this host, whoever did so last before the others.
    pub(super) async fn answering(&self) -> Vec<StartId> {
        let (asker, told) = oneshot::channel();
        if self.evidence.send(Evidence::WhoAnswers(asker)).await.is_err() {
            return Vec::new();
        }
        told.await.unwrap_or_default()
    }

    /// The members that answer this host, whoever did so last before the others.
    pub(super) async fn reached(&self) -> Vec<Member> {
        let starts = self.answering().await;
        let state = self.state();
        starts.iter().filter_map(|start| state.members.get(start).cloned()).collect()
    }

    /// Whether another host answers this one from now on. One that is alone with another cannot tell, and takes it that
    /// it is the other that is silent.
    pub(super) async fn is_answered(&self) -> bool {
        let (state, own) = (self.state(), self.start());
        let others = state.up().filter(|member| member.start != own).count();
        others < 2 || tokio::time::timeout(ANSWERED_WITHIN, self.answered.notified()).await.is_ok()
    }

    /// Whether that process answers this host now: asked by one that it does not answer.
    pub(super) async fn answers_here(&self, target: StartId) -> bool {
        if target == self.start() {
            return true;
        }
        let Some(member) = self.state().members.get(&target).cloned() else { return false };
        let introduce = ControlRequest::Introduce { start: self.start() };
        let found = self.calls.call(member.address, &introduce, Config::default().relay_probe_within).await;
        matches!(found, Ok(ControlReply::Introduction(found)) if found.start == target)
    }

    /// How long a process that asks to be admitted has yet to wait, because its host died again and again
    /// (`PROTOCOL.md` 7). A host whose copies are missed does not wait.
    pub(super) fn has_to_wait(&self, state: &State, joiner: &Member) -> Option<Duration> {
        if state.is_up(joiner.start) || state.lacks_copies_of(&joiner.name) {
            return None;
        }
        let wait = lock(&self.jury).flapping().wait(self.host.clock.now(), &joiner.name);
        (!wait.is_zero()).then_some(wait)
    }

    /// Whether a host that died a moment ago may be back at once, so that its copies are not made anew yet.
    pub(super) fn awaits_return(&self) -> bool {
        lock(&self.jury).flapping().awaits_return(self.host.clock.now())
    }
}

async fn keep_sentinel(control: Arc<Control>, member: Member, own: String) {
    let hello = Bytes::from(own);
    loop {
        match control.host.surroundings.sentinels().dial(member.address, hello.clone(), SENTINEL_WITHIN).await {
            Ok((theirs, connection)) if theirs == member.name.as_bytes() => {
                hold(&member.name, connection).await;
                let _ = control.evidence.send(Evidence::SentinelBroken { name: member.name.clone() }).await;
            }
            Ok(_) => tracing::debug!(address = %member.address, "another host's sentinel answers"),
            Err(error) => tracing::debug!(name = %member.name, %error, "no sentinel connection"),
        }
        tokio::time::sleep(SENTINEL_AGAIN_AFTER).await;
    }
}

/// Pause between two attempts to connect in one probe.
const PROBE_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Whether a new connection is refused, and whether the process answers a question.
async fn probe(control: Arc<Control>, member: Member, within: Duration) {
    let introduce = ControlRequest::Introduce { start: control.start() };
    let (refused, asked) = tokio::join!(
        tokio::time::timeout(within, is_refused(&control, &member, within)),
        control.calls.call(member.address, &introduce, within)
    );
    let answered = matches!(asked, Ok(ControlReply::Introduction(found)) if found.start == member.start);
    let refused = refused.is_ok();
    tracing::debug!(name = %member.name, answered, refused, "probed");
    let _ = control.evidence.send(Evidence::Probed { peer: member.start, answered, refused }).await;
}

/// Resolves once a connection is refused. A process that is being killed loses its connections before it
/// loses its listener: for a moment the kernel still accepts for it.
async fn is_refused(control: &Control, member: &Member, within: Duration) {
    while control.host.surroundings.sentinels().probe(member.address, within).await != Probe::Refused {
        tokio::time::sleep(PROBE_AGAIN_AFTER).await;
    }
}
