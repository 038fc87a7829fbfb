//! Real hosts, real QUIC, real plugins: the means for stories about whole clusters.
//!
//! The stories are in `tests/cluster/`. Each starts a [`Cluster`] of `colony host` processes on loopback, with
//! certificates of an authority of its own, does something to it, and looks at it as people and applications do:
//! through the command line ([`Cli`]) and through the client library. What takes time is waited for as a
//! condition, with a bound ([`until`]).
//!
//! What is *not* known here: anything of a host's inside. Nothing is linked but the client, the messages it speaks,
//! and the link, whose authority makes certificates and whose transport sends what no well-behaved peer would.
//!
//! A cluster takes both cores of a small machine, so that stories take turns ([`Cluster::start`]). When one fails,
//! it prints the end of every host's log.

mod answer;
mod ask;
mod certs;
mod cli;
mod cluster;
mod host;
mod http;
mod ledger;
mod look;
pub mod machine;
mod ports;
mod program;
mod state;
mod wait;
mod writers;

pub use answer::Answer;
pub use certs::Certs;
pub use cli::Cli;
pub use cluster::{Cluster, Shape};
pub use host::Host;
pub use http::Page;
pub use ledger::Ledger;
pub use ports::free_ports;
pub use program::{MERGE, plugin, program};
pub use state::{Changes, State};
pub use wait::until;
pub use writers::Writers;
