//! What committed ops make of sessions, written a second time and as plainly as can be: whoever reads at a
//! position must see exactly this.

use std::collections::BTreeMap;

use colony_wire::op::{Change, Op};
use colony_wire::session::{Changes, Content, EndKind, Key};
use colony_wire::tag::{TagChange, Tags};
use colony_wire::{Position, Seq};

/// A session after some op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Position of the create that began its life.
    pub life: Position,
    /// Position of its last change; a touch is none.
    pub version: Position,
    /// Its state.
    pub content: Content,
    /// Its tags.
    pub tags: Tags,
    /// Its time to live.
    pub ttl: Option<u64>,
}

/// What an op did: the session before and after, and what its client is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Before.
    pub before: Option<Kept>,
    /// After.
    pub after: Option<Kept>,
    /// The version to be told.
    pub version: Position,
    /// The life to be told.
    pub life: Position,
}

/// Every session of a colony at every position it ever had.
#[derive(Debug, Default)]
pub struct Model {
    keys: BTreeMap<Key, Vec<(Seq, Option<Kept>)>>,
    /// Every life that ended, with the op that ended it and why.
    ends: Vec<(Position, Position, EndKind)>,
    /// What was to be forgotten, by the place of the op that says so.
    forgets: Vec<(Seq, Seq)>,
}

impl Model {
    /// Takes in the next committed op.
    pub fn apply(&mut self, op: &Op) -> Effect {
        let at = op.position;
        if let Change::Forget { upto } = op.change {
            self.forgets.push((at.seq, upto));
        }
        let Some(key) = op.change.key() else {
            return Effect { before: None, after: None, version: at, life: at };
        };
        let states = self.keys.entry(key.clone()).or_default();
        let before = states.last().and_then(|(_, kept)| kept.clone());
        let after = after(before.clone(), op);
        states.push((at.seq, after.clone()));
        if let (Change::End { kind, .. }, Some(before)) = (&op.change, &before) {
            self.ends.push((before.life, at, *kind));
        }
        let version = after.as_ref().map_or(at, |kept| kept.version);
        let life = after.as_ref().or(before.as_ref()).map_or(at, |kept| kept.life);
        Effect { before, after, version, life }
    }

    /// The session as of the op at `seq`.
    #[must_use]
    pub fn at(&self, key: &Key, seq: Seq) -> Option<&Kept> {
        let states = self.keys.get(key)?;
        let later = states.partition_point(|(changed, _)| *changed <= seq);
        states.get(later.checked_sub(1)?)?.1.as_ref()
    }

    /// Whatever the session was as of the op at `seq` or an earlier one.
    pub fn up_to(&self, key: &Key, seq: Seq) -> impl Iterator<Item = &Kept> {
        let states = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        states.iter().take_while(move |(changed, _)| *changed <= seq).filter_map(|(_, kept)| kept.as_ref())
    }

    /// Life, end and kind of every life that had ended as of the op at `seq` and was to be remembered.
    #[must_use]
    pub fn ends_at(&self, seq: Seq) -> Vec<(Position, Position, EndKind)> {
        let forgotten = self.forgets.iter().filter(|(at, _)| *at <= seq).map(|(_, upto)| *upto).max();
        let stays = |ended: Seq| ended <= seq && forgotten.is_none_or(|upto| ended > upto);
        self.ends.iter().filter(|(_, ended, _)| stays(ended.seq)).copied().collect()
    }

    /// All sessions as of the op at `seq`.
    pub fn all_at(&self, seq: Seq) -> impl Iterator<Item = (&Key, &Kept)> {
        self.keys.keys().filter_map(move |key| Some((key, self.at(key, seq)?)))
    }
}

fn after(before: Option<Kept>, op: &Op) -> Option<Kept> {
    let version = op.position;
    match (&op.change, before) {
        (
            Change::Barrier
            | Change::Forget { .. }
            | Change::Revoked { .. }
            | Change::Open { .. }
            | Change::Freeze
            | Change::Unfreeze
            | Change::Absorb { .. }
            | Change::Absorbed { .. }
            | Change::Recall { .. },
            before,
        ) => before,
        (Change::End { .. }, _) => None,
        (Change::Put { content, tags, ttl, .. }, before) => {
            let life = before.as_ref().map_or(version, |kept| kept.life);
            let tags = retagged(before.map(|kept| kept.tags).unwrap_or_default(), tags);
            Some(Kept { life, version, content: content.clone(), tags, ttl: *ttl })
        }
        (Change::Update { changes, tags, ttl, .. }, Some(before)) => {
            let content = changed(before.content, changes);
            let tags = retagged(before.tags, tags);
            Some(Kept { version, content, tags, ttl: ttl.unwrap_or(before.ttl), ..before })
        }
        (Change::Touch { ttl, .. }, Some(before)) => Some(Kept { ttl: *ttl, ..before }),
        (Change::Update { .. } | Change::Touch { .. }, None) => None,
    }
}

/// Tags with changes made to them.
fn retagged(mut tags: Tags, changes: &[TagChange]) -> Tags {
    for (name, value) in changes {
        match value {
            Some(value) => tags.insert(name.clone(), value.clone()),
            None => tags.remove(name),
        };
    }
    tags
}

/// Content with changes made to it.
pub(super) fn changed(content: Content, changes: &Changes) -> Content {
    match (content, changes) {
        (Content::Blob(_), Changes::Blob(bytes)) => Content::Blob(bytes.clone()),
        (Content::Attributes(mut map), Changes::Attributes(changes)) => {
            for (name, value) in changes {
                match value {
                    Some(value) => map.insert(name.clone(), value.clone()),
                    None => map.remove(name),
                };
            }
            Content::Attributes(map)
        }
        (content, _) => content,
    }
}
