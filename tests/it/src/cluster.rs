//! A cluster of host processes on loopback.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use colony_client::Client;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::{Answer, Certs, Cli, Host, MERGE, free_ports, until};

/// Longest until hosts are up, or a host is known to be gone, on a machine that does much else.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// Longest until colonies have their copies.
const SETTLE_WITHIN: Duration = Duration::from_secs(30);
/// Most hosts of one story: that many runs of ports are looked for.
const HOSTS_MAX: usize = 5;
/// Lines of each log that a failed story prints.
const LOG_LINES: usize = 25;

/// One cluster runs at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// What a cluster is like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Hosts at the begin.
    pub hosts: usize,
    /// Shards of each.
    pub shards: u16,
    /// The component that every host loads under the name [`MERGE`].
    pub merge: Option<PathBuf>,
}

impl Shape {
    /// As many hosts, of one shard each, without plugins.
    #[must_use]
    pub fn of(hosts: usize) -> Self {
        Self { hosts, shards: 1, merge: None }
    }
}

/// A cluster of host processes on loopback: `h1` begins it, the others join. Dropped, all are killed.
#[derive(Debug)]
pub struct Cluster {
    shape: Shape,
    hosts: BTreeMap<String, Host>,
    certs: Certs,
    addresses: Vec<SocketAddr>,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts a cluster when it is this story's turn, and waits until all hosts are up.
    ///
    /// # Panics
    /// If they are not in time.
    pub async fn start(shape: Shape) -> Self {
        let mut cluster = Self::prepare(shape).await;
        for _ in 0..cluster.shape.hosts {
            cluster.start_host();
        }
        cluster.until_up().await;
        cluster
    }

    /// Certificates, ports and the turn; no host runs yet.
    ///
    /// # Panics
    /// If there are not enough ports, or the system gives no folder.
    pub async fn prepare(shape: Shape) -> Self {
        let turn = TURN.lock().await;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let certs = Certs::create(folder.path().join("certs"));
        let addresses = free_ports(HOSTS_MAX, 1 + shape.shards);
        Self { shape, hosts: BTreeMap::new(), certs, addresses, folder, _turn: turn }
    }

    /// Starts the next host and says its name. Does not wait until it is up.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_host(&mut self) -> String {
        let name = format!("h{}", self.hosts.len() + 1);
        self.start_named(&name);
        name
    }

    /// Starts a host that was killed again: same name, same ports, another process.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self, name: &str) {
        self.hosts.remove(name);
        self.start_named(name);
    }

    fn start_named(&mut self, name: &str) {
        self.certs.issue_host(name);
        let place: usize = name.trim_start_matches('h').parse().expect("hosts are named h1, h2, ...");
        let address = self.addresses[place - 1];
        let host = Host::start(self.folder.path(), name, address, self.arguments());
        self.hosts.insert(name.to_owned(), host);
    }

    /// Arguments of a host that joins those that run, or begins a cluster if none does.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let shards = self.shape.shards.to_string();
        let mut arguments: Vec<OsString> = ["--shards", &shards, "--certs"].map(OsString::from).into();
        arguments.push(self.certs.folder().into());
        match self.connect() {
            none if none.is_empty() => arguments.push("--bootstrap".into()),
            seeds => arguments.extend(["--seeds".into(), seeds.into()]),
        }
        if let Some(merge) = &self.shape.merge {
            arguments.extend(["--merge-plugin".into(), format!("{MERGE}={}", merge.display()).into()]);
        }
        arguments
    }

    /// Addresses of the hosts that run, as they are typed.
    #[must_use]
    pub fn connect(&self) -> String {
        let running = self.running().map(|host| host.address().to_string());
        running.collect::<Vec<_>>().join(",")
    }

    fn running(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values().filter(|host| host.is_meant_to_run())
    }

    /// Names of the hosts that run.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.running().map(|host| host.name().to_owned()).collect()
    }

    /// The host of this name.
    ///
    /// # Panics
    /// If there was never one.
    #[must_use]
    pub fn host(&self, name: &str) -> &Host {
        &self.hosts[name]
    }

    /// Kills a host with SIGKILL.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn kill(&mut self, name: &str) {
        self.hosts.get_mut(name).expect("a host that is killed was started").kill();
    }

    /// Checks that no host ended that was not killed.
    ///
    /// # Panics
    /// If one did.
    #[track_caller]
    pub fn assert_all_run(&mut self) {
        for host in self.hosts.values_mut() {
            let ended = host.ended();
            assert!(ended.is_none(), "{} ended by itself: {ended:?}", host.name());
        }
    }

    /// The folder of this story.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its certificates.
    #[must_use]
    pub fn certs(&self) -> &Certs {
        &self.certs
    }

    /// Ports that no host was started at yet.
    ///
    /// # Panics
    /// If every port is taken.
    #[must_use]
    pub fn spare_address(&self) -> SocketAddr {
        *self.addresses.last().expect("there is room for hosts")
    }

    /// The program, through whichever host answers.
    #[must_use]
    pub fn cli(&self) -> Cli {
        Cli::new(self.folder(), self.connect(), self.certs.folder())
    }

    /// The program, through this host only.
    ///
    /// # Panics
    /// If there is none of that name.
    #[must_use]
    pub fn through(&self, name: &str) -> Cli {
        Cli::new(self.folder(), self.host(name).address().to_string(), self.certs.folder())
    }

    /// Runs a command through whichever host answers.
    ///
    /// # Panics
    /// If it does not end in time.
    pub async fn run(&self, words: &[&str]) -> Answer {
        self.cli().run(words).await
    }

    /// A client of all hosts that run.
    ///
    /// # Panics
    /// If it cannot connect.
    pub async fn client(&self) -> Client {
        let seeds: Vec<String> = self.running().map(|host| host.address().to_string()).collect();
        Client::connect(seeds, self.certs.identity()).await.expect("a host that runs answers a client")
    }

    /// Makes a namespace and waits until all its colonies have all copies.
    ///
    /// # Panics
    /// If it is refused, or not done in time.
    pub async fn create_namespace(&self, name: &str, copies: usize, buckets: usize, more: &[&str]) {
        let (copy_count, bucket_count) = (copies.to_string(), buckets.to_string());
        let words = ["namespace", "create", name, "--copies", &copy_count, "--buckets", &bucket_count];
        let _ = self.run(&[&words, more].concat()).await.done();
        self.until_in_sync(name, copies).await;
    }

    /// `colony status --json`, if a host answers.
    ///
    /// # Errors
    /// With what the command said.
    pub async fn status(&self) -> Result<Value, String> {
        let answer = self.run(&["status", "--json"]).await;
        if answer.is_done() { Ok(answer.json()) } else { Err(answer.stderr) }
    }

    /// `colony colonies --json` of one namespace, if a host answers.
    ///
    /// # Errors
    /// With what the command said.
    pub async fn colonies(&self, namespace: &str) -> Result<Vec<Value>, String> {
        let answer = self.run(&["colonies", "--json"]).await;
        if !answer.is_done() {
            return Err(answer.stderr);
        }
        let colonies = answer.jsons();
        Ok(colonies.into_iter().filter(|colony| colony["namespace"] == namespace).collect())
    }

    /// Waits until every host that runs is up, and a leader is known.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn until_up(&self) {
        let names = self.names();
        until("every host is up", UP_WITHIN, async || {
            let status = self.status().await?;
            let missing = names.iter().find(|name| up(&status, name).is_none());
            match missing {
                Some(name) => Err(format!("{name} is not up: {status}")),
                None if status["leader"].is_null() => Err(format!("no leader: {status}")),
                None => Ok(()),
            }
        })
        .await;
    }

    /// Waits until no process of this name is up.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn until_dead(&self, name: &str) {
        until("the host is held for dead", UP_WITHIN, async || {
            let status = self.status().await?;
            if up(&status, name).is_none() { Ok(()) } else { Err(format!("{name} is up: {status}")) }
        })
        .await;
    }

    /// Waits until every colony of the namespace is served and has `copies` copies in sync, where they are wanted.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn until_in_sync(&self, namespace: &str, copies: usize) {
        until("every colony has its copies", SETTLE_WITHIN, async || {
            let colonies = self.colonies(namespace).await?;
            if colonies.is_empty() {
                return Err(format!("no colony of {namespace} is known"));
            }
            let unsettled = colonies.iter().find(|colony| {
                let (in_sync, want) = (names_in(&colony["in_sync"]), names_in(&colony["want"]));
                colony["primary"].is_null() || in_sync != want || in_sync.len() != copies
            });
            unsettled.map_or(Ok(()), |colony| Err(colony.to_string()))
        })
        .await;
    }

    /// Waits until the host of this name is up under another start than `before`.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn until_other_start(&self, name: &str, before: &str) {
        until("the host is up under a new start", UP_WITHIN, async || {
            let status = self.status().await?;
            let is_other = up(&status, name).is_some_and(|host| host["start"] != before);
            if is_other { Ok(()) } else { Err(format!("{name} was {before}: {status}")) }
        })
        .await;
    }

    /// How many copies the host of this name holds in sync.
    ///
    /// # Panics
    /// If it is not up, or no host answers.
    pub async fn copies_on(&self, name: &str) -> u64 {
        let status = self.status().await.expect("a host answers");
        let host = up(&status, name).expect("the host is up");
        host["copies"].as_u64().expect("copies are counted")
    }

    /// The start of the process of this name that is up.
    ///
    /// # Panics
    /// If there is none, or no host answers.
    pub async fn start_of(&self, name: &str) -> String {
        let status = self.status().await.expect("a host answers");
        let host = up(&status, name).expect("the host is up");
        host["start"].as_str().expect("a start is a string").to_owned()
    }

    /// The name of the host that leads the group, which is known.
    ///
    /// # Panics
    /// If it is not, or no host answers.
    pub async fn leader(&self) -> String {
        let status = self.status().await.expect("a host answers");
        status["leader"].as_str().expect("a leader is known").to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        for host in self.hosts.values() {
            let log = host.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            eprintln!("--- the end of {}'s log, of {} lines:\n{last}", host.name(), lines.len());
        }
    }
}

/// The process of this name that is up.
fn up<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    let hosts = status["hosts"].as_array()?;
    hosts.iter().find(|host| host["name"] == name && host["state"] == "up")
}

/// Names of a JSON list, sorted.
fn names_in(list: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    names.sort_unstable();
    names
}
