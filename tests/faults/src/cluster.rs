//! The cluster under test: five host processes, and what it says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use colony_client::admin::{
    AdminReply, AdminRequest, ClusterStatus, ColonyStatus, HostStatus, MergeBy, OnPartition, Policy,
};
use colony_client::{CallError, Client, ConnectError, Identity, Options};
use colony_it::{Certs, Cli, Host, MERGE, free_ports, plugin};
use colony_link::LinkConfig;
use colony_link::quic::{BindError, QuicTransport};
use colony_wire::NamespaceId;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time;

use crate::failure::Failure;
use crate::keys;
use crate::lab::{self, HOSTS};
use crate::net::{Net, PORT};

/// The namespace that the load is in.
pub const NAMESPACE: &str = "faults";
/// Its colonies.
pub const BUCKETS: u32 = 64;
/// Longest until a cluster without load is whole: connections give up after seconds, and then every copy is made anew.
pub const WHOLE_WITHIN: Duration = Duration::from_secs(90);
/// Looks in a row that must find it whole: what has just been undone may not have been noticed yet.
const LOOKS: u32 = 4;
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often is looked whether a host that leaves has ended.
const ENDED_EVERY: Duration = Duration::from_millis(10);
/// Longest wait for the answer to one look.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Longest until the first host listens, on a machine that does much else.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);
/// Where the system keeps files in memory.
const MEMORY: &str = "/dev/shm";
/// Lines of each log that are shown of a cluster that is not whole.
const LOG_LINES: usize = 15;

/// The component of the plugin that adds up quantities.
const MERGE_FILE: &str = "cart_merge.wasm";
/// The plugin that traps whenever it is asked, by the name that namespaces know it by.
pub const TRAP: &str = "trap";
/// Its component.
const TRAP_FILE: &str = "trap.wasm";

/// A cluster as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Hosts.
    pub hosts: usize,
    /// Copies of each colony.
    pub copies: u8,
    /// Its namespaces: name, who merges, what becomes of it in a split.
    pub namespaces: Vec<(&'static str, MergeBy, OnPartition)>,
}

impl Shape {
    /// Five hosts and one namespace, whose conflicts a plugin merges.
    #[must_use]
    pub fn of_copies(copies: u8) -> Self {
        let namespace = (NAMESPACE, MergeBy::Plugin(MERGE.to_owned()), OnPartition::default());
        Self { hosts: HOSTS, copies, namespaces: vec![namespace] }
    }

    /// Whether some namespace is merged by this plugin.
    fn asks(&self, plugin: &str) -> bool {
        self.namespaces.iter().any(|(_, merge, _)| *merge == MergeBy::Plugin(plugin.to_owned()))
    }
}

/// The hosts. Dropped, they are killed.
pub struct Cluster {
    net: Option<Net>,
    hosts: BTreeMap<String, Host>,
    addresses: Vec<SocketAddr>,
    shape: Shape,
    /// By namespace.
    tags: BTreeMap<String, Vec<String>>,
    certs: Certs,
    /// Asks what people ask.
    asker: Client,
    /// Writes and reads its own writes.
    pub writer: Client,
    /// Reads what others wrote.
    pub reader: Client,
    folder: TempDir,
}

impl Cluster {
    /// Starts the hosts in this network, or on loopback, and waits until they are whole.
    ///
    /// # Errors
    /// If they are not whole in time, or one ends.
    ///
    /// # Panics
    /// If the system gives no folder, ports or certificates.
    pub async fn start(net: Option<Net>, shape: &Shape) -> Result<Self, Failure> {
        let folder = folder().map_err(|source| Failure::Io { doing: "make a folder", source })?;
        let certs = Certs::create(folder.path().join("certs"));
        let addresses = match &net {
            Some(_) => (0..shape.hosts).map(address).collect(),
            None => free_ports(shape.hosts, 2),
        };
        let mut hosts = BTreeMap::new();
        for place in 0..shape.hosts {
            let host = start_host(net.as_ref(), folder.path(), &certs, (&addresses, place), shape, place > 0);
            hosts.insert(host.name().to_owned(), host);
        }
        let seeds: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let connect = async || connect(&seeds, certs.identity()).await;
        let (asker, writer, reader) = (connect().await?, connect().await?, connect().await?);
        let (tags, shape) = (BTreeMap::new(), shape.clone());
        let mut cluster = Self { net, hosts, addresses, shape, tags, certs, asker, writer, reader, folder };
        let (hosts, namespaces) = (cluster.len(), cluster.shape.namespaces.clone());
        cluster.until("every host is up", WHOLE_WITHIN, |status, _| missing_host(status, hosts)).await?;
        for (name, merge, on_partition) in namespaces {
            let namespace = cluster.create_namespace(name, merge, on_partition).await?;
            cluster.tags.insert(name.to_owned(), keys::tags(namespace, BUCKETS)?);
        }
        cluster.until_whole(WHOLE_WITHIN).await?;
        Ok(cluster)
    }

    async fn create_namespace(
        &self,
        name: &str,
        merge: MergeBy,
        on_partition: OnPartition,
    ) -> Result<NamespaceId, Failure> {
        let policy = Policy { copies: self.copies(), buckets: BUCKETS, merge, on_partition, ..Policy::default() };
        let name = name.to_owned();
        match self.asker.admin(AdminRequest::CreateNamespace { name, policy }).await? {
            AdminReply::Created { id } => Ok(id),
            other => Err(CallError::Protocol { what: format!("{other:?}") }.into()),
        }
    }

    /// Copies of each colony.
    #[must_use]
    pub fn copies(&self) -> u8 {
        self.shape.copies
    }

    /// The network, unless it is on loopback.
    #[must_use]
    pub fn net(&self) -> Option<&Net> {
        self.net.as_ref()
    }

    /// For each colony of a namespace, what a key must begin with to be in it.
    ///
    /// # Panics
    /// If the cluster was made without that namespace.
    #[must_use]
    pub fn tags(&self, namespace: &str) -> &[String] {
        &self.tags[namespace]
    }

    /// Its hosts, by place.
    #[must_use]
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether it has none, which no cluster does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// A client that sends from this address.
    ///
    /// # Errors
    /// If no host lets it in.
    pub async fn client_from(&self, source: IpAddr) -> Result<Client, Failure> {
        let socket = |error: BindError| ConnectError::Socket(error.to_string());
        let transport = QuicTransport::client_at(source, self.identity(), LinkConfig::default()).map_err(socket)?;
        Ok(Client::over(Arc::new(transport), self.seeds()).await?)
    }

    /// Where clients begin.
    #[must_use]
    pub fn seeds(&self) -> Vec<String> {
        self.addresses.iter().map(SocketAddr::to_string).collect()
    }

    /// As whom they come.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.certs.identity()
    }

    /// Kills a host with SIGKILL.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn kill(&mut self, name: &str) {
        self.hosts.get_mut(name).expect("a host that is killed was started").kill();
    }

    /// Drains a host and waits until its process has ended by itself. Says how long that took.
    ///
    /// # Errors
    /// If nobody takes the order, [`Failure::NotWhole`] if it does not end, [`Failure::Ended`] if it ends badly.
    ///
    /// # Panics
    /// If there is none of that name.
    pub async fn drain(&mut self, name: &str) -> Result<Duration, Failure> {
        let begun = Instant::now();
        match self.ask(AdminRequest::Drain { hosts: vec![name.to_owned()], cancel: false }).await? {
            AdminReply::Departures(_) => {}
            other => return Err(CallError::Protocol { what: format!("{other:?}") }.into()),
        }
        let host = self.hosts.get_mut(name).expect("a host that is drained was started");
        loop {
            match host.ended() {
                Some(how) if how.success() => break,
                Some(how) => {
                    let said = host.log().lines().next_back().unwrap_or("it said nothing").to_owned();
                    return Err(Failure::Ended { name: name.to_owned(), how: how.to_string(), said });
                }
                None if begun.elapsed() > WHOLE_WITHIN => {
                    let missing = format!("{name} drains still");
                    return Err(Failure::NotWhole { within_s: WHOLE_WITHIN.as_secs(), missing });
                }
                None => time::sleep(ENDED_EVERY).await,
            }
        }
        Ok(begun.elapsed())
    }

    /// Starts a host that was killed or has left: same name, same address, same folder, another process.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self, place: usize) {
        let name = lab::host(place);
        // The dead one goes first, and with it its hold on the log.
        self.hosts.remove(&name);
        let host =
            start_host(self.net.as_ref(), self.folder.path(), &self.certs, (&self.addresses, place), &self.shape, true);
        self.hosts.insert(name, host);
    }

    /// Stops a host with SIGSTOP.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn pause(&self, name: &str) {
        self.hosts[name].pause();
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn resume(&self, name: &str) {
        self.hosts[name].resume();
    }

    /// What a host says of the cluster.
    ///
    /// # Errors
    /// If none answers.
    pub async fn status(&self) -> Result<ClusterStatus, Failure> {
        match self.ask(AdminRequest::Status).await? {
            AdminReply::Status(status) => Ok(status),
            other => Err(CallError::Protocol { what: format!("{other:?}") }.into()),
        }
    }

    /// Where the colonies live.
    ///
    /// # Errors
    /// If no host answers.
    pub async fn colonies(&self) -> Result<Vec<ColonyStatus>, Failure> {
        match self.ask(AdminRequest::Colonies { of: None }).await? {
            AdminReply::Colonies(colonies) => Ok(colonies),
            other => Err(CallError::Protocol { what: format!("{other:?}") }.into()),
        }
    }

    async fn ask(&self, request: AdminRequest) -> Result<AdminReply, Failure> {
        let options = Options { deadline: ANSWER_WITHIN, ..Options::default() };
        Ok(self.asker.admin_with(request, options).await?)
    }

    /// The colonies whose primary is on one of these hosts.
    ///
    /// # Errors
    /// If no host answers.
    pub async fn led_by(&self, hosts: &BTreeSet<String>) -> Result<BTreeSet<u32>, Failure> {
        let is_led = |colony: &ColonyStatus| colony.primary.as_ref().is_some_and(|name| hosts.contains(name));
        Ok(self.colonies().await?.iter().filter(|colony| is_led(colony)).map(|colony| colony.bucket).collect())
    }

    /// The starts of the hosts that are up, by name.
    ///
    /// # Errors
    /// If no host answers.
    pub async fn starts(&self) -> Result<BTreeMap<String, String>, Failure> {
        Ok(up(&self.status().await?).map(|host| (host.name.clone(), host.start.to_string())).collect())
    }

    /// Waits until every host is up, the group has a leader, and every colony has all its copies in sync where they
    /// are wanted. Says how long that took.
    ///
    /// # Errors
    /// [`Failure::NotWhole`], [`Failure::Ended`].
    pub async fn until_whole(&mut self, within: Duration) -> Result<Duration, Failure> {
        let (hosts, copies) = (self.len(), usize::from(self.copies()));
        self.until("whole", within, |status, colonies| {
            missing_host(status, hosts).or_else(|| colonies.iter().find_map(|colony| missing_copy(colony, copies)))
        })
        .await
    }

    /// Waits until no host lives in an island any more, asking each of them. Says how long that took.
    ///
    /// # Errors
    /// [`Failure::NotWhole`] with who does, [`Failure::Ended`].
    pub async fn until_no_island(&mut self, within: Duration) -> Result<Duration, Failure> {
        let begun = Instant::now();
        loop {
            self.check_all_run()?;
            let looks = self.addresses.iter().map(|address| self.island_at(*address));
            let mut left = Vec::new();
            for look in looks {
                left.extend(look.await);
            }
            if left.is_empty() {
                return Ok(begun.elapsed());
            }
            if begun.elapsed() >= within {
                let missing = format!("islands are left: {}", left.join("; "));
                return Err(Failure::NotWhole { within_s: within.as_secs(), missing });
            }
            time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the host at this address says of an island that it lives in; or why it says nothing.
    async fn island_at(&self, address: SocketAddr) -> Option<String> {
        let asked = async {
            // A client that knows nobody yet asks whom it was told of.
            let client = Client::connect([address.to_string()], self.identity()).await?;
            let options = Options { deadline: ANSWER_WITHIN, ..Options::default() };
            let reply = client.admin_with(AdminRequest::Status, options).await;
            client.close().await;
            Ok::<_, Failure>(reply?)
        };
        match asked.await {
            Ok(AdminReply::Status(status)) => {
                let says = |status: &ClusterStatus| format!("{} lives in {}", status.answered_by, status.lineage);
                let returns = status.under_way.iter().find(|line| line.contains("comes back from the island"));
                status.parent.map(|_| says(&status)).or_else(|| returns.cloned())
            }
            Ok(other) => Some(format!("{address} answers {other:?}")),
            Err(failure) => Some(format!("{address}: {failure}")),
        }
    }

    async fn until(
        &mut self,
        claim: &str,
        within: Duration,
        missing: impl Fn(&ClusterStatus, &[ColonyStatus]) -> Option<String>,
    ) -> Result<Duration, Failure> {
        let (begun, mut since, mut looks) = (Instant::now(), None, 0);
        loop {
            self.check_all_run()?;
            let found = match (self.status().await, self.colonies().await) {
                (Ok(status), Ok(colonies)) => missing(&status, &colonies),
                (Err(failure), _) | (_, Err(failure)) => Some(failure.to_string()),
            };
            match found {
                None => {
                    looks += 1;
                    let first = *since.get_or_insert_with(|| begun.elapsed());
                    if looks >= LOOKS {
                        return Ok(first);
                    }
                }
                Some(missing) if begun.elapsed() >= within => {
                    let missing = format!("not {claim}: {missing}");
                    return Err(Failure::NotWhole { within_s: within.as_secs(), missing });
                }
                Some(_) => (since, looks) = (None, 0),
            }
            time::sleep(LOOK_EVERY).await;
        }
    }

    fn check_all_run(&mut self) -> Result<(), Failure> {
        for host in self.hosts.values_mut() {
            if let Some(how) = host.ended() {
                let said = host.log().lines().next_back().unwrap_or("it said nothing").to_owned();
                return Err(Failure::Ended { name: host.name().to_owned(), how: how.to_string(), said });
            }
        }
        Ok(())
    }

    /// What `colony status` says, how far each host has come, and the end of every log: for people.
    pub async fn report(&self) -> String {
        let status = self.cli(&self.seeds().join(",")).run(&["status"]).await;
        let mut text = format!("{}{}", status.stdout, status.stderr);
        for host in self.hosts.values() {
            let status = self.cli(&host.address().to_string()).run(&["status", "--json"]).await;
            let said = if status.is_done() { told(&status.json()) } else { status.stderr };
            let log = host.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            text.push_str(&format!(
                "--- {}: {said}; the end of its log, of {} lines:\n{last}\n",
                host.name(),
                lines.len()
            ));
        }
        text
    }

    fn cli(&self, connect: &str) -> Cli {
        Cli::new(self.folder.path(), connect, self.certs.folder())
    }

    /// Kills the hosts and keeps their logs. Says where.
    #[must_use]
    pub fn keep_logs(self) -> PathBuf {
        let Self { hosts, folder, .. } = self;
        drop(hosts);
        folder.keep()
    }
}

/// How far the host has come that answered.
fn told(status: &Value) -> String {
    format!(
        "{} is at revision {} and takes {} for the leader",
        status["answered_by"], status["revision"], status["leader"]
    )
}

/// A folder for logs, certificates and the group's log. In memory where the system offers that: what is tested is what
/// processes lose, not machines, and how fast the disk of this one syncs is not what is measured.
fn folder() -> io::Result<TempDir> {
    let in_memory = Path::new(MEMORY);
    if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() }
}

/// Hosts that have just been started may not listen yet.
async fn connect(seeds: &[String], identity: Identity) -> Result<Client, Failure> {
    let begun = Instant::now();
    loop {
        match Client::connect(seeds, identity.clone()).await {
            Ok(client) => return Ok(client),
            Err(_) if begun.elapsed() < CONNECT_WITHIN => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn address(place: usize) -> SocketAddr {
    let address = format!("{}:{PORT}", lab::address(place));
    address.parse().expect("an address that is written down is one")
}

fn start_host(
    net: Option<&Net>,
    folder: &Path,
    certs: &Certs,
    (addresses, place): (&[SocketAddr], usize),
    shape: &Shape,
    joins: bool,
) -> Host {
    let name = lab::host(place);
    certs.issue_host(&name);
    let mut arguments: Vec<OsString> = ["--shards", "1", "--certs"].map(OsString::from).into();
    arguments.push(certs.folder().into());
    arguments.extend(["--data-dir".into(), format!("{name}.data").into()]);
    for (name, file) in [(MERGE, MERGE_FILE), (TRAP, TRAP_FILE)].into_iter().filter(|(name, _)| shape.asks(name)) {
        arguments.extend(["--merge-plugin".into(), format!("{name}={}", plugin(file).display()).into()]);
    }
    if joins {
        let others = addresses.iter().enumerate().filter(|(other, _)| *other != place);
        let seeds: Vec<String> = others.map(|(_, address)| address.to_string()).collect();
        arguments.extend(["--seeds".into(), seeds.join(",").into()]);
    } else {
        arguments.push("--bootstrap".into());
    }
    let under = net.map(|net| net.under(&name)).unwrap_or_default();
    Host::start_under(&under, folder, &name, addresses[place], arguments)
}

fn up(status: &ClusterStatus) -> impl Iterator<Item = &HostStatus> {
    status.hosts.iter().filter(|host| host.state == "up")
}

fn missing_host(status: &ClusterStatus, hosts: usize) -> Option<String> {
    if status.leader.is_none() {
        return Some("no leader is known".to_owned());
    }
    let missing = (0..hosts).map(lab::host).find(|name| !up(status).any(|host| host.name == *name));
    missing.map(|name| format!("{name} is not up"))
}

fn missing_copy(colony: &ColonyStatus, copies: usize) -> Option<String> {
    let names = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
    let (in_sync, want) = (names(&colony.in_sync), names(&colony.want));
    let is_whole = colony.primary.is_some() && in_sync == want && in_sync.len() == copies;
    (!is_whole).then(|| format!("{colony:?}"))
}
