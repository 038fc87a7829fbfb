//! The committed state of one colony.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colony_wire::client::{Ack, Done};
use colony_wire::op::{Change, Op};
use colony_wire::session::Key;
use colony_wire::tag::{Tag, Tags};
use colony_wire::{Position, Reign, Seq};
use xxhash_rust::xxh3::Xxh3;

use super::clock::{Moment, SessionTime};
use super::ends::{Ends, KeyHash, Tombstone};
use super::history::History;
use super::ranges::{self, Ranges};
use super::records::Records;
use super::session::Session;
use super::tags::TagIndex;

/// The sessions that end, by their deadlines.
type Deadlines = BTreeMap<SessionTime, BTreeSet<Key>>;

/// Sessions, ended lives, answers and history, all at one committed position.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    sessions: BTreeMap<Key, Session>,
    deadlines: Deadlines,
    ends: Ends,
    tags: TagIndex,
    pub(super) records: Records,
    pub(super) history: History,
    /// Hybrid time of the newest op.
    clock: u64,
    /// How it is divided when it is copied.
    ranges: Ranges,
    /// About the bytes that its sessions take in a copy.
    bytes: u64,
}

impl Store {
    pub(super) fn restored(
        sessions: BTreeMap<Key, Session>,
        ranges: Ranges,
        ends: Ends,
        records: Records,
        history: History,
        clock: u64,
    ) -> Self {
        let deadlines = dated(&sessions);
        let bytes = ranges::size_of_all(&sessions);
        let mut tags = TagIndex::default();
        for (key, session) in &sessions {
            tags.change(key, &Tags::new(), &session.tags);
        }
        Self { sessions, deadlines, tags, ends, records, history, clock, ranges, bytes }
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

    /// What stays of lives that have ended.
    #[must_use]
    pub fn ends(&self) -> &Ends {
        &self.ends
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

    /// How it is divided when it is copied.
    pub(super) fn ranges(&self) -> Ranges {
        self.ranges
    }

    /// About the bytes that its sessions take in a copy.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether this is what a snapshot makes of `other`: equal in everything but in what dated each session, which
    /// no copy knows of another.
    #[must_use]
    pub fn is_copy_of(&self, other: &Self) -> bool {
        let same = |(key, session): (&Key, &Session)| {
            self.sessions.get(key).is_some_and(|own| Session { logged: session.logged, ..own.clone() } == *session)
        };
        let sessions = BTreeMap::new;
        self.sessions.len() == other.sessions.len()
            && other.sessions().all(same)
            && Self { sessions: sessions(), ..self.clone() } == Self { sessions: sessions(), ..other.clone() }
    }

    /// Digest of the logged state: equal in all copies at the same position. Deadlines and the ages of
    /// records are not logged.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = Xxh3::new();
        for (key, session) in &self.sessions {
            let Session { life, version, written_at, stored, tags, ttl, deadline: _, logged: _ } = session;
            let logged = (key, life, version, written_at, stored, tags, ttl);
            hasher.update(&postcard::to_stdvec(&logged).expect("logged state always encodes"));
        }
        hasher.update(&postcard::to_stdvec(&self.ends.logged()).expect("logged state always encodes"));
        hasher.digest()
    }

    /// Takes in the next committed op; says what its client is to be told.
    pub(super) fn apply(&mut self, op: &Op, now: Moment) -> Done {
        let before = op.change.key().and_then(|key| self.sessions.get(key));
        let after = Session::after(before, op, now.sessions);
        let done = answer(op, before, after.as_ref());
        match (&op.change, before) {
            (Change::End { key, kind }, Some(session)) => {
                let (key, life, ended) = (KeyHash::of(key), session.life, op.position);
                self.ends.bury(Tombstone { key, life, ended, kind: *kind });
            }
            (Change::Forget { upto }, _) => self.ends.forget(*upto),
            _ => {}
        }
        if let Some(key) = op.change.key() {
            self.set(key, after);
        }
        if let Some(stamp) = op.stamp {
            self.records.note(stamp, done, now.mono);
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
        self.bytes += session.as_ref().map_or(0, |session| ranges::size(key, session));
        let before = match session {
            Some(session) => self.sessions.insert(key.clone(), session),
            None => self.sessions.remove(key),
        };
        self.bytes -= before.as_ref().map_or(0, |session| ranges::size(key, session));
        self.ranges.fit(self.bytes);
        if let Some(old) = before.and_then(|session| session.deadline) {
            undate(&mut self.deadlines, old, key);
        }
        if let Some(deadline) = deadline {
            self.deadlines.entry(deadline).or_default().insert(key.clone());
        }
    }

    /// Sessions whose time to live was over before this, the longest overdue first.
    pub(super) fn over_before(&self, end: SessionTime) -> impl Iterator<Item = &Key> {
        self.deadlines.range(..end).flat_map(|(_, keys)| keys)
    }

    /// Sessions whose time to live is over by `now`, and was not before `from`; the longest overdue first.
    pub(super) fn over_by(&self, now: SessionTime, from: SessionTime) -> impl Iterator<Item = &Key> {
        self.deadlines.range(from.min(now)..=now).flat_map(|(_, keys)| keys)
    }

    /// Moves the deadline of one session. It is no logged state.
    pub(super) fn put_off(&mut self, key: &Key, deadline: SessionTime) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if let Some(before) = session.deadline.replace(deadline) {
            undate(&mut self.deadlines, before, key);
        }
        self.deadlines.entry(deadline).or_default().insert(key.clone());
    }

    /// Moves every deadline on for a promotion: this host's clock is another than the one they were counted
    /// by, and `pad` is what the two may differ by.
    pub(super) fn pad_deadlines(&mut self, pad: Duration) {
        for session in self.sessions.values_mut() {
            session.deadline = session.padded_deadline(pad);
        }
        self.deadlines = dated(&self.sessions);
    }

    /// As if everything up to here had been taken in.
    #[cfg(feature = "mutants")]
    pub(super) fn pretend(&mut self, position: Position) {
        self.history.extend(position);
    }
}

fn dated(sessions: &BTreeMap<Key, Session>) -> Deadlines {
    let mut deadlines = Deadlines::new();
    for (key, session) in sessions {
        if let Some(deadline) = session.deadline {
            deadlines.entry(deadline).or_default().insert(key.clone());
        }
    }
    deadlines
}

fn undate(deadlines: &mut Deadlines, deadline: SessionTime, key: &Key) {
    if let Some(keys) = deadlines.get_mut(&deadline) {
        keys.remove(key);
        if keys.is_empty() {
            deadlines.remove(&deadline);
        }
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
    Done { version, life, copies: 0, merged, ack: Ack::InSync, ended, more }
}
