//! Evidence for the watch, and what it wants done: beacons, sentinels, probes, accusations (`PROTOCOL.md` 13).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use colony_core::group::{Member, State};
use colony_core::watch::{Config, Input, Output, Watch};
use colony_link::sentinel::{Probe, SentinelConnection, SentinelListener};
use colony_wire::control::{Beacon, ControlReply, ControlRequest};
use colony_wire::{Frame, Message, StartId};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::{Control, lock};

/// Longest wait for a sentinel connection to be made.
const SENTINEL_WITHIN: Duration = Duration::from_secs(1);
/// Pause before a broken sentinel connection is made again.
const SENTINEL_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Each voter gives the one before it this much time to become the leader.
const CANDIDACY_AFTER: Duration = Duration::from_millis(150);
/// Accusations on their way to the leader at a time. They are repeated while they hold.
const ACCUSING: usize = 64;

/// What was noticed.
#[derive(Debug)]
pub(super) enum Evidence {
    /// A beacon or the answer to one came in.
    Beacon { from: StartId },
    /// The sentinel connection with this host closed.
    SentinelBroken { name: String },
    /// A probe is over.
    Probed { peer: StartId, answered: bool, refused: bool },
}

/// Watches the other hosts for as long as this one runs.
pub(super) async fn run(control: Arc<Control>, listener: SentinelListener) {
    let Some(evidence) = lock(&control.watched).take() else { return };
    tokio::spawn(take_sentinels(control.clone(), listener));
    let datagrams = control.calls.datagrams();
    let config = Config::default();
    let watch = Watch::new(config, control.start(), control.clock.now());
    let mut watcher = Watcher {
        config,
        watch,
        me: control.start(),
        state: Arc::default(),
        nonce: 0,
        sentinels: BTreeMap::new(),
        accusing: Arc::new(Semaphore::new(ACCUSING)),
        control,
    };
    watcher.go(evidence, datagrams).await;
}

async fn take_sentinels(control: Arc<Control>, listener: SentinelListener) {
    while let Some((hello, connection)) = listener.accept().await {
        let name = String::from_utf8_lossy(&hello).into_owned();
        tokio::spawn(hold(control.clone(), name, connection));
    }
}

/// Holds a sentinel connection until it breaks.
async fn hold(control: Arc<Control>, name: String, connection: SentinelConnection) {
    let how = connection.broken().await;
    tracing::debug!(%name, ?how, "a sentinel connection broke");
    let _ = control.evidence.send(Evidence::SentinelBroken { name }).await;
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
}

impl Watcher {
    async fn go(&mut self, mut evidence: mpsc::Receiver<Evidence>, mut datagrams: mpsc::Receiver<Bytes>) {
        let mut view = self.control.view.subscribe();
        view.mark_changed();
        loop {
            let now = self.control.clock.now().mono;
            let until_tick = Duration::from_micros(self.watch.tick_due().0.saturating_sub(now.0));
            let input = tokio::select! {
                biased;
                () = tokio::time::sleep(until_tick) => Some(Input::Tick),
                Some(noticed) = evidence.recv() => self.input(noticed),
                Some(datagram) = datagrams.recv() => beacon(datagram).map(|from| Input::BeaconHeard { from }),
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

    fn input(&self, noticed: Evidence) -> Option<Input> {
        match noticed {
            Evidence::Beacon { from } => Some(Input::BeaconHeard { from }),
            Evidence::Probed { peer, answered, refused } => {
                if refused && !answered {
                    self.succeed(peer);
                }
                Some(Input::ProbeResult { peer, answered, refused })
            }
            Evidence::SentinelBroken { name } => {
                let peer = self.state.up().find(|member| member.name == name)?.start;
                Some(Input::SentinelBroken { peer })
            }
        }
    }

    /// The process is gone. If it led the group, the voters stand for election one after the other, by address,
    /// without waiting for its lease. One that is mistaken costs a change of leader and nothing else.
    fn succeed(&self, gone: StartId) {
        let Some(leader) = self.state.members.get(&gone).filter(|gone| self.control.leads(gone)) else { return };
        let voters = self.control.group.voters();
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
                tracing::info!(leader = %leader.name, rank, "the leader's process is gone: standing for election");
                if let Err(error) = control.group.take_over().await {
                    tracing::warn!(%error, "no election");
                }
            }
        });
    }

    fn handle(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.watch.handle(self.control.clock.now(), input, &mut outputs);
        for output in outputs {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::SendBeacon { to } => {
                self.nonce += 1;
                if let Some(member) = self.state.members.get(&to)
                    && let Ok(frame) = self.control.beacon(self.nonce, None).to_frame(0)
                {
                    self.control.calls.datagram(member.address, frame);
                }
            }
            Output::Probe { peer } => {
                if let Some(member) = self.state.members.get(&peer) {
                    tokio::spawn(probe(self.control.clone(), member.clone(), self.config.probe_within));
                }
            }
            Output::Accuse { accused } => {
                let (control, me) = (self.control.clone(), self.me);
                if let Ok(place) = self.accusing.clone().try_acquire_owned() {
                    tokio::spawn(async move {
                        control.tell_leader(me, accused).await;
                        drop(place);
                    });
                }
            }
            Output::Clear { accused } => lock(&self.control.jury).withdraw(self.me, accused),
        }
    }

    /// The group state is newer: who is watched, who sits on the jury's list, who gets a sentinel.
    fn follow(&mut self, state: Arc<State>) -> Input {
        self.state = state;
        let own = self.control.own();
        if own.start != self.me {
            self.me = own.start;
            self.watch = Watch::new(self.config, own.start, self.control.clock.now());
        }
        lock(&self.control.jury).members(self.state.up().map(|member| member.start));
        let state = &self.state;
        self.sentinels.retain(|start, task| {
            let stays = state.is_up(*start) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
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

fn beacon(datagram: Bytes) -> Option<StartId> {
    Frame::parse(datagram).and_then(|frame| frame.decode::<Beacon>()).ok().map(|beacon| beacon.from)
}

async fn keep_sentinel(control: Arc<Control>, member: Member, own: String) {
    let hello = Bytes::from(own);
    loop {
        match control.surroundings.sentinels().dial(member.address, hello.clone(), SENTINEL_WITHIN).await {
            Ok((theirs, connection)) if theirs == member.name.as_bytes() => {
                hold(control.clone(), member.name.clone(), connection).await;
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
    while control.surroundings.sentinels().probe(member.address, within).await != Probe::Refused {
        tokio::time::sleep(PROBE_AGAIN_AFTER).await;
    }
}
