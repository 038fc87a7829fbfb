//! Groups in one process, joined by links that can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use colony_core::group::{Command, Member, MemberState, Outcome, State};
use colony_raft::{BoxFuture, CallError, Dialer, Group, ProposeError, Reconciled, Storage, Timing, VOTERS};
use colony_wire::{ClusterId, LineageId, RaftId, Revision, StartId};

/// How long a condition may take to come true before the test has failed. Far above what it takes, because
/// the machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The result, which must come before patience ends.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Every host that runs, and every link that is cut.
#[derive(Default)]
pub(crate) struct Net {
    running: Mutex<BTreeMap<RaftId, Group>>,
    cut: Mutex<BTreeSet<(RaftId, RaftId)>>,
}

impl Net {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Nothing passes between this host and any other.
    pub(crate) fn isolate(&self, host: &Host) {
        let others: Vec<RaftId> = self.running.lock().unwrap().keys().copied().collect();
        let own = host.group.id();
        self.cut.lock().unwrap().extend(others.into_iter().flat_map(|other| [(own, other), (other, own)]));
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        self.cut.lock().unwrap().clear();
    }

    fn passes(&self, from: RaftId, to: RaftId) -> bool {
        !self.cut.lock().unwrap().contains(&(from, to))
    }
}

/// One host's way into the net.
struct Wire {
    from: RaftId,
    net: Arc<Net>,
}

impl Dialer for Wire {
    fn call(&self, to: colony_raft::Peer, message: Bytes, within: Duration) -> BoxFuture<'_, Result<Bytes, CallError>> {
        Box::pin(async move {
            if !self.net.passes(self.from, to.raft) {
                tokio::time::sleep(within).await;
                return Err(CallError::TimedOut);
            }
            let target = self.net.running.lock().unwrap().get(&to.raft).cloned();
            let target = target.ok_or(CallError::Unreachable("connection refused".into()))?;
            let answer = target.handle(message).await.map_err(|error| CallError::Refused(error.to_string()))?;
            if self.net.passes(to.raft, self.from) { Ok(answer) } else { Err(CallError::TimedOut) }
        })
    }
}

/// One host: its part in the group and what the group knows of it.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) group: Group,
    pub(crate) member: Member,
    net: Arc<Net>,
}

impl Host {
    /// A host with its log in memory. Its log, name and address follow from `n`.
    pub(crate) async fn start(net: &Arc<Net>, n: u16) -> Self {
        let storage = Storage::memory(RaftId(u64::from(n))).expect("memory is there");
        Self::start_on(net, n, storage).await
    }

    pub(crate) async fn start_on(net: &Arc<Net>, n: u16, storage: Storage) -> Self {
        let member = Member {
            start: StartId(u64::from(n)),
            name: format!("h{n}"),
            address: SocketAddr::from(([127, 0, 0, 1], 7000 + n)),
            shards: 1,
            labels: BTreeMap::new(),
            raft: storage.raft_id(),
            earlier: Vec::new(),
            state: MemberState::Up,
        };
        let wire = Arc::new(Wire { from: storage.raft_id(), net: net.clone() });
        let group = Group::start(storage, wire, Timing::default()).await.expect("starts");
        net.running.lock().unwrap().insert(group.id(), group.clone());
        Self { group, member, net: net.clone() }
    }

    /// Ends the host at once, as far as the others can tell.
    pub(crate) async fn kill(self) {
        self.net.running.lock().unwrap().remove(&self.group.id());
        self.group.shutdown().await;
    }

    pub(crate) fn genesis(&self) -> Command {
        Command::Genesis { cluster: ClusterId(1), lineage: LineageId(1), member: self.member.clone() }
    }

    pub(crate) async fn found(&self) {
        self.group.found(&self.genesis(), self.member.address, PATIENCE).await.expect("founds");
    }

    pub(crate) async fn propose(&self, command: &Command) -> Result<Outcome, ProposeError> {
        self.group.propose(command, PATIENCE).await
    }

    /// Admits the hosts and makes voters of those that should be.
    pub(crate) async fn admit(&self, hosts: &[&Host]) {
        for host in hosts {
            let join = Command::Join { member: host.member.clone(), deviations: Vec::new(), plugins: Vec::new() };
            assert_eq!(self.propose(&join).await, Ok(Outcome::Applied));
        }
        self.settle().await;
    }

    /// Takes every step towards the right voters.
    pub(crate) async fn settle(&self) {
        soon("the voters settle", async {
            loop {
                match self.group.reconcile_voters(VOTERS).await {
                    Ok(Reconciled::Settled) => return,
                    Ok(Reconciled::Done(_)) => {}
                    Ok(Reconciled::Waiting) | Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await;
    }

    /// The state once it has reached this revision.
    pub(crate) async fn reaches(&self, revision: Revision) -> Arc<State> {
        let mut states = self.group.state();
        let state = soon("the revision", states.wait_for(|state| state.revision >= revision)).await;
        state.expect("the group runs").clone()
    }

    /// Waits until this host leads for sure.
    pub(crate) async fn leads(&self) {
        let mut leadership = self.group.leadership();
        drop(soon("leadership", leadership.wait_for(|leadership| leadership.is_confirmed)).await);
    }
}

/// A group of three voters; the first leads.
pub(crate) async fn three(net: &Arc<Net>) -> [Host; 3] {
    let hosts = [Host::start(net, 1).await, Host::start(net, 2).await, Host::start(net, 3).await];
    hosts[0].found().await;
    hosts[0].admit(&[&hosts[1], &hosts[2]]).await;
    assert_eq!(hosts[0].group.voters(), [RaftId(1), RaftId(2), RaftId(3)]);
    hosts
}

/// The one of these that comes to lead for sure.
pub(crate) async fn leader_among<'a>(hosts: &[&'a Host]) -> &'a Host {
    let waits: Vec<_> = hosts.iter().map(|host| host.group.leadership()).collect();
    soon("a leader", async move {
        loop {
            if let Some(at) = waits.iter().position(|leadership| leadership.borrow().is_confirmed) {
                return hosts[at];
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

/// A command that changes nothing but the revision.
pub(crate) fn note(number: u64) -> Command {
    Command::Plan { moves: Vec::new(), reason: format!("note {number}"), inputs: number }
}
