//! One session, and what ops do to it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use colony_wire::heal::Portrait;
use colony_wire::op::{Absorption, Change, Op};
use colony_wire::session::{Changes, Content, SessionSummary, SessionView};
use colony_wire::tag::{Tag, Tags, change_tags};
use colony_wire::{Position, Reign, Seq};
use serde::{Deserialize, Serialize};

use super::clock::SessionTime;

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// Position of the create that began its life.
    pub life: Position,
    /// Position of its last change.
    pub version: Position,
    /// Hybrid time of its last change.
    pub written_at: u64,
    /// Its state.
    pub stored: Stored,
    /// Its tags.
    pub tags: Tags,
    /// Its time to live in milliseconds, as logged.
    pub ttl: Option<u64>,
    /// When it ends, by this shard's clock for sessions. Not logged: every copy counts for itself.
    pub deadline: Option<SessionTime>,
    /// What an op of the log made of the deadline last. The primary moves its own beyond that for touches it
    /// does not log.
    pub(super) logged: Option<Logged>,
}

/// A deadline as an op set it, by this shard's clock for sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Logged {
    /// Whose op it was. What an earlier reign logged, others may have taken in sooner than this copy.
    pub(super) reign: Reign,
    pub(super) deadline: SessionTime,
}

/// A state with the stamps that concurrent saves are judged by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stored {
    /// Opaque bytes, changed as a whole with the session.
    Blob(Bytes),
    /// Attributes, stamped one by one.
    Attributes {
        /// The attributes, and the removals still remembered.
        map: BTreeMap<String, Attribute>,
        /// Newest removal that is remembered no longer: an attribute that is not in the map may have been
        /// removed up to here.
        removed_floor: Seq,
    },
}

/// One attribute or its removal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attribute {
    /// Its value; none if it was removed.
    pub value: Option<Bytes>,
    /// Position of its last change.
    pub changed: Position,
}

/// A touch that puts the end off by less than this part of the time to live is not logged.
const TOUCH_GRAIN: u32 = 10;
/// Most removals remembered in one session. What is forgotten raises the floor, so that a save based on an
/// older version conflicts instead of bringing a removed attribute back unseen.
const MAX_REMOVALS: usize = 64;

impl Session {
    /// What becomes of a session by an op that names its key.
    pub(super) fn after(current: Option<&Self>, op: &Op, now: SessionTime) -> Option<Self> {
        let at = op.position;
        match (&op.change, current) {
            (
                Change::Barrier
                | Change::Forget { .. }
                | Change::Revoked { .. }
                | Change::Open { .. }
                | Change::Freeze
                | Change::Unfreeze
                | Change::Absorbed { .. }
                | Change::Recall { .. }
                | Change::Absorb { into: Absorption::Keep | Absorption::Over { .. }, .. },
                current,
            ) => current.cloned(),
            (Change::End { .. } | Change::Absorb { into: Absorption::End(_), .. }, _) => None,
            (Change::Absorb { into: Absorption::Become(portrait), .. }, current) => {
                Some(Self::painted(portrait, current, at, now))
            }
            (Change::Put { content, tags, ttl, .. }, current) => {
                let mut session = Self {
                    life: current.map_or(at, |session| session.life),
                    version: at,
                    written_at: op.written_at,
                    stored: Stored::replacing(current.map(|session| &session.stored), content, at),
                    // Only by name: a write that knows nothing of a tag must not hide the session from it.
                    tags: current.map(|session| session.tags.clone()).unwrap_or_default(),
                    ttl: None,
                    deadline: None,
                    logged: None,
                };
                change_tags(&mut session.tags, tags);
                session.live_for(*ttl, at.reign, now);
                Some(session)
            }
            (Change::Update { changes, tags, ttl, .. }, Some(current)) => {
                let mut session = current.clone();
                session.version = at;
                session.written_at = op.written_at;
                session.stored.change(changes, at);
                change_tags(&mut session.tags, tags);
                // Every save restarts the time to live, a new one or the one it has.
                session.live_for(ttl.unwrap_or(current.ttl), at.reign, now);
                Some(session)
            }
            (Change::Touch { ttl, .. }, Some(current)) => {
                let mut session = current.clone();
                session.live_for(*ttl, at.reign, now);
                Some(session)
            }
            // The primary logs these for sessions that exist only; a copy must not guess.
            (Change::Update { .. } | Change::Touch { .. }, None) => None,
        }
    }

    /// A session as another side had a part in it. Every place is this side's own: who knows only the other side's
    /// versions has seen less.
    fn painted(portrait: &Portrait, current: Option<&Self>, at: Position, now: SessionTime) -> Self {
        let Portrait { life, content, tags, ttl, expires_in, written_at } = portrait;
        let before = current.filter(|session| session.life == *life).map(|session| &session.stored);
        let deadline = expires_in.map(|ms| now + Duration::from_millis(ms));
        Self {
            life: *life,
            version: at,
            written_at: *written_at,
            stored: Stored::merged(before, content, at),
            tags: tags.clone(),
            ttl: *ttl,
            deadline,
            logged: deadline.map(|deadline| Logged { reign: at.reign, deadline }),
        }
    }

    /// As another side gets it. `now` is the time by which its end is counted; it has none in a copy that outlives it.
    pub(super) fn portrait(&self, now: Option<SessionTime>) -> Portrait {
        Portrait {
            life: self.life,
            content: self.stored.content(),
            tags: self.tags.clone(),
            ttl: self.ttl,
            expires_in: now.and_then(|now| self.expires_in(now)),
            written_at: self.written_at,
        }
    }

    fn live_for(&mut self, ttl: Option<u64>, reign: Reign, now: SessionTime) {
        self.ttl = ttl;
        self.deadline = ttl.map(|ms| now + Duration::from_millis(ms));
        self.logged = self.deadline.map(|deadline| Logged { reign, deadline });
    }

    /// A session as a snapshot brings it: its deadline is the best that is known of what was logged.
    pub(super) fn revived(mut self, deadline: Option<SessionTime>) -> Self {
        self.deadline = deadline;
        self.logged = deadline.map(|deadline| Logged { reign: Reign(0), deadline });
        self
    }

    /// Whether a touch by the primary of `reign` needs no op: it sets the time to live that the session has,
    /// and every copy, should it be promoted, lets the session live that long anyway.
    pub(super) fn absorbs_touch(&self, ttl: Option<u64>, reign: Reign, now: SessionTime) -> bool {
        if ttl != self.ttl {
            return false;
        }
        let (Some(ms), Some(logged)) = (ttl, self.logged) else { return ttl.is_none() };
        let ttl = Duration::from_millis(ms);
        logged.reign == reign && (now + ttl).since(logged.deadline) < ttl / TOUCH_GRAIN
    }

    /// Whether every copy, should it be promoted, lets it live for so many milliseconds more, none for ever. What an earlier
    /// reign than this one logged, others may have taken in sooner than this copy, and count from then.
    pub(super) fn surely_lives_for(&self, ms: Option<u64>, reign: Reign, now: SessionTime) -> bool {
        if self.deadline.is_none() {
            return true;
        }
        let (Some(ms), Some(logged)) = (ms, self.logged) else { return false };
        logged.reign == reign && logged.deadline >= now + Duration::from_millis(ms)
    }

    /// The deadline that a newly promoted copy lets it live to. Clocks differ, and its predecessor may have
    /// answered touches that were not logged. A copy that is promoted again adds nothing to what it added.
    pub(super) fn padded_deadline(&self, pad: Duration) -> Option<SessionTime> {
        let (deadline, logged, ttl) = (self.deadline?, self.logged?, Duration::from_millis(self.ttl?));
        Some(deadline.max(logged.deadline + ttl / TOUCH_GRAIN + pad))
    }

    /// As a reader gets it.
    pub(super) fn view(&self, now: SessionTime) -> SessionView {
        SessionView {
            content: self.stored.content(),
            tags: self.tags.clone(),
            version: self.version,
            life: self.life,
            expires_in: self.expires_in(now),
            written_at: self.written_at,
        }
    }

    /// As a list names it.
    pub(super) fn summary(&self, now: SessionTime) -> SessionSummary {
        SessionSummary {
            version: self.version,
            life: self.life,
            expires_in: self.expires_in(now),
            written_at: self.written_at,
        }
    }

    /// Whether it carries the tag.
    pub(super) fn carries(&self, tag: &Tag) -> bool {
        self.tags.get(&tag.name) == Some(&tag.value)
    }

    /// Milliseconds until it ends, if it does.
    pub(super) fn expires_in(&self, now: SessionTime) -> Option<u64> {
        self.deadline.map(|deadline| u64::try_from(deadline.since(now).as_millis()).unwrap_or(u64::MAX))
    }
}

impl Stored {
    fn replacing(before: Option<&Self>, content: &Content, at: Position) -> Self {
        match content {
            Content::Blob(bytes) => Self::Blob(bytes.clone()),
            Content::Attributes(values) => {
                let mut stored = match before {
                    Some(Self::Attributes { map, removed_floor }) => {
                        let removed = |_: &Attribute| Attribute { value: None, changed: at };
                        let map = map.iter().map(|(name, old)| (name.clone(), removed(old))).collect();
                        Self::Attributes { map, removed_floor: *removed_floor }
                    }
                    // What was removed before it became a blob is not known any more.
                    Some(Self::Blob(_)) => Self::Attributes { map: BTreeMap::new(), removed_floor: at.seq },
                    None => Self::Attributes { map: BTreeMap::new(), removed_floor: Seq(0) },
                };
                let changes = values.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
                stored.change(&Changes::Attributes(changes), at);
                stored
            }
        }
    }

    /// What is the same as before keeps its place, what is not has this one.
    fn merged(before: Option<&Self>, content: &Content, at: Position) -> Self {
        let (Some(Self::Attributes { map, removed_floor }), Content::Attributes(values)) = (before, content) else {
            return Self::replacing(None, content, at);
        };
        let mut merged = Self::Attributes { map: map.clone(), removed_floor: *removed_floor };
        let removed = map.iter().filter(|(name, old)| old.value.is_some() && !values.contains_key(*name));
        let removed = removed.map(|(name, _)| (name.clone(), None));
        let is_new =
            |(name, value): &(&String, &Bytes)| map.get(*name).and_then(|old| old.value.as_ref()) != Some(*value);
        let new = values.iter().filter(is_new).map(|(name, value)| (name.clone(), Some(value.clone())));
        merged.change(&Changes::Attributes(removed.chain(new).collect()), at);
        merged
    }

    fn change(&mut self, changes: &Changes, at: Position) {
        match (&mut *self, changes) {
            (Self::Blob(bytes), Changes::Blob(new)) => *bytes = new.clone(),
            (Self::Attributes { map, .. }, Changes::Attributes(changes)) => {
                for (name, value) in changes {
                    map.insert(name.clone(), Attribute { value: value.clone(), changed: at });
                }
                self.forget_removals();
            }
            // The primary refuses a save of the other kind; a copy must not guess.
            (Self::Blob(_), Changes::Attributes(_)) | (Self::Attributes { .. }, Changes::Blob(_)) => {}
        }
    }

    fn forget_removals(&mut self) {
        let Self::Attributes { map, removed_floor } = self else { return };
        let removals: usize = map.values().filter(|attribute| attribute.value.is_none()).count();
        for _ in MAX_REMOVALS..removals {
            let oldest = map.iter().filter(|(_, attribute)| attribute.value.is_none());
            let Some((name, seq)) =
                oldest.min_by_key(|(_, a)| a.changed.seq).map(|(name, a)| (name.clone(), a.changed.seq))
            else {
                return;
            };
            map.remove(&name);
            *removed_floor = (*removed_floor).max(seq);
        }
    }

    /// As a reader gets it.
    #[must_use]
    pub fn content(&self) -> Content {
        match self {
            Self::Blob(bytes) => Content::Blob(bytes.clone()),
            Self::Attributes { map, .. } => Content::Attributes(
                map.iter()
                    .filter_map(|(name, attribute)| attribute.value.clone().map(|value| (name.clone(), value)))
                    .collect(),
            ),
        }
    }

    /// Bytes of names and values, remembered removals included.
    pub(super) fn size(&self) -> usize {
        /// A position and two lengths.
        const FIXED: usize = 16;
        match self {
            Self::Blob(bytes) => bytes.len(),
            Self::Attributes { map, .. } => {
                let size = |(name, attribute): (&String, &Attribute)| {
                    name.len() + attribute.value.as_ref().map_or(0, Bytes::len) + FIXED
                };
                map.iter().map(size).sum()
            }
        }
    }

    /// The attribute's value now.
    pub(super) fn value(&self, name: &str) -> Option<&Bytes> {
        match self {
            Self::Blob(_) => None,
            Self::Attributes { map, .. } => map.get(name).and_then(|attribute| attribute.value.as_ref()),
        }
    }

    /// Place of the attribute's last change, removals included; zero if it never was.
    pub(super) fn changed(&self, name: &str) -> Seq {
        match self {
            Self::Blob(_) => Seq(0),
            Self::Attributes { map, removed_floor } => {
                map.get(name).map_or(*removed_floor, |attribute| attribute.changed.seq)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use colony_wire::LineageId;
    use colony_wire::session::Key;

    use super::*;

    fn op(seq: u64, change: Change) -> Op {
        let position = Position { lineage: LineageId(1), reign: Reign(1), seq: Seq(seq) };
        Op { position, stamp: None, written_at: seq, change }
    }

    fn update(seq: u64, name: &str, value: Option<&'static str>) -> Op {
        let changes = Changes::Attributes(vec![(name.to_owned(), value.map(Bytes::from))]);
        op(seq, Change::Update { key: Key::new("k").unwrap(), changes, tags: Vec::new(), ttl: None, merged: false })
    }

    fn empty() -> Op {
        let content = Content::Attributes(BTreeMap::new());
        op(1, Change::Put { key: Key::new("k").unwrap(), content, tags: Vec::new(), ttl: Some(1000) })
    }

    /// Bug: a removal that was forgotten looked like an attribute that never was, so a save based on an
    /// older version would have brought the attribute back without a conflict.
    /// Cause: removals are bounded. Fix: forgetting one raises a floor that absent attributes answer with.
    #[test]
    fn a_forgotten_removal_still_conflicts_with_older_saves() {
        let mut session = Session::after(None, &empty(), SessionTime(0)).unwrap();
        for seq in 0..=MAX_REMOVALS as u64 {
            let name = format!("a{seq}");
            session = Session::after(Some(&session), &update(2 + seq, &name, None), SessionTime(0)).unwrap();
        }
        let Stored::Attributes { map, .. } = &session.stored else { panic!("attributes stay attributes") };
        assert_eq!(map.len(), MAX_REMOVALS);
        assert_eq!(session.stored.changed("a0"), Seq(2));
    }

    #[test]
    fn a_put_over_a_life_keeps_the_life_and_removes_what_it_does_not_name() {
        let before = Session::after(None, &empty(), SessionTime(0)).unwrap();
        let before = Session::after(Some(&before), &update(2, "old", Some("1")), SessionTime(0)).unwrap();
        let values = BTreeMap::from([("new".to_owned(), Bytes::from("2"))]);
        let content = Content::Attributes(values);
        let put = Change::Put { key: Key::new("k").unwrap(), content, tags: Vec::new(), ttl: None };
        let after = Session::after(Some(&before), &op(3, put), SessionTime(0)).unwrap();
        assert_eq!((after.life.seq, after.version.seq), (Seq(1), Seq(3)));
        assert_eq!((after.stored.value("old"), after.stored.changed("old")), (None, Seq(3)));
    }

    #[test]
    fn a_touch_moves_the_deadline_and_not_the_version() {
        let before = Session::after(None, &empty(), SessionTime(0)).unwrap();
        let touch = op(2, Change::Touch { key: Key::new("k").unwrap(), ttl: Some(5) });
        let after = Session::after(Some(&before), &touch, SessionTime(10)).unwrap();
        assert_eq!((after.version, after.deadline), (before.version, Some(SessionTime(5_010))));
    }

    #[test]
    fn a_touch_is_absorbed_up_to_a_tenth_of_the_ttl_beyond_what_was_logged() {
        let session = Session::after(None, &empty(), SessionTime(0)).unwrap();
        let absorbs = |ttl, reign, at_ms: u64| session.absorbs_touch(ttl, Reign(reign), SessionTime(at_ms * 1000));
        assert!(absorbs(Some(1000), 1, 0) && absorbs(Some(1000), 1, 99));
        assert!(!absorbs(Some(1000), 1, 100), "a tenth is logged");
        assert!(!absorbs(Some(999), 1, 0) && !absorbs(None, 1, 0), "another time to live is logged");
        assert!(!absorbs(Some(1000), 2, 0), "a new reign counts on nothing that it did not log");
    }

    #[test]
    fn a_promotion_pads_what_was_logged_and_pads_it_once() {
        let mut session = Session::after(None, &empty(), SessionTime(0)).unwrap();
        for _ in 0..2 {
            session.deadline = session.padded_deadline(Duration::from_secs(1));
            assert_eq!(session.deadline, Some(SessionTime(2_100_000)), "1 s to live, a tenth of it, and 1 s");
        }
    }
}
