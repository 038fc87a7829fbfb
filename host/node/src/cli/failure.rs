//! What a command ends with that does not succeed.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use colony_client::{CallError, ConnectError, Refusal};
use colony_link::tls::TlsError;

use super::plugin::NewError;
use crate::config::ConfigError;
use crate::demo::DemoError;
use crate::host::HostError;

/// Exit code for what was refused or failed.
const FAILED: u8 = 1;
/// Exit code for wrong usage; clap ends with the same.
const USAGE: u8 = 2;
/// Exit code of a host that left before what it held was safe elsewhere.
const LEFT_UNSAFE: u8 = 3;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The arguments or variables do not make sense.
    #[error("{0}")]
    Usage(String),
    /// The settings of a host do not make sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The certificate to connect with cannot be used.
    #[error("{0}")]
    Certificate(#[source] TlsError),
    /// A certificate was not made.
    #[error("{0}")]
    Issue(#[source] TlsError),
    /// No host could be reached.
    #[error("cannot reach the cluster through {seeds}: {source}")]
    Connect {
        /// Where it was looked for.
        seeds: String,
        /// Why.
        source: ConnectError,
    },
    /// The cluster refused or did not answer.
    #[error("cannot {doing}: {source}")]
    Call {
        /// What was asked, to follow "cannot".
        doing: &'static str,
        /// Why.
        source: CallError,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No value that a heal overrode goes by this name.
    #[error("no overridden value is kept under {id}; `colony heal list` names those that are")]
    NotKept {
        /// The name.
        id: String,
    },
    /// A plugin that was to be measured gave no answer.
    #[error("the plugin gave no answer: {0}")]
    NoAnswer(String),
    /// What was checked is not as it should be; the answer has said what.
    #[error("not healthy")]
    Checked {
        /// What to end with.
        code: u8,
    },
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[source] io::Error),
    /// The machine gave no threads or timers.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    /// A plugin was not begun.
    #[error(transparent)]
    NewPlugin(#[from] NewError),
    /// Hosts have not left, or cannot be stopped.
    #[error("{0}")]
    NotLeft(String),
    /// A file is no plugin, or none that could be installed.
    #[error("{}: {why}", file.display())]
    Plugin {
        /// The file.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// What is asked of the installed plugins cannot be.
    #[error("{0}")]
    Plugins(String),
    /// The host ended with an error.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The demo ended with an error.
    #[error(transparent)]
    Demo(#[from] DemoError),
}

impl Failure {
    /// Tells people, in one line, and says with which code to end.
    pub(super) fn report(&self) -> ExitCode {
        match self {
            Self::Checked { code } => return ExitCode::from(*code),
            // Whoever reads the answer has read enough, as `head` does.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            _ => eprintln!("colony: {}", self.line()),
        }
        ExitCode::from(match self {
            Self::Usage(_) | Self::Config(_) => USAGE,
            Self::Host(HostError::LeftUnsafe { .. }) => LEFT_UNSAFE,
            _ => FAILED,
        })
    }

    fn line(&self) -> String {
        let what = self.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        match self.advice() {
            Some(advice) => format!("{what}; {advice}"),
            None => what,
        }
    }

    /// What to do, where the error does not say so itself.
    fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Certificate(_) => Some(
                "say with --certs where ca.pem and a client's certificate are, or make one with \
                 `colony cert client DIR --name NAME`",
            ),
            Self::Issue(TlsError::Read { .. }) => Some("make the authority first with `colony cert ca DIR`"),
            Self::Connect { source: ConnectError::Unreachable { .. } | ConnectError::NoSeeds, .. } => {
                Some("is a host running there? say where with --connect")
            }
            Self::Connect { source: ConnectError::Refused { .. }, .. } => {
                Some("take a certificate of this cluster's authority with --certs")
            }
            Self::Call { source, .. } => call_advice(source),
            Self::Plugin { .. } | Self::NoAnswer(_) => Some("see `colony plugin check`"),
            _ => None,
        }
    }
}

fn call_advice(error: &CallError) -> Option<&'static str> {
    match error {
        CallError::NoNamespace { .. } => Some("see `colony namespace list`, or create it"),
        CallError::Forbidden { .. } | CallError::Refused(Refusal::Forbidden { .. }) => {
            Some("take a certificate with it, made with `colony cert client DIR --name NAME --rights RIGHTS`")
        }
        CallError::Refused(Refusal::Exists { .. } | Refusal::Changed { .. } | Refusal::Gone { .. }) => {
            Some("read it again with `colony session get` and decide anew")
        }
        CallError::Refused(Refusal::WrongContent) => Some("use `colony session put` to replace the whole content"),
        error if !error.has_no_side_effects() => Some("see what there is before you ask again"),
        error if error.is_retryable() => Some("see `colony status`, and try again"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_that_says_what_to_do() {
        let source = CallError::NoNamespace { name: "cart".into() };
        let failure = Failure::Call { doing: "read the session", source };
        assert_eq!(
            failure.line(),
            "cannot read the session: there is no namespace `cart`; see `colony namespace list`, or create it"
        );
        let source = CallError::Unknown { why: "two\n  lines".into() };
        let failure = Failure::Call { doing: "x", source };
        assert_eq!(
            failure.line(),
            "cannot x: the outcome is unknown: two lines; see what there is before you ask again"
        );
    }
}
