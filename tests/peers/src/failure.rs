//! What stands in the way of a rival.

use std::io;

/// Why a rival cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Its program is not on this machine and cannot be installed.
    #[error("{program} is not here: {why}")]
    Absent {
        /// The program.
        program: &'static str,
        /// What was tried.
        why: String,
    },
    /// The system did not do something.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A server ended, or was not ready in time.
    #[error("{name} is not ready: {why}; it said {said:?}")]
    NotReady {
        /// Which server.
        name: String,
        /// What was seen of it.
        why: String,
        /// The last line that it has written.
        said: String,
    },
    /// Certificates that TLS cannot use.
    #[error("the certificates cannot be used: {0}")]
    Tls(String),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server answered with an error of its own, or with something else than what was asked for.
    #[error("the server answered {0}")]
    Answer(String),
}

impl PeerError {
    /// An error of the system while `doing` something.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// An answer that is not the one that was asked for.
    pub(crate) fn answer(bytes: &[u8]) -> Self {
        /// Most bytes of an answer that are shown.
        const SHOWN: usize = 120;
        Self::Answer(String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).trim_end().to_owned())
    }
}
