//! Why a run could not be made, or did not end well.

use std::io;

use colony_client::{CallError, ConnectError};

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A command of the system could not be started.
    #[error("start `{command}`: {source}")]
    Start {
        /// As it is typed.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// A command of the system did not do what it was asked.
    #[error("`{command}` failed: {said}")]
    Command {
        /// As it is typed.
        command: String,
        /// What it said.
        said: String,
    },
    /// A file or folder could not be made or read.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// No host let a client in.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A host did not do what it was asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The cluster was not whole in time.
    #[error("the cluster was not whole within {within_s} s: {missing}")]
    NotWhole {
        /// How long was waited.
        within_s: u64,
        /// What was missing at the last look.
        missing: String,
    },
    /// A host ended that nobody killed.
    #[error("{name} ended by itself, {how}: {said}")]
    Ended {
        /// Its name.
        name: String,
        /// How.
        how: String,
        /// The last line of its log.
        said: String,
    },
    /// The hash has no key for a colony.
    #[error("no key was found for bucket {bucket}: the hash is broken")]
    NoKey {
        /// Which.
        bucket: u32,
    },
    /// Somebody asked this process to stop.
    #[error("stopped by a signal")]
    Stopped,
}
