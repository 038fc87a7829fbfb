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
//!   host.rs       what a process has once                              realms.rs       the lineages it lives in
//!   process.rs    from the first task to the last
//!   routes.rs     where clients find colonies                          foretelling.rs what a cut would do
//!   attached.rs   whether somebody decides for the group               apart.rs        living in an island
//! ```
//!
//! A [`Control`] is the process in one lineage. There is one for the root's, and one more while it lives in an island.

mod admin;
mod apart;
mod attached;
mod calls;
mod departures;
mod foretelling;
mod host;
mod installing;
mod join;
mod leader;
mod leaving;
mod loads;
mod planning;
mod plugins;
mod problems;
mod process;
mod propose;
mod raft_dialer;
mod reads;
mod realms;
mod routes;
mod serve;
mod sight;
mod stale;
mod troubles;
mod undead;
mod view;
mod watching;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use colony_core::group::{Command, Member, State};
use colony_core::island::{self, Attachment};
use colony_core::watch::Jury;
use colony_raft::Group;
use colony_wire::StartId;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;

pub(super) use self::calls::{Calls, RealmCalls};
pub(super) use self::host::Host;
pub(super) use self::process::run;
pub(super) use self::raft_dialer::RaftDialer;
pub(super) use self::realms::Realms;
pub(super) use self::sight::Sight;

use super::HostError;
use super::realm::Realm;
use super::shard::{Order, Question};

/// Evidence on its way to the watch. Beacons of all hosts in a tenth of a second fit.
const EVIDENCE: usize = 4096;

/// This process in one lineage: what the tasks of a realm share.
pub(super) struct Control {
    host: Arc<Host>,
    realm: Realm,
    /// This host as it presents itself to the group; its start changes when it is declared dead.
    own: Mutex<Member>,
    calls: RealmCalls,
    group: Group,
    view: watch::Sender<Arc<State>>,
    /// Where the leader was last said to be.
    leader_hint: Mutex<Option<SocketAddr>>,
    jury: Mutex<Jury>,
    measures: Mutex<loads::Measures>,
    remembered: Mutex<planning::Remembered>,
    evidence: mpsc::Sender<watching::Evidence>,
    /// Members that this host holds for dead: nobody here waits for an answer of theirs.
    gone: watch::Sender<BTreeSet<StartId>>,
    /// Wakes who waits to be answered by another host.
    answered: Notify,
    watched: Mutex<Option<mpsc::Receiver<watching::Evidence>>>,
    noticed: Mutex<sight::Noticed>,
    /// Whether somebody decides for the group.
    attachment: Mutex<Attachment>,
    /// Of an island: whether nothing is left of it on this host. Such a host stays in its group until that is so of all.
    is_over: AtomicBool,
}

/// What shards of one realm want of its group.
pub(super) struct Wants {
    /// What they propose.
    pub(super) proposals: mpsc::Receiver<Command>,
    /// What they ask.
    pub(super) questions: mpsc::Receiver<Question>,
}

impl Control {
    pub(super) fn new(
        host: Arc<Host>,
        own: Member,
        calls: RealmCalls,
        group: Group,
        view: watch::Sender<Arc<State>>,
    ) -> Arc<Self> {
        let (evidence, watched) = mpsc::channel(EVIDENCE);
        Arc::new(Self {
            host,
            realm: calls.realm(),
            own: Mutex::new(own),
            calls,
            group,
            view,
            leader_hint: Mutex::new(None),
            jury: Mutex::new(Jury::new(colony_core::watch::Config::default())),
            measures: Mutex::default(),
            remembered: Mutex::default(),
            evidence,
            gone: watch::Sender::default(),
            answered: Notify::new(),
            watched: Mutex::new(Some(watched)),
            noticed: Mutex::default(),
            attachment: Mutex::new(Attachment::new(island::Config::default().island_after)),
            is_over: AtomicBool::new(false),
        })
    }

    /// Starts what is to be done in a lineage for as long as the process lives in it.
    fn begin(self: &Arc<Self>, tasks: &mut JoinSet<()>, wants: Wants) {
        tasks.spawn(view::follow_group(self.clone()));
        tasks.spawn(view::follow_feed(self.clone()));
        tasks.spawn(watching::run(self.clone()));
        tasks.spawn(leader::run(self.clone()));
        tasks.spawn(reads::answer_shards(self.clone(), wants.questions));
        tasks.spawn(propose::propose_for_shards(self.clone(), wants.proposals));
        tasks.spawn(sight::keep(self.clone()));
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

    /// Tells a shard something in this lineage. One that is gone ends the process elsewhere.
    async fn tell(&self, shard: usize, order: Order) {
        if let Some(orders) = self.host.orders.get(shard) {
            let _ = orders.send((self.realm, order)).await;
        }
    }

    /// Asks a shard something in this lineage. No answer if the shard is gone.
    async fn ask<T>(&self, shard: usize, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.tell(shard, order(answer)).await;
        answered.await.ok()
    }

    /// The numbers of its shards.
    fn shards(&self) -> std::ops::Range<usize> {
        0..self.host.orders.len()
    }
}

/// A value no holder of which ever panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
