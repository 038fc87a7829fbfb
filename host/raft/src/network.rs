//! The way to the other nodes: openraft's network on top of a [`Dialer`] that the host provides.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use colony_core::group::State;
use colony_wire::RaftId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};

use crate::config::APPEND_WITHIN;
use crate::leadership::{self, Metrics};
use crate::published::Published;
use crate::rpc::{self, MessageError, Reply, Request};
use crate::types::{Peer, Place, Snapshot, Types, Vote};

/// A future of any type.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries messages to other hosts.
///
/// A call may be dropped before it ends. Messages may be lost, doubled and reordered, but a message must only
/// reach the log it is meant for: the receiving host compares the peer's [`RaftId`] with its own before it
/// gives the message to [`Group::handle`](crate::Group::handle).
pub trait Dialer: Send + Sync + 'static {
    /// Brings the message to the peer and its answer back, within this time.
    fn call(&self, to: Peer, message: Bytes, within: Duration) -> BoxFuture<'_, Result<Bytes, CallError>>;
}

/// Why a call brought no answer. It may have reached the peer in every case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no connection to be had, or it broke. Tried again after a pause that grows.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The host is there but has not this log, or not this lineage.
    #[error("refused: {0}")]
    Refused(String),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
}

/// Makes a [`Link`] for each node.
pub(crate) struct Network {
    pub(crate) own: RaftId,
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) published: Arc<Published>,
    /// Set once Raft has been started.
    pub(crate) metrics: Arc<OnceLock<Metrics>>,
    /// A leader that no quorum answered for so long sends no entries.
    pub(crate) lease: Duration,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, node: &Place) -> Link {
        Link {
            own: self.own,
            to: Peer { raft: RaftId(target), address: node.address },
            dialer: self.dialer.clone(),
            published: self.published.clone(),
            metrics: self.metrics.clone(),
            lease: self.lease,
        }
    }
}

/// The way to one node.
pub(crate) struct Link {
    own: RaftId,
    to: Peer,
    dialer: Arc<dyn Dialer>,
    published: Arc<Published>,
    metrics: Arc<OnceLock<Metrics>>,
    lease: Duration,
}

/// Where the node is now: the state knows better than the membership, because a host that kept its log may
/// have come back at another address.
pub(crate) fn whereabouts(state: &State, known: Peer) -> Peer {
    let member = state.up().find(|member| member.raft == known.raft);
    member.map_or(known, |member| Peer { address: member.address, ..known })
}

impl Link {
    async fn call(&self, kind: RPCTypes, request: &Request, within: Duration) -> Result<Reply, RPCError<Types>> {
        let message = rpc::encode(request).map_err(unreachable)?;
        let to = whereabouts(&self.published.state(), self.to);
        let answer = tokio::time::timeout(within, self.dialer.call(to, message, within)).await;
        match answer.unwrap_or(Err(CallError::TimedOut)) {
            Ok(answer) => match rpc::decode(&answer).map_err(unreachable)? {
                Reply::Ended => Err(unreachable(CallError::Refused("the node has ended".into()))),
                reply => Ok(reply),
            },
            Err(CallError::TimedOut) => Err(self.timed_out(kind, within)),
            Err(error) => Err(unreachable(error)),
        }
    }

    fn timed_out(&self, action: RPCTypes, timeout: Duration) -> RPCError<Types> {
        RPCError::Timeout(Timeout { action, id: self.own.0, target: self.to.raft.0, timeout })
    }

    /// Resolves once a quorum answers this leader. Entries wait for that: sent again and again they would renew the
    /// lease of a leader that is silent so that another is elected (`PROTOCOL.md` 15). Heartbeats, which openraft
    /// holds back by itself, find out.
    async fn until_answered(&self) {
        let Some(mut metrics) = self.metrics.get().cloned() else { return };
        let is_unanswered = leadership::is_unanswered(&metrics.borrow_watched(), self.lease);
        if is_unanswered {
            leadership::renewed(&mut metrics).await;
        }
    }

    async fn ballot(&self, request: &Request, option: &RPCOption) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.call(RPCTypes::Vote, request, option.soft_ttl()).await? {
            Reply::Vote(voted) => Ok(voted.into()),
            _ => Err(other_answer()),
        }
    }
}

/// openraft pauses before it tries a peer again that it takes to be out of reach; what does not go right at
/// once is not made right by haste.
fn unreachable<E: std::error::Error + 'static>(error: E) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(&error))
}

fn other_answer() -> RPCError<Types> {
    RPCError::Network(NetworkError::new(&MessageError::OtherAnswer))
}

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        append: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let within = if append.entries.is_empty() { option.soft_ttl() } else { APPEND_WITHIN };
        if !append.entries.is_empty() && tokio::time::timeout(within, self.until_answered()).await.is_err() {
            return Err(self.timed_out(RPCTypes::AppendEntries, within));
        }
        let request = Request::Append((&append).into());
        match self.call(RPCTypes::AppendEntries, &request, within).await? {
            Reply::Append(appended) => Ok(appended.into()),
            _ => Err(other_answer()),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ballot(&Request::Vote((&request).into()), &option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ballot(&Request::PreVote((&request).into()), &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let request = Request::Snapshot { vote: (&vote).into(), snapshot: (&snapshot).into() };
        let sent = self.call(RPCTypes::InstallSnapshot, &request, option.soft_ttl());
        let reply = tokio::select! {
            biased;
            closed = cancel => return Err(StreamingError::Closed(closed)),
            reply = sent => reply,
        };
        match reply {
            Ok(Reply::Snapshot { vote }) => Ok(SnapshotResponse::new(vote.into())),
            Ok(_) => Err(other_answer().into()),
            Err(error) => {
                tracing::warn!(to = %self.to, %error, "a voter cannot be given the group state");
                Err(error.into())
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        match self.call(RPCTypes::TransferLeader, &Request::from(&request), option.soft_ttl()).await? {
            // Why it was not accepted changes nothing for the leader: it goes on, or its lease runs out.
            Reply::TransferLeader { is_accepted: true } => Ok(Ok(())),
            Reply::TransferLeader { is_accepted: false } => {
                Err(unreachable(CallError::Refused("not ready to lead".into())))
            }
            _ => Err(other_answer()),
        }
    }
}
