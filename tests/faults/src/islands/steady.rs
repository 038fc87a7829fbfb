//! Writers of every colony on every side, all the time: their first answers tell when a side serves again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use colony_client::{Client, Found, Key, Namespace, Options, Precondition, Read};
use colony_history::rng::Rng;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{self, MissedTickBehavior};

use crate::book::{Book, MARKS_MAX, Tally};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::load::{Shared, TTL, key, own, tally};

/// Pause between two calls of one side for one colony: 64 colonies on three sides make 1,000 a second, which leaves the
/// better part of two cores to the hosts.
const PAUSE: Duration = Duration::from_millis(200);
/// Most calls of one side under way in one colony. A side that does not serve it has so many waiting.
const CALLS_MAX: u32 = 8;
/// Of a thousand calls, how many write sessions of this side, and how many read them; the rest counts.
const WRITES_PER_MILLE: u64 = 500;
const READS_PER_MILLE: u64 = 250;
/// Sessions of each side in a colony. Each has one write under way: with three of them, one begins soon after any moment.
const OWN: usize = 3;
/// Sessions of a colony that all sides count in, one after the other when its marks are used up.
const TALLIES: usize = 4;
/// Of a thousand counts, how many read first; the others are based on what was read before, and are merged.
const FRESH_PER_MILLE: u64 = 250;
/// Sessions begun at once.
const BEGINS_MAX: usize = 64;

/// Begins the tallies, in which every side counts: a session that two sides begin apart would be two lives of which one
/// goes (`PROTOCOL.md` 9.5).
///
/// # Errors
/// If one cannot be begun.
pub(super) async fn begin_tallies(namespace: &Namespace, prefixes: &[String]) -> Result<(), Failure> {
    let names = prefixes.iter().flat_map(|prefix| (0..TALLIES).map(move |number| tally_name(prefix, number)));
    let mut begins = JoinSet::new();
    for name in names {
        if begins.len() >= BEGINS_MAX {
            begins.join_next().await.expect("there are some").expect("a client does not panic")?;
        }
        let namespace = namespace.clone();
        begins.spawn(async move {
            let content = tally::beginning();
            namespace.put(&key(&name), content, TTL, Precondition::None).await.map(drop)
        });
    }
    for begun in begins.join_all().await {
        begun?;
    }
    Ok(())
}

fn tally_name(prefix: &str, number: usize) -> String {
    format!("{prefix}.t{number}")
}

/// The writers of one side. Dropped, they are aborted.
pub(super) struct Steady {
    shared: Arc<Shared>,
    colonies: JoinSet<()>,
}

impl Steady {
    /// Starts those of side `side` of `sides`.
    pub(super) fn start(
        clock: Clock,
        client: &Client,
        namespace: &str,
        prefixes: &[String],
        (side, sides): (usize, usize),
        rng: &mut Rng,
    ) -> Self {
        let writer = client.namespace(namespace);
        let reader = writer.with(Options { read: Read::Confirm, ..Options::default() });
        let shared = Arc::new(Shared::new(clock, writer, reader, prefixes.len()));
        let mut colonies = JoinSet::new();
        for (bucket, prefix) in prefixes.iter().enumerate() {
            let own = |number| Arc::new(own::Session::new(format!("{prefix}.s{side}o{number}")));
            let tallies = (0..TALLIES).map(|number| Arc::new(Counted::new(tally_name(prefix, number), side, sides)));
            let colony = Colony {
                shared: Arc::clone(&shared),
                bucket,
                rng: Rng::new(rng.draw()),
                calls: Arc::new(Semaphore::new(CALLS_MAX as usize)),
                own: (0..OWN).map(own).collect(),
                tallies: tallies.collect(),
            };
            colonies.spawn(colony.run());
        }
        Self { shared, colonies }
    }

    /// Lets every call end, and gives what was written down.
    pub(super) async fn stop(mut self) -> Vec<Book> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.colonies.join_next().await {
            ended.expect("a client does not panic");
        }
        self.shared.take_books()
    }
}

/// The books of all sides in one for each colony. Acknowledgements are left out: they are timed by side.
pub(super) fn together(sides: Vec<Vec<Book>>) -> Vec<Book> {
    let mut all: Vec<Book> = Vec::new();
    for books in sides {
        all.resize_with(all.len().max(books.len()), Book::default);
        for (sum, book) in all.iter_mut().zip(books) {
            sum.own.extend(book.own);
            sum.failures.merge(book.failures);
            for (name, Tally { marks, vanished, .. }) in book.tallies {
                let tally = sum.tallies.entry(name).or_default();
                tally.marks.extend(marks);
                tally.vanished += vanished;
            }
        }
    }
    all
}

/// The writers of one side in one colony.
struct Colony {
    shared: Arc<Shared>,
    bucket: usize,
    rng: Rng,
    calls: Arc<Semaphore>,
    own: Vec<Arc<own::Session>>,
    tallies: Vec<Arc<Counted>>,
}

impl Colony {
    async fn run(mut self) {
        // Not all colonies at once.
        let first = time::Instant::now() + PAUSE.mul_f64(self.rng.below(1000) as f64 / 1000.0);
        let mut pace = time::interval_at(first, PAUSE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !self.shared.is_over.load(Ordering::Relaxed) {
            pace.tick().await;
            self.call();
        }
        let _all = self.calls.acquire_many(CALLS_MAX).await;
    }

    fn call(&mut self) {
        let Ok(place) = Arc::clone(&self.calls).try_acquire_owned() else { return };
        let (shared, bucket) = (Arc::clone(&self.shared), self.bucket);
        let (which, draw) = (self.rng.below(1000), self.rng.draw());
        let own = Arc::clone(&self.own[usize::try_from(draw).unwrap_or_default() % OWN]);
        let is_count = which >= WRITES_PER_MILLE + READS_PER_MILLE;
        let mut tallies = self.tallies.iter().filter(|_| is_count);
        let counted = tallies.find_map(|tally| Some((Arc::clone(tally), tally.mark()?)));
        tokio::spawn(async move {
            match counted {
                Some((tally, mark)) => tally.count(&shared, bucket, mark, draw % 1000 < FRESH_PER_MILLE).await,
                None if which < WRITES_PER_MILLE => own.write(&shared, bucket).await,
                None if !is_count => own.read(&shared, bucket).await,
                // Every mark is used up.
                None => {}
            }
            drop(place);
        });
    }
}

/// A session that all sides count in, seen from one of them: every mark is of one side.
struct Counted {
    name: String,
    key: Key,
    side: u32,
    sides: u32,
    used: AtomicU32,
    base: Mutex<Option<Found>>,
}

impl Counted {
    fn new(name: String, side: usize, sides: usize) -> Self {
        let small = |number: usize| u32::try_from(number).expect("sides are few");
        let (side, sides) = (small(side), small(sides));
        Self { key: key(&name), name, side, sides, used: AtomicU32::new(0), base: Mutex::default() }
    }

    /// The next mark of this side, if one is left.
    fn mark(&self) -> Option<u32> {
        let mark = |used: u32| 1 + self.side + used * self.sides;
        let next = |used: u32| (mark(used) <= MARKS_MAX).then_some(used + 1);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok().map(mark)
    }

    async fn count(&self, shared: &Shared, bucket: usize, mark: u32, is_fresh: bool) {
        let known = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|_| !is_fresh);
        let base = match known {
            Some(base) => base,
            None => {
                let Some(found) = tally::read(shared, bucket, (&self.name, &self.key)).await else { return };
                *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
                found
            }
        };
        tally::add(shared, bucket, (&self.name, &self.key), mark, &base).await;
    }
}
