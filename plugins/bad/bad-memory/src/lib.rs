//! Breaks the law `deterministic`: the sides win in turns. Another host, or this one with a fresh instance, answers
//! otherwise.

use std::sync::atomic::{AtomicU64, Ordering};

use colony_guest::merge::{Choice, Conflict, Merge, Resolution};

struct Turns;

impl Merge for Turns {
    fn attribute(&self, _: &Conflict) -> Resolution {
        static ASKED: AtomicU64 = AtomicU64::new(0);
        let even = ASKED.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        Resolution::Keep(if even { Choice::Ours } else { Choice::Theirs })
    }
}

colony_guest::export_merge!(Turns);
