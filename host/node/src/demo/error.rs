//! How a demo can end badly.

use std::io;
use std::path::PathBuf;

use colony_client::{CallError, ConnectError};
use colony_link::tls::TlsError;

/// Why a demo did not come to its end. Its processes are gone.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Something that Colony promises did not hold.
    #[error("not true: {claim}; found: {found}")]
    Claim {
        /// What should have held.
        claim: String,
        /// What was seen instead.
        found: String,
    },
    /// A plugin's component is not there.
    #[error("no {}: build the plugins with `cargo xtask plugins`, or say with --plugins where they are", path.display())]
    NoPlugin {
        /// The file.
        path: PathBuf,
    },
    /// Nobody says where plugins are.
    #[error("no folder with plugins: say with --plugins where cart_merge.wasm and spread_zones.wasm are")]
    NoPluginsFolder,
    /// Not enough ports in a row are free.
    #[error("cannot find {needed} runs of {length} free ports on 127.0.0.1")]
    Ports {
        /// Runs.
        needed: usize,
        /// Ports in each.
        length: u16,
    },
    /// A host process ended by itself.
    #[error("host {name} ended by itself ({status}): {last}")]
    HostEnded {
        /// The host.
        name: String,
        /// How.
        status: String,
        /// The last line of its log.
        last: String,
    },
    /// The system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What, to follow "cannot".
        doing: String,
        /// Why.
        source: io::Error,
    },
    /// The system gave no randomness.
    #[error("the system gave no randomness: {0}")]
    Entropy(getrandom::Error),
    /// A certificate could not be made or used.
    #[error(transparent)]
    Certificate(#[from] TlsError),
    /// No host could be reached.
    #[error("cannot reach the cluster: {0}")]
    Connect(#[from] ConnectError),
    /// A call failed that nothing stood in the way of.
    #[error("cannot {doing}: {source}")]
    Call {
        /// What, to follow "cannot".
        doing: String,
        /// Why.
        source: CallError,
    },
    /// A command of this program failed.
    #[error("{command} failed ({status}): {said}")]
    Command {
        /// What was typed.
        command: String,
        /// How it ended.
        status: String,
        /// What it said.
        said: String,
    },
    /// Somebody asked it to stop.
    #[error("interrupted")]
    Interrupted,
}

impl DemoError {
    /// For `map_err`: a call failed while `doing` something.
    pub(super) fn call(doing: &str) -> impl FnOnce(CallError) -> Self {
        move |source| Self::Call { doing: doing.to_owned(), source }
    }

    /// For `map_err`: the system refused `doing` something.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
