//! Real hosts under real faults: what `cargo xtask faults` runs.
//!
//! Five `colony host` processes, each in a network namespace of its own, serve clients that write and read without a
//! pause. Then something is done to them: killed, stopped, cut off, starved. When the cluster is whole again,
//! everything is read back and judged, and a row of the table says what was lost, made up, doubled or stale (nothing),
//! and how long clients waited.
//!
//! ```text
//!   main.rs --> lab.rs       namespaces, and itself inside them      net.rs   cuts, loss, resets
//!           --> run.rs       a row after the other
//!                |--> cluster.rs  the hosts                          row.rs   which rows there are
//!                |--> load/       the clients                        book.rs  what they were told
//!                |--> fault.rs    what is done
//!                `--> judge.rs, timing.rs --> table.rs
//! ```
//!
//! `--islands` cuts the network so that every side goes on: [`islands`].
//!
//! What is *not* known here: anything of a host's inside. The judge knows nothing of the product either.
//!
//! Namespaces need root, `ip` and `nft`. Where they are not allowed, the rows that need none run on loopback and the
//! others are named as skipped.

pub mod arguments;
pub mod book;
pub mod clock;
pub mod cluster;
pub mod failure;
pub mod fault;
pub mod islands;
pub mod judge;
pub mod keys;
pub mod lab;
pub mod load;
pub mod net;
pub mod row;
pub mod run;
pub mod table;
pub mod timing;
