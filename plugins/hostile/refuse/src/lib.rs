//! Says that it cannot answer.

use colony_guest::merge::{Conflict, Merge, Outcome, Resolution, SessionConflict};

struct Refuse;

impl Merge for Refuse {
    fn attribute(&self, _: &Conflict) -> Resolution {
        hostile::count()
    }

    fn session(&self, _: SessionConflict) -> Result<Outcome, String> {
        Err("no opinion".into())
    }
}

colony_guest::export_merge!(Refuse);
