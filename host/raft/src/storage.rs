//! The log and the vote of one Raft node.
//!
//! Reads are served from memory, where the whole retained log is; writes go to [`Disk`] as well. Raft keeps
//! the log short (see [`crate::config`]), and an entry must be readable as soon as it is appended, long before
//! it is on disk.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use colony_wire::RaftId;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use redb::Database;
use redb::backends::InMemoryBackend;
use tokio::sync::oneshot;

use crate::disk::{self, Disk, Started, StorageError, Write};
use crate::format::{self, seal};
use crate::memory::MemoryDisk;
use crate::types::{Entry, LogId, Payload, Snapshot, Types, Vote};

/// Name of the file in a host's data folder.
const FILE: &str = "group.redb";
/// What redb may cache, in bytes. The log is read from our own memory, so this serves writes only.
const CACHE: usize = 4 * 1024 * 1024;
/// Most bytes of entries in one append to a follower, unless one alone is larger: so that it fits a frame and
/// does not keep a heartbeat waiting.
const APPEND_BYTES: usize = 256 * 1024;
/// What an entry takes besides its command, generously.
const ENTRY_BYTES: usize = 128;

/// Where one Raft node keeps its log, vote and snapshot, and its id with them: the id lives and dies with the
/// log (`PROTOCOL.md` 1).
#[derive(Debug)]
pub struct Storage {
    pub(crate) log: Log,
    pub(crate) disk: Disk,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) closed: oneshot::Receiver<()>,
    raft_id: RaftId,
}

impl Storage {
    /// A store in memory, gone with the process. `fresh` is its id and must be random: an id that was another
    /// log's makes Raft count the same voter twice.
    ///
    /// # Errors
    /// [`StorageError`] if the writing thread cannot be started.
    pub fn memory(fresh: RaftId) -> Result<Self, StorageError> {
        let db = Database::builder().set_cache_size(CACHE).create_with_backend(InMemoryBackend::new())?;
        Self::of(db, fresh)
    }

    /// The store in this folder, which is made if it is not there. A new store gets the id `fresh`, which must
    /// be random; one that was there keeps its own.
    ///
    /// Reads the whole file; blocks meanwhile.
    ///
    /// # Errors
    /// [`StorageError`] if the file cannot be read or written, is open already, or is damaged. A damaged store
    /// is never repaired by forgetting: the host must come back under a new id, with an empty folder.
    pub fn open(folder: impl AsRef<Path>, fresh: RaftId) -> Result<Self, StorageError> {
        let folder = folder.as_ref();
        let io = |what| move |source| StorageError::Io { what, source };
        fs::create_dir_all(folder).map_err(io("make the data folder"))?;
        let db = Database::builder().set_cache_size(CACHE).create(folder.join(FILE))?;
        let storage = Self::of(db, fresh)?;
        // A new file is only there after a power cut once its folder is synced too.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync the data folder"))?;
        Ok(storage)
    }

    /// The store on a disk in memory, which outlives the process on it; `fresh` as in [`open`](Self::open). Writes
    /// take no time, and no thread: it is for tests on a clock of their own, and is called on the runtime of its
    /// host.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn on(disk: &MemoryDisk, fresh: RaftId) -> Result<Self, StorageError> {
        let db = Database::builder().set_cache_size(CACHE).create_with_backend(disk.clone())?;
        Ok(Self::started(disk::start_task(db, fresh.0)?))
    }

    /// Identity of this log.
    #[must_use]
    pub fn raft_id(&self) -> RaftId {
        self.raft_id
    }

    pub(crate) fn of(db: Database, fresh: RaftId) -> Result<Self, StorageError> {
        Ok(Self::started(disk::start(db, fresh.0)?))
    }

    fn started((disk, loaded, closed): Started) -> Self {
        let log = Mirror {
            vote: loaded.vote,
            committed: loaded.committed,
            purged: loaded.purged,
            entries: loaded.entries.into_iter().map(|entry| (entry.log_id.index, entry)).collect(),
        };
        let log = Log { reader: Reader(Arc::new(Mutex::new(log))), disk: disk.clone() };
        Self { log, disk, snapshot: loaded.snapshot, closed, raft_id: RaftId(loaded.raft_id) }
    }
}

/// What is in the store, or on its way there.
#[derive(Debug)]
struct Mirror {
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    entries: BTreeMap<u64, Entry>,
}

/// The side of the log that reads. Holds no way to the disk, so that replication tasks that outlive the node
/// do not keep its file open.
#[derive(Clone, Debug)]
pub(crate) struct Reader(Arc<Mutex<Mirror>>);

impl Reader {
    fn mirror(&self) -> MutexGuard<'_, Mirror> {
        // No code that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side of the log that writes; there is one.
#[derive(Debug)]
pub(crate) struct Log {
    reader: Reader,
    disk: Disk,
}

impl RaftLogReader<Types> for Reader {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        Ok(self.mirror().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.mirror().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let mirror = self.mirror();
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let is_first = bytes == 0;
            bytes += ENTRY_BYTES;
            if let Payload::Normal(proposal) = &entry.payload {
                bytes += proposal.0.len();
            }
            // The first always goes: an empty answer means that the log lost it.
            is_first || bytes <= APPEND_BYTES
        };
        Ok(mirror.entries.range(start..end).map(|(_, entry)| entry).take_while(fits).cloned().collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Reader;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let mirror = self.reader.mirror();
        let last = mirror.entries.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(LogState { last_purged_log_id: mirror.purged, last_log_id: last.or(mirror.purged) })
    }

    async fn get_log_reader(&mut self) -> Reader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let sealed = seal(&format::Vote::from(vote))?;
        self.disk.finish(|done| Write::Vote { vote: sealed, done }).await?;
        self.reader.mirror().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.reader.mirror().committed = committed;
        let Some(committed) = committed else { return Ok(()) };
        let committed = seal(&format::LogId::from(&committed))?;
        self.disk.submit(Write::Committed { committed }).await
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.reader.mirror().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let mut sealed = Vec::with_capacity(entries.len());
        for entry in &entries {
            sealed.push((entry.log_id.index, seal(&format::Entry::from(entry))?));
        }
        self.reader.mirror().entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        self.disk.submit(Write::Append { entries: sealed, done: callback }).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        self.reader.mirror().entries.split_off(&from);
        self.disk.finish(|done| Write::Truncate { from, done }).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let purged = seal(&format::LogId::from(&upto))?;
        {
            let mut mirror = self.reader.mirror();
            mirror.purged = Some(upto);
            let kept = mirror.entries.split_off(&(upto.index + 1));
            mirror.entries = kept;
        }
        self.disk.finish(|done| Write::Purge { upto: upto.index, purged, done }).await
    }
}
