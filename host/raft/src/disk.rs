//! The file below the log: redb, written by one thread, or by one task if it is in memory.
//!
//! Everything that must not be reordered goes through one queue: appends, votes, truncations, purges,
//! snapshots. The thread takes all that waits, writes it in one transaction with one sync, and answers in the
//! order of submission, so that proposals made together share a sync, and a vote is never on disk before what
//! was submitted ahead of it.
//!
//! After the first error nothing is written any more and every later request fails with the same words: a
//! failed sync may have dropped pages that a second one would report as written.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use openraft::storage::IOFlushed;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

use crate::format::{self, FormatError, seal, unseal};
use crate::types::{self, Types};

/// Log entries by index, sealed.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// Everything else by name, sealed.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const RAFT_ID: &str = "raft id";
const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";
const SNAPSHOT: &str = "snapshot";

/// Most requests that wait for the thread; who submits more waits. Raft keeps few in flight, each holding up
/// to a few hundred entries.
const QUEUE: usize = 256;
/// Most requests in one transaction, so that the first of a burst does not wait for the sync of all.
const BATCH: usize = 64;
/// A transaction that takes longer comes near the time in which a voter must answer (see [`crate::config`]).
const SLOW: Duration = Duration::from_millis(100);

/// Why a store cannot be opened or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The folder cannot be made or synced, or the thread cannot be started.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The file cannot be opened, or another process has it open.
    #[error("open the log: {0}")]
    Open(#[from] redb::DatabaseError),
    /// The file cannot be read or written.
    #[error("read the log: {0}")]
    Database(Box<redb::Error>),
    /// The file holds something that was not written there.
    #[error("{what} in the log: {source}")]
    Damaged {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        source: FormatError,
    },
    /// The file holds a vote or entries, but not whose they are.
    #[error("the log does not say its id")]
    Nameless,
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for StorageError {
            fn from(error: $error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
    )*};
}
from_redb!(redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError);

/// What a store held when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) raft_id: u64,
    pub(crate) vote: Option<types::Vote>,
    pub(crate) committed: Option<types::LogId>,
    pub(crate) purged: Option<types::LogId>,
    pub(crate) entries: Vec<types::Entry>,
    pub(crate) snapshot: Option<types::Snapshot>,
}

/// One thing to write.
pub(crate) enum Write {
    /// Entries at the end of the log, by index and sealed.
    Append { entries: Vec<(u64, Vec<u8>)>, done: IOFlushed<Types> },
    /// A vote, sealed.
    Vote { vote: Vec<u8>, done: Done },
    /// How far the log is known to be committed, sealed. Need not be on disk at once: what is lost of it is
    /// learned again from the leader.
    Committed { committed: Vec<u8> },
    /// The log ends before this index.
    Truncate { from: u64, done: Done },
    /// The log begins after this index, whose position is given sealed.
    Purge { upto: u64, purged: Vec<u8>, done: Done },
    /// The snapshot, sealed; it replaces the one before.
    Snapshot { snapshot: Vec<u8>, done: Done },
}

/// Told when the request is on disk, or why not.
pub(crate) type Done = oneshot::Sender<io::Result<()>>;

/// The way to the writing thread, which ends when the last of these is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    queue: mpsc::Sender<Write>,
}

impl Disk {
    /// Submits a request. Requests of one task keep their order.
    pub(crate) async fn submit(&self, write: Write) -> io::Result<()> {
        self.queue.send(write).await.map_err(|_| ended())
    }

    /// Submits a request and waits until it is on disk.
    pub(crate) async fn finish(&self, write: impl FnOnce(Done) -> Write) -> io::Result<()> {
        let (done, finished) = oneshot::channel();
        self.submit(write(done)).await?;
        finished.await.map_err(|_| ended())?
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the thread that writes the log has ended")
}

/// A started store: the way to it, what it held, and the word that its writer has ended and its file is closed.
pub(crate) type Started = (Disk, Loaded, oneshot::Receiver<()>);

/// Reads a store, or begins one under the id `fresh`, and starts its thread.
pub(crate) fn start(db: Database, fresh: u64) -> Result<Started, StorageError> {
    let loaded = load(&db, fresh)?;
    let (queue, mut requests) = mpsc::channel(QUEUE);
    let (closed, on_closed) = oneshot::channel();
    let spawned = thread::Builder::new().name("group-log".into()).spawn(move || {
        let mut scribe = Scribe::new(db);
        while let Some(first) = requests.blocking_recv() {
            scribe.write(first, &mut requests);
        }
        drop(scribe);
        // Nobody may be left to hear it.
        let _ = closed.send(());
    });
    spawned.map_err(|source| StorageError::Io { what: "start the log thread", source })?;
    Ok((Disk { queue }, loaded, on_closed))
}

/// As [`start`], but the writer is a task of the caller's runtime: for a file whose writes take no time, on a
/// clock that does not wait for threads.
pub(crate) fn start_task(db: Database, fresh: u64) -> Result<Started, StorageError> {
    let loaded = load(&db, fresh)?;
    let (queue, mut requests) = mpsc::channel(QUEUE);
    let (closed, on_closed) = oneshot::channel();
    tokio::spawn(async move {
        let mut scribe = Scribe::new(db);
        while let Some(first) = requests.recv().await {
            scribe.write(first, &mut requests);
        }
        drop(scribe);
        // Nobody may be left to hear it.
        let _ = closed.send(());
    });
    Ok((Disk { queue }, loaded, on_closed))
}

fn load(db: &Database, fresh: u64) -> Result<Loaded, StorageError> {
    let mut begin = db.begin_write()?;
    begin.set_durability(Durability::Immediate).map_err(|error| StorageError::Database(Box::new(error.into())))?;
    {
        let log = begin.open_table(LOG)?;
        let mut meta = begin.open_table(META)?;
        if meta.get(RAFT_ID)?.is_none() {
            if log.first()?.is_some() || meta.first()?.is_some() {
                return Err(StorageError::Nameless);
            }
            let sealed = seal(&fresh).map_err(damaged(RAFT_ID))?;
            meta.insert(RAFT_ID, sealed.as_slice())?;
        }
    }
    begin.commit()?;

    let read = db.begin_read()?;
    let meta = read.open_table(META)?;
    let vote: Option<format::Vote> = read_meta(&meta, VOTE)?;
    let committed: Option<format::LogId> = read_meta(&meta, COMMITTED)?;
    let purged: Option<format::LogId> = read_meta(&meta, PURGED)?;
    let snapshot: Option<format::Snapshot> = read_meta(&meta, SNAPSHOT)?;
    let mut loaded = Loaded {
        raft_id: read_meta(&meta, RAFT_ID)?.ok_or(StorageError::Nameless)?,
        vote: vote.map(types::Vote::from),
        committed: committed.map(types::LogId::from),
        purged: purged.map(types::LogId::from),
        entries: Vec::new(),
        snapshot: snapshot.map(format::Snapshot::into_raft).transpose().map_err(damaged(SNAPSHOT))?,
    };
    for pair in read.open_table(LOG)?.iter()? {
        let entry: format::Entry = unseal(pair?.1.value()).map_err(damaged("entry"))?;
        loaded.entries.push(entry.into_raft().map_err(damaged("entry"))?);
    }
    Ok(loaded)
}

fn read_meta<T: serde::de::DeserializeOwned>(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &'static str,
) -> Result<Option<T>, StorageError> {
    let Some(sealed) = meta.get(key)? else { return Ok(None) };
    unseal(sealed.value()).map(Some).map_err(damaged(key))
}

fn damaged(what: &'static str) -> impl FnOnce(FormatError) -> StorageError {
    move |source| StorageError::Damaged { what, source }
}

/// The one writer of a store.
struct Scribe {
    db: Database,
    failed: Option<String>,
    batch: Vec<Write>,
}

impl Scribe {
    fn new(db: Database) -> Self {
        Self { db, failed: None, batch: Vec::with_capacity(BATCH) }
    }

    /// Writes a request and those that wait behind it, and answers them.
    fn write(&mut self, first: Write, waiting: &mut mpsc::Receiver<Write>) {
        self.batch.push(first);
        while self.batch.len() < BATCH
            && let Ok(next) = waiting.try_recv()
        {
            self.batch.push(next);
        }
        if self.failed.is_none() {
            let began = Instant::now();
            if let Err(error) = commit(&self.db, &self.batch) {
                tracing::error!(%error, "the group's log cannot be written");
                self.failed = Some(error.to_string());
            }
            let took = began.elapsed();
            if took > SLOW {
                tracing::warn!(?took, "the disk is slow; elections may be held for nothing");
            }
        }
        for write in self.batch.drain(..) {
            let result = self.failed.as_ref().map_or(Ok(()), |why| Err(io::Error::other(why.clone())));
            match write {
                Write::Append { done, .. } => done.io_completed(result),
                Write::Committed { .. } => {}
                Write::Vote { done, .. }
                | Write::Truncate { done, .. }
                | Write::Purge { done, .. }
                | Write::Snapshot { done, .. } => {
                    // Who no longer waits does not need the answer.
                    let _ = done.send(result);
                }
            }
        }
    }
}

fn commit(db: &Database, batch: &[Write]) -> Result<(), redb::Error> {
    let mut transaction = db.begin_write()?;
    let lazy = batch.iter().all(|write| matches!(write, Write::Committed { .. }));
    transaction.set_durability(if lazy { Durability::None } else { Durability::Immediate })?;
    for write in batch {
        apply(&transaction, write)?;
    }
    transaction.commit()?;
    Ok(())
}

fn apply(transaction: &WriteTransaction, write: &Write) -> Result<(), redb::Error> {
    let mut log = transaction.open_table(LOG)?;
    let mut meta = transaction.open_table(META)?;
    match write {
        Write::Append { entries, .. } => {
            for (index, entry) in entries {
                log.insert(index, entry.as_slice())?;
            }
        }
        Write::Vote { vote, .. } => drop(meta.insert(VOTE, vote.as_slice())?),
        Write::Committed { committed } => drop(meta.insert(COMMITTED, committed.as_slice())?),
        Write::Truncate { from, .. } => log.retain_in(*from.., |_, _| false)?,
        Write::Purge { upto, purged, .. } => {
            log.retain_in(..=*upto, |_, _| false)?;
            meta.insert(PURGED, purged.as_slice())?;
        }
        Write::Snapshot { snapshot, .. } => drop(meta.insert(SNAPSHOT, snapshot.as_slice())?),
    }
    Ok(())
}
