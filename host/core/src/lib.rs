//! Every decision a Colony cluster makes, as pure state machines: no I/O, no async, no clock, no entropy.
//!
//! Time comes in as an argument ([`Now`]), randomness as a seed, and every map that is iterated is ordered,
//! so the same inputs give the same outputs, always. A shell (the node, or the simulator) feeds inputs
//! and carries out outputs.
//!
//! ```text
//!   requests, peer messages, table entries, ticks        replies, peer messages, proposals, merge tickets
//!            ---------------------------->  colony::Shard  ---------------------------->
//!   committed commands                                    the table: who is primary, who is in sync
//!            ---------------------------->  group::State   ---------------------------->
//!   beacons, closed sockets, probes                       suspicions
//!            ---------------------------->  watch::Watch   ---------------------------->
//!   who answers, how old the group's word is              an island to found
//!            ---------------------------->  island::Opening --------------------------->
//! ```
//!
//! Reading order: [`group`] (what is agreed), [`colony`] (how one peer of a colony replicates),
//! [`placement`] (where peers live), [`merge`] (two versions of one session), [`watch`] (who is dead),
//! [`island`] (who goes on when the network is split).

pub mod colony;
pub mod group;
pub mod island;
pub mod merge;
pub mod placement;
mod time;
pub mod watch;

pub use time::{Now, Time};
