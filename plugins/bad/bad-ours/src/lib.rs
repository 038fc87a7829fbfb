//! Breaks the law `symmetric`: our side wins, and which side is ours is an accident of the network.

use colony_guest::merge::{Choice, Conflict, Merge, Resolution};

struct Ours;

impl Merge for Ours {
    fn attribute(&self, _: &Conflict) -> Resolution {
        Resolution::Keep(Choice::Ours)
    }
}

colony_guest::export_merge!(Ours);
