//! A conflict about a whole session, and how it is put to a plugin one value at a time.

use std::collections::BTreeMap;

use super::{Choice, Conflict, Merge, Occasion, Resolution, Side, Version, settle};

/// A session that changed on both sides. Built by the host; by [`SessionConflict::new`] in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionConflict {
    /// The session's namespace.
    pub namespace: String,
    /// When the two versions met.
    pub occasion: Occasion,
    /// The session before either side changed it. `None` if nobody knows it any more, or if both sides
    /// created it.
    pub base: Option<Snapshot>,
    /// The session on the side that stays.
    pub ours: Snapshot,
    /// The session on the side that comes.
    pub theirs: Snapshot,
    /// The attributes that both sides changed, to different bytes. What only one side changed is merged
    /// without asking. Empty if a side is not made of attributes.
    pub conflicting: Vec<String>,
}

impl SessionConflict {
    /// A conflict in namespace `test`, met at a heal, about these attributes.
    pub fn new(base: Option<Snapshot>, ours: Snapshot, theirs: Snapshot, conflicting: &[&str]) -> Self {
        let conflicting = conflicting.iter().map(|&name| name.into()).collect();
        Self { namespace: "test".into(), occasion: Occasion::Heal, base, ours, theirs, conflicting }
    }
}

/// A session as one side has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// What the session holds.
    pub state: State,
    /// The position of its last change.
    pub version: Version,
    /// Hybrid time of its last write, milliseconds since the Unix epoch.
    pub written_at_ms: u64,
    /// Milliseconds until it expires; `None` if it does not.
    pub expires_in_ms: Option<u64>,
}

impl Snapshot {
    /// A session that holds this; everything else is zero.
    pub fn of(state: State) -> Self {
        Self { state, version: Version::default(), written_at_ms: 0, expires_in_ms: None }
    }

    /// The same session, written at this time.
    pub fn written_at(self, ms: u64) -> Self {
        Self { written_at_ms: ms, ..self }
    }

    fn side(&self, value: Option<Vec<u8>>) -> Side {
        Side { value, version: self.version, written_at_ms: self.written_at_ms, expires_in_ms: self.expires_in_ms }
    }

    /// Moves one value out: the attribute called `name`, or the blob.
    fn take(&mut self, name: Option<&str>) -> Side {
        let value = match (&mut self.state, name) {
            (State::Blob(bytes), None) => Some(std::mem::take(bytes)),
            (State::Attributes(attributes), Some(name)) => attributes.remove(name),
            _ => None,
        };
        self.side(value)
    }
}

/// What a session holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Bytes that only the application understands.
    Blob(Vec<u8>),
    /// By name. Those in conflict; one that is not here was removed.
    Attributes(BTreeMap<String, Vec<u8>>),
    /// The session was ended on purpose, for example by a logout.
    Deleted,
}

/// What becomes of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What this side says about everything that is in conflict.
    Keep(Choice),
    /// A value for each conflicting attribute; `None` removes it. Naming any other attribute is an error; a
    /// conflicting one that is not named keeps our value, so a symmetric merge names all.
    Attributes(BTreeMap<String, Option<Vec<u8>>>),
    /// These bytes.
    Blob(Vec<u8>),
    /// The session ends.
    Delete,
    /// Neither side can be trusted, for this reason: the host's built-in rule decides, and the host reports
    /// the session with the reason.
    Quarantine(String),
}

/// The default of [`Merge::session`].
pub(super) fn by_value<M: Merge + ?Sized>(plugin: &M, mut conflict: SessionConflict) -> Outcome {
    match (&conflict.ours.state, &conflict.theirs.state) {
        (State::Deleted, _) | (_, State::Deleted) => Outcome::Delete,
        (State::Attributes(_), State::Attributes(_)) => attributes(plugin, conflict),
        (State::Blob(_), State::Blob(_)) => blob(plugin, conflict),
        (State::Blob(_), State::Attributes(_)) | (State::Attributes(_), State::Blob(_)) => {
            Outcome::Keep(changed_alone(&conflict).unwrap_or_else(|| question(&mut conflict, None).later()))
        }
    }
}

/// The side to keep where the other one is as the base was.
fn changed_alone(conflict: &SessionConflict) -> Option<Choice> {
    let base = &conflict.base.as_ref()?.state;
    match (*base == conflict.ours.state, *base == conflict.theirs.state) {
        (true, false) => Some(Choice::Theirs),
        (false, true) => Some(Choice::Ours),
        _ => None,
    }
}

fn attributes<M: Merge + ?Sized>(plugin: &M, mut conflict: SessionConflict) -> Outcome {
    let mut answers = BTreeMap::new();
    for name in std::mem::take(&mut conflict.conflicting) {
        let question = question(&mut conflict, Some(&name));
        let value = match settle(&question, |conflict| plugin.attribute(conflict)) {
            Resolution::Keep(Choice::Ours) => question.ours.value,
            Resolution::Keep(Choice::Theirs) => question.theirs.value,
            Resolution::Value(bytes) => Some(bytes),
            Resolution::Absent => None,
            Resolution::Quarantine(reason) => return Outcome::Quarantine(reason),
        };
        answers.insert(name, value);
    }
    Outcome::Attributes(answers)
}

fn blob<M: Merge + ?Sized>(plugin: &M, mut conflict: SessionConflict) -> Outcome {
    match settle(&question(&mut conflict, None), |conflict| plugin.blob(conflict)) {
        Resolution::Keep(choice) => Outcome::Keep(choice),
        Resolution::Value(bytes) => Outcome::Blob(bytes),
        Resolution::Absent => Outcome::Delete,
        Resolution::Quarantine(reason) => Outcome::Quarantine(reason),
    }
}

/// The question about one value, moved out of the session: the attribute called `name`, or the blob.
fn question(conflict: &mut SessionConflict, name: Option<&str>) -> Conflict {
    Conflict {
        namespace: conflict.namespace.clone(),
        occasion: conflict.occasion,
        name: name.unwrap_or_default().to_owned(),
        base: conflict.base.as_mut().map(|base| base.take(name)),
        ours: conflict.ours.take(name),
        theirs: conflict.theirs.take(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Joins both values, the smaller first; refuses to judge `secret`.
    struct Join;

    impl Join {
        fn join(conflict: &Conflict) -> Resolution {
            let mut parts = [conflict.ours.value(), conflict.theirs.value()].map(Option::unwrap_or_default);
            parts.sort();
            Resolution::Value(parts.concat())
        }
    }

    impl Merge for Join {
        fn attribute(&self, conflict: &Conflict) -> Resolution {
            match conflict.name.as_str() {
                "secret" => Resolution::Quarantine("not mine to judge".into()),
                "gone" => Resolution::Absent,
                _ => Self::join(conflict),
            }
        }

        fn blob(&self, conflict: &Conflict) -> Resolution {
            Self::join(conflict)
        }
    }

    fn attributes_of(pairs: &[(&str, &str)]) -> Snapshot {
        let pairs = pairs.iter().map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        Snapshot::of(State::Attributes(pairs.collect()))
    }

    fn blob_of(bytes: &str) -> Snapshot {
        Snapshot::of(State::Blob(bytes.into()))
    }

    fn merged(ours: Snapshot, theirs: Snapshot, conflicting: &[&str]) -> Outcome {
        Join.session(SessionConflict::new(None, ours, theirs, conflicting)).expect("`Join` always answers")
    }

    #[test]
    fn only_conflicting_attributes_are_asked_and_answered() {
        let ours = attributes_of(&[("a", "1"), ("gone", "1"), ("mine", "1")]);
        let theirs = attributes_of(&[("a", "2"), ("gone", "2"), ("yours", "2")]);
        let expected = [("a".to_owned(), Some(b"12".to_vec())), ("gone".to_owned(), None)].into();
        assert_eq!(merged(ours, theirs, &["a", "gone"]), Outcome::Attributes(expected));
    }

    #[test]
    fn one_attribute_in_doubt_sets_the_session_aside() {
        let (ours, theirs) =
            (attributes_of(&[("a", "1"), ("secret", "1")]), attributes_of(&[("a", "2"), ("secret", "2")]));
        let outcome = merged(ours, theirs, &["a", "secret"]);
        assert_eq!(outcome, Outcome::Quarantine("not mine to judge".into()));
    }

    #[test]
    fn an_attribute_without_a_name_is_not_taken_for_a_blob() {
        let outcome = merged(attributes_of(&[("", "1")]), attributes_of(&[("", "2")]), &[""]);
        assert_eq!(outcome, Outcome::Attributes([(String::new(), Some(b"12".to_vec()))].into()));
    }

    #[test]
    fn a_blob_is_asked_as_one_value() {
        assert_eq!(merged(blob_of("x"), blob_of("y"), &[]), Outcome::Blob(b"xy".to_vec()));
    }

    #[test]
    fn a_deletion_wins_over_a_change() {
        let deleted = || Snapshot::of(State::Deleted);
        assert_eq!(merged(deleted(), blob_of("y").written_at(9), &[]), Outcome::Delete);
        assert_eq!(merged(attributes_of(&[]).written_at(9), deleted(), &[]), Outcome::Delete);
    }

    /// Bug: a side that changed nothing won against one that made a blob of the session's attributes, if it was later.
    /// Cause: only single values were compared with the base. Fix: so are sessions of two kinds.
    #[test]
    fn between_a_blob_and_attributes_a_side_that_changed_nothing_gives_way() {
        let (base, blob) = (attributes_of(&[("a", "1")]), blob_of("x").written_at(1));
        let late = base.clone().written_at(2);
        let merge = |ours: &Snapshot, theirs: &Snapshot| {
            let conflict = SessionConflict::new(Some(base.clone()), ours.clone(), theirs.clone(), &[]);
            Join.session(conflict).expect("`Join` always answers")
        };
        assert_eq!(merge(&late, &blob), Outcome::Keep(Choice::Theirs));
        assert_eq!(merge(&blob, &late), Outcome::Keep(Choice::Ours));
    }

    #[test]
    fn between_a_blob_and_attributes_the_later_write_is_kept() {
        let (early, late) = (blob_of("x").written_at(1), attributes_of(&[]).written_at(2));
        assert_eq!(merged(early.clone(), late.clone(), &[]), Outcome::Keep(Choice::Theirs));
        assert_eq!(merged(late, early, &[]), Outcome::Keep(Choice::Ours));
    }
}
