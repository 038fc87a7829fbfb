//! Host processes on this machine.

use std::env;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use colony_client::Identity;
use colony_wire::admin::HostStatus;
use tokio::time;

use super::folder::Folder;
use super::links::Links;
use super::plugins::{MERGE, PluginFiles};
use super::{DemoError, ports};

/// Shards of each host: enough that there is more than one, few enough for a laptop that runs them all.
const SHARDS: u16 = 2;
/// Longest wait for a command that asks the cluster: two of its calls' deadlines.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// Ports of each host: the group's, and one for each shard.
pub(super) const PORTS: u16 = 1 + SHARDS;

/// The host processes of a demo. Dropped, it kills them all, unless they are kept.
#[derive(Debug)]
pub(super) struct Cluster<'a> {
    program: PathBuf,
    plugins: PluginFiles,
    /// What names begin with.
    letter: char,
    /// One for each host that will ever be: where it listens, and where others reach it.
    places: Vec<(SocketAddr, SocketAddr)>,
    hosts: Vec<HostProcess>,
    is_kept: bool,
    identity: Identity,
    folder: &'a Folder,
}

#[derive(Debug)]
struct HostProcess {
    name: String,
    /// Where others reach it.
    address: SocketAddr,
    log: PathBuf,
    child: Child,
    is_killed: bool,
}

impl<'a> Cluster<'a> {
    /// Room for `hosts` hosts, none running yet.
    pub(super) fn new(hosts: usize, plugins: PluginFiles, folder: &'a Folder) -> Result<Self, DemoError> {
        let places = ports::free(hosts, PORTS)?.into_iter().map(|address| (address, address)).collect();
        Self::at('h', places, plugins, folder)
    }

    /// The same behind links: hosts listen on the first address and are reached by the second.
    pub(super) fn behind(links: &Links, plugins: PluginFiles, folder: &'a Folder) -> Result<Self, DemoError> {
        Self::at('s', links.places().to_vec(), plugins, folder)
    }

    fn at(
        letter: char,
        places: Vec<(SocketAddr, SocketAddr)>,
        plugins: PluginFiles,
        folder: &'a Folder,
    ) -> Result<Self, DemoError> {
        Ok(Self {
            program: env::current_exe().map_err(DemoError::io("find this program"))?,
            plugins,
            letter,
            places,
            hosts: Vec::new(),
            is_kept: false,
            identity: folder.identity()?,
            folder,
        })
    }

    /// Starts the next host and says its name. The first one begins the cluster.
    pub(super) fn start_host(&mut self) -> Result<String, DemoError> {
        let place = self.hosts.len();
        let name = format!("{}{}", self.letter, place + 1);
        let needed = place + 1;
        let at = *self.places.get(place).ok_or(DemoError::Ports { needed, length: PORTS })?;
        self.folder.issue_host(&name)?;
        let log = self.folder.log(&name);
        let child = self.command(&name, at, &log).and_then(|mut command| command.spawn());
        let child = child.map_err(DemoError::io(format!("start host {name}")))?;
        self.hosts.push(HostProcess { name: name.clone(), address: at.1, log, child, is_killed: false });
        Ok(name)
    }

    fn command(&self, name: &str, (listen, reached): (SocketAddr, SocketAddr), log: &PathBuf) -> io::Result<Command> {
        let log = File::create(log)?;
        let mut command = self.program();
        command.arg("host").args(["--name", name]).arg("--listen").arg(listen.to_string());
        if reached != listen {
            command.arg("--advertise").arg(reached.to_string());
        }
        command.arg("--certs").arg(self.folder.certs()).args(["--shards", &SHARDS.to_string()]);
        command.arg("--label").arg(format!("zone={}", zone(self.hosts.len())));
        let merge = format!("{MERGE}={}", self.plugins.merge.display());
        command.arg("--merge-plugin").arg(merge).arg("--placement-plugin").arg(&self.plugins.placement);
        let seeds = self.seeds();
        if seeds.is_empty() {
            command.arg("--bootstrap");
        } else {
            command.arg("--seeds").arg(seeds.join(","));
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // An interrupt at the terminal is for the demo, which then ends the hosts.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok(command)
    }

    /// Addresses of the hosts that run.
    pub(super) fn seeds(&self) -> Vec<String> {
        self.running().map(|host| host.address.to_string()).collect()
    }

    fn running(&self) -> impl Iterator<Item = &HostProcess> {
        self.hosts.iter().filter(|host| !host.is_killed)
    }

    /// Names of all hosts that were started, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.hosts.iter().map(|host| &host.name)
    }

    /// What a command says to somebody who types it.
    pub(super) async fn ask(&self, words: &[&str]) -> Result<String, DemoError> {
        let told = format!("colony {}", words.join(" "));
        let mut command = tokio::process::Command::from(self.program());
        command.args(words).arg("--connect").arg(self.seeds().join(",")).arg("--certs").arg(self.folder.certs());
        let ended = time::timeout(ASK_WITHIN, command.stdin(Stdio::null()).kill_on_drop(true).output()).await;
        let ended = ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let output = ended.map_err(DemoError::io(format!("run {told}")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(DemoError::Command { command: told, status: output.status.to_string(), said })
    }

    /// This program, without what the user set for hosts and commands of their own.
    fn program(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (variable, _) in env::vars_os() {
            if variable.to_str().is_some_and(|it| it.starts_with("COLONY_") && it != "COLONY_LOG") {
                command.env_remove(variable);
            }
        }
        command
    }

    /// How many hosts run.
    pub(super) fn len(&self) -> usize {
        self.running().count()
    }

    /// Who the demo is to the cluster.
    pub(super) fn identity(&self) -> Identity {
        self.identity.clone()
    }

    /// Refuses if a host has ended that was not killed.
    pub(super) fn check(&mut self) -> Result<(), DemoError> {
        for host in self.hosts.iter_mut().filter(|host| !host.is_killed) {
            let ended = host.child.try_wait().map_err(DemoError::io(format!("look after host {}", host.name)))?;
            if let Some(status) = ended {
                let log = fs::read_to_string(&host.log).unwrap_or_default();
                let last = log.lines().next_back().unwrap_or("it said nothing").to_owned();
                return Err(DemoError::HostEnded { name: host.name.clone(), status: status.to_string(), last });
            }
        }
        Ok(())
    }

    /// Whether all hosts that run are up in the members' list, and who is not.
    pub(super) fn missing_in(&self, members: &[HostStatus]) -> Option<String> {
        let is_up = |name: &str| members.iter().any(|host| host.name == name && host.state == "up");
        self.running().find(|host| !is_up(&host.name)).map(|host| format!("{} is not up", host.name))
    }

    /// Kills a host with SIGKILL, and says when: the moment before.
    pub(super) fn kill(&mut self, name: &str) -> Result<Instant, DemoError> {
        let doing = format!("kill host {name}");
        let host = self.hosts.iter_mut().find(|host| host.name == name && !host.is_killed);
        let host = host.ok_or_else(|| DemoError::io(&doing)(io::ErrorKind::NotFound.into()))?;
        let at = Instant::now();
        host.child.kill().map_err(DemoError::io(&doing))?;
        host.is_killed = true;
        host.child.wait().map_err(DemoError::io(&doing))?;
        Ok(at)
    }

    /// Leaves the processes running; says how to speak to them.
    pub(super) fn keep(mut self) -> Kept {
        self.is_kept = true;
        Kept {
            connect: self.seeds().join(","),
            certs: self.folder.certs().to_owned(),
            processes: self.running().map(|host| host.child.id()).collect(),
        }
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        for host in self.hosts.iter_mut().filter(|host| !host.is_killed) {
            // A process that has ended by itself cannot be killed, and is gone all the same.
            let _ = host.child.kill();
            let _ = host.child.wait();
        }
    }
}

/// A cluster that outlives its demo.
#[derive(Debug)]
pub(super) struct Kept {
    /// For `--connect`.
    pub(super) connect: String,
    /// For `--certs`.
    pub(super) certs: PathBuf,
    /// Ids of the processes.
    pub(super) processes: Vec<u32>,
}

/// The zone of the host at a place: each has its own.
fn zone(place: usize) -> String {
    let letter = u8::try_from(place).ok().and_then(|place| b'a'.checked_add(place)).unwrap_or(b'z');
    format!("zone-{}", char::from(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_a_zone_of_its_own() {
        assert_eq!([0, 1, 8].map(zone), ["zone-a", "zone-b", "zone-i"]);
    }
}
