//! What a session may be found by beside its key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::frame::{DecodeError, within};
use crate::limits::{MAX_NAME, MAX_TAG_CHANGES, MAX_TAG_VALUE};

/// One tag, such as `user=42`: all sessions of a namespace that carry it can be listed and ended together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// Its name, 1 to [`MAX_NAME`] bytes.
    pub name: String,
    /// Its value, up to [`MAX_TAG_VALUE`] bytes.
    pub value: String,
}

impl Tag {
    /// Refuses a tag that no session could carry.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] names the limit.
    pub fn check(&self) -> Result<(), DecodeError> {
        check_name(&self.name)?;
        check_value(&self.value)
    }
}

/// The tags of one session, values by name, up to [`MAX_TAGS`](crate::limits::MAX_TAGS) of them.
pub type Tags = BTreeMap<String, String>;

/// A change of one tag: its new value, or its removal. Of two changes of one tag the later wins; tags take no
/// part in conflicts.
pub type TagChange = (String, Option<String>);

/// The tags after these changes.
pub fn change_tags(tags: &mut Tags, changes: &[TagChange]) {
    for (name, value) in changes {
        match value {
            Some(value) => tags.insert(name.clone(), value.clone()),
            None => tags.remove(name),
        };
    }
}

/// Refuses changes of tags that no session could take.
pub(crate) fn check_tag_changes(changes: &[TagChange]) -> Result<(), DecodeError> {
    within("number of tag changes", changes.len(), MAX_TAG_CHANGES)?;
    for (name, value) in changes {
        check_name(name)?;
        check_value(value.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), DecodeError> {
    if name.is_empty() {
        return Err(DecodeError::Limit { what: "length of an empty tag name", len: 0, limit: MAX_NAME });
    }
    within("length of a tag name", name.len(), MAX_NAME)
}

fn check_value(value: &str) -> Result<(), DecodeError> {
    within("length of a tag value", value.len(), MAX_TAG_VALUE)
}
