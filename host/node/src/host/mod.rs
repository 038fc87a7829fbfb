//! The running host.
//!
//! One control runtime holds the group's Raft, watches the other hosts, admits and leads; every shard is a
//! thread of its own with its own QUIC endpoint and its own colonies. The two meet in one value, the newest
//! group state, and in two queues: proposals up, orders down. `seen` shows both to the outside.
//!
//! ```text
//!                control runtime                                   shard thread i
//!   port       +---------------------------+   state (watch)   +----------------------+   port + 1 + i
//!  QUIC, TCP ->| serve  view  watching     |------------------>| colony::Shard        |<- QUIC
//!              | join   leader             |<------------------| serve  links  merges |
//!              +---------------------------+   proposals       +----------------------+
//! ```

mod clock;
mod control;
mod error;
mod plugins;
mod realm;
mod seen;
mod shard;
pub mod surroundings;

use std::net::SocketAddr;
use std::sync::Arc;

use colony_core::group::{Member, MemberState};
use colony_link::Role;
use colony_link::tls::Identity;
use colony_raft::{Group, Timing};
use colony_wire::{RaftId, StartId};
use tokio::sync::{mpsc, watch};

pub use self::error::HostError;

use self::control::{Calls, Control, Host, RealmCalls, Wants};
use self::plugins::Plugins;
use self::realm::Realm;
use self::surroundings::{Process, Surroundings};
use crate::config::NodeConfig;

/// Proposals of shards under way to the control runtime. They may be lost: the core makes them again.
const PROPOSALS: usize = 4096;
/// Questions of shards to the group under way. They may be lost: the core asks again.
const QUESTIONS: usize = 4096;

/// Loads a plugin of either kind as every host does. Blocks while it is compiled.
///
/// # Errors
/// What is wrong with the bytes.
pub(crate) fn load_plugin(name: &str, bytes: &[u8]) -> Result<colony_wasm::Plugin, colony_wasm::LoadError> {
    plugins::runtime()?.load(name, bytes)
}

/// Runs a host as this process, until a signal asks it to stop or something fails for good.
///
/// # Errors
/// [`HostError`] says what kept it from starting or going on, in one line.
pub async fn run(config: NodeConfig) -> Result<(), HostError> {
    let identity = Identity::from_files(&config.tls.ca, &config.tls.cert, &config.tls.key)?;
    check_identity(&config, &identity)?;
    run_in(config, Arc::new(Process::new(identity))).await
}

/// Runs a host in these surroundings, until they tell it to stop or something fails for good. What the
/// configuration says of certificates is theirs to heed.
///
/// # Errors
/// As [`run`].
pub async fn run_in(config: NodeConfig, surroundings: Arc<dyn Surroundings>) -> Result<(), HostError> {
    let plugins = Arc::new(Plugins::load(&config.plugins, config.data_dir.as_deref())?);
    let transport = surroundings.bind(config.listen)?;
    let sentinel = surroundings.sentinels().listen(config.listen, config.name.clone().into()).await?;
    let admin = match config.admin.listen {
        Some(address) => Some(seen::AdminListener::bind(address).await?),
        None => None,
    };

    let start = StartId(surroundings.random()?);
    let fresh = RaftId(surroundings.random()?);
    let storage = surroundings.group_log(config.data_dir.as_deref(), fresh)?;
    let shards = config.shard_count();
    let member = Member {
        start,
        name: config.name.clone(),
        address: config.advertised(),
        shards,
        labels: config.labels.clone(),
        raft: storage.raft_id(),
        earlier: Vec::new(),
        state: MemberState::Up,
    };
    let clock = surroundings.clock();
    let calls = RealmCalls::new(Arc::new(Calls::new(transport.clone())), Realm::Root);
    let (view, seen) = watch::channel(Arc::default());
    let dialer = Arc::new(control::RaftDialer::new(calls.clone(), seen.clone()));
    let (proposals, proposed) = mpsc::channel(PROPOSALS);
    let (questions, asked) = mpsc::channel(QUESTIONS);

    let mut threads = Vec::new();
    for index in 0..shards {
        let address = SocketAddr::new(config.listen.ip(), shard_port(config.listen.port(), index)?);
        let seat = shard::Seat { index, shards, clock, plugins: plugins.clone() };
        let ties = shard::Ties { view: seen.clone(), proposals: proposals.clone(), questions: questions.clone() };
        threads.push(shard::spawn(&surroundings, address, seat, (start, ties)).await?);
    }
    // Last, when every port is held: from here on nothing keeps the host from starting.
    let group = Group::start(storage, dialer, Timing::default()).await?;
    tracing::info!(name = %config.name, %start, listen = %config.listen, shards, "host is listening");

    let host = Host {
        config,
        surroundings,
        clock,
        transport,
        plugins,
        orders: threads.iter().map(|shard| shard.orders.clone()).collect(),
        meters: threads.iter().map(|shard| shard.meters.clone()).collect(),
        journal: Arc::default(),
        leaving: watch::Sender::new(false),
    };
    let root = Control::new(Arc::new(host), member, calls, group, view);
    let wants = Wants { proposals: proposed, questions: asked };
    control::run(root, sentinel, admin, wants, threads).await
}

fn shard_port(port: u16, index: u16) -> Result<u16, HostError> {
    port.checked_add(1 + index).ok_or(HostError::NoPortsLeft { port })
}

fn check_identity(config: &NodeConfig, identity: &Identity) -> Result<(), HostError> {
    let own = identity.peer_identity();
    if own.role != Role::Host || own.name != config.name {
        return Err(HostError::OtherName {
            name: config.name.clone(),
            certificate: config.tls.cert.clone(),
            holder: format!("{} {}", if own.role == Role::Host { "host" } else { "client" }, own.name),
        });
    }
    Ok(())
}
