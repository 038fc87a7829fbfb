//! Why a verb could not do its work.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// What went wrong, in words that name the command and what to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line was not understood.
    Usage(String),
    /// Neither the folder's own variable nor `HOME` is set, so there is no place to build in.
    NoHome {
        /// The variable that would settle it.
        variable: &'static str,
    },
    /// A program could not be started.
    Start {
        /// The command as it would be typed.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ran and did not succeed. It has said why on its own error stream.
    Exit {
        /// The command as it would be typed.
        command: String,
        /// Its exit code; none if a signal ended it.
        code: Option<i32>,
    },
    /// Nobody reads what we print any more.
    Output(io::Error),
    /// Something the toolchain must have is missing and could not be added.
    Missing {
        /// What is missing.
        what: String,
        /// How to get it.
        remedy: String,
    },
}

impl Failure {
    /// 2 for a wrong command line, else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => write!(f, "{what}; `cargo xtask help` lists the verbs"),
            Self::NoHome { variable } => {
                write!(f, "no place to build in: set {variable} or HOME")
            }
            Self::Start { command, source } => write!(f, "start `{command}`: {source}"),
            Self::Exit { command, code } => match code {
                Some(code) => write!(f, "`{command}` failed with exit code {code}"),
                None => write!(f, "`{command}` was ended by a signal"),
            },
            Self::Output(source) => write!(f, "print the progress: {source}"),
            Self::Missing { what, remedy } => write!(f, "{what} is missing: {remedy}"),
        }
    }
}

impl std::error::Error for Failure {}
