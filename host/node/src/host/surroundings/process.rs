//! A host that is a process: QUIC and TCP, the machine's clocks and entropy, threads, signals.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use colony_link::quic::QuicTransport;
use colony_link::sentinel::{Sentinels, TcpSentinels};
use colony_link::tls::Identity;
use colony_link::{LinkConfig, Transport};
use colony_raft::{Storage, StorageError};
use colony_wire::RaftId;
use colony_wire::limits::MAX_FRAME;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{Clock, ShardWork, Surroundings, Usage};
use crate::host::HostError;

/// Words to stop that nobody has heeded yet: a second one ends the host, a third changes nothing.
const WORDS: usize = 2;

/// A host that is a process of its own.
pub struct Process {
    identity: Identity,
    link: LinkConfig,
}

impl Process {
    /// A process that shows this identity.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, link: LinkConfig { max_frame: MAX_FRAME, ..LinkConfig::default() } }
    }
}

impl Surroundings for Process {
    fn bind(&self, address: SocketAddr) -> Result<Arc<dyn Transport>, HostError> {
        Ok(Arc::new(QuicTransport::bind(address, self.identity.clone(), self.link.clone())?))
    }

    fn sentinels(&self) -> &dyn Sentinels {
        &TcpSentinels
    }

    fn clock(&self) -> Clock {
        Clock::of_the_machine()
    }

    fn random(&self) -> Result<u64, HostError> {
        getrandom::u64().map_err(|error| HostError::Entropy(error.to_string()))
    }

    fn group_log(&self, folder: Option<&Path>, fresh: RaftId) -> Result<Storage, StorageError> {
        match folder {
            Some(folder) => Storage::open(folder, fresh),
            None => Storage::memory(fresh),
        }
    }

    fn usage(&self) -> Usage {
        Usage::of_this_process()
    }

    /// On a thread with a single-threaded runtime. The thread ends with the work; a panic in it ends it as well.
    fn run_shard(&self, index: u16, begin: Box<dyn FnOnce() -> ShardWork + Send>) -> Result<(), HostError> {
        let failed = |error: std::io::Error| HostError::Shard { index, why: error.to_string() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let body = move || tokio::task::LocalSet::new().block_on(&runtime, begin());
        std::thread::Builder::new().name(format!("shard-{index}")).spawn(body).map_err(failed)?;
        Ok(())
    }

    /// On SIGINT or SIGTERM.
    fn told_to_stop(&self) -> Result<mpsc::Receiver<()>, HostError> {
        let (tell, told) = mpsc::channel(WORDS);
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let mut signals = signal(kind).map_err(|error| HostError::Signals(error.to_string()))?;
            let tell = tell.clone();
            tokio::spawn(async move { while signals.recv().await.is_some() && tell.send(()).await.is_ok() {} });
        }
        Ok(told)
    }
}
