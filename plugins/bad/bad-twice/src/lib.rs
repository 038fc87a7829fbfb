//! Breaks the law `idempotent`: adds up what each side did, and does it too where both sides did the same, as after a
//! merge that was repeated.

use colony_guest::merge::{Conflict, Merge, Outcome, Resolution, SessionConflict, Snapshot, State};

struct Twice;

impl Merge for Twice {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        Resolution::Keep(conflict.later())
    }

    fn session(&self, conflict: SessionConflict) -> Result<Outcome, String> {
        let sum = |name: &String| -> Option<Vec<u8>> {
            let base = conflict.base.as_ref().map_or(Some(0), |base| number(base, name))?;
            let (ours, theirs) = (number(&conflict.ours, name)?, number(&conflict.theirs, name)?);
            Some((ours + theirs - base).max(0).to_string().into_bytes())
        };
        match conflict.conflicting.as_slice() {
            [name] if sum(name).is_some() => Ok(Outcome::Attributes([(name.clone(), sum(name))].into())),
            _ => Later.session(conflict),
        }
    }
}

/// What is no single counter.
struct Later;

impl Merge for Later {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        Resolution::Keep(conflict.later())
    }
}

fn number(side: &Snapshot, name: &str) -> Option<i128> {
    let State::Attributes(attributes) = &side.state else { return None };
    let text = std::str::from_utf8(attributes.get(name)?).ok()?;
    // Other ways to write a number are left alone.
    text.parse::<u64>().ok().filter(|number| number.to_string() == text).map(Into::into)
}

colony_guest::export_merge!(Twice);
