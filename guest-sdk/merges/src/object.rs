//! Rules for JSON objects.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Answer, Conflict, Json, Merged, Rule, Side, Unread, one_sided};

/// An object by its keys.
type Object = BTreeMap<String, Json>;

/// Key by key, what both sides changed by this rule.
pub(crate) fn by_key(conflict: &Conflict<'_>, rule: &Rule) -> Result<Merged, Unread> {
    let base = conflict.base.map(object).transpose()?;
    let (ours, theirs) = (object(conflict.ours)?, object(conflict.theirs)?);
    let (mut merged, mut unread) = (Object::new(), None);
    for key in keys(&ours, &theirs) {
        let (before, here, there) = (base.as_ref().map(|base| base.get(key)), ours.get(key), theirs.get(key));
        let value = match one_sided(before, here, there, PartialEq::eq) {
            Some(side) => pick(side, here, there).cloned(),
            None => {
                let text = |value: Option<&Json>| value.map(|value| value.to_string().into_bytes());
                let (before, ours, theirs) = (before.map(text), text(here), text(there));
                let of_key = rule.merge(&Conflict {
                    base: before.as_ref().map(Option::as_deref),
                    ours: ours.as_deref(),
                    theirs: theirs.as_deref(),
                    later: conflict.later,
                });
                unread = unread.or(of_key.unread);
                match of_key.answer {
                    Answer::Keep(side) => pick(side, here, there).cloned(),
                    Answer::Value(bytes) => Some(Json::parse(&bytes).ok_or(OBJECT)?),
                    Answer::Absent => None,
                    Answer::Reject => return Ok(Answer::Reject.into()),
                }
            }
        };
        merged.extend(value.map(|value| (key.clone(), value)));
    }
    let is_removed = conflict.ours.is_none() || conflict.theirs.is_none();
    let answer = if is_removed && merged.is_empty() {
        Answer::Absent
    } else {
        Answer::Value(Json::Object(merged).to_string().into_bytes())
    };
    Ok(Merged { answer, unread })
}

/// What is said of a value that is no object.
const OBJECT: Unread = Unread("a JSON object");

fn object(value: Option<&[u8]>) -> Result<Object, Unread> {
    let Some(bytes) = value else { return Ok(Object::new()) };
    match Json::parse(bytes) {
        Some(Json::Object(object)) => Ok(object),
        _ => Err(OBJECT),
    }
}

/// Any JSON: objects key by key at every depth, of anything else the later write.
pub(crate) fn three_way(conflict: &Conflict<'_>) -> Result<Merged, Unread> {
    let (Some(ours), Some(theirs)) = (conflict.ours, conflict.theirs) else {
        return Ok(Answer::Keep(conflict.later).into());
    };
    let read = |bytes: &[u8]| Json::parse(bytes).ok_or(Unread("JSON"));
    let base = conflict.base.map(|base| base.map(read).transpose()).transpose()?;
    let (ours, theirs) = (read(ours)?, read(theirs)?);
    let merged = join(base.as_ref().map(Option::as_ref), Some(&ours), Some(&theirs), conflict.later);
    Ok(merged.map_or(Answer::Absent, |merged| Answer::Value(merged.to_string().into_bytes())).into())
}

/// Goes no deeper than what was read does.
fn join(base: Option<Option<&Json>>, ours: Option<&Json>, theirs: Option<&Json>, later: Side) -> Option<Json> {
    if let Some(side) = one_sided(base, ours, theirs, PartialEq::eq) {
        return pick(side, ours, theirs).cloned();
    }
    let (Some(Json::Object(ours)), Some(Json::Object(theirs))) = (ours, theirs) else {
        return pick(later, ours, theirs).cloned();
    };
    let join_key = |key: &String| {
        // In a base that was no object the key was absent.
        let before = base.map(|base| match base {
            Some(Json::Object(base)) => base.get(key),
            _ => None,
        });
        Some((key.clone(), join(before, ours.get(key), theirs.get(key), later)?))
    };
    Some(Json::Object(keys(ours, theirs).into_iter().filter_map(join_key).collect()))
}

fn keys<'a>(ours: &'a Object, theirs: &'a Object) -> BTreeSet<&'a String> {
    ours.keys().chain(theirs.keys()).collect()
}

fn pick<'a>(side: Side, ours: Option<&'a Json>, theirs: Option<&'a Json>) -> Option<&'a Json> {
    match side {
        Side::Ours => ours,
        Side::Theirs => theirs,
    }
}
