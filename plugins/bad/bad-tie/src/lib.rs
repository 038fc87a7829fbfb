//! Breaks the law `symmetric` where nobody looks: the later write wins, and of two of the same millisecond theirs.

use colony_guest::merge::{Choice, Conflict, Merge, Resolution};

struct Tie;

impl Merge for Tie {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        let theirs = conflict.theirs.written_at_ms >= conflict.ours.written_at_ms;
        Resolution::Keep(if theirs { Choice::Theirs } else { Choice::Ours })
    }
}

colony_guest::export_merge!(Tie);
