//! Breaks the law `total`: takes every value for text, and a session may hold any bytes.

use colony_guest::merge::{Choice, Conflict, Merge, Resolution, Side};

struct Longer;

impl Merge for Longer {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        let length = |side: &Side| std::str::from_utf8(side.value().unwrap_or_default()).unwrap().chars().count();
        match length(&conflict.ours).cmp(&length(&conflict.theirs)) {
            std::cmp::Ordering::Greater => Resolution::Keep(Choice::Ours),
            std::cmp::Ordering::Less => Resolution::Keep(Choice::Theirs),
            std::cmp::Ordering::Equal => Resolution::Keep(conflict.later()),
        }
    }
}

colony_guest::export_merge!(Longer);
