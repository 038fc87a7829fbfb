//! Sessions that every side changes while the network is cut, and the moment in which both changes are seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use colony_client::{Changes, Content, Found, Key, Namespace, Options, Precondition, Read, Saved};
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::book::{PairSeen, Paired};
use crate::book::Fate;
use crate::failure::Failure;
use crate::load::{TTL, fate, key};

/// The attribute that all sides change, which sets off the plugin that traps (`plugins/hostile`), and how those begin that
/// only one side does.
const COMMON: &str = "now";
const SIDE: &str = "side:";
/// What it is before.
const BEGINNING: &str = "beginning";
/// Calls of one side at once.
const CALLS_MAX: usize = 48;
/// Attempts of a change that was surely not done.
const ATTEMPTS_MAX: u32 = 5;
/// Pause before a session is looked at again that does not show all yet.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longest until all are read at last.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// Such sessions, by bucket.
pub(super) struct Pairs {
    buckets: Vec<Vec<Arc<Session>>>,
}

struct Session {
    name: String,
    key: Key,
    base: Found,
    changes: Mutex<BTreeMap<usize, Fate>>,
    vanished: AtomicU64,
}

impl Session {
    fn changes(&self) -> MutexGuard<'_, BTreeMap<usize, Fate>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sides that were told that their change is made.
    fn done(&self) -> BTreeSet<usize> {
        let changes = self.changes();
        changes.iter().filter(|(_, fate)| **fate == Fate::Done).map(|(side, _)| *side).collect()
    }
}

impl Pairs {
    /// Begins so many sessions in each bucket.
    ///
    /// # Errors
    /// If one cannot be begun.
    pub(super) async fn begin(namespace: &Namespace, prefixes: &[String], counts: &[usize]) -> Result<Self, Failure> {
        let (mut begins, mut buckets) = (JoinSet::new(), vec![Vec::new(); prefixes.len()]);
        for (bucket, (prefix, count)) in prefixes.iter().zip(counts).enumerate() {
            for number in 0..*count {
                if begins.len() >= CALLS_MAX {
                    keep(&mut buckets, begins.join_next().await)?;
                }
                let (namespace, name) = (namespace.clone(), format!("{prefix}.p{number}"));
                begins.spawn(async move {
                    let key = key(&name);
                    let saved = namespace.put(&key, beginning(), TTL, Precondition::None).await?;
                    let base = found(&saved, beginning());
                    let (changes, vanished) = (Mutex::default(), AtomicU64::new(0));
                    Ok((bucket, Session { name, key, base, changes, vanished }))
                });
            }
        }
        while !begins.is_empty() {
            keep(&mut buckets, begins.join_next().await)?;
        }
        Ok(Self { buckets })
    }

    /// Changes every session of the buckets that this side holds, once.
    pub(super) fn change(&self, side: usize, namespace: &Namespace, holds: &[bool]) -> JoinSet<()> {
        // Bucket by bucket they would wait for the slowest.
        let most = self.buckets.iter().map(Vec::len).max().unwrap_or(0);
        let held = || self.buckets.iter().zip(holds).filter(|(_, is_held)| **is_held).map(|(bucket, _)| bucket);
        let todo = (0..most).flat_map(|at| held().filter_map(move |bucket| bucket.get(at)).cloned());
        let (todo, next): (Arc<Vec<Arc<Session>>>, _) = (Arc::new(todo.collect()), Arc::new(AtomicUsize::new(0)));
        let mut workers = JoinSet::new();
        for _ in 0..CALLS_MAX {
            let (todo, next, namespace) = (Arc::clone(&todo), Arc::clone(&next), namespace.clone());
            workers.spawn(async move {
                while let Some(session) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                    change(session, side, &namespace).await;
                }
            });
        }
        workers
    }

    /// How many were changed by two sides or more, as far as they were told.
    pub(super) fn changed_apart(&self) -> usize {
        self.buckets.iter().flatten().filter(|session| session.done().len() > 1).count()
    }

    /// Looks at every session of every bucket until it shows what all sides were acknowledged; gives for each bucket
    /// that was changed how long that took from `begun`, none if it was not so before `within` was over.
    pub(super) async fn merged(
        &self,
        namespace: &Namespace,
        begun: Instant,
        within: Duration,
    ) -> Vec<Option<Duration>> {
        let mut looks = JoinSet::new();
        for sessions in self.buckets.iter().filter(|sessions| !sessions.is_empty()) {
            let (namespace, sessions) = (namespace.clone(), sessions.clone());
            looks.spawn(async move {
                for session in sessions {
                    let done = session.done();
                    loop {
                        match namespace.get(&session.key).await {
                            Ok(Some(found)) if seen(&session.name, &found.content).sides.is_superset(&done) => break,
                            Ok(Some(_)) | Err(_) => {}
                            Ok(None) => {
                                session.vanished.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        if begun.elapsed() > within {
                            return None;
                        }
                        time::sleep(LOOK_EVERY).await;
                    }
                }
                Some(begun.elapsed())
            });
        }
        looks.join_all().await
    }

    /// Reads every session and gives what was written down.
    pub(super) async fn read_back(self, namespace: &Namespace) -> BTreeMap<String, Paired> {
        let confirm = Options { read: Read::Confirm, ..Options::default() };
        let (reader, mut reads) = (namespace.with(confirm), JoinSet::new());
        let (mut read, deadline) = (BTreeMap::new(), Instant::now() + READ_WITHIN);
        for session in self.buckets.into_iter().flatten() {
            if reads.len() >= CALLS_MAX
                && let Some(done) = reads.join_next().await
            {
                let (name, paired): (String, Paired) = done.expect("a reader does not panic");
                read.insert(name, paired);
            }
            let reader = reader.clone();
            reads.spawn(async move { last(&reader, &session, deadline).await });
        }
        read.extend(reads.join_all().await);
        read
    }
}

type Begun = Result<(usize, Session), colony_client::CallError>;

fn keep(
    buckets: &mut [Vec<Arc<Session>>],
    begun: Option<Result<Begun, tokio::task::JoinError>>,
) -> Result<(), Failure> {
    let Some(begun) = begun else { return Ok(()) };
    let (bucket, session) = begun.expect("a client does not panic")?;
    buckets[bucket].push(Arc::new(session));
    Ok(())
}

async fn change(session: &Session, side: usize, namespace: &Namespace) {
    let value = |text: String| Some(Bytes::from(text));
    for _ in 0..ATTEMPTS_MAX {
        let changes = Changes::Attributes(vec![
            (format!("{SIDE}{side}"), value(own(&session.name, side))),
            (COMMON.to_owned(), value(side.to_string())),
        ]);
        // Whoever reads it meanwhile may find it.
        session.changes().insert(side, Fate::Unknown);
        let fate = fate(&namespace.patch(&session.key, &session.base, changes, None).await);
        session.changes().insert(side, fate);
        if fate != Fate::NotDone {
            break;
        }
    }
}

async fn last(reader: &Namespace, session: &Session, deadline: Instant) -> (String, Paired) {
    let last = loop {
        match reader.get(&session.key).await {
            Ok(found) => break Some(found.map(|found| seen(&session.name, &found.content)).unwrap_or_default()),
            Err(_) if Instant::now() >= deadline => break None,
            Err(_) => time::sleep(LOOK_EVERY).await,
        }
    };
    let vanished = session.vanished.load(Ordering::Relaxed);
    (session.name.clone(), Paired { changes: session.changes().clone(), vanished, last })
}

/// What the attribute holds that is this side's own: nobody else writes that anywhere.
fn own(name: &str, side: usize) -> String {
    format!("{name} of side {side}")
}

fn beginning() -> Content {
    Content::Attributes([(COMMON.to_owned(), Bytes::from_static(BEGINNING.as_bytes()))].into())
}

fn seen(name: &str, content: &Content) -> PairSeen {
    let mut seen = PairSeen::default();
    let Content::Attributes(attributes) = content else {
        return PairSeen { is_foreign: true, ..seen };
    };
    for (attribute, value) in attributes {
        let text = std::str::from_utf8(value).unwrap_or_default();
        if attribute == COMMON {
            seen.common = text.parse().ok();
            seen.is_foreign |= seen.common.is_none() && text != BEGINNING;
            continue;
        }
        match attribute.strip_prefix(SIDE).and_then(|side| side.parse().ok()) {
            Some(side) if text == own(name, side) => {
                seen.sides.insert(side);
            }
            Some(_) | None => seen.is_foreign = true,
        }
    }
    seen
}

/// What a session holds of which this is known, as if it had been read.
pub(super) fn found(saved: &Saved, content: Content) -> Found {
    Found {
        content,
        tags: Default::default(),
        version: saved.version,
        life: saved.life,
        expires_in: None,
        written_at: 0,
        served_by: saved.served_by.clone(),
    }
}
