//! What both transports must do, and what only the real one, the twin or the sentinel does.

mod conformance;
#[cfg(feature = "quic")]
mod files;
#[cfg(feature = "quic")]
mod hostile;
mod memory;
#[cfg(feature = "quic")]
mod quic;
#[cfg(feature = "quic")]
mod relay;
mod sentinel;
mod sentinel_twin;
mod world;
