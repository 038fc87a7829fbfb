//! What a simulated host stands in.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use colony_link::memory::{MemoryNet, MemorySentinels};
use colony_link::sentinel::Sentinels;
use colony_link::{LinkConfig, PeerIdentity, Transport};
use colony_node::host::HostError;
use colony_node::host::surroundings::{Clock, ShardWork, Surroundings};
use colony_raft::{MemoryDisk, Storage, StorageError};
use colony_wire::RaftId;
use colony_wire::limits::MAX_FRAME;
use tokio::sync::{Notify, mpsc};

use crate::chance::Chance;

/// A host in the network in memory, all of it on one thread.
pub(crate) struct Simulated {
    pub(crate) net: MemoryNet,
    pub(crate) name: String,
    pub(crate) sentinels: MemorySentinels,
    pub(crate) disk: MemoryDisk,
    /// What its wall clock shows when it starts, in milliseconds since 1970.
    pub(crate) wall_ms: u64,
    pub(crate) chance: Mutex<Chance>,
    /// Told when it is to stop.
    pub(crate) told: Arc<Notify>,
}

impl Surroundings for Simulated {
    fn bind(&self, address: SocketAddr) -> Result<Arc<dyn Transport>, HostError> {
        let config = LinkConfig { max_frame: MAX_FRAME, ..LinkConfig::default() };
        let transport = self.net.bind_with(address, PeerIdentity::host(&self.name), config);
        Ok(Arc::new(transport.unwrap_or_else(|error| panic!("{} has its addresses to itself: {error}", self.name))))
    }

    fn sentinels(&self) -> &dyn Sentinels {
        &self.sentinels
    }

    fn clock(&self) -> Clock {
        Clock::of_the_runtime(self.wall_ms)
    }

    fn random(&self) -> Result<u64, HostError> {
        Ok(self.chance.lock().unwrap_or_else(PoisonError::into_inner).draw())
    }

    fn group_log(&self, _folder: Option<&Path>, fresh: RaftId) -> Result<Storage, StorageError> {
        Storage::on(&self.disk, fresh)
    }

    fn run_shard(&self, _index: u16, begin: Box<dyn FnOnce() -> ShardWork + Send>) -> Result<(), HostError> {
        tokio::task::spawn_local(begin());
        Ok(())
    }

    fn told_to_stop(&self) -> Result<mpsc::Receiver<()>, HostError> {
        let (tell, told) = mpsc::channel(1);
        let word = self.told.clone();
        tokio::spawn(async move {
            loop {
                word.notified().await;
                if tell.send(()).await.is_err() {
                    return;
                }
            }
        });
        Ok(told)
    }
}
