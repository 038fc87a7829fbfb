//! Breaks the law `unchanged`: the later write wins without a look at the base. A client that saved the session as it
//! found it undoes what another one changed.

use colony_guest::merge::{Choice, Conflict, Merge, Outcome, Resolution, SessionConflict, Snapshot};

struct LastWrite;

impl Merge for LastWrite {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        Resolution::Keep(conflict.later())
    }

    fn session(&self, conflict: SessionConflict) -> Result<Outcome, String> {
        let rank = |side: &Snapshot| (side.written_at_ms, side.version, format!("{:?}", side.state));
        let later = if rank(&conflict.theirs) > rank(&conflict.ours) { Choice::Theirs } else { Choice::Ours };
        Ok(Outcome::Keep(later))
    }
}

colony_guest::export_merge!(LastWrite);
