//! The program as it is typed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time;

use crate::Answer;
use crate::program::{self, program};

/// Longest run of a command: four times the longest deadline that one has by itself.
const COMMAND_WITHIN: Duration = Duration::from_secs(20);

/// The program, with the cluster and the certificate to use.
#[derive(Clone, Debug)]
pub struct Cli {
    folder: PathBuf,
    connect: String,
    certs: PathBuf,
}

impl Cli {
    /// Commands that run in `folder`, ask the hosts of `connect` and use the certificate in `certs`.
    #[must_use]
    pub fn new(folder: &Path, connect: impl Into<String>, certs: &Path) -> Self {
        Self { folder: folder.into(), connect: connect.into(), certs: certs.into() }
    }

    /// The same with the certificate in another folder.
    #[must_use]
    pub fn with_certs(&self, certs: &Path) -> Self {
        Self { certs: certs.into(), ..self.clone() }
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// If it does not start, or does not end in time.
    pub async fn run(&self, words: &[&str]) -> Answer {
        self.run_within(words, COMMAND_WITHIN).await
    }

    /// Runs a command that waits for something, to its end.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub async fn run_within(&self, words: &[&str], within: Duration) -> Answer {
        let mut command = program::command(&program());
        command.arg("--connect").arg(&self.connect).arg("--certs").arg(&self.certs);
        command.args(words).current_dir(&self.folder).stdin(Stdio::null());
        let output = Command::from(command).kill_on_drop(true).output();
        let asked = words.join(" ");
        match time::timeout(within, output).await {
            Ok(output) => Answer::new(asked, &output.expect("the program starts")),
            Err(_) => panic!("`colony {asked}` did not end within {within:?}"),
        }
    }
}
