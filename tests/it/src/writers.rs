//! Applications that write all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use colony_client::{CallError, Client, Key, Namespace, Precondition, Ttl};
use tokio::task::JoinSet;
use tokio::time;

use crate::ledger::content;
use crate::{Ledger, until};

/// Pause of a writer between two writes: most of a small machine is for the hosts.
const PAUSE: Duration = Duration::from_millis(10);
/// Longest wait for a number of writes.
const WRITES_WITHIN: Duration = Duration::from_secs(30);

/// Writers that run until they are stopped. Dropped, they are aborted.
///
/// Each writes sessions that nobody wrote before and, in turn, one of its own again and again with a growing number.
#[derive(Debug)]
pub struct Writers {
    tasks: JoinSet<Ledger>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Writers {
    /// Starts as many writers in this namespace.
    #[must_use]
    pub fn start(client: &Client, namespace: &str, writers: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        for writer in 0..writers {
            let (namespace, shared) = (client.namespace(namespace), Arc::clone(&shared));
            tasks.spawn(Writer { writer, namespace, shared, ledger: Ledger::default(), life: 0 }.run());
        }
        Self { tasks, shared }
    }

    /// Waits until `count` more writes were acknowledged.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn until_more(&self, count: usize) {
        let before = self.shared.acknowledged.load(Ordering::Relaxed);
        until("writes are acknowledged", WRITES_WITHIN, async || {
            let more = self.shared.acknowledged.load(Ordering::Relaxed) - before;
            if more >= count { Ok(()) } else { Err(format!("{more} of {count}")) }
        })
        .await;
    }

    /// Lets every writer finish its call, and says what was acknowledged.
    ///
    /// # Panics
    /// If a writer did.
    pub async fn stop(self) -> Ledger {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ledgers = self.tasks.join_all().await;
        ledgers.into_iter().fold(Ledger::default(), Ledger::and)
    }
}

struct Writer {
    writer: usize,
    namespace: Namespace,
    shared: Arc<Shared>,
    ledger: Ledger,
    /// Which session is written again and again.
    life: u64,
}

impl Writer {
    async fn run(mut self) -> Ledger {
        let mut number = 0;
        while !self.shared.stop.load(Ordering::Relaxed) {
            number += 1;
            self.write_once(number).await;
            self.write_again(number).await;
            time::sleep(PAUSE).await;
        }
        self.ledger
    }

    async fn write_once(&mut self, number: u64) {
        let key = format!("writer-{}.{number}", self.writer);
        let value = format!("{key} once");
        match self.put(&key, &value, Precondition::Absent).await {
            Ok(()) => self.ledger.wrote_once(key, value),
            Err(error) => self.ledger.failed(format!("{key}: {error}")),
        }
    }

    async fn write_again(&mut self, number: u64) {
        let key = format!("writer-{}.again.{}", self.writer, self.life);
        match self.put(&key, &number.to_string(), Precondition::None).await {
            Ok(()) => self.ledger.wrote(key, number),
            Err(error) => {
                self.ledger.failed(format!("{key}: {error}"));
                if !error.has_no_side_effects() {
                    // It may still be done, after the next one: nothing more can be said of this session.
                    self.life += 1;
                }
            }
        }
    }

    async fn put(&mut self, key: &str, value: &str, precondition: Precondition) -> Result<(), CallError> {
        let key = Key::new(key.to_owned().into_bytes())?;
        let begun = time::Instant::now();
        self.namespace.put(&key, content(value), Ttl::OfNamespace, precondition).await?;
        self.ledger.took(begun.elapsed());
        self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
