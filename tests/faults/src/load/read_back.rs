//! Everything that was written, read when all is over.

use std::sync::Arc;
use std::time::Duration;

use colony_client::{Client, Found, Namespace, Options, Read};
use colony_history::{Action, Operation, Outcome, Value};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::{key, number_in, tally};
use crate::book::{Book, Micros, OwnRead, TallySeen};
use crate::clock::Clock;

/// Reads at once.
const READS_MAX: usize = 64;
/// What cannot be read for so long, of all together, is not there any more: nothing is wrong with the cluster by now.
const WITHIN: Duration = Duration::from_secs(60);
/// Pause before a read is tried again that failed.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Contended,
    Own,
    Tally,
}

/// A session as it is now; none if there is none.
type Now = Option<Found>;

/// Reads every session with `confirm` and writes down what is there.
pub async fn read_back(clock: Clock, client: &Client, namespace: &str, books: &mut [Book]) {
    let namespace = client.namespace(namespace).with(Options { read: Read::Confirm, ..Options::default() });
    let places = Arc::new(Semaphore::new(READS_MAX));
    let (mut reads, deadline) = (JoinSet::new(), Instant::now() + WITHIN);
    for (bucket, book) in books.iter().enumerate() {
        let contended = book.contended.keys().map(|name| (Kind::Contended, name));
        let own = book.own.keys().map(|name| (Kind::Own, name));
        let tallies = book.tallies.keys().map(|name| (Kind::Tally, name));
        for (kind, name) in contended.chain(own).chain(tallies) {
            let (namespace, places, name) = (namespace.clone(), Arc::clone(&places), name.clone());
            reads.spawn(async move {
                let _place = places.acquire().await;
                let invoked = clock.now();
                let now = read(&namespace, &name, deadline).await;
                (bucket, kind, name, now, (invoked, clock.now()))
            });
        }
    }
    while let Some(read) = reads.join_next().await {
        let (bucket, kind, name, now, times) = read.expect("a reader does not panic");
        if let Some(now) = now {
            write_down(&mut books[bucket], kind, &name, now, times);
        }
    }
}

fn write_down(book: &mut Book, kind: Kind, name: &str, now: Now, (invoked, at): (Micros, Micros)) {
    match kind {
        Kind::Contended => {
            let found = now.map_or(Outcome::Absent, |found| Outcome::Found(Value(number_in(&found.content))));
            let read = Operation { client: 0, invoked, returned: Some(at), action: Action::Read, outcome: found };
            book.contended.entry(name.to_owned()).or_default().last = Some(read);
        }
        Kind::Own => {
            let own = book.own.entry(name.to_owned()).or_default();
            own.last = Some(OwnRead { least: own.acked, found: now.map(|found| number_in(&found.content)) });
        }
        Kind::Tally => {
            let seen = now.map_or_else(TallySeen::default, |found| tally::seen(&found.content));
            book.tallies.entry(name.to_owned()).or_default().last = Some(seen);
        }
    }
}

/// None if it could not be read.
async fn read(namespace: &Namespace, name: &str, deadline: Instant) -> Option<Now> {
    let key = key(name);
    loop {
        match namespace.get(&key).await {
            Ok(now) => return Some(now),
            Err(_) if Instant::now() >= deadline => return None,
            Err(_) => time::sleep(AGAIN_AFTER).await,
        }
    }
}
