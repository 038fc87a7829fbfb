//! Why nothing was measured.

use std::io;

use colony_peers::PeerError;

/// Why a run, or one measurement of it, came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line was not understood.
    #[error("{0}")]
    Usage(String),
    /// The system did not do something.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A rival cannot be measured.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A part of the ceiling did not come up, or its stream broke.
    #[error("the bare {part}: {why}")]
    Ceiling {
        /// Which part.
        part: &'static str,
        /// What went wrong.
        why: String,
    },
    /// A client of the cluster could not connect.
    #[error("a client cannot connect: {0}")]
    Connect(#[from] colony_client::ConnectError),
    /// A call was not done. Figures of calls that fail are no figures.
    #[error("a call failed: {0}")]
    Call(String),
    /// No call was done in all the time that was measured.
    #[error("no call was done within the time that is measured")]
    Silent,
    /// A contestant has no such calls.
    #[error("it has no such call")]
    NoSuchCall,
    /// The planner does not do as it should.
    #[error("planning: {0}")]
    Plan(String),
    /// Somebody asked this program to stop.
    #[error("stopped by a signal")]
    Stopped,
}

impl Failure {
    /// An error of the system while `doing` something.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
