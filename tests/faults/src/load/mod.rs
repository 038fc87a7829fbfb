//! Clients that write and read every colony all the time, and write down what they were told.
//!
//! The load is open: each colony has its pace and keeps it while calls wait, up to a bound, as many users would. So a
//! colony that stalls is asked all the time, and the first answer after a stall is not missed.

mod burst;
mod contended;
pub(crate) mod own;
mod read_back;
pub(crate) mod tally;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use colony_client::{Ack, CallError, Client, Content, Key, Namespace, Options, Read, Refusal, Saved, Ttl};
use colony_history::rng::Rng;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{self, MissedTickBehavior};

use crate::book::{self, Book, Fate, Micros};
use crate::clock::Clock;

pub use burst::burst;
pub use read_back::read_back;

/// Pause between two changes of one colony. With 64 colonies that makes 1,000 a second, which leaves the better part
/// of two cores to five hosts built for debugging. Stalls are measured finer than that: the calls wait.
const PAUSE: Duration = Duration::from_millis(64);
/// Reads for each thousand changes, half of them `confirm`.
const READS_PER_MILLE: u64 = 400;
/// Most calls under way in one colony. Those of all colonies stay below what one stream takes.
const CALLS_MAX: u32 = 16;
/// Of a thousand changes, how many are of contended sessions, and how many of own ones; the rest counts.
const CONTENDED_PER_MILLE: u64 = 400;
const OWN_PER_MILLE: u64 = 300;
/// Sessions of each kind in a colony: with 64 colonies more than 400, beside the tallies that are full.
const CONTENDED: usize = 3;
const OWN: usize = 2;
const TALLIES: usize = 2;
/// Sessions outlive every row, and leave when a long run no longer needs them.
pub(crate) const TTL: Ttl = Ttl::After(Duration::from_secs(20 * 60));

/// How a load is made.
#[derive(Clone, Debug)]
pub struct Shape {
    /// For each colony, what its keys begin with; apart by colony and by row.
    pub prefixes: Vec<String>,
    /// What must be done before a change counts as acknowledged.
    pub ack: Ack,
    /// Choose as this says.
    pub seed: u64,
}

/// Clients at work. Dropped, they are aborted.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    colonies: JoinSet<()>,
    begun: Micros,
}

/// What all colonies' clients share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) is_over: AtomicBool,
    /// Writes, and reads with the token of what was written.
    pub(crate) writer: Namespace,
    /// Reads with `confirm`. Another client, whose tokens know nothing of the writes: nothing but the read itself
    /// makes it new.
    reader: Namespace,
    books: Vec<Mutex<Book>>,
}

impl Shared {
    pub(crate) fn new(clock: Clock, writer: Namespace, reader: Namespace, colonies: usize) -> Self {
        let books = (0..colonies).map(|_| Mutex::default()).collect();
        Self { clock, is_over: AtomicBool::new(false), writer, reader, books }
    }

    /// Everything that was written down. The books are empty afterwards.
    pub(crate) fn take_books(&self) -> Vec<Book> {
        (0..self.books.len()).map(|bucket| std::mem::take(&mut *self.book(bucket))).collect()
    }

    pub(crate) fn book(&self, bucket: usize) -> MutexGuard<'_, Book> {
        self.books[bucket].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change and writes down what became of it, but not what it was.
    pub(crate) async fn change(
        &self,
        bucket: usize,
        change: impl Future<Output = Result<Saved, CallError>>,
    ) -> (Micros, Micros, Fate) {
        let invoked = self.clock.now();
        let result = change.await;
        let at = self.clock.now();
        let fate = fate(&result);
        let mut book = self.book(bucket);
        match result {
            Ok(saved) => book.acks.push(book::Ack { invoked, at, served_by: saved.served_by }),
            // A delete may find nothing: an answer like any other.
            Err(CallError::Refused(Refusal::NotFound)) => {}
            Err(error) => book.failures.add(Some(fate), error.to_string()),
        }
        (invoked, at, fate)
    }

    pub(crate) fn read_failed(&self, bucket: usize, error: &CallError) {
        self.book(bucket).failures.add(None, format!("a read: {error}"));
    }
}

pub(crate) fn fate(result: &Result<Saved, CallError>) -> Fate {
    match result {
        Ok(_) => Fate::Done,
        Err(error) if error.has_no_side_effects() => Fate::NotDone,
        Err(_) => Fate::Unknown,
    }
}

impl Load {
    /// Starts clients for every colony.
    #[must_use]
    pub fn start(clock: Clock, writer: &Client, reader: &Client, namespace: &str, shape: &Shape) -> Self {
        let confirm = Options { read: Read::Confirm, ..Options::default() };
        let writer = writer.namespace(namespace).with(Options { ack: shape.ack, ..Options::default() });
        let reader = reader.namespace(namespace).with(confirm);
        let shared = Arc::new(Shared::new(clock, writer, reader, shape.prefixes.len()));
        let mut colonies = JoinSet::new();
        let mut rng = Rng::new(shape.seed);
        for (bucket, prefix) in shape.prefixes.iter().enumerate() {
            let colony = Colony::new(&shared, bucket, prefix, Rng::new(rng.draw()));
            colonies.spawn(colony.run());
        }
        let begun = clock.now();
        Self { shared, colonies, begun }
    }

    /// When it began.
    #[must_use]
    pub fn begun(&self) -> Micros {
        self.begun
    }

    /// Lets every call end, and gives what was written down.
    pub async fn stop(mut self) -> Vec<Book> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.colonies.join_next().await {
            ended.expect("a client does not panic");
        }
        self.shared.take_books()
    }
}

/// The clients of one colony.
struct Colony {
    shared: Arc<Shared>,
    bucket: usize,
    rng: Rng,
    calls: Arc<Semaphore>,
    contended: Vec<Arc<contended::Session>>,
    own: Vec<Arc<own::Session>>,
    tallies: Vec<Arc<tally::Session>>,
}

impl Colony {
    fn new(shared: &Arc<Shared>, bucket: usize, prefix: &str, rng: Rng) -> Self {
        let name = |kind: &str, number: usize| format!("{prefix}.{kind}{number}");
        Self {
            shared: Arc::clone(shared),
            bucket,
            rng,
            calls: Arc::new(Semaphore::new(CALLS_MAX as usize)),
            contended: (0..CONTENDED).map(|number| Arc::new(contended::Session::new(name("c", number)))).collect(),
            own: (0..OWN).map(|number| Arc::new(own::Session::new(name("o", number)))).collect(),
            tallies: (0..TALLIES).map(|number| Arc::new(tally::Session::new(name("t", number)))).collect(),
        }
    }

    async fn run(mut self) {
        // Not all colonies at once.
        let first = time::Instant::now() + PAUSE.mul_f64(self.rng.below(1000) as f64 / 1000.0);
        let mut pace = time::interval_at(first, PAUSE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !self.shared.is_over.load(Ordering::Relaxed) {
            pace.tick().await;
            self.change();
            if self.rng.chance(READS_PER_MILLE) {
                self.read();
            }
        }
        let _all = self.calls.acquire_many(CALLS_MAX).await;
    }

    fn change(&mut self) {
        let which = self.rng.below(1000);
        if which < CONTENDED_PER_MILLE {
            self.change_contended();
        } else if which < CONTENDED_PER_MILLE + OWN_PER_MILLE {
            let session = self.pick(|colony| &colony.own);
            self.spawn(async move |shared, bucket| session.write(&shared, bucket).await);
        } else {
            let (session, draw) = (self.pick(|colony| &colony.tallies), self.rng.draw());
            self.spawn(async move |shared, bucket| session.count(&shared, bucket, draw).await);
        }
    }

    fn change_contended(&mut self) {
        let (session, draw) = (self.pick(|colony| &colony.contended), self.rng.draw());
        self.spawn(async move |shared, bucket| session.change(&shared, bucket, draw).await);
    }

    fn read(&mut self) {
        if self.rng.chance(500) {
            let session = self.pick(|colony| &colony.contended);
            self.spawn(async move |shared, bucket| session.read(&shared, bucket).await);
        } else {
            let session = self.pick(|colony| &colony.own);
            self.spawn(async move |shared, bucket| session.read(&shared, bucket).await);
        }
    }

    fn pick<T>(&mut self, of: impl Fn(&Self) -> &Vec<Arc<T>>) -> Arc<T> {
        let len = of(self).len() as u64;
        let place = usize::try_from(self.rng.below(len)).unwrap_or_default();
        Arc::clone(&of(self)[place])
    }

    /// Makes a call beside those under way, unless there are too many.
    fn spawn<F>(&self, call: impl FnOnce(Arc<Shared>, usize) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.calls).try_acquire_owned() else { return };
        let call = call(Arc::clone(&self.shared), self.bucket);
        tokio::spawn(async move {
            call.await;
            drop(place);
        });
    }
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name.to_owned().into_bytes()).expect("names are short")
}

fn number(number: u64) -> Content {
    Content::Blob(Bytes::from(number.to_string()))
}

/// The number in a session. What is none is one that nobody wrote.
fn number_in(content: &Content) -> u64 {
    let Content::Blob(bytes) = content else { return u64::MAX };
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}
