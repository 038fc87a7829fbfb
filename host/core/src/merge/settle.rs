//! The built-in merge, and the referee of every answer.

use std::collections::BTreeSet;

use bytes::Bytes;
use colony_wire::session::{AttributeChange, Changes, Content};

use super::{Conflict, Resolution};

/// A complaint goes into logs and reports; a plugin must not fill them.
const MAX_COMPLAINT_BYTES: usize = 200;

/// What a conflict came to, checked and ready to be replicated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settled {
    /// What becomes of what was in conflict. Parts of the save that were not in conflict are not in it: the
    /// primary adds them, and checks the whole session against its limits as it does with every save.
    pub changes: Settlement,
    /// Who decided.
    pub by: DecidedBy,
    /// What was wrong with the answer, at most 200 bytes; if so, the built-in decided.
    pub complaint: Option<String>,
}

/// What becomes of what was in conflict.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// What is stored stays.
    Keep,
    /// These values take the place of what is stored.
    Change(Changes),
    /// The life of the session ends.
    Delete,
}

/// Who decided a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecidedBy {
    /// The one that was asked.
    Asked,
    /// The built-in, in its place.
    BuiltIn,
}

/// The built-in merge: one side wins the whole conflict.
///
/// A side that equals the base changed nothing, so the other one wins. Else the later write wins, and of
/// two writes of the same millisecond the one to be joined: of two concurrent saves that is the second.
/// It looks at both sides alike but for that tie, so `m(b, x, y)` and `m(b, y, x)` give the same content
/// whenever the times differ. It is idempotent, has the base as its identity, answers every conflict, and
/// gives nothing that was not on one of the sides.
#[must_use]
pub fn built_in(conflict: &Conflict) -> Resolution {
    let Conflict { base, ours, theirs, .. } = conflict;
    let is_base = |content: &Content| base.as_ref().is_some_and(|base| base.content == *content);
    if ours.content == theirs.content || is_base(&theirs.content) {
        Resolution::KeepOurs
    } else if is_base(&ours.content) || theirs.written_at >= ours.written_at {
        Resolution::KeepTheirs
    } else {
        Resolution::KeepOurs
    }
}

/// Turns an answer into the change to replicate.
///
/// Nothing that a plugin says is believed before it stands here: a resolution names attributes in conflict
/// only, each once, is of the session's kind, and keeps the limits of the wire. An answer that does not, or
/// none, is complained of, and the built-in decides.
#[must_use]
pub fn settle(conflict: &Conflict, answer: Result<Resolution, String>) -> Settled {
    match answer.and_then(|resolution| carry_out(conflict, resolution)) {
        Ok(changes) => Settled { changes, by: DecidedBy::Asked, complaint: None },
        Err(complaint) => Settled {
            changes: match built_in(conflict) {
                Resolution::KeepTheirs => Settlement::Change(theirs(conflict)),
                _ => Settlement::Keep,
            },
            by: DecidedBy::BuiltIn,
            complaint: Some(capped(complaint)),
        },
    }
}

/// What is wrong with an answer, if something is: what [`settle`] would complain of.
///
/// # Errors
/// The complaint.
pub fn check(conflict: &Conflict, resolution: &Resolution) -> Result<(), String> {
    carry_out(conflict, resolution.clone()).map(|_| ()).map_err(capped)
}

fn carry_out(conflict: &Conflict, resolution: Resolution) -> Result<Settlement, String> {
    match resolution {
        Resolution::KeepOurs => Ok(Settlement::Keep),
        Resolution::KeepTheirs => Ok(Settlement::Change(theirs(conflict))),
        Resolution::Delete => Ok(Settlement::Delete),
        Resolution::Attributes(changes) => check_attributes(conflict, changes),
        Resolution::Blob(bytes) => check_blob(conflict, bytes),
    }
}

/// The other side's part of the conflict as a change. It was within limits when it was sent.
fn theirs(conflict: &Conflict) -> Changes {
    match &conflict.theirs.content {
        Content::Blob(bytes) => Changes::Blob(bytes.clone()),
        Content::Attributes(values) => {
            let change = |name: &String| (name.clone(), values.get(name).cloned());
            Changes::Attributes(conflict.attributes.iter().map(change).collect())
        }
    }
}

fn check_attributes(conflict: &Conflict, changes: Vec<AttributeChange>) -> Result<Settlement, String> {
    if is_blob(conflict) {
        return Err("the session is a blob, the resolution names attributes".into());
    }
    let mut named = BTreeSet::new();
    for (name, _) in &changes {
        if !conflict.attributes.contains(name) {
            return Err(format!("attribute {name:?} is not in conflict"));
        }
        if !named.insert(name) {
            return Err(format!("attribute {name:?} is named twice"));
        }
    }
    if changes.is_empty() {
        return Ok(Settlement::Keep);
    }
    within_limits(Changes::Attributes(changes))
}

fn check_blob(conflict: &Conflict, bytes: Bytes) -> Result<Settlement, String> {
    if !is_blob(conflict) {
        return Err("the session has attributes, the resolution is a blob".into());
    }
    within_limits(Changes::Blob(bytes))
}

fn is_blob(conflict: &Conflict) -> bool {
    matches!(conflict.theirs.content, Content::Blob(_))
}

fn within_limits(changes: Changes) -> Result<Settlement, String> {
    changes.check().map_err(|error| error.to_string())?;
    Ok(Settlement::Change(changes))
}

/// Cuts at a character that ends within the limit.
fn capped(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_COMPLAINT_BYTES));
    text
}
