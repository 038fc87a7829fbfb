//! One idle TCP connection per pair of hosts, whose end tells of a killed process at once.
//!
//! QUIC notices a killed process by its idle timeout, in seconds; the kernel closes a dead process's TCP connections
//! in milliseconds. So each pair of hosts keeps one TCP connection on which nothing is said after the greeting.
//!
//! Both sides greet as soon as the connection stands: four bytes that name the protocol, one byte of length, then a *hello* of 1 to
//! [`HELLO_LEN_MAX`] bytes that means something to the caller only. Then silence; a byte that comes all the same is
//! garbage.
//!
//! What is *not* known here: who the peer is. Nothing is encrypted or proven. The end of a connection is a hint that
//! starts a question, never the answer; the same goes for a hello.

mod connection;
mod greeting;
mod listener;
mod probe;
mod sentinels;

pub use connection::{Broken, SentinelConnection};
pub(crate) use greeting::check as check_hello;
pub use greeting::{HELLO_LEN_MAX, HelloError};
pub(crate) use listener::{BACKLOG, Greeted};
pub use listener::{ListenError, SentinelListener};
pub use probe::{Probe, probe};
pub use sentinels::{Sentinels, TcpSentinels};

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::timeout;

use greeting::greet;

/// How long a greeting may take. It is one packet each way; this leaves room for two that are lost.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(2);

/// Why no sentinel connection came to be.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody answered in time.
    #[error("{addr} (TCP): no answer within {} ms", after.as_millis())]
    Silent {
        /// The address dialed.
        addr: SocketAddr,
        /// How long was waited.
        after: Duration,
    },
    /// The machine is there and nobody listens on the port.
    #[error("{addr} (TCP): refused")]
    Refused {
        /// The address dialed.
        addr: SocketAddr,
    },
    /// The system refused for another reason.
    #[error("{addr} (TCP): {source}")]
    Io {
        /// The address dialed.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// What answered did not greet as a sentinel does.
    #[error("{addr} (TCP): {source}")]
    Greeting {
        /// The address dialed.
        addr: SocketAddr,
        /// What was wrong.
        source: HelloError,
    },
}

/// Dials the sentinel at `addr` and exchanges hellos, all within `limit`.
///
/// # Errors
///
/// A [`DialError`]; nothing is left open.
pub async fn dial(addr: SocketAddr, hello: &Bytes, limit: Duration) -> Result<(Bytes, SentinelConnection), DialError> {
    let connected = async {
        let mut stream = TcpStream::connect(addr).await.map_err(|source| match source.kind() {
            io::ErrorKind::ConnectionRefused => DialError::Refused { addr },
            io::ErrorKind::TimedOut => DialError::Silent { addr, after: limit },
            _ => DialError::Io { addr, source },
        })?;
        let theirs = greet(&mut stream, hello).await.map_err(|source| DialError::Greeting { addr, source })?;
        Ok((theirs, SentinelConnection::new(stream, addr, None)))
    };
    match timeout(limit, connected).await {
        Ok(done) => done,
        Err(_) => Err(DialError::Silent { addr, after: limit }),
    }
}
