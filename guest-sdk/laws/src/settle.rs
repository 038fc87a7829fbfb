//! What a host makes of an answer.
//!
//! The host's own referee is `colony_core::merge::settle`. Plugin authors do not have it, so its rules stand here once
//! more, in the types of the SDK; a test in `host/wasm` asks both the same and compares.

use colony_guest::merge::{Choice, Outcome, SessionConflict, State};

use crate::case::size;

/// Attributes that a session may have.
pub const MAX_ATTRIBUTES: usize = 256;
/// Bytes of an attribute's name.
pub const MAX_ATTRIBUTE_NAME: usize = 128;
/// Bytes that an answer, like a session, may hold: names and values, or the blob.
pub const MAX_SESSION: usize = 256 * 1024;

/// What an answer comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// What was in conflict is this now.
    Holds(State),
    /// The plugin set the session aside, for this reason; the built-in decides.
    Quarantined(String),
    /// There was no answer, or none that can be carried out, for this reason; the built-in decides.
    Unanswered(String),
}

/// What the host makes of the plugin's answer to this question.
#[must_use]
pub fn settle(question: &SessionConflict, answer: Result<Outcome, String>) -> Settled {
    match answer {
        Ok(Outcome::Quarantine(reason)) => Settled::Quarantined(reason),
        Ok(outcome) => carry_out(question, outcome).map_or_else(Settled::Unanswered, Settled::Holds),
        Err(why) => Settled::Unanswered(why),
    }
}

fn carry_out(question: &SessionConflict, outcome: Outcome) -> Result<State, String> {
    let (ours, theirs) = (&question.ours.state, &question.theirs.state);
    match outcome {
        Outcome::Keep(Choice::Ours) => Ok(ours.clone()),
        Outcome::Keep(Choice::Theirs) => Ok(theirs.clone()),
        Outcome::Delete => Ok(State::Deleted),
        Outcome::Attributes(changes) => {
            let (State::Attributes(ours), State::Attributes(_)) = (ours, theirs) else {
                return Err("the resolution names attributes, and not both sides have any".into());
            };
            if let Some(name) = changes.keys().find(|name| !question.conflicting.contains(name)) {
                return Err(format!("attribute {name:?} is not in conflict"));
            }
            check_limits(changes.iter().map(|(name, value)| (name.as_str(), value.as_ref().map_or(0, Vec::len))))?;
            let mut merged = ours.clone();
            for (name, value) in changes {
                match value {
                    Some(value) => merged.insert(name, value),
                    None => merged.remove(&name),
                };
            }
            Ok(State::Attributes(merged))
        }
        Outcome::Blob(bytes) => {
            let blob = |state: &State| matches!(state, State::Blob(_));
            if !blob(ours) && !blob(theirs) {
                return Err("the session has attributes, the resolution is a blob".into());
            }
            let state = State::Blob(bytes);
            if size(&state) > MAX_SESSION { Err(too_large(size(&state))) } else { Ok(state) }
        }
        Outcome::Quarantine(reason) => Err(reason),
    }
}

fn check_limits<'a>(changes: impl ExactSizeIterator<Item = (&'a str, usize)>) -> Result<(), String> {
    if changes.len() > MAX_ATTRIBUTES {
        return Err(format!("{} attributes, more than {MAX_ATTRIBUTES}", changes.len()));
    }
    let mut bytes = 0;
    for (name, value) in changes {
        if name.len() > MAX_ATTRIBUTE_NAME {
            return Err(format!("an attribute name of {} bytes, more than {MAX_ATTRIBUTE_NAME}", name.len()));
        }
        bytes += name.len() + value;
    }
    if bytes > MAX_SESSION { Err(too_large(bytes)) } else { Ok(()) }
}

fn too_large(bytes: usize) -> String {
    format!("an answer of {bytes} bytes, more than {MAX_SESSION}")
}
