//! The facade: everything the rest of the host sees of Raft.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use colony_core::group::{Command, Outcome, Refusal, State};
use colony_wire::control::Electorate;
use colony_wire::{RaftId, Revision};
use openraft::Raft;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, ForwardReason, InitializeError, LinearizableReadError, RaftError};
use openraft::raft::{AppendEntriesResponse, ReadPolicy, TransferLeaderRequest};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::config::Timing;
use crate::leadership::{self, End, Fatal, Leadership};
use crate::machine::{self, Machine};
use crate::network::{Dialer, Network};
use crate::published::{Feed, Published};
use crate::rpc::{self, MessageError, Reply, Request};
use crate::storage::Storage;
use crate::types::{Peer, Place, Proposal, Types};

/// Largest command in bytes: with what stands around it, it must fit one frame.
pub const MAX_COMMAND: usize = 768 * 1024;
/// A voter that heard no leader for so long may have been replaced: above the time that an election takes when a
/// leader dies.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
/// How long the end of a group may take until its file is closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

/// One host's part in one Raft group. Cheap to clone; all clones are the same part.
///
/// A host that founds calls [`found`](Self::found). A host that joins only starts: if the group wants its vote,
/// the leader makes it a voter. Give every message of another node to [`handle`](Self::handle). Watch
/// [`fatal`](Self::fatal) and end the process when it resolves. Before the group is dropped, stop giving it
/// messages, then call [`shutdown`](Self::shutdown).
#[derive(Clone)]
pub struct Group {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) raft: Raft<Types, Machine>,
    pub(crate) id: RaftId,
    pub(crate) published: Arc<Published>,
    pub(crate) reconcile: tokio::sync::Mutex<()>,
    timing: Timing,
    leadership: watch::Receiver<Leadership>,
    electing: watch::Receiver<Vec<RaftId>>,
    end: watch::Receiver<Option<End>>,
    closed: Mutex<Option<oneshot::Receiver<()>>>,
    /// When this host last took something from a leader.
    told: Mutex<Option<Instant>>,
}

/// Why a group does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The times do not go together.
    #[error("timing: {0}")]
    Timing(String),
    /// The log cannot be read back.
    #[error("restore the group from its log: {0}")]
    Restore(String),
}

/// Why a group was not founded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoundError {
    /// The log belongs to a group already.
    #[error("the log belongs to a group already")]
    AlreadyFounded,
    /// The first command was refused.
    #[error("genesis was refused: {0}")]
    Refused(Refusal),
    /// Founding did not come to its end in time; calling again goes on with it.
    #[error("genesis: {0}")]
    Propose(#[from] ProposeError),
}

/// Why a proposal has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This host does not lead. Surely not proposed.
    #[error("this host does not lead the group")]
    NotLeader {
        /// Who does, if it is known.
        leader: Option<Peer>,
    },
    /// This host leads but hears from no quorum. Surely not proposed.
    #[error("no quorum of the voters answers")]
    NoQuorum,
    /// No outcome in time, or another host became the leader meanwhile. It may be committed yet.
    #[error("the outcome is not known")]
    Unavailable,
    /// It would not fit a frame. Surely not proposed.
    #[error("a command of {len} bytes, at most {MAX_COMMAND} are possible")]
    TooLarge {
        /// Its length.
        len: usize,
    },
    /// The group has ended on this host. It may be committed yet.
    #[error("the group has ended on this host")]
    Stopped,
}

impl ProposeError {
    /// Whether the command is surely not and never committed.
    #[must_use]
    pub fn has_no_side_effects(&self) -> bool {
        match self {
            Self::NotLeader { .. } | Self::NoQuorum | Self::TooLarge { .. } => true,
            Self::Unavailable | Self::Stopped => false,
        }
    }

    /// Whether it may help to propose it again, here or at the leader. Commands are compare-and-set or idempotent,
    /// so a second one does no harm.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotLeader { .. } | Self::NoQuorum | Self::Unavailable => true,
            Self::TooLarge { .. } | Self::Stopped => false,
        }
    }
}

/// Why a message was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// It cannot be read, or its answer cannot be sent.
    #[error(transparent)]
    Message(#[from] MessageError),
}

impl Group {
    /// Starts this host's part with what the store holds. The committed part of the log is applied when this
    /// returns.
    ///
    /// # Errors
    /// [`StartError`] if the times or the store are not as they must be.
    pub async fn start(storage: Storage, dialer: Arc<dyn Dialer>, timing: Timing) -> Result<Self, StartError> {
        let settings = timing.settings().map_err(StartError::Timing)?;
        let id = storage.raft_id();
        let published = Arc::new(Published::new());
        let machine = Machine::new(storage.snapshot, storage.disk, published.clone());
        let metrics = Arc::new(OnceLock::new());
        let lease = timing.election_max;
        let network = Network { own: id, dialer, published: published.clone(), metrics: metrics.clone(), lease };
        let raft = Raft::new(id.0, Arc::new(settings), network, storage.log, machine);
        let raft = raft.await.map_err(|error| StartError::Restore(error.to_string()))?;
        // It was not set before.
        let _ = metrics.set(raft.metrics());
        let (shown, leadership) = watch::channel(Leadership::default());
        let (elected, electing) = watch::channel(Vec::new());
        let (ended, end) = watch::channel(None);
        let within = timing.confirmed_within;
        tokio::spawn(leadership::follow(raft.metrics(), published.clone(), within, shown, elected, ended));
        let inner = Inner {
            raft,
            id,
            published,
            reconcile: tokio::sync::Mutex::default(),
            timing,
            leadership,
            electing,
            end,
            closed: Mutex::new(Some(storage.closed)),
            told: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Founds a group with this host as its only voter. `genesis` is its first command, `own` the control port
    /// of this host. If founding was interrupted earlier, goes on with it.
    ///
    /// # Errors
    /// [`FoundError`]; after [`FoundError::Propose`] it may be called again.
    pub async fn found(
        &self,
        genesis: &Command,
        own: std::net::SocketAddr,
        within: Duration,
    ) -> Result<(), FoundError> {
        let deadline = Instant::now() + within;
        let founder = std::collections::BTreeMap::from([(self.inner.id.0, Place { address: own })]);
        match self.inner.raft.initialize(founder).await {
            Ok(()) => {}
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                if self.state().borrow().has_begun() || self.voters() != [self.inner.id] {
                    return Err(FoundError::AlreadyFounded);
                }
            }
            Err(RaftError::APIError(InitializeError::NotInMembers(_)) | RaftError::Fatal(_)) => {
                return Err(ProposeError::Stopped.into());
            }
        }
        let mut leadership = self.leadership();
        let leads = leadership.wait_for(|leadership| leadership.is_confirmed);
        let leads = tokio::time::timeout_at(deadline, leads).await.map_err(|_| ProposeError::NoQuorum)?;
        drop(leads.map_err(|_| ProposeError::Stopped)?);
        match self.propose(genesis, deadline.saturating_duration_since(Instant::now())).await? {
            Outcome::Refused(Refusal::NotAtBeginning) => Err(FoundError::AlreadyFounded),
            Outcome::Refused(refusal) => Err(FoundError::Refused(refusal)),
            Outcome::Applied | Outcome::Created(_) => Ok(()),
        }
    }

    /// Whether the log belongs to a group: it was founded here, or a leader wrote to it.
    ///
    /// # Errors
    /// [`ProposeError::Stopped`] if the group has ended on this host.
    pub async fn is_founded(&self) -> Result<bool, ProposeError> {
        self.inner.raft.is_initialized().await.map_err(|_| ProposeError::Stopped)
    }

    /// Has the command committed and applied, and returns what came of it. [`state`](Self::state) holds it then.
    ///
    /// # Errors
    /// [`ProposeError`] says whether the command may be committed nevertheless.
    pub async fn propose(&self, command: &Command, within: Duration) -> Result<Outcome, ProposeError> {
        let proposal = Proposal::from(command);
        if proposal.0.len() > MAX_COMMAND {
            return Err(ProposeError::TooLarge { len: proposal.0.len() });
        }
        let deadline = Instant::now() + within;
        let mut metrics = self.inner.raft.metrics();
        loop {
            let written = self.inner.raft.client_write(proposal.clone());
            let written = tokio::time::timeout_at(deadline, written).await;
            let forward = match written.map_err(|_| ProposeError::Unavailable)? {
                // Every command has an outcome; the other entries have none.
                Ok(response) => return response.data.ok_or(ProposeError::Unavailable),
                Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => forward,
                Err(RaftError::Fatal(_)) => return Err(ProposeError::Stopped),
                Err(RaftError::APIError(_)) => return Err(ProposeError::Unavailable),
            };
            if forward.reason != ForwardReason::LeaseExpired {
                return Err(ProposeError::NotLeader { leader: self.leader().filter(|peer| peer.raft != self.id()) });
            }
            // A new leader has no lease before its first round of heartbeats; one that is cut off gets none.
            let renewed = leadership::renewed(&mut metrics);
            let renewed = tokio::time::timeout_at(deadline, renewed).await;
            renewed.map_err(|_| ProposeError::NoQuorum)?;
        }
    }

    /// The state, with everything in it that was decided before this was called. A quorum of the voters is asked
    /// whether this host still leads; no clock and no lease has a part in it.
    ///
    /// # Errors
    /// [`ProposeError`]; nothing was proposed in any case.
    pub async fn read(&self, within: Duration) -> Result<Arc<State>, ProposeError> {
        let read = self.inner.raft.ensure_linearizable(ReadPolicy::ReadIndex);
        match tokio::time::timeout(within, read).await.map_err(|_| ProposeError::NoQuorum)? {
            Ok(_) => Ok(self.state().borrow().clone()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_))) => {
                Err(ProposeError::NotLeader { leader: self.leader().filter(|peer| peer.raft != self.id()) })
            }
            Err(RaftError::APIError(_)) => Err(ProposeError::NoQuorum),
            Err(RaftError::Fatal(_)) => Err(ProposeError::Stopped),
        }
    }

    /// Answers a message of another node. The caller has made sure that it is for this log and this lineage.
    ///
    /// # Errors
    /// [`HandleError`] if it is malformed.
    pub async fn handle(&self, message: Bytes) -> Result<Bytes, HandleError> {
        let raft = &self.inner.raft;
        let reply = match rpc::decode(&message)? {
            Request::Append(append) => {
                let appended = raft.append_entries(append.try_into()?).await;
                if !matches!(appended, Ok(AppendEntriesResponse::HigherVote(_)) | Err(_)) {
                    *self.inner.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                }
                appended.map(Reply::from).ok()
            }
            Request::Vote(ballot) => raft.vote(ballot.into()).await.map(Reply::from).ok(),
            Request::PreVote(ballot) => raft.pre_vote(ballot.into()).await.map(Reply::from).ok(),
            Request::Snapshot { vote, snapshot } => {
                let (vote, snapshot) = rpc::snapshot_from(vote, snapshot)?;
                machine::open(&snapshot.snapshot).map_err(MessageError::from)?;
                raft.install_full_snapshot(vote, snapshot).await.map(Reply::from).ok()
            }
            Request::TransferLeader { from, to, last } => {
                let last = last.map(crate::types::LogId::from);
                let request = TransferLeaderRequest::new(from.into(), to, last);
                let response = raft.handle_transfer_leader(request).await.ok();
                response.map(|response| Reply::TransferLeader { is_accepted: response.is_ok() })
            }
        };
        Ok(rpc::encode(&reply.unwrap_or(Reply::Ended))?)
    }

    /// Identity of this host's log.
    #[must_use]
    pub fn id(&self) -> RaftId {
        self.inner.id
    }

    /// The newest state that this host has applied.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<Arc<State>> {
        self.inner.published.watch()
    }

    /// What a host at revision `have` of this lineage lacks.
    #[must_use]
    pub fn feed(&self, have: Revision) -> Feed {
        self.inner.published.feed(have)
    }

    /// Who leads, as it changes.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.inner.leadership.clone()
    }

    /// Who leads, as far as this host knows, and where it is now.
    #[must_use]
    pub fn leader(&self) -> Option<Peer> {
        leadership::leader(&self.inner.raft.metrics().borrow_watched(), &self.inner.published.state())
    }

    /// Whether this host takes itself for the leader: it was elected, and what it heard of the group is not old. It may
    /// have a successor already, and has one as a rule when it has heard nothing for longer.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.inner.raft.is_leader() && self.told_until().is_some_and(|until| Instant::now() < until)
    }

    /// Whether this host leads and may decide for the group now ([`Leadership::is_confirmed`]).
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        let metrics = self.inner.raft.metrics();
        leadership::confirmed_until(&metrics.borrow_watched(), self.inner.timing.confirmed_within).is_some()
    }

    /// How long ago a quorum of the voters answered this host as their leader; none if it does not lead, or has not
    /// applied yet what was committed before it did.
    #[must_use]
    pub fn quorum_age(&self) -> Option<Duration> {
        leadership::quorum_age(&self.inner.raft.metrics().borrow_watched())
    }

    /// Who votes, as far as this host's own log says, and where in it; none if it says nothing.
    #[must_use]
    pub fn known_voters(&self) -> Option<Electorate> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let at = metrics.membership_config.log_id().as_ref()?.index;
        Some(Electorate { at, voters: metrics.membership_config.voter_ids().map(RaftId).collect() })
    }

    /// Who votes, in order.
    #[must_use]
    pub fn voters(&self) -> Vec<RaftId> {
        self.inner.raft.metrics().borrow_watched().membership_config.voter_ids().map(RaftId).collect()
    }

    /// Whether this host's own log tells it what the group decides: it leads, or it votes and heard a leader just now.
    ///
    /// Without this neither its state need be the newest, nor need the leader that it names be one, nor need it vote:
    /// a voter that is replaced while nobody can reach it is not told, then or later, and takes itself for a voter.
    #[must_use]
    pub fn is_told(&self) -> bool {
        let is_recent = self.told_until().is_some_and(|until| Instant::now() < until);
        self.is_leader() || (is_recent && self.voters().contains(&self.id()))
    }

    /// Until when what a leader said last, or a quorum if this host leads, counts as said just now.
    fn told_until(&self) -> Option<Instant> {
        let told = *self.inner.told.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = self.inner.raft.metrics();
        let answered = leadership::answered_until(&metrics.borrow_watched(), TOLD_WITHIN);
        answered.max(told.map(|told| told + TOLD_WITHIN))
    }

    /// Resolves once this host's own log [tells](Self::is_told) it nothing any more.
    pub async fn falls_silent(&self) {
        let mut electing = self.electing();
        while self.is_told() {
            let until = self.told_until().unwrap_or_else(Instant::now);
            // The sender lives as long as the group: an error is its end, after which nothing is told.
            if let Ok(Err(_)) = tokio::time::timeout_at(until, electing.changed()).await {
                return;
            }
        }
    }

    /// Who votes, as it changes.
    #[must_use]
    pub fn electing(&self) -> watch::Receiver<Vec<RaftId>> {
        self.inner.electing.clone()
    }

    /// Stands for election at once, without waiting for the old leader's lease: for a voter that knows by other
    /// means that the leader's process is gone (`PROTOCOL.md` 13). Votes are still counted and logs compared,
    /// so a mistake costs a change of leader and nothing else. Does nothing on a leader, or while nobody leads.
    ///
    /// # Errors
    /// [`ProposeError::Stopped`] if the group has ended on this host.
    pub async fn take_over(&self) -> Result<(), ProposeError> {
        let request = {
            let metrics = self.inner.raft.metrics();
            let metrics = metrics.borrow_watched();
            let votes = metrics.membership_config.voter_ids().any(|id| id == self.inner.id.0);
            if !votes || !metrics.vote.committed || metrics.vote.leader_id.node_id == self.inner.id.0 {
                return Ok(());
            }
            // What a leader sends to its chosen successor, said by the successor itself.
            TransferLeaderRequest::new(metrics.vote, self.inner.id.0, None)
        };
        // A refusal means that another term has begun meanwhile.
        let asked = self.inner.raft.handle_transfer_leader(request).await;
        asked.map(drop).map_err(|_| ProposeError::Stopped)
    }

    /// Resolves when the group has failed on this host and the process must end. Never after a wanted end.
    pub async fn fatal(&self) -> Fatal {
        let mut end = self.inner.end.clone();
        let failed = end.wait_for(|end| matches!(end, Some(End::Failed(_)))).await;
        if let Ok(Some(End::Failed(fatal))) = failed.as_deref() {
            return fatal.clone();
        }
        drop(failed);
        std::future::pending().await
    }

    /// Ends this host's part and closes its file.
    pub async fn shutdown(&self) {
        // An error says that the task had failed before, which `fatal` has told.
        let _ = self.inner.raft.shutdown().await;
        let closed = self.inner.closed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(closed) = closed
            && tokio::time::timeout(CLOSED_WITHIN, closed).await.is_err()
        {
            tracing::warn!("the group's log is still open");
        }
    }
}
