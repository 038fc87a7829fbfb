//! The rule for sets, which are JSON arrays.

use std::collections::BTreeSet;

use crate::{Answer, Conflict, Json, Merged, Unread};

/// What either side added and neither removed.
pub(crate) fn union(conflict: &Conflict<'_>) -> Result<Merged, Unread> {
    let base = conflict.base.map(read).transpose()?.unwrap_or_default();
    let (ours, theirs) = (read(conflict.ours)?, read(conflict.theirs)?);
    let is_kept = |element: &&Json| !base.contains(element) || (ours.contains(element) && theirs.contains(element));
    let kept: Vec<Json> = ours.union(&theirs).filter(is_kept).cloned().collect();
    let is_removed = conflict.ours.is_none() || conflict.theirs.is_none();
    let answer = if is_removed && kept.is_empty() {
        Answer::Absent
    } else {
        Answer::Value(Json::Array(kept).to_string().into_bytes())
    };
    Ok(answer.into())
}

fn read(value: Option<&[u8]>) -> Result<BTreeSet<Json>, Unread> {
    let Some(bytes) = value else { return Ok(BTreeSet::new()) };
    match Json::parse(bytes) {
        Some(Json::Array(elements)) => Ok(elements.into_iter().collect()),
        _ => Err(Unread("a JSON array")),
    }
}
