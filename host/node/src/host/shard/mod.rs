//! A shard thread: its own runtime, endpoint and colonies. No lock and no other thread on a session's path.
//!
//! The way of a write: [`serve`] takes a frame from a client's stream, [`admission`] says when it is its turn, the
//! [`actor`] hands it to `colony::Shard::handle` and carries out what comes back, [`links`] holds the streams to the
//! peers' shards. What peers send goes straight to the actor: it never waits behind clients.
//! A shard lives in one lineage or two ([`line`]): all that comes in goes to the core of one of them.
//! Merges go to a thread of their own ([`merges`]), so that a slow plugin holds up its session only.

mod actor;
mod admission;
mod apart;
mod line;
mod links;
mod merges;
mod serve;
mod tally;
mod turns;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use colony_core::Time;
use colony_core::colony::Left;
use colony_core::group::Entry;
use colony_wire::control::{Fate, HeldCopy};
use colony_wire::island::CopyEnd;
use colony_wire::load::CopyCounts;
use colony_wire::{ColonyId, StartId};
use tokio::sync::{mpsc, oneshot};

use self::actor::Actor;
pub(super) use self::line::Ties;
use super::HostError;
use super::clock::Clock;
use super::plugins::Plugins;
use super::realm::Realm;
use super::seen::{Glance, ShardMeters};
use super::surroundings::{ShardWork, Surroundings};

/// What a shard thread is given.
pub(super) struct Seat {
    pub(super) index: u16,
    pub(super) shards: u16,
    pub(super) clock: Clock,
    pub(super) plugins: Arc<Plugins>,
}

/// What the control runtime tells a shard.
pub(super) enum Order {
    /// The group declared this process dead; it goes on under this start.
    Reborn(StartId),
    /// Which copies are kept, under which start, and the starts this process lost.
    Kept(oneshot::Sender<KeptCopies>),
    /// The group said what becomes of a kept copy.
    Fate { colony: ColonyId, dead: StartId, fate: Fate },
    /// A colony's entry by a linearizable read, for the question of this number.
    GroupRead { colony: ColonyId, nonce: u64, entry: Option<Entry> },
    /// Which copies of this colony there are.
    Copies(ColonyId, oneshot::Sender<Vec<HeldCopy>>),
    /// How the shard stands: at most `limit` of its copies, those after `after`.
    Glance { after: Option<ColonyId>, limit: usize, answer: oneshot::Sender<Glance> },
    /// Nothing is acknowledged until then for colonies that may fork; none lifts it.
    Fence { until: Option<Time> },
    /// If it is still fenced, which was to last until `fenced`, it stays so until `until`. Whether that is so.
    Hold { fenced: Time, until: Time, answer: oneshot::Sender<bool> },
    /// How far the copies of colonies that may fork go.
    Ends(oneshot::Sender<Vec<CopyEnd>>),
    /// The process lives in this island from now on, under this start: the copies of colonies that may fork go there.
    Enter { start: StartId, ties: Ties, done: oneshot::Sender<()> },
    /// Whether the root's group decides for this process now.
    Attached(bool),
    /// How many copies are left here of this island.
    Left(oneshot::Sender<Left>),
    /// The process lives in this island no more.
    Leave,
    /// What all copies hold and have done.
    Count(oneshot::Sender<Vec<CopyCounts>>),
}

/// The way of orders to a shard, each in one lineage.
pub(super) type Orders = mpsc::Sender<(Realm, Order)>;

/// A shard wants to know whether its primary still reigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) shard: u16,
    pub(super) colony: ColonyId,
    pub(super) nonce: u64,
}

/// Copies kept by a process that was declared dead.
#[derive(Debug, Default)]
pub(super) struct KeptCopies {
    pub(super) earlier: Vec<StartId>,
    pub(super) copies: Vec<(ColonyId, StartId)>,
}

/// A running shard, seen from the control runtime. Dropping it ends the thread.
pub(super) struct ShardThread {
    pub(super) index: u16,
    pub(super) orders: Orders,
    /// What it counts.
    pub(super) meters: Arc<ShardMeters>,
    /// Resolves with the reason if the thread ends by itself.
    pub(super) ended: oneshot::Receiver<String>,
}

/// Orders under way to a shard.
const ORDERS: usize = 1024;

/// Starts a shard's thread and waits until it listens. `root` is the process's start, and the ties, of the root's
/// lineage.
pub(super) async fn spawn(
    surroundings: &Arc<dyn Surroundings>,
    address: SocketAddr,
    seat: Seat,
    root: (StartId, Ties),
) -> Result<ShardThread, HostError> {
    let index = seat.index;
    let (orders, ordered) = mpsc::channel(ORDERS);
    let (ready, is_ready) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let meters: Arc<ShardMeters> = Arc::default();
    let counted = meters.clone();
    let here = surroundings.clone();
    let begin = move || -> ShardWork {
        Box::pin(async move {
            let transport = match here.bind(address) {
                Ok(transport) => transport,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let _ = ready.send(Ok(()));
            let why = match whole(Actor::run(seat, root, counted, transport, ordered)).await {
                Ok(()) => "ended".to_owned(),
                Err(panic) => panic_text(&*panic),
            };
            let _ = end.send(why);
        })
    };
    surroundings.run_shard(index, Box::new(begin))?;
    let listens = is_ready.await.map_err(|_| HostError::Shard { index, why: "did not start".to_owned() })?;
    listens?;
    Ok(ShardThread { index, orders, meters, ended })
}

/// The work, or the panic that ended it.
async fn whole(work: impl Future<Output = ()>) -> std::thread::Result<()> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.map_or_else(|panic| Poll::Ready(Err(panic)), |polled| polled.map(Ok))
    })
    .await
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a message"))
}
