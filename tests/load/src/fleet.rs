//! The clients that ask.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use colony_client::{Client, ConnectError, Identity, Key, Namespace, Options, Precondition, Ttl};
use tokio::task::JoinSet;

use crate::ledger::{Audit, Ledger};
use crate::tally::Outcome;
use crate::workload::{Operation, Workload};

/// Callers that write every session once, and read all back.
const FILLERS: usize = 32;
/// Deadline of the calls that prepare a run and look at it afterwards: they are not what is measured.
const PATIENT: Duration = Duration::from_secs(20);

/// Clients, each with connections of its own, and what was acknowledged to them.
#[derive(Debug)]
pub struct Fleet {
    namespaces: Vec<Namespace>,
    keys: Vec<Key>,
    workload: Workload,
    deadline: Duration,
    ledger: Mutex<Ledger>,
    last: AtomicU64,
}

/// Why a fleet is of no use.
#[derive(Debug)]
pub enum FleetError {
    /// A client could not connect.
    Connect(ConnectError),
    /// A session could not be written at the begin.
    Fill(String),
}

impl std::fmt::Display for FleetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "a client cannot connect: {error}"),
            Self::Fill(why) => write!(f, "a session cannot be written: {why}"),
        }
    }
}

impl std::error::Error for FleetError {}

impl Fleet {
    /// Connects as many clients and writes every session once. The namespace must exist.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn launch(
        seeds: &[String],
        identity: &Identity,
        (namespace, clients): (&str, usize),
        workload: Workload,
        deadline: Duration,
    ) -> Result<Arc<Self>, FleetError> {
        let mut namespaces = Vec::new();
        for _ in 0..clients.max(1) {
            let client = Client::connect(seeds, identity.clone()).await.map_err(FleetError::Connect)?;
            namespaces.push(client.namespace(namespace));
        }
        let keys = (0..workload.sessions.max(1)).map(Workload::key).collect();
        let fleet =
            Arc::new(Self { namespaces, keys, workload, deadline, ledger: Mutex::default(), last: AtomicU64::new(0) });
        let mut fillers = JoinSet::new();
        for filler in 0..FILLERS as u64 {
            let fleet = Arc::clone(&fleet);
            fillers.spawn(async move {
                for session in (filler..fleet.workload.sessions).step_by(FILLERS) {
                    let number = fleet.take_numbers(1);
                    match fleet.perform(number, Operation::Write { session }, PATIENT).await {
                        Outcome::Done => {}
                        other => return Err(FleetError::Fill(format!("{other:?}"))),
                    }
                }
                Ok(())
            });
        }
        fillers.join_all().await.into_iter().collect::<Result<(), _>>()?;
        Ok(fleet)
    }

    /// The first of so many numbers of operations that nobody else has.
    pub fn take_numbers(&self, count: u64) -> u64 {
        self.last.fetch_add(count, Ordering::Relaxed)
    }

    /// Does the operation of this number.
    pub(crate) async fn run(&self, number: u64) -> Outcome {
        self.perform(number, self.workload.operation(number), self.deadline).await
    }

    async fn perform(&self, number: u64, operation: Operation, deadline: Duration) -> Outcome {
        let client = usize::try_from(number).unwrap_or_default() % self.namespaces.len();
        let namespace = self.namespaces[client].with(Options { deadline, ..Options::default() });
        match operation {
            Operation::Read { session } => Outcome::of(&namespace.get(self.key(session)).await),
            Operation::Write { session } => {
                let content = self.workload.content(number);
                let saved = namespace.put(self.key(session), content, Ttl::Never, Precondition::None).await;
                if let Ok(saved) = &saved {
                    self.ledger().acknowledged(session, saved.version, number);
                }
                Outcome::of(&saved)
            }
        }
    }

    /// Reads every session back and compares it with what was acknowledged.
    pub async fn audit(self: &Arc<Self>) -> Audit {
        let sessions: Vec<u64> = self.ledger().sessions().collect();
        let mut readers = JoinSet::new();
        for share in sessions.chunks(sessions.len().div_ceil(FILLERS).max(1)) {
            let (fleet, share) = (Arc::clone(self), share.to_vec());
            readers.spawn(async move {
                let mut missing = Vec::new();
                for session in share {
                    missing.extend(fleet.look(session).await);
                }
                missing
            });
        }
        Audit { sessions: sessions.len(), missing: readers.join_all().await.into_iter().flatten().collect() }
    }

    async fn look(&self, session: u64) -> Option<String> {
        let namespace = self.namespaces[0].with(Options { deadline: PATIENT, ..Options::default() });
        match namespace.get(self.key(session)).await {
            Ok(found) => {
                let found = found.map(|found| (found.version, Workload::number_of(&found.content)));
                self.ledger().fault(session, found)
            }
            Err(error) => Some(format!("session {session} cannot be read: {error}")),
        }
    }

    /// What was acknowledged so far.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, session: u64) -> &Key {
        &self.keys[usize::try_from(session).unwrap_or_default() % self.keys.len()]
    }
}
