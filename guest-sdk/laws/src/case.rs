//! A situation in which questions arise: what there was, and what each side made of it.

use std::collections::{BTreeMap, BTreeSet};

use colony_guest::merge::{Occasion, SessionConflict, Snapshot, State};

/// A session that two sides have, and what both began from. The laws make questions of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The session's namespace.
    pub namespace: String,
    /// When the two versions met.
    pub occasion: Occasion,
    /// The session before either side changed it, if it is known.
    pub base: Option<Snapshot>,
    /// The session on one side.
    pub ours: Snapshot,
    /// The session on the other side.
    pub theirs: Snapshot,
}

type Attributes = BTreeMap<String, Vec<u8>>;

impl Case {
    /// The question that a host would ask, with what is in conflict and nothing else; none if nothing is.
    #[must_use]
    pub fn conflict(&self) -> Option<SessionConflict> {
        let base = self.base.as_ref().map(|base| &base.state);
        match (&self.ours.state, &self.theirs.state) {
            (State::Attributes(ours), State::Attributes(theirs)) => {
                let changed = |name: &String, side: &Attributes| match base {
                    Some(State::Attributes(base)) => base.get(name) != side.get(name),
                    _ => true,
                };
                let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
                let base_names = attributes(base).into_iter().flat_map(BTreeMap::keys);
                let names = names.into_iter().chain(base_names).collect::<BTreeSet<_>>().into_iter();
                let names: Vec<_> = names
                    .filter(|name| ours.get(*name) != theirs.get(*name) && changed(name, ours) && changed(name, theirs))
                    .collect();
                (!names.is_empty()).then(|| self.about(&names))
            }
            (ours, theirs) => {
                let both_changed = ours != theirs && base != Some(ours) && base != Some(theirs);
                both_changed.then(|| self.about(&[]))
            }
        }
    }

    /// The question about everything in which the sides or the base differ, or that they hold: what a plugin is asked
    /// to show the laws that hold where nothing is in conflict. None if there is nothing to ask about.
    pub(crate) fn everything(&self) -> Option<SessionConflict> {
        let sides = [Some(&self.ours), Some(&self.theirs), self.base.as_ref()];
        let states = || sides.into_iter().flatten().map(|side| &side.state);
        let names: BTreeSet<_> =
            states().filter_map(|state| attributes(Some(state))).flat_map(BTreeMap::keys).collect();
        let all_attributes = states().all(|state| matches!(state, State::Attributes(_)));
        if all_attributes {
            let names: Vec<_> = names.into_iter().collect();
            (!names.is_empty()).then(|| self.about(&names))
        } else {
            Some(self.about(&[]))
        }
    }

    /// The same situation seen from the other side.
    #[must_use]
    pub fn swapped(&self) -> Self {
        Self { ours: self.theirs.clone(), theirs: self.ours.clone(), ..self.clone() }
    }

    /// The question about these attributes; about the whole of a session that is not made of attributes.
    fn about(&self, names: &[&String]) -> SessionConflict {
        let only = |side: &Snapshot| {
            let mut side = side.clone();
            if let State::Attributes(attributes) = &mut side.state
                && !names.is_empty()
            {
                attributes.retain(|name, _| names.contains(&name));
            }
            side
        };
        let listed: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        let mut question =
            SessionConflict::new(self.base.as_ref().map(only), only(&self.ours), only(&self.theirs), &listed);
        question.namespace.clone_from(&self.namespace);
        question.occasion = self.occasion;
        question
    }
}

fn attributes(state: Option<&State>) -> Option<&Attributes> {
    match state {
        Some(State::Attributes(attributes)) => Some(attributes),
        _ => None,
    }
}

/// The same side with another content.
pub(crate) fn with_state(side: &Snapshot, state: State) -> Snapshot {
    let mut side = side.clone();
    side.state = state;
    side
}

/// Bytes that count against the limit of a session: names and values, or the blob.
pub(crate) fn size(state: &State) -> usize {
    match state {
        State::Blob(bytes) => bytes.len(),
        State::Attributes(attributes) => attributes.iter().map(|(name, value)| name.len() + value.len()).sum(),
        State::Deleted => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(pairs: &[(&str, &str)]) -> Snapshot {
        let pairs = pairs.iter().map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        Snapshot::of(State::Attributes(pairs.collect()))
    }

    fn case(base: Option<Snapshot>, ours: Snapshot, theirs: Snapshot) -> Case {
        Case { namespace: "test".into(), occasion: Occasion::Heal, base, ours, theirs }
    }

    #[test]
    fn a_host_asks_about_what_both_sides_changed_to_different_bytes() {
        let base = side(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
        let ours = side(&[("a", "2"), ("b", "2"), ("c", "2"), ("d", "1")]);
        let theirs = side(&[("a", "3"), ("b", "1"), ("c", "2")]);
        let question = case(Some(base), ours, theirs).conflict().expect("`a` is in conflict");
        assert_eq!(question.conflicting, ["a"]);
        assert_eq!(question.ours, side(&[("a", "2")]));
        assert_eq!(question.theirs, side(&[("a", "3")]));
    }

    #[test]
    fn without_a_base_whatever_differs_is_in_conflict() {
        let question = case(None, side(&[("a", "1")]), side(&[("b", "1")])).conflict().expect("both are");
        assert_eq!(question.conflicting, ["a", "b"]);
    }

    #[test]
    fn a_side_that_changed_nothing_makes_no_conflict() {
        let base = side(&[("a", "1")]);
        assert_eq!(case(Some(base.clone()), base.clone(), side(&[])).conflict(), None);
        assert_eq!(case(Some(side(&[])), base.clone(), base).conflict(), None);
        let blob = |bytes: &str| Snapshot::of(State::Blob(bytes.into()));
        assert_eq!(case(Some(blob("x")), blob("x"), blob("y")).conflict(), None);
        assert!(case(Some(blob("x")), blob("z"), blob("y")).conflict().is_some());
    }
}
