//! Whole hosts in simulation: the code of a running host, with the real Raft, over the in-memory link, under a clock
//! of its own.
//!
//! ```text
//!   story       what happens to a cluster: it begins, rounds of faults, it must become whole, everything is read back
//!   --------------------------------------------------------------------------------------------------------------
//!   plan        the rounds that a seed draws        writers, ledger   clients, and what they were told
//!   --------------------------------------------------------------------------------------------------------------
//!   world       the clock; machines, on which host processes start, stop and are killed; the network
//!   machine     a machine: its disk, its process    surroundings      what a host gets instead of a real machine's
//!   lane        one runtime under the common clock
//! ```
//!
//! Every host process is a tokio runtime of its own, all on one thread and under one clock that stands still while
//! anybody has something to do. So a process is killed by dropping its runtime, which ends its every task at once, and
//! stopped by not running it.
//!
//! What `tests/sim` is for and this is not: deep interleavings of the replicas' decisions, thousands of clusters a
//! minute, the same trace for the same seed. What this is for: the code around them, which the simulator replaces.
//! A seed determines the cluster and its faults here, and not the order of what is due at the same time.

mod ask;
mod chance;
mod lane;
mod ledger;
mod machine;
mod panics;
pub mod plan;
pub mod report;
mod story;
mod surroundings;
pub mod trace;
mod world;
mod writers;

pub use report::Report;
pub use story::{Habits, run, run_plan};
