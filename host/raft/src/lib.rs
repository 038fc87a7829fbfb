//! The group: what all hosts agree on, by Raft. openraft is inside and does not show.
//!
//! ```text
//!   propose, reconcile_voters, take_over            state, feed, leadership, fatal
//!            ---------------------->    Group    ---------------------->
//!   messages of other nodes                         messages to other nodes
//!            ---------------------->    openraft  ---------------------->  Dialer
//!                                        |     |
//!                            committed commands, snapshots
//!                                        |     |
//!                     Machine: group::State   Storage: log, vote, snapshot
//! ```
//!
//! Reading order: [`Group`] (what a host can do), `types` (what openraft is told), `storage` and `disk` (the
//! log), `machine` and `published` (the state), `rpc` and `network` (between hosts), `voters` and `reconcile`
//! (who votes).
//!
//! What is not known here: lineages, certificates, connections. The host that carries the messages sees to it
//! that one reaches the log it is meant for, and no other.

mod config;
mod disk;
mod format;
mod group;
mod leadership;
mod machine;
mod memory;
mod network;
mod published;
mod reconcile;
mod rpc;
mod storage;
mod types;
mod voters;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod suite;

pub use config::{CONFIRMED_WITHIN, ELECTION_MAX, ELECTION_MIN, HEARTBEAT, Timing};
pub use disk::StorageError;
pub use format::FormatError;
pub use group::{FoundError, Group, HandleError, MAX_COMMAND, ProposeError, StartError};
pub use leadership::{Fatal, Leadership};
pub use memory::MemoryDisk;
pub use network::{BoxFuture, CallError, Dialer};
pub use published::{Feed, KEPT_BYTES, KEPT_COMMANDS};
pub use reconcile::{ReconcileError, Reconciled};
pub use rpc::{MAX_MESSAGE, MessageError};
pub use storage::Storage;
pub use types::Peer;
pub use voters::{Step, VOTERS};
