//! The committed state of one colony.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colony_wire::client::Done;
use colony_wire::op::{Change, Op};
use colony_wire::session::Key;
use colony_wire::tag::{Tag, Tags};
use colony_wire::{Position, Reign, Seq};
use xxhash_rust::xxh3::Xxh3;

use super::history::History;
use super::records::Records;
use super::session::Session;
use super::tags::TagIndex;
use crate::Time;

/// Sessions, answers and history, all at one committed position.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    sessions: BTreeMap<Key, Session>,
    deadlines: BTreeSet<(Time, Key)>,
    tags: TagIndex,
    pub(super) records: Records,
    pub(super) history: History,
    /// Hybrid time of the newest op.
    clock: u64,
}

impl Store {
    pub(super) fn restored(sessions: BTreeMap<Key, Session>, records: Records, history: History, clock: u64) -> Self {
        let deadlines = sessions.iter().filter_map(|(key, session)| Some((session.deadline?, key.clone()))).collect();
        let mut tags = TagIndex::default();
        for (key, session) in &sessions {
            tags.change(key, &Tags::new(), &session.tags);
        }
        Self { sessions, deadlines, tags, records, history, clock }
    }

    /// The session of this key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Session> {
        self.sessions.get(key)
    }

    /// All sessions, by key.
    pub fn sessions(&self) -> impl Iterator<Item = (&Key, &Session)> {
        self.sessions.iter()
    }

    /// The sessions that carry a tag, those after the key `after`, by key.
    pub fn tagged<'a>(&'a self, tag: &Tag, after: Option<&Key>) -> impl Iterator<Item = (&'a Key, &'a Session)> {
        self.tags.carriers(tag, after).filter_map(|key| Some((key, self.sessions.get(key)?)))
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Place of the last op in the state.
    #[must_use]
    pub fn applied(&self) -> Seq {
        self.history.end().map_or(Seq(0), |end| end.seq)
    }

    /// Reign of the last op in the state.
    pub(super) fn applied_reign(&self) -> Reign {
        self.history.end().map_or(Reign(0), |end| end.reign)
    }

    /// Position of the last op in the state, none at the beginning.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.history.end()
    }

    /// Hybrid time of the newest op.
    pub(super) fn clock(&self) -> u64 {
        self.clock
    }

    /// Digest of the logged state: equal in all copies at the same position. Deadlines and the ages of
    /// records are not logged.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = Xxh3::new();
        for (key, session) in &self.sessions {
            let Session { life, version, written_at, stored, tags, ttl, deadline: _ } = session;
            let logged = (key, life, version, written_at, stored, tags, ttl);
            hasher.update(&postcard::to_stdvec(&logged).expect("logged state always encodes"));
        }
        hasher.digest()
    }

    /// Takes in the next committed op; says what its client is to be told.
    pub(super) fn apply(&mut self, op: &Op, now: Time) -> Done {
        let before = op.change.key().and_then(|key| self.sessions.get(key));
        let after = Session::after(before, op, now);
        let done = answer(op, before, after.as_ref());
        if let Some(key) = op.change.key() {
            self.set(key, after);
        }
        if let Some(stamp) = op.stamp {
            self.records.note(stamp, done, now);
        }
        self.history.extend(op.position);
        self.clock = self.clock.max(op.written_at);
        done
    }

    fn set(&mut self, key: &Key, session: Option<Session>) {
        let tags = session.as_ref().map(|session| session.tags.clone()).unwrap_or_default();
        let tags_before = self.sessions.get(key).map(|session| &session.tags);
        self.tags.change(key, tags_before.unwrap_or(&Tags::new()), &tags);
        let deadline = session.as_ref().and_then(|session| session.deadline);
        let before = match session {
            Some(session) => self.sessions.insert(key.clone(), session),
            None => self.sessions.remove(key),
        };
        if let Some(old) = before.and_then(|session| session.deadline) {
            self.deadlines.remove(&(old, key.clone()));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, key.clone()));
        }
    }

    /// Sessions whose time to live is over, the longest overdue first.
    pub(super) fn expired(&self, now: Time) -> impl Iterator<Item = &Key> {
        self.deadlines.iter().take_while(move |(deadline, _)| *deadline <= now).map(|(_, key)| key)
    }

    /// Moves every deadline by `pad`: this host's clock is another than the one they were counted by.
    pub(super) fn pad_deadlines(&mut self, pad: Duration) {
        self.deadlines = std::mem::take(&mut self.deadlines).into_iter().map(|(at, key)| (at + pad, key)).collect();
        for session in self.sessions.values_mut() {
            session.deadline = session.deadline.map(|deadline| deadline + pad);
        }
    }

    /// As if everything up to here had been taken in.
    #[cfg(feature = "mutants")]
    pub(super) fn pretend(&mut self, position: Position) {
        self.history.extend(position);
    }
}

/// What the client of an op is told. The number of copies is known only when it is told.
pub(super) fn answer(op: &Op, before: Option<&Session>, after: Option<&Session>) -> Done {
    let (ended, more) = match op.change {
        Change::Revoked { ended, more } => (ended, more),
        _ => (0, false),
    };
    let merged = matches!(op.change, Change::Update { merged: true, .. });
    let version = after.map_or(op.position, |session| session.version);
    let life = after.or(before).map_or(op.position, |session| session.life);
    Done { version, life, copies: 0, merged, ended, more }
}
