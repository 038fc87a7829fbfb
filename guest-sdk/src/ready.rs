//! Ready-made merges: say which attribute is what, and write no merge at all.
//!
//! ```
//! use colony_guest::ready::{Merges, counter, json, last_write, max, quantity, set_union};
//!
//! fn account() -> Merges {
//!     Merges::new()
//!         .attribute("logins", counter())
//!         .attribute("last_seen", max())
//!         .attribute("settings", json())
//!         .prefix("item:", quantity())
//!         .prefix("tags/", set_union())
//!         .otherwise(last_write())
//! }
//!
//! colony_guest::export_merge!(account());
//! ```
//!
//! [`Merges`] is a [`Merge`] like one written by hand. In a plugin that decides some attributes itself,
//! [`Conflict::merge_by`] decides the others:
//!
//! ```
//! use colony_guest::merge::{Choice, Conflict, Merge, Resolution};
//! use colony_guest::ready::quantity;
//!
//! struct Shop;
//!
//! impl Merge for Shop {
//!     fn attribute(&self, conflict: &Conflict) -> Resolution {
//!         match conflict.name.as_str() {
//!             "stock" => conflict.merge_by(&quantity()),
//!             // Whoever was a customer stays one.
//!             "customer" if conflict.ours.text() == Some("yes") => Resolution::Keep(Choice::Ours),
//!             "customer" if conflict.theirs.text() == Some("yes") => Resolution::Keep(Choice::Theirs),
//!             _ => Resolution::Keep(conflict.later()),
//!         }
//!     }
//! }
//! # colony_guest::export_merge!(Shop);
//! ```
//!
//! The rules keep the laws of [`crate::merge`]. The host has them too, for namespaces without a plugin:
//! `colony namespace create NAME --merge "builtin:logins=counter,item:*=quantity"`.
//!
//! Where a value is not what its rule reads, the later write is kept and a warning with the attribute's name goes to
//! the host's log.

use colony_merges::{Answer, Side};
pub use colony_merges::{
    Json, Merges, Rule, counter, json, last_write, map_by_key, max, min, quantity, reject, set_union,
};

use crate::merge::{Choice, Conflict, Merge, Resolution};

/// What a rule that rejects says, since a plugin cannot refuse a save.
const REJECTED: &str = "the rule for it is not to merge";

impl Conflict {
    /// What a ready-made rule makes of this value.
    pub fn merge_by(&self, rule: &Rule) -> Resolution {
        let merged = rule.merge(&colony_merges::Conflict {
            base: self.base.as_ref().map(|base| base.value()),
            ours: self.ours.value(),
            theirs: self.theirs.value(),
            later: match self.later() {
                Choice::Ours => Side::Ours,
                Choice::Theirs => Side::Theirs,
            },
        });
        if let Some(wanted) = merged.unread {
            crate::log!(Warn, "attribute {:?} is not {wanted}: the later write is kept", self.name);
        }
        match merged.answer {
            Answer::Keep(Side::Ours) => Resolution::Keep(Choice::Ours),
            Answer::Keep(Side::Theirs) => Resolution::Keep(Choice::Theirs),
            Answer::Value(bytes) => Resolution::Value(bytes),
            Answer::Absent => Resolution::Absent,
            Answer::Reject => Resolution::Quarantine(format!("attribute {:?}: {REJECTED}", self.name)),
        }
    }
}

impl Merge for Merges {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        conflict.merge_by(self.rule(&conflict.name))
    }

    fn blob(&self, conflict: &Conflict) -> Resolution {
        conflict.merge_by(self.blob_rule())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::{Outcome, SessionConflict, Side as Value, Snapshot, State, resolve};

    fn conflict(name: &str, base: &str, ours: &str, theirs: &str) -> Conflict {
        Conflict::new(name, Some(Value::of(base)), Value::of(ours).written_at(2), Value::of(theirs).written_at(1))
    }

    #[test]
    fn each_attribute_is_merged_by_its_rule() {
        let merges = Merges::new().attribute("n", counter()).prefix("set/", set_union()).otherwise(last_write());
        let value = |conflict: &Conflict| {
            let resolution = resolve(&merges, conflict);
            resolution.value_in(conflict).flatten().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        assert_eq!(value(&conflict("n", "1", "2", "5")).as_deref(), Some("6"));
        assert_eq!(value(&conflict("set/a", "[]", "[1]", "[2]")).as_deref(), Some("[1,2]"));
        assert_eq!(value(&conflict("other", "1", "2", "5")).as_deref(), Some("2"));
        assert_eq!(value(&conflict("n", "1", "two", "5")).as_deref(), Some("two"), "unreadable: the later write");
    }

    #[test]
    fn a_blob_is_merged_by_the_rule_for_blobs() {
        let blob = |text: &str| Snapshot::of(State::Blob(text.into()));
        let session = || SessionConflict::new(Some(blob("{}")), blob(r#"{"a":1}"#), blob(r#"{"b":1}"#), &[]);
        let merged = Merges::new().blob(json()).session(session());
        assert_eq!(merged, Ok(Outcome::Blob(br#"{"a":1,"b":1}"#.to_vec())));
        assert_eq!(Merges::new().otherwise(json()).session(session()), merged);
    }

    #[test]
    fn what_is_not_to_be_merged_goes_to_the_host() {
        let resolution = resolve(&Merges::new().otherwise(reject()), &conflict("pin", "1", "2", "3"));
        assert!(matches!(resolution, Resolution::Quarantine(reason) if reason.contains("pin")));
    }
}
