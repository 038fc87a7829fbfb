//! Whole clusters of real replicas under virtual time and faults.
//!
//! The replicas are the product's own: [`colony_core::colony::Shard`], driven through its one function. All
//! around them is modelled: hosts that crash, stop and come back, a network that loses, doubles, delays and
//! splits, a group that is slow, deaf or gone, applications that repeat themselves. One seed determines all
//! of it. An oracle that sees everything holds every step to the invariants of `PROTOCOL.md` 2; then all is
//! healed, and the cluster has to show that it gets over what it went through.
//!
//! ```text
//!   batch.rs -> run.rs -> world.rs      one seed draws its own mix of faults: swarm.rs
//!                           |- nemesis.rs, net.rs    what goes wrong     ambush.rs, coverage.rs  in the middle of what
//!                           |- group.rs, govern.rs   the modelled group and its leader
//!                           |- host.rs, shell.rs     hosts around the real shards    timepiece.rs  their clocks
//!                           |- client.rs, visit.rs   applications        plugin.rs  merges
//!                           |- phase.rs              the heal, and what must hold after it
//!                           |- departing.rs           hosts that leave by will
//!                           |- steady.rs             what must go on while only the group is gone
//!                           |- counters.rs           runs that only count
//!                           `- oracle/               what must hold always
//! ```
//!
//! Not modelled: disks (there are none yet), islands (not built yet), Raft itself (its library is tested in
//! `host/raft`, over a real network).

mod ambush;
pub mod batch;
pub mod client;
pub mod clock;
pub mod counters;
pub mod coverage;
mod departing;
pub mod event;
mod govern;
pub mod group;
pub mod host;
pub mod islands;
mod nemesis;
pub mod net;
pub mod oracle;
pub mod panics;
pub mod phase;
pub mod plugin;
pub mod recorder;
pub mod rng;
pub mod run;
pub mod seen;
mod shell;
mod steady;
pub mod swarm;
pub mod timepiece;
pub mod trace;
pub mod violation;
mod visit;
mod watching;
pub mod world;
