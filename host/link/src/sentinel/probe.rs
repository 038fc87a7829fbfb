//! One question to a machine: does anybody listen there?

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// The answer to a [`probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The machine answered that nobody listens: the process is gone, or has not begun.
    Refused,
    /// Somebody listens. A process that is stopped or stuck looks like this too: the kernel answers for it.
    Accepted,
    /// No answer: the machine is gone, or cut off, or slow.
    Silent,
}

/// Asks whether anybody listens on TCP port `addr`, for at most `limit`.
pub async fn probe(addr: SocketAddr, limit: Duration) -> Probe {
    match timeout(limit, TcpStream::connect(addr)).await {
        Ok(Ok(_)) => Probe::Accepted,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Probe::Refused,
        // Unreachable, out of descriptors, whatever: nothing was heard of the process.
        Ok(Err(_)) | Err(_) => Probe::Silent,
    }
}
