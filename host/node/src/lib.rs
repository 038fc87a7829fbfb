//! A Colony host: the shell around the core. Sockets, threads, clocks and people meet here.
//!
//! ```text
//!   host/       the running host: one control runtime, S shard threads
//!   config/     what concerns one process: host.toml, environment, flags
//!   cli/        what people type
//!   demo/       the whole story in under a minute, on real processes
//! ```

pub mod cli;
pub mod config;
pub mod demo;
pub mod host;
