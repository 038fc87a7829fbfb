//! Hosts as the group knows them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use colony_wire::{RaftId, StartId};
use serde::{Deserialize, Serialize};

/// One host process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The process. Every rule speaks of it.
    pub start: StartId,
    /// The host's name, from its certificate. For people and for placement.
    pub name: String,
    /// Address of its control port; shard `i` is at that port + 1 + `i`.
    pub address: SocketAddr,
    /// How many shards it has, at least 1.
    pub shards: u16,
    /// What placement repels on and plugins read.
    pub labels: BTreeMap<String, String>,
    /// Its Raft log, should it vote.
    pub raft: RaftId,
    /// Starts this process had and lost, under which it may keep copies. Every other start of the same name
    /// is gone with its process, and its copies with it.
    pub earlier: Vec<StartId>,
    /// What the group holds of it.
    pub state: MemberState,
}

/// What the group holds of a host. One that has left is no member. Variants are only ever appended: they stand in
/// snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MemberState {
    /// Serving.
    Up,
    /// Declared dead. Final for its start.
    Dead,
    /// Serving, voting and judged like one that is up, but about to leave: copies are moved away from it and none
    /// to it.
    Draining,
    /// Not in this island: it was a member of the group that the island parted from, and may serve there under this
    /// start. Its copies are not lost, they are elsewhere (`PROTOCOL.md` 8).
    Away,
}

impl MemberState {
    /// Whether such a host serves in this group.
    #[must_use]
    pub fn is_up(self) -> bool {
        match self {
            Self::Up | Self::Draining => true,
            Self::Dead | Self::Away => false,
        }
    }
}
