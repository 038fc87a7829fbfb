//! Numbers that every side counts up, before, while and after the network is cut.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use colony_client::{Changes, Content, Found, Key, Namespace, Options, Precondition, Read};
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::book::{Counter, step};
use super::pairs::found;
use super::side::Side;
use crate::book::{Failures, Fate};
use crate::failure::Failure;
use crate::load::{TTL, fate, key};

/// Counters of a colony. Each side has one increment of each under way.
const COUNTERS: usize = 2;
/// The attribute.
const COUNT: &str = "count";
/// Pause after an increment that was not acknowledged: the side may not serve the colony at all.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Longest wait for an increment and for a read.
const CALL_WITHIN: Duration = Duration::from_secs(3);
/// Longest wait for an answer at the last read.
const READ_WITHIN: Duration = Duration::from_secs(20);

/// Those who count. Dropped, they are aborted.
pub(super) struct Counters {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

struct Shared {
    goal: u64,
    acked: AtomicU64,
    is_over: AtomicBool,
    counters: Mutex<BTreeMap<String, Counter>>,
    failures: Mutex<Failures>,
}

impl Counters {
    /// Begins the counters, and counts on every side until so many increments are acknowledged.
    ///
    /// # Errors
    /// If one cannot be begun.
    pub(super) async fn begin(
        sides: &[Side],
        namespace: &str,
        prefixes: &[String],
        goal: u64,
    ) -> Result<Self, Failure> {
        let options = Options { deadline: CALL_WITHIN, ..Options::default() };
        let namespaces: Vec<Namespace> =
            sides.iter().map(|side| side.client.namespace(namespace).with(options)).collect();
        let shared = Arc::new(Shared {
            goal,
            acked: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            counters: Mutex::default(),
            failures: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for name in prefixes.iter().flat_map(|prefix| (0..COUNTERS).map(move |number| format!("{prefix}.n{number}"))) {
            let key = key(&name);
            let saved = namespaces[0].put(&key, content(0), TTL, Precondition::None).await?;
            for (side, namespace) in namespaces.iter().enumerate() {
                let who = Who { shared: Arc::clone(&shared), namespace: namespace.clone(), key: key.clone(), side };
                tasks.spawn(who.count(name.clone(), found(&saved, content(0))));
            }
        }
        Ok(Self { shared, tasks })
    }

    /// Acknowledged so far.
    pub(super) fn acked(&self) -> u64 {
        self.shared.acked.load(Ordering::Relaxed)
    }

    /// Waits until so many are acknowledged, or the time is over.
    pub(super) async fn until(&self, acked: u64, within: Duration) {
        let begun = Instant::now();
        while self.acked() < acked && begun.elapsed() < within {
            time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Lets every call end, reads every counter through this client, and gives what was written down.
    pub(super) async fn read_back(mut self, reader: &Namespace) -> (BTreeMap<String, Counter>, Failures) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a client does not panic");
        }
        let mut counters = std::mem::take(&mut *lock(&self.shared.counters));
        let reader = reader.with(Options { read: Read::Confirm, ..Options::default() });
        for (name, counter) in &mut counters {
            counter.last = read(&reader, &key(name)).await;
        }
        (counters, std::mem::take(&mut *lock(&self.shared.failures)))
    }
}

/// None if it cannot be read. What is no number reads as one that no increments make.
async fn read(reader: &Namespace, key: &Key) -> Option<u64> {
    let deadline = Instant::now() + READ_WITHIN;
    loop {
        match reader.get(key).await {
            Ok(found) => return Some(found.map_or(0, |found| number(&found.content).unwrap_or(u64::MAX))),
            Err(_) if Instant::now() >= deadline => return None,
            Err(_) => time::sleep(AGAIN_AFTER).await,
        }
    }
}

/// One side of one counter.
struct Who {
    shared: Arc<Shared>,
    namespace: Namespace,
    key: Key,
    side: usize,
}

impl Who {
    async fn count(self, name: String, begun: Found) {
        lock(&self.shared.counters).entry(name.clone()).or_default().sides.entry(self.side).or_default();
        let mut base = Some(begun);
        while !self.is_over() {
            let Some(known) = base.take() else {
                base = self.read().await;
                continue;
            };
            let Some(next) = number(&known.content).and_then(|now| now.checked_add(step(self.side))) else { continue };
            let changes = Changes::Attributes(vec![(COUNT.to_owned(), Some(Bytes::from(next.to_string())))]);
            let result = self.namespace.patch(&self.key, &known, changes, None).await;
            let fate = fate(&result);
            {
                let mut counters = lock(&self.shared.counters);
                let counts = counters.entry(name.clone()).or_default().sides.entry(self.side).or_default();
                counts.acked += u64::from(fate == Fate::Done);
                counts.unknown += u64::from(fate == Fate::Unknown);
            }
            match result {
                Ok(saved) => {
                    self.shared.acked.fetch_add(1, Ordering::Relaxed);
                    // What is stored after a merge is not known here.
                    base = (!saved.merged).then(|| found(&saved, content(next)));
                }
                Err(error) => {
                    lock(&self.shared.failures).add(Some(fate), error.to_string());
                    time::sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.shared.is_over.load(Ordering::Relaxed) || self.shared.acked.load(Ordering::Relaxed) >= self.shared.goal
    }

    async fn read(&self) -> Option<Found> {
        match self.namespace.get(&self.key).await {
            Ok(Some(found)) => Some(found),
            Ok(None) => {
                lock(&self.shared.failures).add(None, "a counter was not found".to_owned());
                time::sleep(AGAIN_AFTER).await;
                None
            }
            Err(error) => {
                lock(&self.shared.failures).add(None, format!("a read: {error}"));
                time::sleep(AGAIN_AFTER).await;
                None
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn content(number: u64) -> Content {
    Content::Attributes([(COUNT.to_owned(), Bytes::from(number.to_string()))].into())
}

fn number(content: &Content) -> Option<u64> {
    let Content::Attributes(attributes) = content else { return None };
    std::str::from_utf8(attributes.get(COUNT)?).ok()?.parse().ok()
}
