//! Breaks the law `total`: whatever is in conflict is set aside, so that the built-in decides everything.

use colony_guest::merge::{Conflict, Merge, Resolution};

struct Quarantine;

impl Merge for Quarantine {
    fn attribute(&self, _: &Conflict) -> Resolution {
        Resolution::Quarantine("both sides changed it".into())
    }

    fn blob(&self, conflict: &Conflict) -> Resolution {
        self.attribute(conflict)
    }
}

colony_guest::export_merge!(Quarantine);
