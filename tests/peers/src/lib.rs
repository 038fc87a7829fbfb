//! The stores that Colony is measured against: how they are found, started and driven.
//!
//! ```text
//!   install   the Debian package, where that is allowed        process   a server of ours, ended by its id
//!   redis     a primary and a replica over TLS; one alone      nats      three servers, a bucket with three copies
//! ```
//!
//! A rival is driven fairly: by what its protocol costs and no more. A general client library of either would spend
//! more processor time in the generator than the server does on a call, and on a machine of few cores that time is
//! taken from the server. So both protocols are written here, one call under way on a connection, and as many
//! connections as calls are to be in flight. Each call checks that its answer says what it must: that so many copies
//! have a write, that a value has its length.
//!
//! What is *not* known here: Colony, and how anything is measured.

mod failure;
mod install;
pub mod nats;
mod process;
pub mod redis;
mod socket;
mod tls;

pub use failure::PeerError;
pub use install::{Found, find};
pub use process::Server;
