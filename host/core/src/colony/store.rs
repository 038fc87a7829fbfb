//! The committed state of one colony.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colony_wire::client::{Ack, Done};
use colony_wire::heal::{Overridden, Winner};
use colony_wire::op::{Absorption, Change, Op};
use colony_wire::session::Key;
use colony_wire::tag::{Tag, Tags};
use colony_wire::{Position, Reign, Seq};
use xxhash_rust::xxh3::Xxh3;

use super::clock::{Moment, SessionTime};
use super::ends::{Ends, KeyHash, Tombstone};
use super::history::History;
use super::images::{Absorbing, Images};
use super::quarantine::Quarantine;
use super::ranges::{self, Ranges};
use super::records::Records;
use super::session::Session;
use super::tags::TagIndex;

/// What a copied state consists of.
pub(super) struct Restored {
    pub(super) sessions: BTreeMap<Key, Session>,
    pub(super) ranges: Ranges,
    pub(super) ends: Ends,
    pub(super) records: Records,
    pub(super) history: History,
    pub(super) images: Images,
    pub(super) absorbing: Absorbing,
    pub(super) quarantine: Quarantine,
    pub(super) frozen: Option<Position>,
    pub(super) clock: u64,
}

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
    pub(super) images: Images,
    pub(super) absorbing: Absorbing,
    quarantine: Quarantine,
    /// Since when the colony stands still, if it does.
    frozen: Option<Position>,
    /// Hybrid time of the newest op.
    clock: u64,
    /// How it is divided when it is copied.
    ranges: Ranges,
    /// About the bytes that its sessions take in a copy.
    bytes: u64,
}

impl Store {
    pub(super) fn restored(parts: Restored) -> Self {
        let Restored { sessions, ranges, ends, records, history, images, absorbing, quarantine, frozen, clock } = parts;
        let deadlines = dated(&sessions);
        let bytes = ranges::size_of_all(&sessions);
        let mut tags = TagIndex::default();
        for (key, session) in &sessions {
            tags.change(key, &Tags::new(), &session.tags);
        }
        Self {
            sessions,
            deadlines,
            tags,
            ends,
            records,
            history,
            images,
            absorbing,
            quarantine,
            frozen,
            clock,
            ranges,
            bytes,
        }
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

    /// Where the colony stands still, if it does, so that another side can take it in.
    #[must_use]
    pub fn frozen(&self) -> Option<Position> {
        self.frozen
    }

    /// Values that heals overrode.
    #[must_use]
    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
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
        let others = (self.ends.logged(), self.frozen, &self.quarantine);
        hasher.update(&postcard::to_stdvec(&others).expect("logged state always encodes"));
        hasher.digest()
    }

    /// Takes in the next committed op; says what its client is to be told.
    ///
    /// `pinned` is a place after which another side may have gone on, if an op that stands in the log says so.
    pub(super) fn apply(&mut self, op: &Op, pinned: Option<Seq>, now: Moment) -> Done {
        let before = op.change.key().and_then(|key| self.sessions.get(key));
        let after = Session::after(before, op, now.sessions);
        let done = answer(op, before, after.as_ref());
        let ended = match &op.change {
            Change::End { kind, .. } | Change::Absorb { into: Absorption::End(kind), .. } => Some(*kind),
            _ => None,
        };
        if let Some(key) = op.change.key() {
            if let (Some(kind), Some(session)) = (ended, before) {
                let (key, life, ended) = (KeyHash::of(key), session.life, op.position);
                self.ends.bury(Tombstone { key, life, ended, kind });
            }
            if let Change::Absorb { into: Absorption::Over { life, kind }, .. } = op.change {
                self.ends.bury(Tombstone { key: KeyHash::of(key), life, ended: op.position, kind });
            }
            if let Change::Touch { .. } = &op.change {
                self.images.touch(key);
            }
            // A touch changes no value.
            let changes_nothing = matches!(
                &op.change,
                Change::Touch { .. } | Change::Absorb { into: Absorption::Keep | Absorption::Over { .. }, .. }
            );
            if !changes_nothing {
                self.images.overwrite(key, before, op.position, ended, pinned);
            }
            self.set(key, after);
        }
        self.settle(op);
        if let Some(stamp) = op.stamp {
            self.records.note(stamp, done, now.mono);
        }
        if let Change::Recall { answers } = &op.change {
            self.records.recall(answers, now.mono);
        }
        self.history.extend(op.position);
        self.clock = self.clock.max(op.written_at);
        done
    }

    /// What an op does besides changing sessions.
    fn settle(&mut self, op: &Op) {
        match &op.change {
            Change::Forget { upto } => self.ends.forget(*upto),
            Change::Open { pins, unites } => {
                if *pins {
                    self.images.pin(Seq(op.position.seq.0 - 1));
                } else {
                    self.images.unpin();
                }
                self.frozen = None;
                for end in unites {
                    let covers = self.absorbing.paths.remove(end).unwrap_or_default();
                    self.history.absorb(op.position, covers);
                    // A later round may have gone on beyond this end while it was decided: what that took in stays marked.
                    let is_beyond =
                        |at: &Position| at.lineage != end.lineage || (at.reign, at.seq) > (end.reign, end.seq);
                    // One that went on alone from the side of a mark has brought what was marked.
                    let history = &self.history;
                    self.absorbing.marks.retain(|_, mark| is_beyond(mark) && !history.covers(*mark));
                    self.absorbing.paths.retain(|path, _| is_beyond(path));
                }
            }
            Change::Freeze => {
                self.frozen = Some(op.position);
                self.images.pin(op.position.seq);
            }
            Change::Unfreeze => self.frozen = None,
            Change::Absorb { key, mark, into, overridden } => {
                self.absorbing.marks.insert((key.clone(), mark.lineage), *mark);
                if let Some(value) = overridden {
                    let winner = match into {
                        Absorption::Keep | Absorption::Over { .. } => Winner::Staying,
                        Absorption::Become(_) => Winner::Joined,
                        Absorption::End(kind) => Winner::End(*kind),
                    };
                    let (at, healed_at) = (op.position, op.written_at);
                    self.quarantine.keep(Overridden { at, healed_at, key: key.clone(), value: value.clone(), winner });
                }
            }
            Change::Absorbed { end, covers } => drop(self.absorbing.paths.insert(*end, covers.clone())),
            _ => {}
        }
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
        self.images.touch(key);
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
