//! The control runtime: the group, the other hosts, people.
//!
//! ```text
//!   calls.rs      one stream to each other host, many calls on it      raft_dialer.rs  Raft's messages on it
//!   serve.rs      what others ask of this host                         admin.rs        what people ask
//!   view.rs       the newest group state: from Raft, or fed            propose.rs      the way to the leader
//!   join.rs       founding and joining                                 undead.rs       coming back after Dead
//!   reads.rs      linearizable reads of the table                      stale.rs        what is left of a lost colony
//!   watching.rs   beacons, sentinels, probes, accusations              leader.rs       what the leader does
//!   sight.rs      what the admin port may look at                      problems.rs     what is wrong, for people
//!   leaving.rs    this process leaves                                  departures.rs   who leaves, for the leader
//!   loads.rs      how much hosts have to do                            planning.rs     plans of where copies live
//!   plugins.rs    what the group keeps, fetched and compiled           installing.rs   what people do with it
//! ```

mod admin;
mod calls;
mod departures;
mod installing;
mod join;
mod leader;
mod leaving;
mod loads;
mod planning;
mod plugins;
mod problems;
mod propose;
mod raft_dialer;
mod reads;
mod serve;
mod sight;
mod stale;
mod troubles;
mod undead;
mod view;
mod watching;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use colony_core::group::{Command, Member, State};
use colony_core::watch::Jury;
use colony_link::Transport;
use colony_link::sentinel::SentinelListener;
use colony_raft::Group;
use colony_wire::StartId;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

pub(super) use self::calls::Calls;
pub(super) use self::raft_dialer::RaftDialer;
pub(super) use self::sight::Sight;

use super::HostError;
use super::clock::Clock;
use super::plugins::Plugins;
use super::seen::{self, AdminListener, Journal, ShardMeters};
use super::shard::{Order, Question, ShardThread};
use super::surroundings::Surroundings;
use crate::config::NodeConfig;

/// Proposals of this host's shards carried to the leader at a time.
const PROPOSING: usize = 256;
/// Evidence on its way to the watch. Beacons of all hosts in a tenth of a second fit.
const EVIDENCE: usize = 4096;

/// What the tasks of the control runtime share.
pub(super) struct Control {
    config: NodeConfig,
    /// This host as it presents itself to the group; its start changes when it is declared dead.
    own: Mutex<Member>,
    surroundings: Arc<dyn Surroundings>,
    clock: Clock,
    transport: Arc<dyn Transport>,
    calls: Arc<Calls>,
    group: Group,
    plugins: Arc<Plugins>,
    view: watch::Sender<Arc<State>>,
    /// Where the leader was last said to be.
    leader_hint: Mutex<Option<SocketAddr>>,
    jury: Mutex<Jury>,
    measures: Mutex<loads::Measures>,
    remembered: Mutex<planning::Remembered>,
    evidence: mpsc::Sender<watching::Evidence>,
    /// Members whose process is gone, as a probe of this host's shows: nobody waits for an answer of theirs.
    gone: watch::Sender<BTreeSet<StartId>>,
    orders: Vec<mpsc::Sender<Order>>,
    shards: Mutex<Vec<ShardThread>>,
    watched: Mutex<Option<mpsc::Receiver<watching::Evidence>>>,
    meters: Vec<Arc<ShardMeters>>,
    journal: Arc<Journal>,
    noticed: Mutex<sight::Noticed>,
    /// Whether this process has asked to be let go: it does not come back by itself then.
    leaving: watch::Sender<bool>,
}

impl Control {
    #[expect(clippy::too_many_arguments, reason = "called once, by the function that made each of them")]
    pub(super) fn new(
        config: NodeConfig,
        own: Member,
        surroundings: Arc<dyn Surroundings>,
        clock: Clock,
        transport: Arc<dyn Transport>,
        calls: Arc<Calls>,
        group: Group,
        plugins: Arc<Plugins>,
        view: watch::Sender<Arc<State>>,
        shards: Vec<ShardThread>,
    ) -> Arc<Self> {
        let (evidence, watched) = mpsc::channel(EVIDENCE);
        Arc::new(Self {
            config,
            own: Mutex::new(own),
            surroundings,
            clock,
            transport,
            calls,
            group,
            plugins,
            view,
            leader_hint: Mutex::new(None),
            jury: Mutex::new(Jury::new(colony_core::watch::Config::default())),
            measures: Mutex::default(),
            remembered: Mutex::default(),
            evidence,
            gone: watch::Sender::default(),
            orders: shards.iter().map(|shard| shard.orders.clone()).collect(),
            meters: shards.iter().map(|shard| shard.meters.clone()).collect(),
            journal: Arc::default(),
            noticed: Mutex::default(),
            shards: Mutex::new(shards),
            watched: Mutex::new(Some(watched)),
            leaving: watch::Sender::new(false),
        })
    }

    /// Runs until it has left, or a failure.
    pub(super) async fn run(
        self: Arc<Self>,
        sentinel: SentinelListener,
        admin: Option<AdminListener>,
        mut proposals: mpsc::Receiver<Command>,
        questions: mpsc::Receiver<Question>,
    ) -> Result<(), HostError> {
        let mut tasks = JoinSet::new();
        tasks.spawn(serve::accept(self.clone()));
        tasks.spawn(view::follow_group(self.clone()));
        tasks.spawn(view::follow_feed(self.clone()));
        tasks.spawn(watching::run(self.clone(), sentinel));
        tasks.spawn(leader::run(self.clone()));
        tasks.spawn(reads::answer_shards(self.clone(), questions));
        tasks.spawn(sight::keep(self.clone()));
        tasks.spawn(plugins::keep(self.clone()));
        if let Some(admin) = admin {
            tasks.spawn(seen::serve(self.clone(), admin));
        }
        let this = self.clone();
        tasks.spawn(async move {
            let places = Arc::new(Semaphore::new(PROPOSING));
            while let Some(command) = proposals.recv().await {
                let Ok(place) = places.clone().acquire_owned().await else { return };
                let this = this.clone();
                tokio::spawn(async move {
                    if let Err(error) = this.propose(&command).await {
                        tracing::debug!(%error, "a proposal of a shard has no outcome; the core will propose again");
                    }
                    drop(place);
                });
            }
        });
        let shards = std::mem::take(&mut *lock(&self.shards));
        let outcome = tokio::select! {
            outcome = self.clone().belong() => outcome,
            fatal = self.group.fatal() => Err(HostError::GroupFailed(fatal.to_string())),
            failed = first_failure(shards) => Err(failed),
            Some(ended) = tasks.join_next() => Err(match ended {
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                _ => HostError::GroupFailed("a task of the control runtime ended".into()),
            }),
            left = leaving::run(self.clone()) => left,
        };
        tracing::info!("host stops");
        tasks.shutdown().await;
        self.group.shutdown().await;
        self.transport.close();
        self.transport.drained().await;
        outcome
    }

    /// Joins or founds, and from then on comes back whenever it was declared dead.
    async fn belong(self: Arc<Self>) -> Result<(), HostError> {
        join::enter(&self).await?;
        undead::watch_own_state(&self).await
    }

    fn own(&self) -> Member {
        lock(&self.own).clone()
    }

    fn start(&self) -> StartId {
        lock(&self.own).start
    }

    fn state(&self) -> Arc<State> {
        self.view.borrow().clone()
    }

    fn order(&self, shard: usize) -> Option<&mpsc::Sender<Order>> {
        self.orders.get(shard)
    }
}

/// A value no holder of which ever panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn first_failure(shards: Vec<ShardThread>) -> HostError {
    let mut ends = JoinSet::new();
    for ShardThread { index, ended, .. } in shards {
        ends.spawn(async move { (index, reason(ended).await) });
    }
    match ends.join_next().await {
        Some(Ok((index, why))) => HostError::Shard { index, why },
        Some(Err(_)) | None => std::future::pending().await,
    }
}

async fn reason(ended: oneshot::Receiver<String>) -> String {
    ended.await.unwrap_or_else(|_| "its thread is gone".to_owned())
}
