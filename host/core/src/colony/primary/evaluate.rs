//! What a mutation comes to, judged against one session (`PROTOCOL.md` 3.2). No state is changed here.

use bytes::Bytes;
use colony_wire::admin::{MergeBy, MergeRule, OnConflict};
use colony_wire::client::{Refusal, ReplyBody};
use colony_wire::limits::{MAX_ATTRIBUTES, MAX_SESSION, MAX_TAGS};
use colony_wire::op::Change;
use colony_wire::session::{AttributeChange, Base, Changes, Content, EndKind, Key, Mutation, Precondition, Ttl};
use colony_wire::tag::{TagChange, change_tags};
use colony_wire::{Position, Reign, Seq};

use super::super::clock::SessionTime;
use super::super::holding::Holding;
use super::super::io::Space;
use super::super::session::{Session, Stored};
use super::super::settings::Settings;
use crate::Now;
use crate::merge::{Conflict, Occasion, Settlement, Side, by_rules, need_base, settle};

/// What is to happen.
pub(super) enum Verdict {
    /// Log this change; the client hears when it is committed.
    Log(Change),
    /// A touch that is not logged: the deadline moves here only, and the client is told that it is done.
    PutOff,
    /// Answer at once; nothing changes.
    Answer(ReplyBody),
    /// Ask the plugin of this name. The save is to be judged anew, as it was asked for, if the session changes meanwhile.
    Merge(String, Box<Contested>, Mutation),
    /// Log this change, to which a conflict came by what is built in; say what that could not read.
    Decided(Change, Option<String>),
}

/// A save of what somebody else changed since its base.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Contested {
    pub(super) key: Key,
    /// The life that the save changes. It may end while the save waits: by a tag of the session.
    pub(super) life: Position,
    pub(super) conflict: Conflict,
    /// The save's changes that are not in conflict.
    others: Vec<AttributeChange>,
    /// What the save does to tags, which are never in conflict.
    tags: Vec<TagChange>,
    ttl: Option<Ttl>,
}

impl Contested {
    /// The op that a settled conflict and the rest of the save come to.
    pub(super) fn change(&self, settlement: Settlement) -> Change {
        let key = self.key.clone();
        let changes = match settlement {
            Settlement::Delete => return Change::End { key, kind: EndKind::Logout },
            Settlement::Change(changes @ Changes::Blob(_)) => changes,
            Settlement::Change(Changes::Attributes(decided)) => {
                Changes::Attributes(self.others.iter().cloned().chain(decided).collect())
            }
            // An op there must be, for the request to be done once; on a blob it changes nothing.
            Settlement::Keep => Changes::Attributes(self.others.clone()),
        };
        Change::Update { key, changes, tags: self.tags.clone(), ttl: self.ttl, merged: true }
    }
}

/// A save as it was asked for.
#[derive(Clone)]
struct Save {
    key: Key,
    base: Base,
    changes: Changes,
    tags: Vec<TagChange>,
    ttl: Option<Ttl>,
}

impl Save {
    /// The mutation that asks for it.
    fn mutation(self, base_values: Option<&[AttributeChange]>) -> Mutation {
        let Self { key, base, changes, tags, ttl } = self;
        Mutation::Save { key, base, changes, tags, ttl, base_values: base_values.map(<[_]>::to_vec) }
    }

    /// The op it comes to if nothing is in conflict, or the save wins.
    fn change(self) -> Change {
        let Self { key, changes, tags, ttl, .. } = self;
        Change::Update { key, changes, tags, ttl, merged: false }
    }
}

/// What a mutation is judged by.
pub(super) struct Bench<'a> {
    pub(super) now: Now,
    pub(super) session_time: SessionTime,
    /// Whose reign it is.
    pub(super) reign: Reign,
    pub(super) space: &'a Space,
    pub(super) holding: &'a Holding,
    /// The session as the newest prepared op leaves it.
    pub(super) current: Option<&'a Session>,
    /// The lives of this key that ops end which are not committed yet, oldest first.
    pub(super) ending: &'a [(Position, EndKind)],
    pub(super) settings: &'a Settings,
}

impl Bench<'_> {
    pub(super) fn judge(&self, mutation: Mutation) -> Verdict {
        let judged = match mutation {
            Mutation::Put { key, content, tags, ttl, precondition } => self.put(key, content, tags, ttl, precondition),
            Mutation::Save { key, base, changes, tags, ttl, base_values } => {
                let save = Save { key, base, changes, tags, ttl };
                self.save(save, base_values.as_deref())
            }
            Mutation::Touch { key, ttl } => self.touch(key, ttl),
            Mutation::Delete { key, precondition, kind } => self.delete(key, precondition, kind),
        };
        judged.unwrap_or_else(|refusal| Verdict::Answer(ReplyBody::Refused(refusal)))
    }

    fn put(
        &self,
        key: Key,
        content: Content,
        tags: Vec<TagChange>,
        ttl: Ttl,
        precondition: Precondition,
    ) -> Result<Verdict, Refusal> {
        self.check(precondition)?;
        check_tags(self.current, &tags)?;
        Ok(Verdict::Log(Change::Put { key, content, tags, ttl }))
    }

    fn delete(&self, key: Key, precondition: Precondition, kind: EndKind) -> Result<Verdict, Refusal> {
        self.check(precondition)?;
        if self.current.is_none() {
            return Err(Refusal::NotFound);
        }
        Ok(Verdict::Log(Change::End { key, kind }))
    }

    fn touch(&self, key: Key, ttl: Ttl) -> Result<Verdict, Refusal> {
        if let Some(session) = self.current {
            let absorbed = session.absorbs_touch(ttl, self.reign, self.session_time);
            return Ok(if absorbed { Verdict::PutOff } else { Verdict::Log(Change::Touch { key, ttl }) });
        }
        // A touch names no life: if the key had one, it is meant.
        let newest = self.ending.last().map(|(_, kind)| *kind).or_else(|| self.holding.store.ends().newest_of(&key));
        Err(newest.map_or(Refusal::NotFound, |kind| Refusal::Gone { ended: Some(kind) }))
    }

    /// The refusal of a change of a life that is not the current one.
    fn gone(&self, key: &Key, life: Position) -> Refusal {
        let ending = self.ending.iter().find(|(ended, _)| *ended == life).map(|(_, kind)| *kind);
        Refusal::Gone { ended: ending.or_else(|| self.holding.store.ends().of_life(key, life)) }
    }

    fn check(&self, precondition: Precondition) -> Result<(), Refusal> {
        if mutant!(self.settings, IgnorePreconditions) {
            return Ok(());
        }
        match (precondition, self.current) {
            (Precondition::None, _) | (Precondition::Absent, None) => Ok(()),
            (Precondition::Absent, Some(session)) => Err(Refusal::Exists { version: session.version }),
            (Precondition::Version(_), None) => Err(Refusal::NotFound),
            (Precondition::Version(wanted), Some(session)) if session.version == wanted => Ok(()),
            (Precondition::Version(_), Some(session)) => Err(Refusal::Changed { version: session.version }),
        }
    }

    fn save(&self, save: Save, base_values: Option<&[AttributeChange]>) -> Result<Verdict, Refusal> {
        let base = save.base;
        let current = self.current.filter(|session| session.life == base.life);
        let session = current.ok_or_else(|| self.gone(&save.key, base.life))?;
        let in_conflict = self.conflicts(session, base.version, &save.changes)?;
        check_tags(Some(session), &save.tags)?;
        if in_conflict.is_empty() {
            check_room(session, &save.changes)?;
            return Ok(Verdict::Log(save.change()));
        }
        let policy = &self.space.policy;
        match (policy.on_conflict, &policy.merge, base_values) {
            (OnConflict::Reject, _, _) => Err(Refusal::Changed { version: session.version }),
            (OnConflict::Overwrite, _, _) => {
                check_room(session, &save.changes)?;
                Ok(Verdict::Log(save.change()))
            }
            (OnConflict::Merge, by, values) => {
                let base_side = values.and_then(|values| self.base_side(&in_conflict, base.version, values));
                let needs_base = match by {
                    MergeBy::LastWrite => false,
                    MergeBy::Plugin(_) => true,
                    MergeBy::Rules(rules) => need_base(rules, &in_conflict),
                };
                if base_side.is_none() && needs_base {
                    return Ok(Verdict::Answer(ReplyBody::NeedBase { attributes: in_conflict }));
                }
                let contest = |save| self.contested(session, base_side, in_conflict, save);
                match by {
                    MergeBy::Plugin(name) => {
                        let contested = Box::new(contest(save.clone()));
                        Ok(Verdict::Merge(name.clone(), contested, save.mutation(values)))
                    }
                    MergeBy::LastWrite => decide(&[], session, &contest(save)),
                    MergeBy::Rules(rules) => decide(rules, session, &contest(save)),
                }
            }
        }
    }

    /// Names of what the save changes and somebody else changed since its base, to other bytes. A blob's
    /// one name is empty.
    fn conflicts(&self, session: &Session, base: Position, changes: &Changes) -> Result<Vec<String>, Refusal> {
        // The log at a position that stands in it holds everything up to it: replicas have one path. One that is prepared
        // only is known to whoever was content with the primary's word, and the save stands behind it in the log. A version
        // that stands in neither counts as older than everything, also one of another side of a split that was taken in: what
        // was never here may have been there.
        let is_known = self.holding.is_on_path(base)
            || (mutant!(self.settings, CompareForeignPlaces) && self.holding.store.history.covers(base));
        let is_newer = |changed: Seq| !is_known || changed > base.seq;
        match (&session.stored, changes) {
            (Stored::Blob(ours), Changes::Blob(theirs)) => {
                let conflict = is_newer(session.version.seq) && ours != theirs;
                Ok(if conflict { vec![String::new()] } else { Vec::new() })
            }
            (stored @ Stored::Attributes { .. }, Changes::Attributes(changes)) => {
                let conflict = |(name, value): &&AttributeChange| {
                    is_newer(stored.changed(name)) && stored.value(name) != value.as_ref()
                };
                Ok(changes.iter().filter(conflict).map(|(name, _)| name.clone()).collect())
            }
            // A save of tags or of a time to live alone.
            (Stored::Blob(_), Changes::Attributes(changes)) if changes.is_empty() => Ok(Vec::new()),
            (Stored::Blob(_), Changes::Attributes(_)) | (Stored::Attributes { .. }, Changes::Blob(_)) => {
                Err(Refusal::WrongContent)
            }
        }
    }

    /// The base as the client remembers it; none if it did not send all that is needed.
    fn base_side(&self, names: &[String], version: Position, values: &[AttributeChange]) -> Option<Side> {
        let value = |name: &String| values.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
        let pairs: Option<Vec<AttributeChange>> =
            names.iter().map(|name| value(name).map(|value| (name.clone(), value))).collect();
        Some(Side { content: content_of(pairs?), version, written_at: 0, expires_in: None })
    }

    fn contested(&self, session: &Session, base_side: Option<Side>, in_conflict: Vec<String>, save: Save) -> Contested {
        let Save { key, base, changes, tags, ttl } = save;
        let ours = match &session.stored {
            Stored::Blob(bytes) => Content::Blob(bytes.clone()),
            stored @ Stored::Attributes { .. } => {
                content_of(in_conflict.iter().map(|name| (name.clone(), stored.value(name).cloned())).collect())
            }
        };
        let (theirs, others) = match changes {
            Changes::Blob(bytes) => (Content::Blob(bytes), Vec::new()),
            Changes::Attributes(changes) => {
                let (theirs, others) = changes.into_iter().partition(|(name, _)| in_conflict.contains(name));
                (content_of(theirs), others)
            }
        };
        let conflict = Conflict {
            namespace: self.space.name.clone(),
            occasion: Occasion::ConcurrentSave,
            attributes: in_conflict.into_iter().filter(|name| !name.is_empty()).collect(),
            base: base_side,
            ours: Side {
                content: ours,
                version: session.version,
                written_at: session.written_at,
                expires_in: session.expires_in(self.session_time),
            },
            theirs: Side {
                content: theirs,
                version: base.version,
                written_at: self.now.wall_ms.max(session.written_at),
                expires_in: ttl.unwrap_or(session.ttl),
            },
        };
        Contested { key, life: session.life, conflict, others, tags, ttl }
    }
}

/// Decides by what is built in; refuses if a rule says so.
fn decide(rules: &[MergeRule], session: &Session, contested: &Contested) -> Result<Verdict, Refusal> {
    let decided = by_rules(rules, &contested.conflict).ok_or(Refusal::Changed { version: session.version })?;
    let settled = settle(&contested.conflict, Ok(decided.resolution));
    let change = contested.change(settled.changes);
    if let Change::Update { changes, .. } = &change {
        check_room(session, changes)?;
    }
    Ok(Verdict::Decided(change, decided.unread.or(settled.complaint)))
}

/// Refuses changes that would make the session exceed its limits.
pub(super) fn check_room(session: &Session, changes: &Changes) -> Result<(), Refusal> {
    let Changes::Attributes(changes) = changes else { return Ok(()) };
    let content = session.stored.content();
    let Content::Attributes(mut map) = content else { return Ok(()) };
    for (name, value) in changes {
        match value {
            Some(value) => map.insert(name.clone(), value.clone()),
            None => map.remove(name),
        };
    }
    let too_large = |what: &str, len: usize, limit: usize| Refusal::TooLarge {
        what: what.to_owned(),
        len: len as u64,
        limit: limit as u64,
    };
    if map.len() > MAX_ATTRIBUTES {
        return Err(too_large("number of attributes", map.len(), MAX_ATTRIBUTES));
    }
    let size = Content::Attributes(map).size();
    if size > MAX_SESSION {
        return Err(too_large("size of the session in bytes", size, MAX_SESSION));
    }
    Ok(())
}

/// Refuses tags that would make the session exceed its limit.
pub(super) fn check_tags(session: Option<&Session>, changes: &[TagChange]) -> Result<(), Refusal> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut tags = session.map(|session| session.tags.clone()).unwrap_or_default();
    change_tags(&mut tags, changes);
    if tags.len() <= MAX_TAGS {
        return Ok(());
    }
    Err(Refusal::TooLarge { what: "number of tags".into(), len: tags.len() as u64, limit: MAX_TAGS as u64 })
}

/// Values under their names; the empty name is the blob. What is removed is left out.
fn content_of(values: Vec<(String, Option<Bytes>)>) -> Content {
    if let [(name, value)] = values.as_slice()
        && name.is_empty()
    {
        return Content::Blob(value.clone().unwrap_or_default());
    }
    Content::Attributes(values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}
