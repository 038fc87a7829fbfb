//! Splits in which every side goes on, and what is left of it when they have met: `cargo xtask faults --islands`.
//!
//! Every row has a cluster of its own, and clients on each side that reach no other side. The network is cut, all sides
//! write, links come back, and the judge looks at the whole of it (`PROTOCOL.md` 8, 9).
//!
//! ```text
//!   run.rs    a row: cut, write, heal, judge      side.rs      who is on which side
//!     |--> steady.rs    writers all the time, to see when a side serves again
//!     |--> pairs.rs     10,000 sessions changed on every side, to see when each colony is merged
//!     |--> ends.rs      logouts and expiries on one side, touches on the other
//!     |--> counters.rs  numbers that all sides count up
//!     `--> book.rs --> judge.rs --> table.rs
//! ```

pub mod book;
mod counters;
mod ends;
pub mod judge;
mod pairs;
pub mod row;
pub mod run;
mod side;
mod steady;
pub mod table;
