//! A session with one writer, who reads with its own token.

use std::sync::{Mutex, PoisonError};

use colony_client::{Key, Precondition};
use tokio::sync::Mutex as Turn;

use super::{Shared, TTL, key, number, number_in};
use crate::book::{Fate, OwnRead};

#[derive(Debug)]
pub(crate) struct Session {
    name: String,
    /// Sessions that were left after a write of unknown fate. The writer goes on in another.
    left: Mutex<u64>,
    /// One write at a time.
    turn: Turn<()>,
}

impl Session {
    pub(crate) fn new(name: String) -> Self {
        Self { name, left: Mutex::new(0), turn: Turn::new(()) }
    }

    fn now(&self) -> (String, Key) {
        let left = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{}.{left}", self.name);
        let key = key(&name);
        (name, key)
    }

    /// Writes the next number, unless a write is under way.
    pub(crate) async fn write(&self, shared: &Shared, bucket: usize) {
        let Ok(_turn) = self.turn.try_lock() else { return };
        let (name, key) = self.now();
        let next = {
            let mut book = shared.book(bucket);
            let own = book.own.entry(name.clone()).or_default();
            own.tried += 1;
            own.tried
        };
        let (_, _, fate) = shared.change(bucket, shared.writer.put(&key, number(next), TTL, Precondition::None)).await;
        let mut book = shared.book(bucket);
        let own = book.own.entry(name).or_default();
        match fate {
            Fate::Done => own.acked = next,
            Fate::NotDone => {
                own.refused.insert(next);
            }
            Fate::Unknown => *self.left.lock().unwrap_or_else(PoisonError::into_inner) += 1,
        }
    }

    pub(crate) async fn read(&self, shared: &Shared, bucket: usize) {
        let (name, key) = self.now();
        let least = shared.book(bucket).own.get(&name).map_or(0, |own| own.acked);
        match shared.writer.get(&key).await {
            Ok(found) => {
                let found = found.map(|found| number_in(&found.content));
                let read = OwnRead { least, found };
                // A read of a session that nobody has begun tells nothing.
                if let Some(own) = shared.book(bucket).own.get_mut(&name) {
                    own.reads.push(read);
                }
            }
            Err(error) => shared.read_failed(bucket, &error),
        }
    }
}
