//! A machine: its disk, and the host process on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use colony_link::memory::MemoryNet;
use colony_node::config::{AdminConfig, NodeConfig, PluginsConfig, TlsFiles};
use colony_node::host::{HostError, run_in};
use colony_raft::MemoryDisk;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::chance::Chance;
use crate::lane::Lane;
use crate::surroundings::Simulated;

/// How long a host that is told to stop tries to leave with nothing.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Control port of every host.
const PORT: u16 = 7400;
/// What all wall clocks show at the start, in milliseconds since 1970, give or take [`SKEW_MS`].
const WALL_MS: u64 = 1_790_000_000_000;
/// How far wall clocks are apart. They are for people and tie-breaks: an hour must do no harm.
const SKEW_MS: u64 = 3_600_000;

/// The name of a machine's host.
pub(crate) fn name(machine: usize) -> String {
    format!("h{}", machine + 1)
}

/// Where a machine's host listens.
pub(crate) fn address(machine: usize) -> SocketAddr {
    let last = u8::try_from(machine + 1).expect("few machines");
    SocketAddr::from(([10, 0, 0, last], PORT))
}

/// A machine.
pub(crate) struct Machine {
    index: usize,
    shards: u16,
    zone: String,
    disk: MemoryDisk,
    /// How many processes were started on it.
    starts: u64,
    process: Option<Process>,
    /// Whether it was to be started while the process before was still ending.
    is_due: bool,
}

/// A host process.
struct Process {
    lane: Lane,
    main: JoinHandle<Result<(), HostError>>,
    told: Arc<Notify>,
    is_stopped: bool,
}

/// How a process ended by itself.
pub(crate) enum End {
    /// It was told to stop.
    AsTold,
    /// It wants to be started again.
    ToBeStarted,
    /// It should have gone on.
    Failed(String),
}

impl Machine {
    pub(crate) fn new(index: usize, shards: u16, zone: String) -> Self {
        Self { index, shards, zone, disk: MemoryDisk::default(), starts: 0, process: None, is_due: false }
    }

    pub(crate) fn name(&self) -> String {
        name(self.index)
    }

    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Whether the process was to be started again before it had ended.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Starts the host with what the disk holds; one of `machines`, the first of which founds the cluster when it
    /// is started for the first time.
    pub(crate) fn start(&mut self, now: Instant, net: &MemoryNet, machines: usize, seed: u64) {
        if self.process.is_some() {
            self.is_due = true;
            return;
        }
        let name = self.name();
        let mut chance = Chance::new(seed, 1_000_000 + self.starts * 1_000 + self.index as u64);
        let wall_ms = WALL_MS + chance.between(0, 2 * SKEW_MS) - SKEW_MS;
        self.is_due = false;
        let told = Arc::new(Notify::new());
        let surroundings = Arc::new(Simulated {
            net: net.clone(),
            sentinels: net.sentinels(&name),
            disk: self.disk.clone(),
            wall_ms,
            chance: Mutex::new(chance),
            told: told.clone(),
            name: name.clone(),
        });
        let others = (0..machines).filter(|other| *other != self.index);
        let config = NodeConfig {
            listen: address(self.index),
            advertise: None,
            bootstrap: self.index == 0 && self.starts == 0,
            seeds: others.map(|other| address(other).to_string()).collect(),
            shards: self.shards,
            data_dir: None,
            drain_timeout: DRAIN_TIMEOUT,
            labels: BTreeMap::from([("zone".to_owned(), self.zone.clone())]),
            tls: TlsFiles::in_dir(Path::new("none"), &name),
            plugins: PluginsConfig::default(),
            admin: AdminConfig::default(),
            name,
        };
        let lane = Lane::at(now);
        let main = lane.spawn(run_in(config, surroundings));
        self.starts += 1;
        self.process = Some(Process { lane, main, told, is_stopped: false });
    }

    /// Runs the process until its clock shows `now`. Says how it ended, if it has.
    pub(crate) fn run_until(&mut self, now: Instant) -> Option<End> {
        let process = self.process.as_ref().filter(|process| !process.is_stopped)?;
        process.lane.run_until(now);
        if !process.main.is_finished() {
            return None;
        }
        let Process { lane, main, .. } = self.process.take()?;
        Some(match lane.take(main) {
            Ok(Ok(())) => End::AsTold,
            // Its own decision, and for whoever looks after it to start it again.
            Ok(Err(HostError::TooManyStarts)) => End::ToBeStarted,
            Ok(Err(error)) => End::Failed(error.to_string()),
            Err(panic) => End::Failed(panic),
        })
    }

    /// Ends the process at once. The disk keeps what was written to it, unless it is wiped.
    pub(crate) fn kill(&mut self, net: &MemoryNet, is_wiped: bool) {
        let Some(process) = self.process.take() else { return };
        // What is left of the process as it is cleared away is not written any more.
        self.disk = if is_wiped { MemoryDisk::default() } else { self.disk.copy() };
        let name = self.name();
        net.kill(&name);
        net.resume(&name);
        drop(process);
    }

    /// Tells the process to stop, as people do.
    pub(crate) fn tell_to_stop(&self) {
        if let Some(process) = &self.process {
            process.told.notify_one();
        }
    }

    /// Stops the process in whatever it does.
    pub(crate) fn stop(&mut self, net: &MemoryNet) {
        if let Some(process) = &mut self.process {
            process.is_stopped = true;
            net.stop(&name(self.index));
        }
    }

    /// Lets a stopped process go on: to it, no time has passed, and its clock says how much.
    pub(crate) fn resume(&mut self, now: Instant, net: &MemoryNet) {
        let Some(process) = self.process.as_mut().filter(|process| process.is_stopped) else { return };
        process.is_stopped = false;
        process.lane.jump(now);
        net.resume(&name(self.index));
    }
}
