//! A shard thread: its own runtime, endpoint and colonies. No lock and no other thread on a session's path.
//!
//! The way of a write: [`serve`] decodes a frame from a client's stream, the [`actor`] hands it to
//! `colony::Shard::handle` and carries out what comes back, [`links`] holds the streams to the peers' shards.
//! Merges go to a thread of their own ([`merges`]), so that a slow plugin holds up its session only.

mod actor;
mod links;
mod merges;
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;

use colony_core::group::{Command, Entry, State};
use colony_link::LinkConfig;
use colony_link::quic::QuicTransport;
use colony_link::tls::Identity;
use colony_wire::control::{Fate, HeldCopy};
use colony_wire::{ColonyId, StartId};
use tokio::sync::{mpsc, oneshot, watch};

use self::actor::Actor;
use super::HostError;
use super::clock::Clock;
use super::plugins::Plugins;

/// What a shard thread is given.
pub(super) struct Seat {
    pub(super) index: u16,
    pub(super) shards: u16,
    pub(super) start: StartId,
    pub(super) identity: Identity,
    pub(super) link: LinkConfig,
    pub(super) clock: Clock,
    pub(super) plugins: Arc<Plugins>,
    pub(super) view: watch::Receiver<Arc<State>>,
    pub(super) proposals: mpsc::Sender<Command>,
    pub(super) questions: mpsc::Sender<Question>,
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
}

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
    pub(super) orders: mpsc::Sender<Order>,
    /// Resolves with the reason if the thread ends by itself.
    pub(super) ended: oneshot::Receiver<String>,
}

/// Orders under way to a shard.
const ORDERS: usize = 1024;

/// Starts a shard's thread and waits until it listens.
pub(super) async fn spawn(address: SocketAddr, seat: Seat) -> Result<ShardThread, HostError> {
    let index = seat.index;
    let (orders, ordered) = mpsc::channel(ORDERS);
    let (ready, is_ready) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let failed = move |why: String| HostError::Shard { index, why };
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = ready.send(Err(HostError::Shard { index, why: error.to_string() }));
                return;
            }
        };
        let run = async move {
            let transport = QuicTransport::bind(address, seat.identity.clone(), seat.link.clone());
            let transport = match transport {
                Ok(transport) => Arc::new(transport),
                Err(error) => {
                    let _ = ready.send(Err(error.into()));
                    return;
                }
            };
            let _ = ready.send(Ok(()));
            Actor::run(seat, transport, ordered).await;
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            tokio::task::LocalSet::new().block_on(&runtime, run);
        }));
        let why = match outcome {
            Ok(()) => "ended".to_owned(),
            Err(panic) => panic_text(&*panic),
        };
        let _ = end.send(why);
    };
    let thread = std::thread::Builder::new().name(format!("shard-{index}")).spawn(body);
    thread.map_err(|error| failed(error.to_string()))?;
    is_ready.await.map_err(|_| failed("did not start".to_owned()))??;
    Ok(ShardThread { index, orders, ended })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a message"))
}
