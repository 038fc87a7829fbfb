//! What a process has once, in however many lineages it lives.

use std::sync::Arc;

use colony_link::Transport;
use tokio::sync::watch;

use crate::config::NodeConfig;
use crate::host::clock::Clock;
use crate::host::plugins::Plugins;
use crate::host::seen::{Journal, ShardMeters};
use crate::host::shard::Orders;
use crate::host::surroundings::Surroundings;

/// What the lineages of a process share.
pub(in crate::host) struct Host {
    pub(in crate::host) config: NodeConfig,
    pub(in crate::host) surroundings: Arc<dyn Surroundings>,
    pub(in crate::host) clock: Clock,
    pub(in crate::host) transport: Arc<dyn Transport>,
    pub(in crate::host) plugins: Arc<Plugins>,
    /// The ways to its shards.
    pub(in crate::host) orders: Vec<Orders>,
    /// What its shards count.
    pub(in crate::host) meters: Vec<Arc<ShardMeters>>,
    pub(in crate::host) journal: Arc<Journal>,
    /// Whether this process has asked to be let go: it does not come back by itself then.
    pub(in crate::host) leaving: watch::Sender<bool>,
}
