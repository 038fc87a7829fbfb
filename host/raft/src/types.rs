//! What openraft is told about us: one type for each of its parameters.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use colony_core::group::{Command, Outcome};
use colony_wire::RaftId;
use openraft_rt_tokio::TokioRuntime;
use serde::{Deserialize, Serialize};

openraft::declare_raft_types!(
    /// The parameters of our Raft. A node id is a [`RaftId`]'s number.
    pub(crate) Types:
        D = Proposal,
        R = Option<Outcome>,
        NodeId = u64,
        Node = Place,
        AsyncRuntime = TokioRuntime,
);

pub(crate) type Vote = openraft::alias::VoteOf<Types>;
pub(crate) type LogId = openraft::alias::LogIdOf<Types>;
pub(crate) type Entry = openraft::alias::EntryOf<Types>;
pub(crate) type Payload = openraft::alias::EntryPayloadOf<Types>;
pub(crate) type Membership = openraft::Membership<u64, Place>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
pub(crate) type Snapshot = openraft::alias::SnapshotOf<Types, Bytes>;

/// A node of the group's Raft: which log, and where the host is that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Its log. A message for another log must not be given to this one.
    pub raft: RaftId,
    /// The control port of its host.
    pub address: SocketAddr,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.raft, self.address)
    }
}

/// What Raft's membership says of a node besides its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The control port of its host when it became a node.
    pub(crate) address: SocketAddr,
}

/// A command on its way through the log, as its proposer encoded it. The log and the feed carry the same
/// bytes, and only [`Machine`](crate::machine::Machine) reads them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Proposal(pub(crate) Bytes);

impl From<&Command> for Proposal {
    fn from(command: &Command) -> Self {
        Self(command.encode())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// openraft's own test suite makes up nodes.
#[cfg(test)]
impl Default for Place {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 1)) }
    }
}
