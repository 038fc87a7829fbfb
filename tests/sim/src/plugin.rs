//! The merge plugin, natively: counters add up, of everything else the newcomer's value is taken.

use bytes::Bytes;
use colony_core::merge::{Conflict, Resolution, Side};
use colony_wire::session::Content;

/// The attribute that counts.
pub const COUNT: &str = "count";

/// What the plugin makes of a conflict.
///
/// # Errors
/// If it cannot tell, in words.
pub fn merge(conflict: &Conflict) -> Result<Resolution, String> {
    let Content::Attributes(theirs) = &conflict.theirs.content else {
        return Ok(Resolution::KeepTheirs);
    };
    let mut changes = Vec::new();
    for name in &conflict.attributes {
        let value = if name == COUNT {
            let base = conflict.base.as_ref().ok_or("a counter needs its base")?;
            let sum = i128::from(count(&conflict.ours)) + i128::from(count(&conflict.theirs)) - i128::from(count(base));
            Some(Bytes::from(sum.max(0).to_string()))
        } else {
            theirs.get(name).cloned()
        };
        changes.push((name.clone(), value));
    }
    Ok(Resolution::Attributes(changes))
}

/// An answer that does not fit the question.
#[must_use]
pub fn nonsense(conflict: &Conflict) -> Resolution {
    match &conflict.ours.content {
        Content::Blob(_) => Resolution::Attributes(vec![("x".into(), None)]),
        Content::Attributes(_) => Resolution::Blob(Bytes::from_static(b"nonsense")),
    }
}

fn count(side: &Side) -> u64 {
    counted(&side.content)
}

/// What a session's content counts; nothing counts zero. What stands behind a plus sign makes one write differ
/// from all others: two sides that wrote the same bytes would, by rule, be no conflict.
#[must_use]
pub fn counted(content: &Content) -> u64 {
    let Content::Attributes(map) = content else { return 0 };
    let value = map.get(COUNT).and_then(|value| std::str::from_utf8(value).ok());
    value.and_then(|value| value.split('+').next()?.parse().ok()).unwrap_or(0)
}
