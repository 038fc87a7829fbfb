//! What is built in: a rule for each attribute, by which a conflict is decided at once and nobody is asked.

use bytes::Bytes;
use colony_merges::{Answer, Merges, Rule, Side};
use colony_wire::admin::{AttributeNames, BuiltIn, MergeRule};
use colony_wire::session::{AttributeChange, Content};

use super::{Conflict, Resolution};

/// A conflict, decided by the rules of its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decided {
    /// What becomes of what was in conflict.
    pub resolution: Resolution,
    /// What could not be read and by which rule, if so: there the later write was kept.
    pub unread: Option<String>,
}

/// Decides a conflict by these rules; none if one of them rejects it.
///
/// Of two writes of the same millisecond the one to be joined counts as the later: of two concurrent saves that is the
/// second. But for that tie the answer does not depend on which side is ours.
#[must_use]
pub fn by_rules(rules: &[MergeRule], conflict: &Conflict) -> Option<Decided> {
    let merges = merges_of(rules);
    let later = if conflict.theirs.written_at >= conflict.ours.written_at { Side::Theirs } else { Side::Ours };
    if let Content::Blob(_) = conflict.theirs.content {
        let (answer, unread) = decide(merges.blob_rule(), conflict, None, later)?;
        let resolution = match answer {
            Answer::Keep(Side::Ours) => Resolution::KeepOurs,
            Answer::Keep(Side::Theirs) => Resolution::KeepTheirs,
            Answer::Value(bytes) => Resolution::Blob(bytes.into()),
            // A blob is absent on no side, so none is removed.
            Answer::Absent | Answer::Reject => return None,
        };
        return Some(Decided { resolution, unread });
    }
    let (mut changes, mut unread) = (Vec::<AttributeChange>::new(), None);
    for name in &conflict.attributes {
        let (answer, complaint) = decide(merges.rule(name), conflict, Some(name), later)?;
        unread = unread.or(complaint);
        let value = match answer {
            // What is stored stays.
            Answer::Keep(Side::Ours) => continue,
            Answer::Keep(Side::Theirs) => value(&conflict.theirs.content, Some(name)).cloned(),
            Answer::Value(bytes) => Some(bytes.into()),
            Answer::Absent => None,
            Answer::Reject => return None,
        };
        changes.push((name.clone(), value));
    }
    Some(Decided { resolution: Resolution::Attributes(changes), unread })
}

/// Whether one of these attributes, the empty name for a blob, is merged by a rule that looks at the base.
#[must_use]
pub fn need_base(rules: &[MergeRule], names: &[String]) -> bool {
    let merges = merges_of(rules);
    let rule = |name: &String| if name.is_empty() { merges.blob_rule() } else { merges.rule(name) };
    names.iter().any(|name| rule(name).uses_base())
}

/// What a rule makes of one value, and what it could not read; none if it rejects.
fn decide(rule: &Rule, conflict: &Conflict, name: Option<&str>, later: Side) -> Option<(Answer, Option<String>)> {
    let merged = rule.merge(&colony_merges::Conflict {
        base: conflict.base.as_ref().map(|base| value(&base.content, name).map(|bytes| &**bytes)),
        ours: value(&conflict.ours.content, name).map(|bytes| &**bytes),
        theirs: value(&conflict.theirs.content, name).map(|bytes| &**bytes),
        later,
    });
    let what = || name.map_or_else(|| "the blob".to_owned(), |name| format!("attribute {name:?}"));
    let unread = merged.unread.map(|wanted| format!("{} is not {wanted} wherever it was looked at", what()));
    (merged.answer != Answer::Reject).then_some((merged.answer, unread))
}

/// The attribute of this name, or the blob.
fn value<'a>(content: &'a Content, name: Option<&str>) -> Option<&'a Bytes> {
    match (content, name) {
        (Content::Blob(bytes), None) => Some(bytes),
        (Content::Attributes(values), Some(name)) => values.get(name),
        _ => None,
    }
}

fn merges_of(rules: &[MergeRule]) -> Merges {
    rules.iter().fold(Merges::new(), |merges, MergeRule { of, rule }| match of {
        AttributeNames::One(name) => merges.attribute(name, rule_of(*rule)),
        AttributeNames::Prefix(prefix) if prefix.is_empty() => merges.otherwise(rule_of(*rule)),
        AttributeNames::Prefix(prefix) => merges.prefix(prefix, rule_of(*rule)),
    })
}

fn rule_of(built_in: BuiltIn) -> Rule {
    match built_in {
        BuiltIn::LastWrite => Rule::LastWrite,
        BuiltIn::Max => Rule::Max,
        BuiltIn::Min => Rule::Min,
        BuiltIn::Counter => Rule::Counter,
        BuiltIn::Quantity => Rule::Quantity,
        BuiltIn::SetUnion => Rule::SetUnion,
        BuiltIn::Json => Rule::Json,
        BuiltIn::Reject => Rule::Reject,
    }
}
