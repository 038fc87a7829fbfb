//! The state machine: applies committed commands to the group state, and makes and takes snapshots of it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use colony_core::group::{Command, State};
use futures_core::Stream;
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use tokio::sync::Mutex;

use crate::disk::{Disk, Write};
use crate::format::{self, FormatError, seal, unseal};
use crate::published::Published;
use crate::types::{LogId, Payload, Snapshot, SnapshotMeta, StoredMembership, Types};

/// The group state in memory. It is rebuilt at start from the snapshot and the committed log.
#[derive(Debug)]
pub(crate) struct Machine {
    applied: Option<LogId>,
    membership: StoredMembership,
    state: Arc<State>,
    published: Arc<Published>,
    kept: Arc<Kept>,
}

/// The newest snapshot and where it is stored.
#[derive(Debug)]
struct Kept {
    /// Held while a snapshot is written, so that an older one never replaces a newer one.
    newest: Mutex<Option<Snapshot>>,
    disk: Disk,
}

impl Machine {
    pub(crate) fn new(snapshot: Option<Snapshot>, disk: Disk, published: Arc<Published>) -> Self {
        Self {
            applied: None,
            membership: StoredMembership::default(),
            state: Arc::default(),
            published,
            kept: Arc::new(Kept { newest: Mutex::new(snapshot), disk }),
        }
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let mut commands = Vec::new();
        let mut answers: Vec<(ApplyResponder<Types>, _)> = Vec::new();
        while let Some(next) = poll_fn(|context| Pin::new(&mut entries).poll_next(context)).await {
            let (entry, responder) = next?;
            let outcome = match entry.payload {
                Payload::Blank => None,
                Payload::Normal(proposal) => {
                    // A command that this build cannot read must not be passed over: the states would part.
                    let command = Command::decode(&proposal.0)
                        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                    commands.push(proposal.0);
                    Some(Arc::make_mut(&mut self.state).apply(&command))
                }
                Payload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    None
                }
            };
            self.applied = Some(entry.log_id);
            answers.extend(responder.map(|responder| (responder, outcome)));
        }
        if !commands.is_empty() {
            self.published.advance(self.state.clone(), commands);
        }
        // A proposer that has its answer finds it in the published state.
        for (responder, outcome) in answers {
            responder.send(outcome);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() };
        Builder { meta, state: self.state.clone(), kept: self.kept.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> io::Result<()> {
        let state = Arc::new(open(&snapshot)?);
        self.kept.store(Snapshot { meta: meta.clone(), snapshot }).await?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.state = state;
        self.published.replace(self.state.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.kept.newest.lock().await.clone())
    }
}

/// Makes a snapshot of the state as it was when this was taken, while the machine goes on.
#[derive(Debug)]
pub(crate) struct Builder {
    meta: SnapshotMeta,
    state: Arc<State>,
    kept: Arc<Kept>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let sealed = seal(&self.state.encode())?;
        let snapshot = Snapshot { meta: self.meta.clone(), snapshot: sealed.into() };
        self.kept.store(snapshot.clone()).await?;
        Ok(snapshot)
    }
}

impl Kept {
    /// Stores the snapshot durably, unless one that covers more is there.
    async fn store(&self, snapshot: Snapshot) -> io::Result<()> {
        let mut newest = self.newest.lock().await;
        if newest.as_ref().is_some_and(|newest| newest.meta.last_log_id >= snapshot.meta.last_log_id) {
            return Ok(());
        }
        let sealed = seal(&format::Snapshot::from(&snapshot))?;
        self.disk.finish(|done| Write::Snapshot { snapshot: sealed, done }).await?;
        *newest = Some(snapshot);
        Ok(())
    }
}

/// The state in a snapshot.
pub(crate) fn open(snapshot: &[u8]) -> Result<State, FormatError> {
    let encoded: Bytes = unseal(snapshot)?;
    Ok(State::decode(&encoded)?)
}
