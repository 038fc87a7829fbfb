//! From a case that shows a fault to a small one: delta debugging (Zeller, Hildebrandt: Simplifying and isolating
//! failure-inducing input, IEEE TSE 2002), on attributes first, then on the bytes of their values, then on the rest.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use colony_guest::merge::{Occasion, Snapshot, State, Version};

use crate::case::Case;

/// Smaller cases that are tried for one counter-example. A value of a few hundred bytes takes a few hundred; a plugin
/// that is slow must not hold up its author.
const TRIES: usize = 2_000;

/// The smallest case found for which `shows` still gives something, with what it gave.
pub(crate) fn smallest<T>(case: &Case, shown: T, mut shows: impl FnMut(&Case) -> Option<T>) -> T {
    let (mut case, mut shown) = (case.clone(), shown);
    let mut tries = 0;
    loop {
        let smaller = candidates(&case, &mut |candidate| {
            if tries >= TRIES {
                return ControlFlow::Break(None);
            }
            tries += 1;
            match shows(&candidate) {
                Some(still) => ControlFlow::Break(Some((candidate, still))),
                None => ControlFlow::Continue(()),
            }
        });
        match smaller {
            ControlFlow::Break(Some(smaller)) => (case, shown) = smaller,
            ControlFlow::Break(None) | ControlFlow::Continue(()) => return shown,
        }
    }
}

/// Goes through cases until one is taken.
type Visit<'a, B> = &'a mut dyn FnMut(Case) -> ControlFlow<B>;

/// Goes through the cases that are simpler by one step, the greatest steps first. Each step makes something shorter, or
/// plainer in the order of [`plainer`], so that there is an end.
fn candidates<B>(case: &Case, visit: Visit<'_, B>) -> ControlFlow<B> {
    fewer_attributes(case, visit)?;
    for part in PARTS {
        shorter_values(case, part, visit)?;
    }
    plainer(case, visit)
}

/// The snapshots of a case, by how they are reached.
type Part = fn(&mut Case) -> Option<&mut Snapshot>;
const PARTS: [Part; 3] = [|case| case.base.as_mut(), |case| Some(&mut case.ours), |case| Some(&mut case.theirs)];

fn names(case: &Case) -> Vec<String> {
    let mut case = case.clone();
    let mut names = BTreeSet::new();
    for part in PARTS {
        if let Some(Snapshot { state: State::Attributes(attributes), .. }) = part(&mut case) {
            names.extend(attributes.keys().cloned());
        }
    }
    names.into_iter().collect()
}

/// Without halves, quarters, ... of the attributes, down to single ones.
fn fewer_attributes<B>(case: &Case, visit: Visit<'_, B>) -> ControlFlow<B> {
    let names = names(case);
    let mut step = if names.len() > 1 { names.len().div_ceil(2) } else { 0 };
    while step > 0 {
        for gone in names.chunks(step) {
            let mut fewer = case.clone();
            for part in PARTS {
                if let Some(Snapshot { state: State::Attributes(attributes), .. }) = part(&mut fewer) {
                    attributes.retain(|name, _| !gone.contains(name));
                }
            }
            visit(fewer)?;
        }
        step /= 2;
    }
    ControlFlow::Continue(())
}

fn shorter_values<B>(case: &Case, part: Part, visit: Visit<'_, B>) -> ControlFlow<B> {
    let mut edited = |change: &dyn Fn(&mut State)| {
        let mut shorter = case.clone();
        part(&mut shorter).into_iter().for_each(|side| change(&mut side.state));
        visit(shorter)
    };
    match part(&mut case.clone()).map(|side| side.state.clone()) {
        Some(State::Blob(bytes)) => {
            for shorter in shortened(&bytes) {
                edited(&|state| *state = State::Blob(shorter.clone()))?;
            }
        }
        Some(State::Attributes(attributes)) => {
            for (name, value) in &attributes {
                for shorter in shortened(value) {
                    edited(&|state| {
                        if let State::Attributes(attributes) = state {
                            attributes.insert(name.clone(), shorter.clone());
                        }
                    })?;
                }
            }
        }
        Some(State::Deleted) | None => {}
    }
    ControlFlow::Continue(())
}

/// The bytes without a half, a quarter, ... of them, down to single ones.
fn shortened(value: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    if value.len() > 1 {
        all.push(Vec::new());
    }
    let mut step = value.len().div_ceil(2);
    while step > 0 {
        for at in (0..value.len()).step_by(step) {
            let end = (at + step).min(value.len());
            all.push([&value[..at], &value[end..]].concat());
        }
        step /= 2;
    }
    all
}

/// With less that a reader has to take in: times, versions, expiry, the occasion, a base, long names.
fn plainer<B>(case: &Case, visit: Visit<'_, B>) -> ControlFlow<B> {
    let mut plain = |change: &dyn Fn(&mut Case)| {
        let mut plain = case.clone();
        change(&mut plain);
        if plain == *case { ControlFlow::Continue(()) } else { visit(plain) }
    };
    plain(&|case| case.base = None)?;
    plain(&|case| case.occasion = Occasion::ConcurrentSave)?;
    for change in [no_time, no_version, no_expiry] {
        plain(&|case| PARTS.into_iter().for_each(|part| part(case).into_iter().for_each(change)))?;
        for part in PARTS {
            plain(&|case| part(case).into_iter().for_each(change))?;
        }
    }
    if case.ours.written_at_ms.max(case.theirs.written_at_ms) > 1 {
        // Whoever was later stays so.
        plain(&|case| {
            let (ours, theirs) = (case.ours.written_at_ms, case.theirs.written_at_ms);
            case.ours.written_at_ms = u64::from(ours > theirs);
            case.theirs.written_at_ms = u64::from(theirs > ours);
        })?;
    }
    for name in names(case).iter().filter(|name| name.len() > 1) {
        plain(&|case| {
            for part in PARTS {
                if let Some(Snapshot { state: State::Attributes(attributes), .. }) = part(case)
                    && let Some(value) = attributes.remove(name)
                {
                    attributes.entry("a".into()).or_insert(value);
                }
            }
        })?;
    }
    ControlFlow::Continue(())
}

fn no_time(side: &mut Snapshot) {
    side.written_at_ms = 0;
}

fn no_version(side: &mut Snapshot) {
    side.version = Version::default();
}

fn no_expiry(side: &mut Snapshot) {
    side.expires_in_ms = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;

    #[test]
    fn the_smallest_case_has_nothing_that_does_not_matter() {
        let shows = |case: &Case| match &case.ours.state {
            State::Attributes(attributes) => {
                attributes.values().any(|value| value.contains(&b'x')).then_some(case.clone())
            }
            _ => None,
        };
        let large = generate::case(1, 49);
        let small = smallest(&large, shows(&large).expect("large values are padded"), shows);
        let State::Attributes(ours) = &small.ours.state else { panic!("{small:?}") };
        assert_eq!(ours.values().collect::<Vec<_>>(), [b"x"]);
        assert_eq!(ours.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!((small.base, small.ours.written_at_ms, small.ours.expires_in_ms), (None, 0, None));
    }
}
