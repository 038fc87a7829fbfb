//! What is done to the network between the hosts.

use std::io;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::failure::Failure;
use crate::lab::{self, HOSTS};

/// The table that the faults are put in; nothing else is in it.
const TABLE: &str = "faults";
/// The hosts' control port, UDP for the group and TCP for the sentinel. Shards take those after it.
pub const PORT: u16 = 7400;

/// The network of a [`Lab`](lab::Lab), from inside.
#[derive(Clone, Debug)]
pub struct Net {
    prefix: String,
}

impl Net {
    /// The network whose names begin like this.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The words before a command that is to run where this host is.
    #[must_use]
    pub fn under(&self, name: &str) -> Vec<String> {
        lab::under(&self.prefix, name)
    }

    /// What these send to those is lost, by places of hosts.
    ///
    /// # Errors
    /// With what the system said.
    pub async fn silence(&self, pairs: &[(&[usize], &[usize])]) -> Result<(), Failure> {
        let rules = pairs.iter().map(|(from, to)| format!("ip saddr {} ip daddr {} drop", set(from), set(to)));
        self.filter(&rules.collect::<Vec<_>>()).await
    }

    /// Nobody on one side hears anybody on another, clients of that side included.
    ///
    /// # Errors
    /// With what the system said.
    pub async fn split(&self, sides: &[&[usize]]) -> Result<(), Failure> {
        let on = |side: usize, places: &[usize]| {
            let hosts = places.iter().map(|place| lab::address(*place));
            listed(hosts.chain([lab::side_address(side)]))
        };
        let sides: Vec<String> = sides.iter().enumerate().map(|(side, places)| on(side, places)).collect();
        let pairs = sides.iter().enumerate().flat_map(|(at, from)| {
            let others = sides.iter().enumerate().filter(move |(other, _)| *other != at);
            others.map(move |(_, to)| format!("ip saddr {from} ip daddr {to} drop"))
        });
        self.filter(&pairs.collect::<Vec<_>>()).await
    }

    /// What hosts send to each other's control ports is lost; what goes between shards is not, nor what clients ask.
    ///
    /// # Errors
    /// With what the system said.
    pub async fn silence_control(&self) -> Result<(), Failure> {
        let all: Vec<usize> = (0..HOSTS).collect();
        let hosts = set(&all);
        self.filter(&[format!("ip saddr {hosts} ip daddr {hosts} udp dport {PORT} drop")]).await
    }

    /// So many packets of a thousand are lost, of everybody.
    ///
    /// # Errors
    /// With what the system said.
    pub async fn lose(&self, per_mille: u32) -> Result<(), Failure> {
        self.filter(&[format!("ether type ip numgen random mod 1000 < {per_mille} drop")]).await
    }

    /// Nothing is lost any more.
    ///
    /// # Errors
    /// With what the system said.
    pub async fn heal(&self) -> Result<(), Failure> {
        self.filter(&[]).await
    }

    /// Resets every sentinel connection, and refuses every new one until [`accept`](Self::accept).
    ///
    /// # Errors
    /// With what the system said.
    pub async fn reset(&self) -> Result<(), Failure> {
        let rules = format!(
            "{}table inet {TABLE} {{ chain input {{ type filter hook input priority 0; policy accept; \
             tcp dport {PORT} reject with tcp reset\n}}\n}}\n",
            emptied("inet")
        );
        for name in (0..HOSTS).map(lab::host) {
            let mut nft = lab::inside(&self.prefix, &name, "nft");
            nft.args(["-f", "-"]);
            load(nft.into(), &rules).await?;
        }
        for name in (0..HOSTS).map(lab::host) {
            let mut ss = lab::inside(&self.prefix, &name, "ss");
            ss.args(["-K", "-t", "state", "established", &format!("( sport = :{PORT} or dport = :{PORT} )")]);
            load(ss.into(), "").await?;
        }
        Ok(())
    }

    /// Sentinels may connect again.
    ///
    /// # Errors
    /// With what the system said.
    pub async fn accept(&self) -> Result<(), Failure> {
        for name in (0..HOSTS).map(lab::host) {
            let mut nft = lab::inside(&self.prefix, &name, "nft");
            nft.args(["-f", "-"]);
            load(nft.into(), &emptied("inet")).await?;
        }
        Ok(())
    }

    /// Puts these rules in the place of those before, all at once.
    async fn filter(&self, rules: &[String]) -> Result<(), Failure> {
        let rules = format!(
            "{}table bridge {TABLE} {{ chain forward {{ type filter hook forward priority 0; policy accept;\n{}\n}}\n}}\n",
            emptied("bridge"),
            rules.join("\n")
        );
        load(lab::filter_of_switch(&self.prefix).into(), &rules).await
    }
}

/// Removes the table of this family, whether it is there or not.
fn emptied(family: &str) -> String {
    format!("table {family} {TABLE}\ndelete table {family} {TABLE}\n")
}

fn set(places: &[usize]) -> String {
    listed(places.iter().map(|place| lab::address(*place)))
}

fn listed(addresses: impl Iterator<Item = String>) -> String {
    format!("{{ {} }}", addresses.collect::<Vec<_>>().join(", "))
}

/// Runs a command with this on its standard input.
async fn load(mut command: Command, input: &str) -> Result<(), Failure> {
    let typed = lab::typed(command.as_std());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let run = async {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = run.await.map_err(|source: io::Error| Failure::Start { command: typed.clone(), source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::Command { command: typed, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
