//! A host as it is seen from outside: health, readiness and metrics on the admin port.
//!
//! ```text
//!   meters.rs    what the shards count: relaxed atomics, no lock on a session's path
//!   histogram.rs durations in buckets, likewise        journal.rs  what the group's state changes by
//!   http.rs      the port: bounds, paths               ready.rs    whether the host is in sync, and why not
//!   picture.rs   one scrape: everything gathered       render.rs   a picture in the form Prometheus reads
//! ```
//!
//! Nothing here decides anything, and nothing waits for it.

mod histogram;
mod http;
mod journal;
mod meters;
mod picture;
mod ready;
mod render;
#[cfg(test)]
mod sample;

pub(super) use self::http::{AdminListener, serve};
pub(super) use self::journal::Journal;
pub(super) use self::meters::{Commits, Kind, PluginMeters, ShardMeters, Transfers};
pub(super) use self::picture::Glance;
