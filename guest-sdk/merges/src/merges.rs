//! Which rule an attribute is merged by.

use std::collections::BTreeMap;

use crate::Rule;

/// Which rule each attribute of a session is merged by, and its blob.
///
/// The attribute's own rule goes first, then that of the longest prefix its name begins with, then
/// [`otherwise`](Self::otherwise), which is [`last_write`](crate::last_write()) unless said. Of two rules for the same
/// name or prefix the last one said holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merges {
    attributes: BTreeMap<String, Rule>,
    prefixes: BTreeMap<String, Rule>,
    otherwise: Rule,
    blob: Option<Rule>,
}

impl Merges {
    /// The later write, for everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The attribute of this name is merged by this rule.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, rule: Rule) -> Self {
        self.attributes.insert(name.into(), rule);
        self
    }

    /// Attributes whose name begins with this are merged by this rule.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>, rule: Rule) -> Self {
        self.prefixes.insert(prefix.into(), rule);
        self
    }

    /// All others are merged by this rule, and blobs unless [`blob`](Self::blob) says otherwise.
    #[must_use]
    pub fn otherwise(self, rule: Rule) -> Self {
        Self { otherwise: rule, ..self }
    }

    /// A session that is one blob is merged by this rule.
    #[must_use]
    pub fn blob(self, rule: Rule) -> Self {
        Self { blob: Some(rule), ..self }
    }

    /// The rule for the attribute of this name.
    #[must_use]
    pub fn rule(&self, name: &str) -> &Rule {
        let by_prefix = || {
            let fitting = self.prefixes.iter().filter(|(prefix, _)| name.starts_with(prefix.as_str()));
            fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, rule)| rule)
        };
        self.attributes.get(name).or_else(by_prefix).unwrap_or(&self.otherwise)
    }

    /// The rule for a blob.
    #[must_use]
    pub fn blob_rule(&self) -> &Rule {
        self.blob.as_ref().unwrap_or(&self.otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{counter, json, max, min, quantity, set_union};

    #[test]
    fn the_most_particular_rule_holds() {
        let merges = Merges::new()
            .prefix("a", min())
            .prefix("a/b", max())
            .attribute("a/b", counter())
            .attribute("a/b", quantity())
            .otherwise(set_union());
        for (name, rule) in [("a", min()), ("a/", min()), ("a/bc", max()), ("a/b", quantity()), ("b", set_union())] {
            assert_eq!(*merges.rule(name), rule, "{name}");
        }
        assert_eq!(*merges.blob_rule(), set_union());
        assert_eq!(*merges.blob(json()).blob_rule(), json());
    }

    #[test]
    fn what_nothing_is_said_of_keeps_the_later_write() {
        assert_eq!((Merges::new().rule("any"), Merges::new().blob_rule()), (&Rule::LastWrite, &Rule::LastWrite));
    }
}
