//! Applications that write, read and delete all the time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use colony_client::{Ack, CallError, Client, Content, Key, Namespace, Options, Position, Precondition, Refusal, Ttl};
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::ledger::{Held, Ledger};

/// The attribute that every session has.
const NUMBER: &str = "number";
/// Pauses between two calls of a writer, in milliseconds.
const PAUSE_MS: (u64, u64) = (5, 60);
/// How long a call may take. Some rounds keep colonies from being served for longer, and calls fail then.
const WITHIN: Duration = Duration::from_secs(8);

/// What all writers share.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    pub(crate) stop: Rc<Cell<bool>>,
    /// Whether applications may come from one side of a split to the other.
    pub(crate) is_wide: bool,
}

/// One application.
///
/// It goes on with one session of its own, by versions, for as long as it knows what that holds, and begins others on
/// the way that it reads and ends later.
pub(crate) struct Writer {
    number: usize,
    namespace: Namespace,
    desk: Desk,
    chance: Chance,
    /// The last session that it began.
    last: u64,
    /// The session that it goes on with, and its version.
    chain: Option<(String, Position)>,
    written: u64,
}

impl Writer {
    pub(crate) fn new(number: usize, client: &Client, namespace: &str, ack: Ack, desk: Desk, seed: u64) -> Self {
        let options = Options { deadline: WITHIN, ack, ..Options::default() };
        Self {
            number,
            namespace: client.namespace(namespace).with(options),
            desk,
            chance: Chance::new(seed, 100 + number as u64),
            last: 0,
            chain: None,
            written: 0,
        }
    }

    pub(crate) async fn run(mut self) {
        while !self.desk.stop.get() {
            match self.chance.between(0, 9) {
                0..=3 => self.go_on().await,
                4..=6 => drop(self.begin().await),
                7..=8 => self.read().await,
                _ => self.end().await,
            }
            sleep(Duration::from_millis(self.chance.between(PAUSE_MS.0, PAUSE_MS.1))).await;
        }
    }

    /// Begins a session. A request that was made and is taken for another one meets its own session.
    async fn begin(&mut self) -> Option<(String, Position)> {
        self.last += 1;
        let key = format!("w{}.{}", self.number, self.last);
        let version = self.write(&key, Precondition::Absent).await?;
        Some((key, version))
    }

    /// Writes the next number over the last.
    async fn go_on(&mut self) {
        let Some((key, version)) = self.chain.take() else {
            self.chain = self.begin().await;
            return;
        };
        let version = self.write(&key, Precondition::Version(version)).await;
        self.chain = version.map(|version| (key, version));
    }

    async fn write(&mut self, key: &str, only_if: Precondition) -> Option<Position> {
        self.written += 1;
        let held = Some(self.written);
        let begun = Instant::now();
        let saved = self.namespace.put(&named(key), content(self.written), Ttl::Never, only_if).await;
        if saved.is_ok() {
            let mut ledger = self.desk.ledger.borrow_mut();
            ledger.slowest = ledger.slowest.max(begun.elapsed());
        }
        let version = saved.as_ref().ok().map(|saved| saved.version);
        self.note(key, held, saved.map(drop));
        version
    }

    /// Reads one of the sessions that it began.
    async fn read(&mut self) {
        let Some(key) = self.any() else { return };
        if let Ok(held) = read(&self.namespace, &key).await {
            self.desk.ledger.borrow_mut().show(&key, held);
        }
    }

    /// Ends one of the sessions that it began.
    async fn end(&mut self) {
        let Some(key) = self.any() else { return };
        let is_chain = self.chain.as_ref().is_some_and(|(chain, _)| *chain == key);
        let held = self.desk.ledger.borrow().certain(&key);
        if is_chain || !matches!(held, Some(Some(_))) {
            return;
        }
        let ended = self.namespace.delete_if(&named(&key), Precondition::None).await;
        self.note(&key, None, ended.map(drop));
    }

    fn any(&mut self) -> Option<String> {
        (self.last > 0).then(|| format!("w{}.{}", self.number, self.chance.between(1, self.last)))
    }

    /// What came of a change that leaves this.
    fn note(&self, key: &str, held: Held, came: Result<(), CallError>) {
        let mut ledger = self.desk.ledger.borrow_mut();
        match came {
            Ok(()) => ledger.acknowledge(key, held),
            Err(CallError::Refused(
                refusal @ (Refusal::Exists { .. } | Refusal::Changed { .. } | Refusal::NotFound | Refusal::Gone { .. }),
            )) if !self.desk.is_wide => ledger.refuse(key, &refusal.to_string()),
            // The other side of a split refuses what is based on what it has not taken in yet. An earlier attempt may
            // have been carried out where it came from.
            Err(CallError::Refused(_)) if self.desk.is_wide => ledger.leave_open(key, held),
            Err(error) if error.has_no_side_effects() => {}
            Err(_) => ledger.leave_open(key, held),
        }
    }
}

/// What a session holds.
///
/// # Errors
/// If nobody says.
pub(crate) async fn read(namespace: &Namespace, key: &str) -> Result<Held, CallError> {
    let found = namespace.get(&named(key)).await?;
    Ok(found.and_then(|found| match found.content {
        Content::Attributes(attributes) => number(attributes.get(NUMBER)?),
        Content::Blob(_) => None,
    }))
}

pub(crate) fn named(key: &str) -> Key {
    Key::new(Bytes::copy_from_slice(key.as_bytes())).expect("keys are short")
}

pub(crate) fn content(number: u64) -> Content {
    let number = Bytes::copy_from_slice(&number.to_be_bytes());
    Content::Attributes(BTreeMap::from([(NUMBER.to_owned(), number)]))
}

fn number(bytes: &Bytes) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.as_ref().try_into().ok()?))
}
