//! openraft's own suite for stores, run against ours.

use std::sync::Arc;

use colony_wire::RaftId;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use crate::machine::Machine;
use crate::published::Published;
use crate::storage::{Log, Storage};
use crate::types::Types;

type Fault = openraft::StorageError<Types>;

struct InMemory;
struct OnDisk;

fn parts(storage: Storage) -> (Log, Machine) {
    let machine = Machine::new(storage.snapshot, storage.disk, Arc::new(Published::new()));
    (storage.log, machine)
}

impl StoreBuilder<Types, Log, Machine> for InMemory {
    async fn build(&self) -> Result<((), Log, Machine), Fault> {
        let (log, machine) = parts(Storage::memory(RaftId(0)).expect("memory is there"));
        Ok(((), log, machine))
    }
}

impl StoreBuilder<Types, Log, Machine, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, Log, Machine), Fault> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let (log, machine) = parts(Storage::open(folder.path(), RaftId(0)).expect("an empty folder opens"));
        Ok((folder, log, machine))
    }
}

#[tokio::test]
async fn a_store_in_memory_is_what_raft_needs() {
    Suite::test_all(InMemory).await.expect("the suite passes");
}

#[tokio::test]
async fn a_store_on_disk_is_what_raft_needs() {
    Suite::test_all(OnDisk).await.expect("the suite passes");
}
