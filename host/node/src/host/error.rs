//! Why a host does not start or does not go on.

use std::path::PathBuf;

use colony_wire::limits::MAX_EARLIER_STARTS;
use colony_wire::plugin::PluginKind;

/// Why a host does not start or does not go on. One line for people each.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Certificate, key or authority cannot be used.
    #[error(transparent)]
    Tls(#[from] colony_link::tls::TlsError),
    /// The certificate is of somebody else.
    #[error("{certificate} is the certificate of {holder}, not of host {name}: issue one with `colony cert host`")]
    OtherName {
        /// The name in the configuration.
        name: String,
        /// The certificate's file.
        certificate: PathBuf,
        /// Role and name in the certificate.
        holder: String,
    },
    /// A UDP port cannot be had.
    #[error(transparent)]
    Bind(#[from] colony_link::quic::BindError),
    /// The TCP port of the sentinel cannot be had.
    #[error(transparent)]
    Sentinel(#[from] colony_link::sentinel::ListenError),
    /// The admin port cannot be had.
    #[error("the admin port {address} cannot be had: {why}")]
    Admin {
        /// Its address.
        address: std::net::SocketAddr,
        /// What the system says.
        why: String,
    },
    /// The shards' ports would exceed the last port.
    #[error("port {port} leaves no room for the shards' ports after it: choose a lower one")]
    NoPortsLeft {
        /// The group's port.
        port: u16,
    },
    /// A plugin cannot be used.
    #[error("plugin {name} ({file}): {error}")]
    Plugin {
        /// The plugin's name.
        name: String,
        /// The file it was read from.
        file: PathBuf,
        /// What is wrong with it.
        error: colony_wasm::LoadError,
    },
    /// The configuration names a file for what the group keeps.
    #[error("{}: take it out of this host's configuration", twice(name, *kind))]
    PluginTwice {
        /// The installed plugin's name.
        name: String,
        /// Its kind.
        kind: PluginKind,
    },
    /// Plugins cannot run on this machine.
    #[error("plugins cannot run here: {0}")]
    PluginRuntime(colony_wasm::LoadError),
    /// The group's log cannot be used.
    #[error("the group's log: {0}")]
    Storage(#[from] colony_raft::StorageError),
    /// The group's Raft does not start.
    #[error(transparent)]
    Group(#[from] colony_raft::StartError),
    /// The cluster cannot be founded.
    #[error("the cluster cannot be founded: {0}")]
    Found(#[from] colony_raft::FoundError),
    /// The group failed while running; it may have forgotten what it promised.
    #[error("the group's log failed, so the process must end: {0}")]
    GroupFailed(String),
    /// A shard thread ended.
    #[error("shard {index} failed: {why}")]
    Shard {
        /// Which.
        index: u16,
        /// What happened.
        why: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Entropy(String),
    /// A seed's address cannot be resolved.
    #[error("seed {seed}: {why}")]
    Seed {
        /// As configured.
        seed: String,
        /// What is wrong.
        why: String,
    },
    /// Nothing to join and not told to found.
    #[error("no seeds and no data: give --seeds to join a cluster, or --bootstrap to begin one")]
    NoSeeds,
    /// Signals cannot be listened to.
    #[error("signals cannot be listened to: {0}")]
    Signals(String),
    /// The host was stopped before what it held was safe elsewhere.
    #[error("left before it was safe: {why}")]
    LeftUnsafe {
        /// What is lost, or may be.
        why: String,
    },
    /// The process was declared dead too often while it kept copies.
    #[error("declared dead {MAX_EARLIER_STARTS} times while keeping copies: restart the process")]
    TooManyStarts,
}

fn twice(name: &str, kind: PluginKind) -> String {
    match kind {
        PluginKind::Merge => format!("merge plugin {name} is installed in the cluster"),
        PluginKind::Placement => format!("the cluster places by the installed plugin {name}"),
    }
}
