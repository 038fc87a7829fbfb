//! What a mutation comes to, judged against one session (`PROTOCOL.md` 3.2). No state is changed here.

use bytes::Bytes;
use colony_wire::admin::{MergeBy, OnConflict};
use colony_wire::client::{Refusal, ReplyBody};
use colony_wire::limits::{MAX_ATTRIBUTES, MAX_SESSION};
use colony_wire::op::Change;
use colony_wire::session::{AttributeChange, Base, Changes, Content, EndKind, Key, Mutation, Precondition, Ttl};
use colony_wire::{Position, Seq};

use super::super::holding::Holding;
use super::super::io::Space;
use super::super::session::{Session, Stored};
use crate::merge::{Conflict, Occasion, Side};
use crate::{Now, Time};

/// What is to happen.
pub(super) enum Verdict {
    /// Log this change; the client hears when it is committed.
    Log(Change),
    /// Answer at once; nothing changes.
    Answer(ReplyBody),
    /// Ask whoever merges.
    Merge(Box<Asked>),
}

/// A save that waits for a merge.
pub(super) struct Asked {
    pub(super) by: MergeBy,
    pub(super) conflict: Conflict,
    /// The save's changes that are not in conflict.
    pub(super) others: Vec<AttributeChange>,
    pub(super) ttl: Option<Ttl>,
}

/// What a mutation is judged by.
pub(super) struct Bench<'a> {
    pub(super) now: Now,
    pub(super) space: &'a Space,
    pub(super) holding: &'a Holding,
    /// The session as the newest prepared op leaves it.
    pub(super) current: Option<&'a Session>,
}

impl Bench<'_> {
    pub(super) fn judge(&self, mutation: Mutation) -> Verdict {
        let judged = match mutation {
            Mutation::Put { key, content, ttl, precondition } => self.put(key, content, ttl, precondition),
            Mutation::Save { key, base, changes, ttl, base_values } => {
                self.save(key, base, changes, ttl, base_values.as_deref())
            }
            Mutation::Touch { key, ttl } => match self.current {
                Some(_) => Ok(Verdict::Log(Change::Touch { key, ttl })),
                None => Err(Refusal::NotFound),
            },
            Mutation::Delete { key, precondition } => self.delete(key, precondition),
        };
        judged.unwrap_or_else(|refusal| Verdict::Answer(ReplyBody::Refused(refusal)))
    }

    fn put(&self, key: Key, content: Content, ttl: Ttl, precondition: Precondition) -> Result<Verdict, Refusal> {
        self.check(precondition)?;
        Ok(Verdict::Log(Change::Put { key, content, ttl }))
    }

    fn delete(&self, key: Key, precondition: Precondition) -> Result<Verdict, Refusal> {
        self.check(precondition)?;
        if self.current.is_none() {
            return Err(Refusal::NotFound);
        }
        Ok(Verdict::Log(Change::End { key, kind: EndKind::Logout }))
    }

    fn check(&self, precondition: Precondition) -> Result<(), Refusal> {
        match (precondition, self.current) {
            (Precondition::None, _) | (Precondition::Absent, None) => Ok(()),
            (Precondition::Absent, Some(session)) => Err(Refusal::Exists { version: session.version }),
            (Precondition::Version(_), None) => Err(Refusal::NotFound),
            (Precondition::Version(wanted), Some(session)) if session.version == wanted => Ok(()),
            (Precondition::Version(_), Some(session)) => Err(Refusal::Changed { version: session.version }),
        }
    }

    fn save(
        &self,
        key: Key,
        base: Base,
        changes: Changes,
        ttl: Option<Ttl>,
        base_values: Option<&[AttributeChange]>,
    ) -> Result<Verdict, Refusal> {
        let session = self.current.filter(|session| session.life == base.life).ok_or(Refusal::Gone)?;
        let in_conflict = self.conflicts(session, base.version, &changes)?;
        if in_conflict.is_empty() {
            check_room(session, &changes)?;
            return Ok(Verdict::Log(Change::Update { key, changes, ttl, merged: false }));
        }
        let policy = &self.space.policy;
        match (policy.on_conflict, &policy.merge, base_values) {
            (OnConflict::Reject, _, _) => Err(Refusal::Changed { version: session.version }),
            (OnConflict::Overwrite, _, _) => {
                check_room(session, &changes)?;
                Ok(Verdict::Log(Change::Update { key, changes, ttl, merged: false }))
            }
            // The built-in decides by time alone: it needs no base.
            (OnConflict::Merge, MergeBy::LastWrite, values) => {
                let base_side = values.and_then(|values| self.base_side(&in_conflict, base.version, values));
                Ok(self.ask(session, base, base_side, in_conflict, changes, ttl))
            }
            (OnConflict::Merge, MergeBy::Plugin(_), values) => {
                let base_side = values.and_then(|values| self.base_side(&in_conflict, base.version, values));
                if base_side.is_none() {
                    return Ok(Verdict::Answer(ReplyBody::NeedBase { attributes: in_conflict }));
                }
                Ok(self.ask(session, base, base_side, in_conflict, changes, ttl))
            }
        }
    }

    /// Names of what the save changes and somebody else changed since its base, to other bytes. A blob's
    /// one name is empty.
    fn conflicts(&self, session: &Session, base: Position, changes: &Changes) -> Result<Vec<String>, Refusal> {
        // The log at a position that stands in it holds everything up to it: replicas have one path. A version
        // that does not counts as older than everything. One that is prepared only is known to whoever was
        // content with the primary's word, and the save stands behind it in the log.
        let seen = if self.holding.covers(base) { base.seq } else { Seq(0) };
        match (&session.stored, changes) {
            (Stored::Blob(ours), Changes::Blob(theirs)) => {
                let conflict = session.version.seq > seen && ours != theirs;
                Ok(if conflict { vec![String::new()] } else { Vec::new() })
            }
            (stored @ Stored::Attributes { .. }, Changes::Attributes(changes)) => {
                let conflict = |(name, value): &&AttributeChange| {
                    stored.changed(name) > seen && stored.value(name) != value.as_ref()
                };
                Ok(changes.iter().filter(conflict).map(|(name, _)| name.clone()).collect())
            }
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

    fn ask(
        &self,
        session: &Session,
        base: Base,
        base_side: Option<Side>,
        in_conflict: Vec<String>,
        changes: Changes,
        ttl: Option<Ttl>,
    ) -> Verdict {
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
        let now: Time = self.now.mono;
        let conflict = Conflict {
            namespace: self.space.name.clone(),
            occasion: Occasion::ConcurrentSave,
            attributes: in_conflict.into_iter().filter(|name| !name.is_empty()).collect(),
            base: base_side,
            ours: Side {
                content: ours,
                version: session.version,
                written_at: session.written_at,
                expires_in: session.expires_in(now),
            },
            theirs: Side {
                content: theirs,
                version: base.version,
                written_at: self.now.wall_ms.max(session.written_at),
                expires_in: ttl.unwrap_or(session.ttl),
            },
        };
        Verdict::Merge(Box::new(Asked { by: self.space.policy.merge.clone(), conflict, others, ttl }))
    }
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

/// Values under their names; the empty name is the blob. What is removed is left out.
fn content_of(values: Vec<(String, Option<Bytes>)>) -> Content {
    if let [(name, value)] = values.as_slice()
        && name.is_empty()
    {
        return Content::Blob(value.clone().unwrap_or_default());
    }
    Content::Attributes(values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}
