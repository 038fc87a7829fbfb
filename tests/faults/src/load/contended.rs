//! A session that several write and read at once.

use std::sync::atomic::{AtomicU64, Ordering};

use colony_client::{Key, Precondition};
use colony_history::{Action, Operation, Outcome, Value};

use super::{Shared, TTL, key, number, number_in};
use crate::book::Fate;

/// Of a thousand changes, how many delete it.
const DELETES_PER_MILLE: u64 = 50;

#[derive(Debug)]
pub(super) struct Session {
    name: String,
    key: Key,
    written: AtomicU64,
}

impl Session {
    pub(super) fn new(name: String) -> Self {
        Self { key: key(&name), name, written: AtomicU64::new(0) }
    }

    pub(super) async fn change(&self, shared: &Shared, bucket: usize, draw: u64) {
        if draw % 1000 < DELETES_PER_MILLE {
            let delete = shared.writer.delete_if(&self.key, Precondition::None);
            let (invoked, at, fate) = shared.change(bucket, delete).await;
            self.record(shared, bucket, Action::Delete, (invoked, at), outcome(fate));
        } else {
            let value = self.written.fetch_add(1, Ordering::Relaxed) + 1;
            let put = shared.writer.put(&self.key, number(value), TTL, Precondition::None);
            let (invoked, at, fate) = shared.change(bucket, put).await;
            self.record(shared, bucket, Action::Put(Value(value)), (invoked, at), outcome(fate));
        }
    }

    pub(super) async fn read(&self, shared: &Shared, bucket: usize) {
        let invoked = shared.clock.now();
        let found = shared.reader.get(&self.key).await;
        let at = shared.clock.now();
        let outcome = match &found {
            Ok(Some(found)) => Outcome::Found(Value(number_in(&found.content))),
            Ok(None) => Outcome::Absent,
            Err(error) => return shared.read_failed(bucket, error),
        };
        self.record(shared, bucket, Action::Read, (invoked, at), outcome);
    }

    fn record(&self, shared: &Shared, bucket: usize, action: Action, (invoked, at): (u64, u64), outcome: Outcome) {
        let returned = (outcome != Outcome::Unknown).then_some(at);
        let operation = Operation { client: 0, invoked, returned, action, outcome };
        shared.book(bucket).contended.entry(self.name.clone()).or_default().operations.push(operation);
    }
}

/// A delete that found nothing was refused by what a read at the default level shows: surely not done, and no more.
fn outcome(fate: Fate) -> Outcome {
    match fate {
        Fate::Done => Outcome::Done,
        Fate::NotDone => Outcome::NotDone,
        Fate::Unknown => Outcome::Unknown,
    }
}
