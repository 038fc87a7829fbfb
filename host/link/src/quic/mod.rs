//! The real transport: QUIC with mutual TLS 1.3.
//!
//! One endpoint serves and dials. A handshake, as this crate means it, is: QUIC and TLS, in which both sides show
//! their certificates; then the accepting side reads who the dialer is and sends one byte of *welcome*. TLS alone
//! would let the dialer believe in a connection that the other side is about to refuse, since in TLS 1.3 the client
//! is done before the server has seen its certificate.
//!
//! What is switched off, and why: 0-RTT data (can be replayed, and comes before the client has proven itself),
//! resumption (certificates would not be checked again), migration (hosts do not move).
//!
//! A process that restarts on the same port tells peers of its forerunner at once that it does not know their
//! connections: the key of stateless resets is derived from the private key of its certificate.

mod connection;
mod dial;
mod listen;
mod reset;
mod settings;
mod socket;
mod stream;
mod transport;

pub(crate) use connection::QuicConnection;
pub(crate) use stream::{ChunkReader, ChunkWriter};
pub use transport::{BindError, HandshakeCounts, QuicTransport};

use quinn::VarInt;

/// The protocol negotiated in the handshake: the version of everything this crate puts on a connection.
const ALPN: &[u8] = b"colony-link/1";

/// What the accepting side sends once it has accepted the dialer.
const WELCOME: u8 = 1;

/// Close codes of this crate lie above those that callers can use, which are 32 bits.
const CLOSE_BASE: u64 = 1 << 32;

/// The certificate was verified, and says nothing we understand of its holder.
const CLOSE_NO_IDENTITY: u64 = CLOSE_BASE + 1;

/// Too many connections wait to be accepted.
const CLOSE_BUSY: u64 = CLOSE_BASE + 2;

/// One of the codes above, as QUIC writes it.
fn close_code(code: u64) -> VarInt {
    VarInt::from_u64(code).expect("the codes are far below 62 bits")
}

/// Foreign text made fit for a log line or a terminal.
fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
