//! What binds a host to a machine, behind one value: network, clocks, entropy, the log's place, threads, the word to
//! stop.
//!
//! A host in production is a [`Process`]. A test gives others, and runs many hosts in one process under a clock of its
//! own; all else of the host is the same code.

mod process;
mod usage;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use colony_link::Transport;
use colony_link::sentinel::Sentinels;
use colony_raft::{Storage, StorageError};
use colony_wire::RaftId;
use tokio::sync::mpsc;

use super::HostError;

pub use self::process::Process;
pub use self::usage::Usage;
pub use super::clock::Clock;

/// A shard's work, to be run on its thread. It is not `Send`: it never leaves that thread.
pub type ShardWork = Pin<Box<dyn Future<Output = ()>>>;

/// What a host stands in. Nothing of it is on the way of a write: a shard asks once, when it starts.
pub trait Surroundings: Send + Sync + 'static {
    /// A transport at `address`, on the runtime of the caller.
    ///
    /// # Errors
    /// [`HostError::Bind`] if the address cannot be had.
    fn bind(&self, address: SocketAddr) -> Result<Arc<dyn Transport>, HostError>;

    /// The sentinels of this host.
    fn sentinels(&self) -> &dyn Sentinels;

    /// The host's clocks, begun now.
    fn clock(&self) -> Clock;

    /// A random number for an identity.
    ///
    /// # Errors
    /// [`HostError::Entropy`] if there is none to be had.
    fn random(&self) -> Result<u64, HostError>;

    /// Two of them in one.
    ///
    /// # Errors
    /// As [`random`](Self::random).
    fn random_u128(&self) -> Result<u128, HostError> {
        Ok(u128::from(self.random()?) << 64 | u128::from(self.random()?))
    }

    /// The log of the group, in the configured folder if there is one. A new log gets the id `fresh`.
    ///
    /// # Errors
    /// [`StorageError`] if the log cannot be had or read.
    fn group_log(&self, folder: Option<&Path>, fresh: RaftId) -> Result<Storage, StorageError>;

    /// What the host has used of its machine. Not known, unless said otherwise.
    fn usage(&self) -> Usage {
        Usage::default()
    }

    /// Runs a shard: calls `begin` where the shard lives, and what it gives to its end.
    ///
    /// # Errors
    /// [`HostError::Shard`] if it cannot be run.
    fn run_shard(&self, index: u16, begin: Box<dyn FnOnce() -> ShardWork + Send>) -> Result<(), HostError>;

    /// A word for each time that the host is told to stop, from now on.
    ///
    /// # Errors
    /// [`HostError::Signals`] if it could not be told.
    fn told_to_stop(&self) -> Result<mpsc::Receiver<()>, HostError>;
}
