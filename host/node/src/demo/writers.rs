//! A writer for each colony, all at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use colony_client::{CallError, Key, Namespace, Precondition, Ttl};
use colony_wire::{ColonyId, NamespaceId};
use tokio::task::JoinSet;
use tokio::time;

use super::DemoError;
use super::ledger::{Ledger, content};

/// Pause of a writer between two writes: with a writer a colony some thousand writes a second, which leaves
/// most of a laptop to the hosts.
const PAUSE: Duration = Duration::from_millis(8);
/// Most writes of one writer; a demo ends long before.
const WRITES_MAX: u64 = 20_000;
/// Most tags looked at for one colony. Each falls into one of the colonies with equal chance, so that not to
/// find one among so many means that the hash is broken.
const TAGS_MAX: u32 = 100_000;

/// One write that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Acknowledged {
    pub(super) bucket: u32,
    /// When the writer had the acknowledgement.
    pub(super) at: Instant,
    /// The host that gave it.
    pub(super) served_by: String,
    key: String,
    value: String,
}

/// Writers that run until they are stopped. Dropped, they are aborted.
#[derive(Debug)]
pub(super) struct Writers {
    tasks: JoinSet<()>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    acknowledged: Vec<Acknowledged>,
    failed: Vec<CallError>,
}

impl Writers {
    /// Starts a writer for each colony of the namespace. `run` makes their keys differ from other runs'.
    pub(super) fn start(namespace: &Namespace, id: NamespaceId, buckets: u32, run: &str) -> Result<Self, DemoError> {
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        for bucket in 0..buckets {
            let tag = tag_in(ColonyId { namespace: id, bucket }, buckets)?;
            tasks.spawn(write(namespace.clone(), bucket, format!("{{{tag}}}.{run}"), Arc::clone(&shared)));
        }
        Ok(Self { tasks, shared })
    }

    /// How many writes were acknowledged in the colony that has the fewest, of all `buckets`.
    pub(super) fn fewest(&self, buckets: u32) -> usize {
        let seen = self.shared.seen();
        let count = |bucket| seen.acknowledged.iter().filter(|one| one.bucket == bucket).count();
        (0..buckets).map(count).min().unwrap_or(0)
    }

    /// The first acknowledgement in `bucket` after `from` that another host than `not_by` gave.
    pub(super) fn first_after(&self, bucket: u32, from: Instant, not_by: &str) -> Option<Instant> {
        let seen = self.shared.seen();
        let later = seen.acknowledged.iter().filter(|one| one.bucket == bucket && one.at > from);
        later.filter(|one| one.served_by != not_by).map(|one| one.at).min()
    }

    /// Lets every writer finish its call, and writes what was acknowledged into the ledger.
    pub(super) async fn stop(mut self, ledger: &mut Ledger) -> Report {
        self.shared.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
        let mut seen = self.shared.seen();
        let report = Report {
            acknowledged: seen.acknowledged.len(),
            failed: seen.failed.len(),
            failure: seen.failed.first().map(ToString::to_string),
        };
        for one in seen.acknowledged.drain(..) {
            ledger.acknowledge(one.key, one.value);
        }
        report
    }
}

/// What writers did.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// Writes acknowledged.
    pub(super) acknowledged: usize,
    /// Writes that were not, within the deadline of a call.
    pub(super) failed: usize,
    /// Why the first of those failed.
    pub(super) failure: Option<String>,
}

impl Shared {
    /// What a writer left in the middle of is still true: nothing is written in two steps.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(namespace: Namespace, bucket: u32, prefix: String, shared: Arc<Shared>) {
    for number in 0..WRITES_MAX {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let (key, value) = (format!("{prefix}.{number}"), format!("{prefix}={number}"));
        let put = async {
            let key = Key::new(key.clone().into_bytes())?;
            namespace.put(&key, content(&value), Ttl::OfNamespace, Precondition::Absent).await
        };
        match put.await {
            Ok(saved) => {
                let at = Instant::now();
                shared.seen().acknowledged.push(Acknowledged { bucket, at, served_by: saved.served_by, key, value });
            }
            Err(error) => shared.seen().failed.push(error),
        }
        time::sleep(PAUSE).await;
    }
}

/// A tag whose keys are all in this colony.
fn tag_in(colony: ColonyId, buckets: u32) -> Result<String, DemoError> {
    let mut tags = (0..TAGS_MAX).map(|number| format!("w{number}"));
    let tag = tags.find(|tag| ColonyId::of(colony.namespace, tag.as_bytes(), buckets) == colony);
    tag.ok_or_else(|| DemoError::Claim {
        claim: "every colony has keys".to_owned(),
        found: format!("none of {TAGS_MAX} in {colony}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_keeps_its_keys_in_one_colony() {
        for bucket in 0..16 {
            let colony = ColonyId { namespace: NamespaceId(3), bucket };
            let tag = tag_in(colony, 16).unwrap();
            assert_eq!(ColonyId::of(NamespaceId(3), format!("{{{tag}}}.load.17").as_bytes(), 16), colony);
        }
    }
}
