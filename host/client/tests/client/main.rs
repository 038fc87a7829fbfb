//! The client against hosts that answer by script, over the network in memory, on a clock that stands still
//! unless everybody waits. One test runs over QUIC.

mod calls;
mod cluster;
mod failures;
mod quic;
mod routing;
mod sessions;
mod tags;
mod watches;
