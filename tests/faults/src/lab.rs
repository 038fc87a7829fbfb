//! A network of one's own for every host: namespaces, joined by a switch in one more.
//!
//! Every name begins with `colony-faults-PID`, so that runs do not meet, and what a killed run has left behind is known
//! by its process being gone.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::{fs, process};

use crate::failure::Failure;

/// How the names of all runs begin.
const FAMILY: &str = "colony-faults-";
/// Where the system lists namespaces.
const NAMESPACES: &str = "/var/run/netns";
/// Hosts of the cluster.
pub const HOSTS: usize = 5;
/// First address of hosts; the clients' is one lower. Nobody but this run is in the network.
const NET: &str = "10.77.0.";
const FIRST: usize = 11;
/// Sides that the network is cut into at most. Clients that are to reach one of them only have an address of their own
/// for each, from 1 on.
pub const SIDES: usize = 3;
/// The namespace of the switch, and of this program with the clients.
const SWITCH: &str = "switch";
const CLIENTS: &str = "clients";

/// Namespaces for the hosts and for the clients. Dropped, they are removed with whatever runs in them.
#[derive(Debug)]
pub struct Lab {
    prefix: String,
}

impl Lab {
    /// Makes it, and removes what dead runs have left.
    ///
    /// # Errors
    /// With the first thing that this machine does not allow; nothing is left behind.
    pub fn make() -> Result<Self, Failure> {
        remove_leftovers();
        let lab = Self { prefix: format!("{FAMILY}{}", process::id()) };
        lab.add(SWITCH)?;
        lab.ip_in(SWITCH, "link add br0 type bridge")?;
        lab.ip_in(SWITCH, "link set br0 up")?;
        lab.join(CLIENTS, FIRST - 1)?;
        for side in 0..SIDES {
            lab.ip_in(CLIENTS, &format!("addr add {}/24 dev eth0", side_address(side)))?;
        }
        for place in 0..HOSTS {
            lab.join(&host(place), FIRST + place)?;
        }
        // Whether the filter works shows here and not in the middle of a run.
        let mut probe = inside(&lab.prefix, SWITCH, "nft");
        run(probe.args(["add", "table", "bridge", "faults"]))?;
        Ok(lab)
    }

    /// What all its names begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn add(&self, name: &str) -> Result<(), Failure> {
        run(Command::new("ip").args(["netns", "add", &namespace(&self.prefix, name)]))
    }

    /// A namespace with an address, plugged into the switch.
    fn join(&self, name: &str, address: usize) -> Result<(), Failure> {
        self.add(name)?;
        let space = namespace(&self.prefix, name);
        self.ip_in(SWITCH, &format!("link add {name} type veth peer name eth0 netns {space}"))?;
        self.ip_in(SWITCH, &format!("link set {name} master br0 up"))?;
        self.ip_in(name, "link set lo up")?;
        self.ip_in(name, "link set eth0 up")?;
        self.ip_in(name, &format!("addr add {NET}{address}/24 dev eth0"))
    }

    fn ip_in(&self, name: &str, words: &str) -> Result<(), Failure> {
        run(Command::new("ip").args(["-n", &namespace(&self.prefix, name)]).args(words.split(' ')))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        remove(&self.prefix);
    }
}

/// The name of the host at this place, which is its namespace's too.
#[must_use]
pub fn host(place: usize) -> String {
    format!("h{}", place + 1)
}

/// The address of the host at this place.
#[must_use]
pub fn address(place: usize) -> String {
    format!("{NET}{}", FIRST + place)
}

/// The address of the clients that stay on this side when the network is cut.
#[must_use]
pub fn side_address(side: usize) -> String {
    format!("{NET}{}", 1 + side)
}

/// The words before a command that is to run where a host is.
#[must_use]
pub fn under(prefix: &str, name: &str) -> Vec<String> {
    ["ip", "netns", "exec", &namespace(prefix, name)].map(str::to_owned).into()
}

/// A program that is to run where the clients are.
#[must_use]
pub fn among_clients(prefix: &str, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &namespace(prefix, CLIENTS)]).arg(program);
    command
}

/// The command that loads filter rules into the switch from its standard input.
#[must_use]
pub fn filter_of_switch(prefix: &str) -> Command {
    let mut command = inside(prefix, SWITCH, "nft");
    command.args(["-f", "-"]);
    command
}

/// A program that is to run in one of the namespaces.
#[must_use]
pub fn inside(prefix: &str, name: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &namespace(prefix, name), program]);
    command
}

fn namespace(prefix: &str, name: &str) -> String {
    format!("{prefix}-{name}")
}

/// Removes the namespaces of runs whose process is gone.
fn remove_leftovers() {
    for prefix in prefixes() {
        let owner = prefix.strip_prefix(FAMILY).unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            eprintln!("faults: removing what the dead run {owner} has left");
            remove(&prefix);
        }
    }
}

/// The prefixes of all runs that have namespaces.
fn prefixes() -> Vec<String> {
    let mut prefixes: Vec<String> = names()
        .iter()
        .filter_map(|name| {
            let owner = name.strip_prefix(FAMILY)?.split('-').next()?;
            owner.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("{FAMILY}{owner}"))
        })
        .collect();
    prefixes.sort();
    prefixes.dedup();
    prefixes
}

fn names() -> Vec<String> {
    let Ok(entries) = fs::read_dir(NAMESPACES) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// Ends whatever runs in the namespaces of one run, and removes them. What cannot be removed is said.
fn remove(prefix: &str) {
    let own = format!("{prefix}-");
    for name in names().into_iter().filter(|name| name.starts_with(&own)) {
        if let Ok(output) = output(Command::new("ip").args(["netns", "pids", &name])) {
            for pid in String::from_utf8_lossy(&output.stdout).split_whitespace() {
                // It may have ended by itself meanwhile.
                let _ = output_of_kill(pid);
            }
        }
        if let Err(failure) = run(Command::new("ip").args(["netns", "del", &name])) {
            eprintln!("faults: {name} is left behind: {failure}");
        }
    }
}

fn output_of_kill(pid: &str) -> Result<Output, Failure> {
    output(Command::new("kill").args(["-KILL", pid]))
}

/// Runs a command of the system to its end.
fn run(command: &mut Command) -> Result<(), Failure> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Command { command: typed(command), said })
}

fn output(command: &mut Command) -> Result<Output, Failure> {
    command.stdin(Stdio::null());
    command.output().map_err(|source| Failure::Start { command: typed(command), source })
}

/// A command as a person would type it.
#[must_use]
pub fn typed(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
