//! What can go wrong, one enum to a surface.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::identity::{Expect, NameError};

/// Why a connection does not carry any more, or did not take a datagram.
///
/// A connection that has ended gives the same answer for ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// This side closed the connection, or dropped it, or its transport was closed.
    #[error("the connection was closed here")]
    ClosedHere,
    /// The peer closed the connection, with the code and reason it gave.
    #[error("the peer closed the connection: {reason} (code {code})")]
    ClosedByPeer {
        /// What the peer passed to [`Connection::close`](crate::Connection::close).
        code: u64,
        /// What the peer said; foreign text, possibly empty.
        reason: String,
    },
    /// Nothing was heard from the peer for the idle timeout.
    #[error("the peer was silent for the idle timeout")]
    Silent,
    /// The peer's process has restarted: it does not know this connection.
    #[error("the peer does not know this connection any more: it has restarted")]
    Reset,
    /// The connection broke a rule of the transport protocol, on either side.
    #[error("the transport protocol was violated: {0}")]
    Protocol(String),
    /// The datagram does not fit in one packet. The connection goes on.
    #[error("a datagram of {len} bytes does not fit in {limit}")]
    DatagramTooLarge {
        /// Its length in bytes.
        len: usize,
        /// The most that fits now.
        limit: usize,
    },
}

/// Why a frame was not taken. The frame was not sent, in no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The queue holds as many frames or bytes as it may. Room may come.
    #[error("the send queue is full")]
    Full,
    /// The stream has ended: finished here, or stopped by the peer, or its connection is gone. For ever.
    #[error("the stream is closed")]
    Closed,
    /// The frame is longer than `max_frame`. The stream goes on.
    #[error("a frame of {len} bytes is longer than the limit of {limit}")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// `max_frame` of the configuration.
        limit: usize,
    },
    /// An empty frame means nothing and is refused. The stream goes on.
    #[error("a frame may not be empty")]
    Empty,
}

/// Why no further frame can be read from a stream. The stream gives the same answer for ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The connection has ended.
    #[error(transparent)]
    Lost(#[from] LinkError),
    /// The peer abandoned the stream in the middle.
    #[error("the peer abandoned the stream (code {code})")]
    Abandoned {
        /// The code the peer gave.
        code: u64,
    },
    /// The peer announced a frame longer than `max_frame`. Nothing was allocated for it.
    #[error("the peer announced a frame of {len} bytes, the limit is {limit}")]
    TooLarge {
        /// The announced length in bytes.
        len: usize,
        /// `max_frame` of the configuration.
        limit: usize,
    },
    /// The peer sent an empty frame.
    #[error("the peer sent an empty frame")]
    Empty,
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame, {missing} bytes before its end")]
    Truncated {
        /// How many bytes of prefix or frame are missing.
        missing: usize,
    },
    /// The stream does not begin the way streams of this protocol do.
    #[error("the stream does not begin as one of ours")]
    Foreign,
}

/// Whose certificate is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The certificate this process shows.
    Ours,
    /// The certificate the peer shows.
    Theirs,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "our certificate",
            Self::Theirs => "its certificate",
        })
    }
}

/// Why a dial failed. Each message is one line that names the peer, made to be shown to a person.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answered in time: no process there, no route, or packets are dropped.
    #[error("{to}: no answer within {} ms", after.as_millis())]
    Unreachable {
        /// The address dialed.
        to: SocketAddr,
        /// How long was waited.
        after: Duration,
    },
    /// The peer answered and does not want the connection now, for example because it is full or leaving.
    #[error("{to}: refused: {reason}")]
    Refused {
        /// The address dialed.
        to: SocketAddr,
        /// What the peer said; foreign text.
        reason: String,
    },
    /// The peer's certificate is not signed by our certificate authority: another cluster, or an impostor.
    #[error("{to}: its certificate is not signed by our certificate authority")]
    WrongAuthority {
        /// The address dialed.
        to: SocketAddr,
    },
    /// The peer did not accept the certificate we showed.
    #[error("{to}: it does not accept our certificate: {reason}")]
    NotAccepted {
        /// The address dialed.
        to: SocketAddr,
        /// The reason the peer gave.
        reason: String,
    },
    /// A certificate is outside its validity by the clock of the side that checked it.
    #[error("{to}: {whose} is {when}")]
    Expired {
        /// The address dialed.
        to: SocketAddr,
        /// Whose certificate it is.
        whose: Whose,
        /// In words: `expired since ...`, `not valid yet`, or the peer's verdict on ours.
        when: String,
    },
    /// A host of our cluster answered, and it is another one than expected.
    #[error("{to}: expected {expected}, got {got}")]
    UnexpectedHost {
        /// The address dialed.
        to: SocketAddr,
        /// Whom the caller asked for.
        expected: Expect,
        /// Who answered, as its certificate says.
        got: String,
    },
    /// The peer's certificate cannot be used for another reason.
    #[error("{to}: its certificate cannot be used: {reason}")]
    BadCertificate {
        /// The address dialed.
        to: SocketAddr,
        /// The reason in words.
        reason: String,
    },
    /// Something answered that does not speak this protocol, or speaks it wrongly.
    #[error("{to}: the handshake failed: {reason}")]
    Handshake {
        /// The address dialed.
        to: SocketAddr,
        /// The reason in words.
        reason: String,
    },
    /// The address cannot be dialed from here, for example port 0, or IPv6 from an IPv4 socket.
    #[error("{to}: this address cannot be dialed from {from}")]
    BadAddress {
        /// The address dialed.
        to: SocketAddr,
        /// The local address.
        from: SocketAddr,
    },
    /// The expected name is not the name of a host.
    #[error(transparent)]
    BadName(#[from] NameError),
    /// This transport is closed.
    #[error("{to}: the transport is closed")]
    Closed {
        /// The address dialed.
        to: SocketAddr,
    },
    /// The operating system refused.
    #[error("{to}: {source}")]
    Io {
        /// The address dialed.
        to: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}
