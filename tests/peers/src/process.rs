//! A server process of ours.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{self, Instant};

use crate::PeerError;

/// Longest until a server takes connections.
const UP_WITHIN: Duration = Duration::from_secs(15);
/// Time between two looks whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A server process, which writes to a log file. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Server {
    /// Starts a server in `folder`.
    ///
    /// # Errors
    /// [`PeerError::Io`] if it does not start.
    pub fn start<S: AsRef<OsStr>>(
        program: &Path,
        name: &str,
        folder: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Self, PeerError> {
        let log = folder.join(format!("{name}.log"));
        let doing = || PeerError::io(format!("start {name}"));
        let out = File::create(&log).map_err(doing())?;
        let errors = out.try_clone().map_err(doing())?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(out).stderr(errors);
        let child = command.spawn().map_err(doing())?;
        Ok(Self { name: name.to_owned(), log, child })
    }

    /// Waits until it takes connections at `address`.
    ///
    /// # Errors
    /// [`PeerError::NotReady`] if it ends or takes too long.
    pub async fn until_it_listens(&mut self, address: SocketAddr) -> Result<(), PeerError> {
        let deadline = Instant::now() + UP_WITHIN;
        loop {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.not_ready(format!("it ended, {status}")));
            }
            if Instant::now() > deadline {
                return Err(self.not_ready(format!("nothing listens at {address}")));
            }
            time::sleep(LOOK_EVERY).await;
        }
    }

    /// That it is not ready, and why.
    pub(crate) fn not_ready(&self, why: String) -> PeerError {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let said = log.lines().next_back().unwrap_or_default().to_owned();
        PeerError::NotReady { name: self.name.clone(), why, said }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL and waits until it has ended.
    pub fn kill(&mut self) {
        // A process that has ended cannot be killed, and is gone all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
