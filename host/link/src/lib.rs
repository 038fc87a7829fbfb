//! Framed streams and datagrams between hosts.
//!
//! Two transports stand behind one trait, [`Transport`], and hand out the same [`Connection`]:
//!
//! ```text
//!   caller      frames (Bytes), datagrams (Bytes), PeerIdentity
//!  ---------------------------------------------------------------
//!   frame/      queue -> one writer task -> chunks -> frames
//!  ---------------------------------------------------------------
//!   quic/       mutual TLS 1.3 over UDP      memory/   the twin: delay, loss, cuts, kills
//! ```
//!
//! What is *not* known here: what the frames mean. This crate imports no crate of ours. No type of quinn or
//! rustls leaves it, and without the feature `quic` neither is compiled.
//!
//! * [`Transport`], [`Connection`], [`FrameSender`], [`FrameReceiver`]: what callers hold.
//! * [`LinkConfig`]: every limit and every time of a transport.
//! * [`PeerIdentity`], [`Expect`]: who the other end is, and whom a dialer accepts.
//! * `tls` (feature `quic`): the certificate authority, and certificates in files.
//! * `quic` (feature `quic`): the real transport.
//! * [`memory`]: the twin for tests, on tokio's clock, with seeded faults.
//! * [`sentinel`]: one idle TCP connection per pair, whose end tells of a killed process in milliseconds.

mod config;
mod connection;
mod error;
mod frame;
mod identity;
pub mod memory;
#[cfg(feature = "quic")]
pub mod quic;
pub mod sentinel;
mod sync;
#[cfg(feature = "quic")]
pub mod tls;
mod transport;

pub use config::{ConfigError, LinkConfig};
pub use connection::Connection;
pub use error::{ConnectError, LinkError, RecvError, SendError, Whose};
pub use frame::{FrameReceiver, FrameSender, PREFIX_LEN};
pub use identity::{Expect, NAME_LEN_MAX, NameError, PeerIdentity, Rights, Role, check_name};
pub use transport::{BoxFuture, Transport};
