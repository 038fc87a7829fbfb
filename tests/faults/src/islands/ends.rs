//! Sessions that one side ends, by a logout or by leaving them alone, while another uses them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use colony_client::{Changes, Client, Content, Key, Namespace, Options, Precondition, Read, Saved, Ttl};
use colony_history::rng::Rng;
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::book::{Ended, Kept};
use super::pairs::found;
use super::side::Side;
use crate::book::{Fate, Micros};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::load::{TTL, fate, key};

/// Of so many colonies one has such sessions.
const EVERY: usize = 2;
/// Time to live of the sessions that one side lets expire, and of every second that is ended: long enough to live
/// through the opening of an island and through a heal.
const SHORT: Duration = Duration::from_secs(8);
/// The attribute that is changed where it is used.
const USED: &str = "used";
/// Pause between two uses of one session. It must put the end off by a tenth of the time to live, or it is no change
/// (`PROTOCOL.md` 11).
const USE_EVERY: Duration = Duration::from_millis(1000);
/// Longest wait of a logout for its turn, from the cut.
const ENDS_WITHIN_MS: u64 = 9000;
/// Pause before a logout is tried again that was surely not done.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Longest wait for an answer at the last read.
const READ_WITHIN: Duration = Duration::from_secs(20);

/// When the network was cut and when it was whole again.
#[derive(Debug, Default)]
struct Times {
    cut: Option<Micros>,
    healed: Option<Micros>,
}

/// Such sessions, and those who use them. Dropped, these are aborted.
pub(super) struct Ends {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    namespaces: Vec<Namespace>,
    /// Sessions to be ended: name and the side that does it.
    to_end: Vec<(String, usize)>,
    /// Sessions to expire: name and the side that lets them.
    to_expire: Vec<(String, usize)>,
}

struct Shared {
    clock: Clock,
    is_over: AtomicBool,
    times: Mutex<Times>,
    ended: Mutex<BTreeMap<String, Ended>>,
    kept: Mutex<BTreeMap<String, Kept>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ends {
    /// Begins the sessions, and uses each on one side from now on.
    ///
    /// # Errors
    /// If one cannot be begun.
    pub(super) async fn begin(
        clock: Clock,
        sides: &[Side],
        namespace: &str,
        prefixes: &[String],
    ) -> Result<Self, Failure> {
        let shared = Arc::new(Shared {
            clock,
            is_over: AtomicBool::new(false),
            times: Mutex::default(),
            ended: Mutex::default(),
            kept: Mutex::default(),
        });
        let namespaces: Vec<Namespace> = sides.iter().map(|side| side.client.namespace(namespace)).collect();
        let (mut tasks, mut to_end, mut to_expire) = (JoinSet::new(), Vec::new(), Vec::new());
        for (place, prefix) in prefixes.iter().step_by(EVERY).enumerate() {
            for (side, by) in namespaces.iter().enumerate() {
                let other = (side + 1) % namespaces.len();
                let ttl = if place % 2 == 0 { TTL } else { Ttl::After(SHORT) };
                let user = User::begin(&shared, by, format!("{prefix}.e{other}u{side}"), ttl).await?;
                to_end.push((user.name.clone(), other));
                tasks.spawn(user.use_and_note());
                let user = User::begin(&shared, by, format!("{prefix}.x{other}k{side}"), Ttl::After(SHORT)).await?;
                to_expire.push((user.name.clone(), other));
                tasks.spawn(user.keep());
            }
        }
        Ok(Self { shared, tasks, namespaces, to_end, to_expire })
    }

    /// The network has been cut: from now on, at some moment each, sessions are ended on the side that does not use them.
    pub(super) fn cut(&mut self, at: Micros, rng: &mut Rng) {
        lock(&self.shared.times).cut.get_or_insert(at);
        for (name, side) in self.to_end.drain(..) {
            let (shared, by) = (Arc::clone(&self.shared), self.namespaces[side].clone());
            let wait = Duration::from_millis(rng.below(ENDS_WITHIN_MS));
            self.tasks.spawn(async move {
                time::sleep(wait).await;
                end(&shared, &by, &name).await;
            });
        }
    }

    /// The links are back.
    pub(super) fn healed(&self, at: Micros) {
        lock(&self.shared.times).healed = Some(at);
    }

    /// Asks the sides that let sessions expire whether they have.
    pub(super) async fn look(&self) {
        let mut looks = JoinSet::new();
        for (name, side) in &self.to_expire {
            let options = Options { deadline: AGAIN_AFTER, ..Options::default() };
            let (by, name) = (self.namespaces[*side].with(options), name.clone());
            looks.spawn(async move { matches!(by.get(&key(&name)).await, Ok(None)).then_some(name) });
        }
        for name in looks.join_all().await.into_iter().flatten() {
            lock(&self.shared.kept).entry(name).or_default().has_expired = true;
        }
    }

    /// Reads every session through this client, for those who use them still do, and stops.
    pub(super) async fn read_back(
        mut self,
        client: &Client,
        namespace: &str,
    ) -> (BTreeMap<String, Ended>, BTreeMap<String, Kept>) {
        let reader = client.namespace(namespace).with(Options { read: Read::Confirm, ..Options::default() });
        let names: Vec<String> =
            lock(&self.shared.kept).keys().chain(lock(&self.shared.ended).keys()).cloned().collect();
        let mut reads = JoinSet::new();
        for name in names {
            let (reader, clock) = (reader.clone(), self.shared.clock);
            reads.spawn(async move {
                let is_there = read(&reader, &key(&name)).await;
                (name, is_there, clock.now())
            });
        }
        for (name, is_there, at) in reads.join_all().await {
            if let Some(kept) = lock(&self.shared.kept).get_mut(&name) {
                kept.last = is_there.map(|is_there| (at, is_there));
            } else if let Some(ended) = lock(&self.shared.ended).get_mut(&name) {
                ended.last = is_there;
            }
        }
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.tasks.shutdown().await;
        (std::mem::take(&mut *lock(&self.shared.ended)), std::mem::take(&mut *lock(&self.shared.kept)))
    }
}

/// None if it cannot be read.
async fn read(reader: &Namespace, key: &Key) -> Option<bool> {
    let deadline = Instant::now() + READ_WITHIN;
    loop {
        match reader.get(key).await {
            Ok(found) => return Some(found.is_some()),
            Err(_) if Instant::now() >= deadline => return None,
            Err(_) => time::sleep(AGAIN_AFTER).await,
        }
    }
}

async fn end(shared: &Shared, by: &Namespace, name: &str) {
    while !shared.is_over.load(Ordering::Relaxed) {
        let result = by.delete_if(&key(name), Precondition::None).await;
        let fate = fate(&result);
        note_end(shared, name, fate, result.ok());
        if fate != Fate::NotDone {
            return;
        }
        time::sleep(AGAIN_AFTER).await;
    }
}

fn note_end(shared: &Shared, name: &str, fate: Fate, saved: Option<Saved>) {
    let after = shared.clock.now().saturating_sub(lock(&shared.times).cut.unwrap_or_default());
    let mut all = lock(&shared.ended);
    let ended = all.entry(name.to_owned()).or_default();
    ended.end = Some(fate);
    ended.ended_by = saved.map(|saved| (saved.served_by, after));
}

/// Somebody on one side who uses a session.
struct User {
    shared: Arc<Shared>,
    by: Namespace,
    name: String,
    key: Key,
    ttl: Ttl,
    saved: Saved,
    begun: (Micros, Micros),
}

impl User {
    async fn begin(shared: &Arc<Shared>, by: &Namespace, name: String, ttl: Ttl) -> Result<Self, Failure> {
        let key = key(&name);
        let asked = shared.clock.now();
        let saved = by.put(&key, beginning(), ttl, Precondition::None).await?;
        let begun = (asked, shared.clock.now());
        Ok(Self { shared: Arc::clone(shared), by: by.clone(), name, key, ttl, saved, begun })
    }

    /// Touches it and changes it in turn, for ever.
    async fn use_and_note(self) {
        lock(&self.shared.ended).entry(self.name.clone()).or_default().is_short = self.ttl != TTL;
        let mut base = found(&self.saved, beginning());
        for number in 1_u64.. {
            time::sleep(USE_EVERY).await;
            let asked = self.shared.clock.now();
            let is_there = if number % 2 == 0 {
                let value = Some(Bytes::from(number.to_string()));
                let changes = Changes::Attributes(vec![(USED.to_owned(), value)]);
                let saved = self.by.patch(&self.key, &base, changes, Some(self.ttl)).await;
                saved.map(|saved| base = found(&saved, attribute(number))).is_ok()
            } else {
                matches!(self.by.touch(&self.name, self.ttl).await, Ok(true))
            };
            if is_there {
                self.note_use(asked);
            }
        }
    }

    fn note_use(&self, asked: Micros) {
        let times = lock(&self.shared.times);
        let is_apart = times.cut.is_some_and(|cut| cut <= asked) && times.healed.is_none();
        lock(&self.shared.ended).entry(self.name.clone()).or_default().used += u64::from(is_apart);
    }

    /// Touches it for ever.
    async fn keep(self) {
        let ttl = match self.ttl {
            Ttl::After(ttl) => u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX),
            Ttl::OfNamespace | Ttl::Never => u64::MAX,
        };
        let begun = Kept { ttl, touches: vec![self.begun], ..Kept::default() };
        lock(&self.shared.kept).insert(self.name.clone(), begun);
        loop {
            time::sleep(USE_EVERY).await;
            let asked = self.shared.clock.now();
            if let Ok(true) = self.by.touch(&self.name, self.ttl).await {
                let touch = (asked, self.shared.clock.now());
                lock(&self.shared.kept).entry(self.name.clone()).or_default().touches.push(touch);
            }
        }
    }
}

fn beginning() -> Content {
    attribute(0)
}

fn attribute(number: u64) -> Content {
    Content::Attributes([(USED.to_owned(), Bytes::from(number.to_string()))].into())
}
