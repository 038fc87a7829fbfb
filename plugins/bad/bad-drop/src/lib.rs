//! Breaks the law `keeps`: of two numbers the larger one stays, and what is no number goes.

use colony_guest::merge::{Conflict, Merge, Resolution, Side};

struct Largest;

impl Merge for Largest {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        match number(&conflict.ours).max(number(&conflict.theirs)) {
            Some(number) => Resolution::Value(number.to_string().into_bytes()),
            None => Resolution::Absent,
        }
    }
}

fn number(side: &Side) -> Option<u64> {
    std::str::from_utf8(side.value()?).ok()?.parse().ok()
}

colony_guest::export_merge!(Largest);
