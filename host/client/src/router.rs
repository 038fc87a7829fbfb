//! Keeps the routing table fresh: one task, whatever asks for it.
//!
//! A call that is refused, or that gets no answer, asks for a refresh and goes on by itself; the new table
//! wakes it if it leads elsewhere. However many calls ask, one refresh runs at a time, at most one each
//! [`REFRESH_INTERVAL_MIN`] and less often if it takes long, and any host may give the answer. Whoever refused a call because the colony is elsewhere
//! is asked first: its own table says so already, and that of another host may not.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use colony_wire::client::{Routes, RoutesRequest};
use colony_wire::{ClusterId, DecodeError, LineageId, Message, Revision, StartId};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{self, Instant};

use crate::entropy::Jitter;
use crate::limits::{
    ASK_TIMEOUT, ASKED_MAX, HEDGE_AFTER, REFRESH_INTERVAL_MIN, REFRESH_SHARE, REFRESH_SHARE_TOLD, SEEDS_MAX,
};
use crate::links::{DialError, Lane, Links};
use crate::pipe::PipeError;
use crate::routes::{Lookup, Peer, Place, RouteTable};
use crate::sync::lock;

/// The newest table, and the way to ask for a newer one.
#[derive(Debug)]
pub(crate) struct Router {
    table: watch::Receiver<Arc<RouteTable>>,
    wake: Arc<Wake>,
    task: JoinHandle<()>,
}

/// What tells the task to refresh.
#[derive(Debug, Default)]
struct Wake {
    asked: Notify,
    /// Somebody has a newer table: the refresh is not put off for long.
    told: Notify,
    /// Who is known to have a newer table.
    knows: Mutex<Option<StartId>>,
    /// Who has left a call without an answer.
    silent: Mutex<Option<StartId>>,
}

impl Router {
    /// Starts the task with the table that `refresher` got first.
    pub(crate) fn start(refresher: Refresher, table: RouteTable) -> Self {
        let (sender, table) = watch::channel(Arc::new(table));
        let wake = Arc::new(Wake::default());
        let task = tokio::spawn(run(refresher, sender, Arc::clone(&wake)));
        Self { table, wake, task }
    }

    pub(crate) fn table(&self) -> Arc<RouteTable> {
        Arc::clone(&self.table.borrow())
    }

    /// Asks for a refresh, to begin soon. Returns at once.
    pub(crate) fn ask(&self) {
        self.wake.asked.notify_one();
    }

    /// As [`ask`](Self::ask), of this process first: it refused a call because of what its table says.
    pub(crate) fn ask_of(&self, start: StartId) {
        *lock(&self.wake.knows) = Some(start);
        self.wake.told.notify_one();
        self.ask();
    }

    /// As [`ask`](Self::ask), of any other process first: this one has left a call without an answer.
    pub(crate) fn ask_beside(&self, start: Option<StartId>) {
        *lock(&self.wake.silent) = start;
        self.ask();
    }

    /// Waits until the table leads elsewhere than `before`. Cancel safe.
    pub(crate) async fn leads_elsewhere(&self, namespace: &str, place: &Place, before: &Lookup) {
        let mut table = self.table.clone();
        let moved = |table: &Arc<RouteTable>| !table.find(namespace, place).leads_where(before);
        if table.wait_for(moved).await.is_err() {
            // The task has ended with its runtime: no table will come.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the table satisfies a condition. Cancel safe.
    pub(crate) async fn until(&self, holds: impl FnMut(&Arc<RouteTable>) -> bool) {
        if self.table.clone().wait_for(holds).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(mut refresher: Refresher, table: watch::Sender<Arc<RouteTable>>, wake: Arc<Wake>) {
    loop {
        wake.asked.notified().await;
        let have = Arc::clone(&table.borrow());
        if let Some(knows) = lock(&wake.knows).take().and_then(|start| have.control_port_of(start)) {
            refresher.preferred = Some(knows);
        }
        refresher.silent = lock(&wake.silent).take();
        let begun = Instant::now();
        match refresher.refresh(Some(&have)).await {
            Ok(Some(newer)) => {
                tracing::debug!(revision = %newer.revision, "routing table");
                // While the sides of a split meet, hosts answer with tables of both lineages in turn. A process that is not
                // in the one may serve by the other: to close its stream would mean to open it again at once.
                if newer.lineage == have.lineage {
                    refresher.links.retain(&newer);
                }
                table.send_replace(Arc::new(newer));
            }
            Ok(None) => {}
            Err(failure) => tracing::debug!(%failure, "no routing table"),
        }
        let took = begun.elapsed();
        time::sleep(REFRESH_INTERVAL_MIN.max(took * REFRESH_SHARE_TOLD)).await;
        tokio::select! {
            () = time::sleep_until(begun + took + took * REFRESH_SHARE) => {}
            () = wake.told.notified() => {}
        }
    }
}

/// No host gave a table.
#[derive(Debug, Default)]
pub(crate) struct RefreshError {
    /// What came of each host that was asked.
    pub(crate) tried: Vec<String>,
    /// Whether asking again is of no use.
    pub(crate) is_final: bool,
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tried.join("; "))
    }
}

/// Asks hosts for the table.
#[derive(Debug)]
pub(crate) struct Refresher {
    links: Arc<Links>,
    jitter: Arc<Jitter>,
    /// As the user gave them; names are resolved anew at each use, since addresses change.
    seeds: Vec<String>,
    /// Who answered last, and had news: asked first.
    preferred: Option<Peer>,
    /// Who is asked last: it may be dead.
    silent: Option<StartId>,
}

impl Refresher {
    pub(crate) fn new(links: Arc<Links>, jitter: Arc<Jitter>, seeds: Vec<String>) -> Self {
        Self { links, jitter, seeds, preferred: None, silent: None }
    }

    /// Asks one host after another, the next one beside the last if that is slow, until one has answered.
    /// `None`: it has nothing newer than `have`.
    pub(crate) async fn refresh(&mut self, have: Option<&RouteTable>) -> Result<Option<RouteTable>, RefreshError> {
        let (candidates, mut failure) = self.candidates(have).await;
        failure.is_final = !candidates.is_empty();
        let mut candidates = candidates.into_iter().peekable();
        let mut asked = JoinSet::new();
        loop {
            if let Some(peer) = candidates.next() {
                let have = have.map(|table| (table.lineage, table.revision));
                asked.spawn(ask(Arc::clone(&self.links), peer, have));
            } else if asked.is_empty() {
                return Err(failure);
            }
            let answer = tokio::select! {
                answer = asked.join_next() => answer,
                () = time::sleep(HEDGE_AFTER), if candidates.peek().is_some() => continue,
            };
            let Some(Ok((peer, answer))) = answer else { continue };
            match answer.and_then(|routes| judge(routes, have)) {
                Ok(news) => {
                    // Without news another host is asked next: this one may be behind.
                    self.preferred = news.is_some().then_some(peer);
                    return Ok(news);
                }
                Err(error) => {
                    tracing::debug!(address = %peer.address, %error, "no routing table from there");
                    failure.is_final &= error.is_final();
                    failure.tried.push(error.to_string());
                }
            }
        }
    }

    /// Whom to ask, in order: who answered last, then the hosts and at last the seeds, each in random order; who is
    /// silent after all others.
    async fn candidates(&self, have: Option<&RouteTable>) -> (Vec<Peer>, RefreshError) {
        let mut hosts: Vec<_> = have.into_iter().flat_map(RouteTable::control_ports).collect();
        self.jitter.shuffle(&mut hosts);
        let (mut seeds, failure) = self.resolve().await;
        self.jitter.shuffle(&mut seeds);
        let known = |peer: &Peer| hosts.iter().any(|host| host.address == peer.address);
        seeds.retain(|seed| !known(seed));
        let mut candidates: Vec<_> = self.preferred.iter().cloned().collect();
        candidates.extend(hosts);
        // A cluster too large to ask as a whole still leaves a place for a seed.
        let first_seed = (ASKED_MAX - 1).min(candidates.len());
        candidates.splice(first_seed..first_seed, seeds);
        candidates.truncate(ASKED_MAX);
        let is_silent = |peer: &Peer| peer.host.as_ref().is_some_and(|(start, _)| Some(*start) == self.silent);
        candidates.sort_by_key(is_silent);
        (candidates, failure)
    }

    async fn resolve(&self) -> (Vec<Peer>, RefreshError) {
        let mut peers = Vec::new();
        let mut failure = RefreshError::default();
        for seed in &self.seeds {
            let resolved = time::timeout(ASK_TIMEOUT, tokio::net::lookup_host(seed)).await;
            match resolved {
                Ok(Ok(addresses)) => {
                    peers.extend(addresses.map(|address| Peer { address, host: None }));
                }
                Ok(Err(error)) => failure.tried.push(format!("{seed}: {error}")),
                Err(_) => failure.tried.push(format!("{seed}: its name does not resolve in time")),
            }
        }
        peers.truncate(SEEDS_MAX);
        (peers, failure)
    }
}

/// Why a host's answer gives no table.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("{0}: {1}")]
    Call(SocketAddr, PipeError),
    #[error("{0}: no answer within {ms} ms", ms = ASK_TIMEOUT.as_millis())]
    Silent(SocketAddr),
    #[error("{0}: {1}")]
    Answer(SocketAddr, DecodeError),
    #[error("the host belongs to another cluster, {theirs} instead of {ours}")]
    OtherCluster { theirs: ClusterId, ours: ClusterId },
    #[error("the host serves nothing yet")]
    Empty,
}

impl AskError {
    fn is_final(&self) -> bool {
        matches!(self, Self::Dial(DialError { is_final: true, .. }))
    }
}

async fn ask(links: Arc<Links>, peer: Peer, have: Option<(LineageId, Revision)>) -> (Peer, Result<Routes, AskError>) {
    let asking = async {
        let (lineage, revision) = have.unwrap_or_default();
        let routes = ask_once(&links, &peer, revision).await?;
        if routes.hosts.is_empty() && routes.lineage != lineage {
            // Left out because the revision is ours; but it is another lineage's.
            return ask_once(&links, &peer, Revision(0)).await;
        }
        Ok(routes)
    };
    let answer = time::timeout(ASK_TIMEOUT, asking).await;
    let answer = answer.unwrap_or(Err(AskError::Silent(peer.address)));
    (peer, answer)
}

async fn ask_once(links: &Links, peer: &Peer, have: Revision) -> Result<Routes, AskError> {
    let pipe = links.pipe(peer, Lane::Calls).await?;
    let request = RoutesRequest { have };
    let frame = pipe.call(|call| request.to_frame(call), &AtomicBool::new(false)).await;
    let frame = frame.map_err(|error| AskError::Call(peer.address, error))?;
    frame.decode().map_err(|error| AskError::Answer(peer.address, error))
}

/// What a host's answer means to a client that has `have`.
///
/// Revisions order the tables of one lineage. Those of two have no order: during a split the client follows
/// the side that answers it.
fn judge(routes: Routes, have: Option<&RouteTable>) -> Result<Option<RouteTable>, AskError> {
    if let Some(have) = have {
        if routes.cluster != have.cluster {
            return Err(AskError::OtherCluster { theirs: routes.cluster, ours: have.cluster });
        }
        if routes.lineage == have.lineage && routes.revision <= have.revision {
            return Ok(None);
        }
    }
    if routes.hosts.is_empty() {
        return Err(AskError::Empty);
    }
    Ok(Some(RouteTable::new(routes)))
}

#[cfg(test)]
mod tests {
    use colony_wire::StartId;
    use colony_wire::client::RouteHost;

    use super::*;

    fn routes(cluster: u128, lineage: u128, revision: u64) -> Routes {
        Routes {
            cluster: ClusterId(cluster),
            lineage: LineageId(lineage),
            revision: Revision(revision),
            hosts: vec![RouteHost {
                start: StartId(1),
                name: "h1".to_owned(),
                address: "10.0.0.1:7400".to_owned(),
                shards: 1,
                lineage: LineageId(lineage),
            }],
            namespaces: Vec::new(),
        }
    }

    #[test]
    fn an_older_table_of_the_same_lineage_is_no_news() {
        let have = RouteTable::new(routes(1, 1, 5));
        for revision in [4, 5] {
            assert!(matches!(judge(routes(1, 1, revision), Some(&have)), Ok(None)));
        }
        assert!(matches!(judge(routes(1, 1, 6), Some(&have)), Ok(Some(_))));
    }

    #[test]
    fn a_table_of_another_lineage_is_taken_whatever_its_revision() {
        let have = RouteTable::new(routes(1, 1, 5));
        assert!(matches!(judge(routes(1, 2, 3), Some(&have)), Ok(Some(_))));
    }

    #[test]
    fn a_host_of_another_cluster_is_not_followed() {
        let have = RouteTable::new(routes(1, 1, 5));
        let judged = judge(routes(2, 1, 6), Some(&have));
        assert!(matches!(judged, Err(AskError::OtherCluster { .. })));
    }
}
