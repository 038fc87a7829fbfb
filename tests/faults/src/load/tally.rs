//! A session that is counted in, by merge.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use colony_client::{Changes, Content, Found, Key, Precondition};
use tokio::sync::Mutex as Turn;

use super::{Shared, TTL, key};
use crate::book::{Fate, MARKS_MAX, TallySeen, weight};

/// The attribute that counts. Its prefix makes the merge plugin add up what both sides added.
const COUNT: &str = "item:count";
/// Prefix of the marks, each an attribute of its own.
const MARK: &str = "mark:";
/// Of a thousand changes, how many read first. The others are based on what was read before, so that they meet
/// changes made since and are merged.
const READS_PER_MILLE: u64 = 250;

#[derive(Debug)]
pub(super) struct Session {
    name: String,
    now: Mutex<Now>,
    /// One begin at a time.
    turn: Turn<()>,
}

/// The session that is counted in now.
#[derive(Debug, Default)]
struct Now {
    generation: u64,
    is_begun: bool,
    marks: u32,
    base: Option<Found>,
}

impl Session {
    pub(super) fn new(name: String) -> Self {
        Self { name, now: Mutex::default(), turn: Turn::new(()) }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, generation: u64) -> String {
        format!("{}.{generation}", self.name)
    }

    /// Adds one.
    pub(super) async fn count(&self, shared: &Shared, bucket: usize, draw: u64) {
        let (generation, mark, base) = {
            let mut now = self.now();
            if now.marks >= MARKS_MAX {
                *now = Now { generation: now.generation + 1, ..Now::default() };
            }
            if now.is_begun {
                now.marks += 1;
                let base = now.base.clone().filter(|_| draw % 1000 >= READS_PER_MILLE);
                (now.generation, Some(now.marks), base)
            } else {
                (now.generation, None, None)
            }
        };
        let name = self.name(generation);
        let key = key(&name);
        let Some(mark) = mark else {
            return self.begin(shared, bucket, generation, &name, &key).await;
        };
        let base = match base {
            Some(base) => base,
            None => match self.read(shared, bucket, generation, (&name, &key)).await {
                Some(base) => base,
                None => return,
            },
        };
        add(shared, bucket, (&name, &key), mark, &base).await;
    }

    async fn begin(&self, shared: &Shared, bucket: usize, generation: u64, name: &str, key: &Key) {
        let Ok(_turn) = self.turn.try_lock() else { return };
        if self.now().generation != generation || self.now().is_begun {
            return;
        }
        let put = shared.writer.put(key, beginning(), TTL, Precondition::Absent);
        let (_, _, fate) = shared.change(bucket, put).await;
        let mut now = self.now();
        match fate {
            Fate::Done => {
                shared.book(bucket).tallies.entry(name.to_owned()).or_default();
                now.is_begun = true;
            }
            Fate::NotDone => {}
            Fate::Unknown => *now = Now { generation: generation + 1, ..Now::default() },
        }
    }

    async fn read(&self, shared: &Shared, bucket: usize, generation: u64, (name, key): (&str, &Key)) -> Option<Found> {
        let found = read(shared, bucket, (name, key)).await?;
        let mut now = self.now();
        if now.generation == generation {
            now.base = Some(found.clone());
        }
        Some(found)
    }
}

/// What a tally begins with.
pub(crate) fn beginning() -> Content {
    Content::Attributes(BTreeMap::from([(COUNT.to_owned(), Bytes::from_static(b"0"))]))
}

/// Reads a tally that was begun.
pub(crate) async fn read(shared: &Shared, bucket: usize, (name, key): (&str, &Key)) -> Option<Found> {
    match shared.writer.get(key).await {
        Ok(Some(found)) => Some(found),
        Ok(None) => {
            shared.book(bucket).tallies.entry(name.to_owned()).or_default().vanished += 1;
            None
        }
        Err(error) => {
            shared.read_failed(bucket, &error);
            None
        }
    }
}

/// Counts under this mark.
pub(crate) async fn add(shared: &Shared, bucket: usize, (name, key): (&str, &Key), mark: u32, base: &Found) {
    // Whoever reads it meanwhile may find it.
    set(shared, bucket, name, mark, Fate::Unknown);
    let count = seen(&base.content).count.saturating_add(weight(mark));
    let changes = Changes::Attributes(vec![
        (COUNT.to_owned(), Some(Bytes::from(count.to_string()))),
        (format!("{MARK}{mark}"), Some(Bytes::from_static(b"1"))),
    ]);
    let (_, _, fate) = shared.change(bucket, shared.writer.patch(key, base, changes, None)).await;
    set(shared, bucket, name, mark, fate);
}

fn set(shared: &Shared, bucket: usize, name: &str, mark: u32, fate: Fate) {
    shared.book(bucket).tallies.entry(name.to_owned()).or_default().marks.insert(mark, fate);
}

/// What a tally holds. A number or a mark that is none is one that nobody can have made.
pub(super) fn seen(content: &Content) -> TallySeen {
    let Content::Attributes(attributes) = content else {
        return TallySeen { count: u64::MAX, ..TallySeen::default() };
    };
    let count = attributes.get(COUNT).and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse().ok());
    let marks = attributes.keys().filter_map(|name| name.strip_prefix(MARK));
    let marks = marks.map(|mark| mark.parse().unwrap_or(u32::MAX)).collect();
    TallySeen { count: count.unwrap_or(u64::MAX), marks }
}
