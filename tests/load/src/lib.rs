//! Load for a cluster, as applications make it: through the client library, and measured from where they stand.
//!
//! Two ways to load, because they answer two questions:
//!
//! - [`closed_loop`]: so many callers, each asks again once it is answered. Finds what a cluster can carry. Says
//!   nothing about waiting: a cluster that stalls is simply asked less.
//! - [`open_loop`]: so many operations a second, whatever becomes of them, as users do who know nothing of each other.
//!   A latency counts from when the operation was *meant* to start, so a stall shows in every operation that was due
//!   in it (coordinated omission; Tene, *How NOT to Measure Latency*). What exceeds the bound on operations under way
//!   is not sent and counts as failed; it is never put off quietly.
//!
//! ```text
//!   Workload --> operation n      Schedule --> when n is due
//!        \                           /
//!         +----> open_loop, closed_loop ----> Fleet: clients, each with streams of its own
//!                       |                        |
//!                     Tally: counts, latencies   Ledger: what was acknowledged
//! ```
//!
//! Every write that was acknowledged is remembered by its position, so that a run can end with an audit.

mod drive;
mod fleet;
mod ledger;
mod rng;
mod schedule;
mod tally;
mod workload;

pub use drive::{closed_loop, open_loop};
pub use fleet::{Fleet, FleetError};
pub use ledger::{Audit, Ledger};
pub use schedule::{OpenLoop, Schedule};
pub use tally::{Outcome, SLICE, Slice, Tally};
pub use workload::{Operation, Workload};
