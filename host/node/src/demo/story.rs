//! What happens in a demo, in order.

use std::time::Duration;

use colony_client::{Client, ConnectError, Namespace};
use colony_wire::NamespaceId;
use colony_wire::admin::{AdminReply, AdminRequest, MergeBy, Policy};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::cluster::Cluster;
use super::folder::Folder;
use super::ledger::{ATTRIBUTE, Audit, Ledger};
use super::observer::{LOOK_EVERY, NAMESPACE, colonies, eventually, foreign_answer, status, unsettled};
use super::plugins::{MERGE, PluginFiles};
use super::teller::Teller;
use super::{DemoError, DemoOptions, failover, join, merge, placement, split};

/// Copies of each colony.
pub(super) const COPIES: u8 = 2;
/// Colonies: enough that every host leads several, few enough to print.
pub(super) const BUCKETS: u32 = 16;
/// Sessions that an application begins, beside what the writers write.
const SESSIONS: usize = 200;
/// How many of them at once.
const APPLICATIONS: usize = 8;
/// Longest start of the hosts: they compile the plugins, all at once, perhaps on two cores.
const START_WITHIN: Duration = Duration::from_secs(30);
/// Longest until colonies are where they should be.
pub(super) const SETTLE_WITHIN: Duration = Duration::from_secs(20);

/// What the chapters share.
pub(super) struct Stage<'a> {
    pub(super) teller: &'a Teller,
    pub(super) cluster: Cluster<'a>,
    pub(super) client: Client,
    pub(super) namespace: Namespace,
    pub(super) namespace_id: NamespaceId,
    pub(super) ledger: Ledger,
    /// The numbers that the demo ends with.
    pub(super) figures: Map<String, Value>,
}

impl Stage<'_> {
    /// Remembers a number for the end.
    pub(super) fn figure(&mut self, name: &str, value: Value) {
        self.figures.insert(name.to_owned(), value);
    }

    /// Reads everything back that was ever acknowledged.
    pub(super) async fn audit(&self) -> Result<Audit, DemoError> {
        let audit = self.ledger.audit(&self.namespace).await?;
        let line = format!("read {} acknowledged sessions back, {} missing", audit.read, audit.missing);
        self.teller.tell("audit", json!({ "read": audit.read, "missing": audit.missing }), &line);
        self.teller.claim("no acknowledged write is missing", audit.missing == 0, || {
            format!("{} of {} missing", audit.missing, audit.read)
        })?;
        Ok(audit)
    }
}

pub(super) async fn tell(options: &DemoOptions, folder: &Folder, teller: &Teller) -> Result<(), DemoError> {
    let plugins = PluginFiles::find(options.plugins.as_deref())?;
    let hosts = usize::from(options.hosts);
    // One more joins at the end.
    let mut stage = begin(Cluster::new(hosts + 1, plugins.clone(), folder)?, hosts, teller).await?;
    write_sessions(&mut stage).await?;
    placement::tell(&stage).await?;
    failover::tell(&mut stage).await?;
    merge::tell(&mut stage).await?;
    join::tell(&mut stage).await?;
    let Stage { cluster, client, mut figures, .. } = stage;
    client.close().await;
    // Ends here unless it is kept: the next one has the machine for itself.
    let kept = options.keep.then_some(cluster);
    figures.insert("split".to_owned(), split::tell(plugins, folder, teller).await?);
    if let Some(cluster) = kept {
        leave(cluster, teller);
    }
    let seconds = teller.elapsed_ms() / 1000;
    figures.insert("ok".to_owned(), json!(true));
    figures.insert("elapsed_ms".to_owned(), json!(teller.elapsed_ms()));
    teller.tell("done", Value::Object(figures), &format!("done in {seconds} s, every claim checked"));
    Ok(())
}

/// Starts the hosts and makes the namespace.
pub(super) async fn begin<'a>(
    mut cluster: Cluster<'a>,
    hosts: usize,
    teller: &'a Teller,
) -> Result<Stage<'a>, DemoError> {
    for _ in 0..hosts {
        cluster.start_host()?;
    }
    let line = format!("starting {hosts} hosts with certificates of their own authority");
    teller.tell("starting", json!({ "hosts": hosts, "addresses": cluster.seeds() }), &line);
    let client = connect(&mut cluster).await?;
    eventually("every host is up soon", START_WITHIN, async || {
        cluster.check()?;
        Ok(cluster.missing_in(&status(&client).await?.hosts).map_or(Ok(()), Err))
    })
    .await?;
    let leader = eventually("the group has a leader", START_WITHIN, async || {
        Ok(status(&client).await?.leader.ok_or_else(|| "none is known".to_owned()))
    })
    .await?;
    let line = format!("{hosts} hosts are up; {leader} leads the group");
    teller.tell("up", json!({ "hosts": hosts, "leader": leader }), &line);

    let merge = MergeBy::Plugin(MERGE.to_owned());
    let policy = Policy { copies: COPIES, buckets: BUCKETS, merge, ..Policy::default() };
    let request = AdminRequest::CreateNamespace { name: NAMESPACE.to_owned(), policy };
    let AdminReply::Created { id } = client.admin(request).await.map_err(DemoError::call("create the namespace"))?
    else {
        return Err(foreign_answer());
    };
    settled(&client).await?;
    let line = format!("namespace {NAMESPACE}: {BUCKETS} colonies of {COPIES} copies, merged by {MERGE}.wasm");
    let fields = json!({ "name": NAMESPACE, "buckets": BUCKETS, "copies": COPIES, "merge": MERGE });
    teller.tell("namespace", fields, &line);

    let namespace = client.namespace(NAMESPACE);
    let (ledger, figures) = (Ledger::default(), Map::new());
    Ok(Stage { teller, cluster, client, namespace, namespace_id: id, ledger, figures })
}

/// Connects as soon as a host answers.
async fn connect(cluster: &mut Cluster<'_>) -> Result<Client, DemoError> {
    let deadline = Instant::now() + START_WITHIN;
    loop {
        cluster.check()?;
        match Client::connect(cluster.seeds(), cluster.identity()).await {
            Err(ConnectError::Unreachable { .. }) if Instant::now() < deadline => time::sleep(LOOK_EVERY).await,
            connected => return Ok(connected?),
        }
    }
}

/// Waits until every colony has its copies where placement wants them.
pub(super) async fn settled(client: &Client) -> Result<(), DemoError> {
    eventually("every colony has all its copies", SETTLE_WITHIN, async || {
        Ok(unsettled(&colonies(client).await?, BUCKETS, COPIES).map_or(Ok(()), Err))
    })
    .await
}

/// Begins sessions as an application would: with ids from the client library, one attribute, one save.
async fn write_sessions(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    let mut applications = JoinSet::new();
    for application in 0..APPLICATIONS {
        let carts = stage.namespace.clone();
        applications.spawn(async move {
            let mut begun = Vec::new();
            for number in (application..SESSIONS).step_by(APPLICATIONS) {
                let value = format!("session {number}");
                let mut session = carts.create(colony_client::Ttl::OfNamespace).await?;
                session.set_raw(ATTRIBUTE, value.clone())?;
                session.save().await?;
                begun.push((session.id().to_owned(), value));
            }
            Ok(begun)
        });
    }
    for begun in applications.join_all().await {
        for (key, value) in begun.map_err(DemoError::call("begin a session"))? {
            stage.ledger.acknowledge(key, value);
        }
    }
    let line = format!("{SESSIONS} sessions begun through the client library, each write held by every in-sync copy");
    stage.teller.tell("sessions", json!({ "sessions": SESSIONS }), &line);
    stage.figure("sessions", json!(SESSIONS));
    Ok(())
}

/// Leaves the cluster running, and says how to speak to it.
fn leave(cluster: Cluster<'_>, teller: &Teller) {
    let kept = cluster.keep();
    let (connect, certs) = (&kept.connect, kept.certs.display());
    let processes: Vec<_> = kept.processes.iter().map(u32::to_string).collect();
    let fields = json!({ "connect": connect, "certs": kept.certs, "processes": kept.processes });
    teller.tell("kept", fields, &format!("the cluster keeps running; end it with: kill {}", processes.join(" ")));
    teller.detail(&format!("colony status --connect {connect} --certs {certs}"));
    if let Some(folder) = kept.certs.parent() {
        teller.detail(&format!("its certificates and logs stay in {}", folder.display()));
    }
}
