//! One host process.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::program::{self, program};

/// One host process, which logs to a file. Dropped, it is killed.
#[derive(Debug)]
pub struct Host {
    name: String,
    address: SocketAddr,
    log: PathBuf,
    child: Child,
    is_to_end: bool,
}

impl Host {
    /// Starts `colony host` with these arguments in `folder`, and logs behind what a former process of the name has
    /// logged there.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start<S: AsRef<OsStr>>(
        folder: &Path,
        name: &str,
        address: SocketAddr,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::start_under(&[], folder, name, address, arguments)
    }

    /// As [`start`](Self::start), with words before the command, which run the rest of it in their own place as
    /// `ip netns exec NAME` does.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_under<S: AsRef<OsStr>>(
        under: &[String],
        folder: &Path,
        name: &str,
        address: SocketAddr,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        let log = folder.join(format!("{name}.log"));
        let child = spawn(under, folder, name, address, &log, arguments).expect("a host starts");
        Self { name: name.to_owned(), address, log, child, is_to_end: false }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens: the group's port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its first shard listens.
    #[must_use]
    pub fn shard_address(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.address.port() + 1)
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether nobody has killed it or told it to end.
    #[must_use]
    pub fn is_meant_to_run(&self) -> bool {
        !self.is_to_end
    }

    /// From now on it may end by itself.
    pub fn may_end(&mut self) {
        self.is_to_end = true;
    }

    /// Tells it to stop with SIGTERM. Does not wait until it has.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn terminate(&mut self) {
        self.signal("-TERM");
        self.is_to_end = true;
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the system knows its processes")
    }

    /// How it ended by itself, if it did.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.is_to_end { None } else { self.exit() }
    }

    /// Kills it with SIGKILL.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of ours can be killed");
        self.child.wait().expect("a killed process ends");
        self.is_to_end = true;
    }

    /// Stops it with SIGSTOP: it holds its ports and its memory, and does nothing.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Panics
    /// If the system refuses.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The standard library sends no signal but SIGKILL.
    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().expect("there is a program `kill`");
        assert!(status.success(), "kill {signal} {pid}: {status}");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A process that has ended cannot be killed, and is gone all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn<S: AsRef<OsStr>>(
    under: &[String],
    folder: &Path,
    name: &str,
    address: SocketAddr,
    log: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> io::Result<Child> {
    let log: File = OpenOptions::new().create(true).append(true).open(log)?;
    let mut command = match under {
        [] => program::command(&program()),
        [first, rest @ ..] => {
            let mut command = program::command(Path::new(first));
            command.args(rest).arg(program());
            command
        }
    };
    command.args(["host", "--name", name, "--listen", &address.to_string()]).args(arguments);
    command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn()
}
