//! A cluster of host processes on loopback.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use colony_client::Client;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::{Answer, Certs, Cli, Host, MERGE, free_ports, until};

/// Most hosts of one story: that many runs of ports are looked for.
const HOSTS_MAX: usize = 5;
/// Longest until a host that was told to has ended, on a machine that does much else.
const END_WITHIN: Duration = Duration::from_secs(60);
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
    /// What placement knows of some hosts: a label by the host's name.
    pub labels: BTreeMap<String, String>,
    /// Whether each host keeps the group's log in a folder, where its next process finds it.
    pub keeps_log: bool,
    /// Further arguments of every host.
    pub more: Vec<String>,
}

impl Shape {
    /// As many hosts, of one shard each, without plugins, all in memory.
    #[must_use]
    pub fn of(hosts: usize) -> Self {
        Self { hosts, shards: 1, merge: None, labels: BTreeMap::new(), keeps_log: false, more: Vec::new() }
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
        let mut arguments = self.arguments();
        if let Some(label) = self.shape.labels.get(name) {
            arguments.extend(["--label".into(), label.into()]);
        }
        if self.shape.keeps_log {
            arguments.extend(["--data-dir".into(), format!("{name}.data").into()]);
        }
        // A TCP port beside the shard's UDP port of the same number.
        let admin = SocketAddr::new(address.ip(), address.port() + 1);
        arguments.extend(["--admin".into(), admin.to_string().into()]);
        arguments.extend(self.shape.more.iter().map(OsString::from));
        let host = Host::start(self.folder.path(), name, address, arguments);
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

    /// Tells a host to stop with SIGTERM. Does not wait until it has.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn terminate(&mut self, name: &str) {
        self.hosts.get_mut(name).expect("a host that is stopped was started").terminate();
    }

    /// From now on these hosts may end by themselves.
    ///
    /// # Panics
    /// If there is none of such a name.
    pub fn may_end(&mut self, names: &[&str]) {
        for name in names {
            self.hosts.get_mut(*name).expect("a host that may end was started").may_end();
        }
    }

    /// Waits until a host has ended, and says with which code; none if a signal ended it.
    ///
    /// # Panics
    /// If it does not end in time, or there is none of that name.
    pub async fn until_ended(&mut self, name: &str) -> Option<i32> {
        let host = self.hosts.get_mut(name).expect("a host that ends was started");
        until("the host has ended", END_WITHIN, async || host.exit().ok_or_else(|| format!("{name} runs"))).await.code()
    }

    /// Checks that no host ended that was neither killed nor told to.
    ///
    /// # Panics
    /// If one did.
    #[track_caller]
    pub fn assert_all_run(&mut self) {
        for host in self.hosts.values_mut() {
            let ended = host.ended();
            let last = || host.log().lines().next_back().unwrap_or("it said nothing").to_owned();
            assert!(ended.is_none(), "{} ended by itself, {ended:?}: {}", host.name(), last());
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

    /// The program, with no other way into the cluster than this host. Its table leads to whoever serves a session;
    /// what every host knows is asked of any ([`ask`](Self::ask) of this one).
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
