//! Each plugin of `plugins/bad` breaks the law that it was written to break, and the plugins to start from break none.

use bytes::Bytes;
use colony_core::merge::{self as host, Settlement, Side};
use colony_guest::merge::{Choice, Occasion, Outcome, SessionConflict, Snapshot, State};
use colony_laws::{Case, Counterexample, Effort, Law, Report, Settled, settle};
use colony_wasm::{Limits, MergePlugin, MergeTrial, PlacementTrial, Runtime};
use colony_wire::Position;
use colony_wire::limits::{MAX_ATTRIBUTE_NAME, MAX_ATTRIBUTES, MAX_SESSION};
use colony_wire::session::{Changes, Content};

use crate::built::{PATIENT, component, merge_plugin};

/// Enough for every bad plugin, and a few seconds for all of them.
const EFFORT: Effort = Effort { cases: 200, seed: 1 };

pub(crate) fn check_merge(name: &str) -> Report {
    let plugins = [(); 2].map(|()| merge_plugin(name, PATIENT));
    let [mut one, mut other] = plugins.each_ref().map(MergeTrial);
    colony_laws::merge::check(&mut one, &mut other, &EFFORT, &[])
}

fn check_placement(name: &str) -> Report {
    let load = || {
        let runtime = Runtime::new(PATIENT).expect("this machine runs WebAssembly");
        runtime.load_placement_file(component(name)).expect("a plugin of ours")
    };
    let plugins = [load(), load()];
    let [mut one, mut other] = plugins.each_ref().map(PlacementTrial::new);
    colony_laws::placement::check(&mut one, &mut other, &EFFORT)
}

/// The bad plugins, each with the law that it breaks and a part of its counter-example.
const BAD: [(&str, Law, &str); 9] = [
    ("bad-memory", Law::Deterministic, "asked again"),
    ("bad-quarantine", Law::Total, "sessions set aside"),
    ("bad-unwrap", Law::Total, "trapped: wasm `unreachable` instruction executed"),
    ("bad-ours", Law::Symmetric, "asked with the sides exchanged"),
    ("bad-tie", Law::Symmetric, "asked with the sides exchanged"),
    ("bad-twice", Law::Idempotent, "both sides are the same"),
    ("bad-last-write", Law::Unchanged, "only one side changed anything"),
    ("bad-concat", Law::Bounded, "grows with every merge"),
    ("bad-drop", Law::Keeps, "both sides hold"),
];

/// One law, no other, and a counter-example that fits on a screen.
#[track_caller]
fn assert_breaks(name: &str, report: &Report, law: Law, shown: &str) -> Counterexample {
    let broken: Vec<_> = report.broken().collect();
    let [(found, counterexample)] = broken.as_slice() else { panic!("{name}: {report}") };
    assert_eq!(*found, law, "{name}: {report}");
    let text = counterexample.to_string();
    assert!(text.contains(shown), "{name}: {text}");
    assert!(text.lines().count() < 16 && text.len() < 1_200, "{name}: {text}");
    (*counterexample).clone()
}

/// D4: a merge whose outcome hangs on the order of the sides, or on what was asked before, is refused.
#[test]
fn every_bad_plugin_is_refused_by_the_law_it_breaks() {
    let mut table = String::new();
    for (name, law, shown) in BAD {
        let counterexample = assert_breaks(name, &check_merge(name), law, shown);
        table += &format!("{name} | {}\n{counterexample}", law.name());
    }
    for (name, law, shown) in
        [("bad-moods", Law::Deterministic, "asked another time"), ("miscount", Law::Total, "0 scores for 1 hosts")]
    {
        let counterexample = assert_breaks(name, &check_placement(name), law, shown);
        table += &format!("{name} | {}\n{counterexample}", law.name());
    }
    println!("{table}");
}

#[test]
fn the_cart_keeps_every_law_within_half_its_fuel() {
    let report = check_merge("cart-merge");
    assert!(report.passed(), "{report}");
    let fuel = report.fuel.expect("a component's fuel is counted");
    assert!((1..Limits::DEFAULT.fuel / 2).contains(&fuel), "{fuel} of {}", Limits::DEFAULT.fuel);
}

#[test]
fn the_same_seed_finds_the_same_counter_example() {
    let found = || check_merge("bad-concat").to_string();
    assert_eq!(found(), found());
}

// ---- What the kit makes of an answer is what the host makes of it. ----

fn content(state: &State) -> Content {
    match state {
        State::Blob(bytes) => Content::Blob(Bytes::copy_from_slice(bytes)),
        State::Attributes(attributes) => Content::Attributes(
            attributes.iter().map(|(name, value)| (name.clone(), Bytes::copy_from_slice(value))).collect(),
        ),
        State::Deleted => panic!("hosts do not ask about ended sessions"),
    }
}

fn side(snapshot: &Snapshot) -> Side {
    Side {
        content: content(&snapshot.state),
        version: Position::default(),
        written_at: snapshot.written_at_ms,
        expires_in: snapshot.expires_in_ms,
    }
}

fn as_a_host_asks(question: &SessionConflict) -> host::Conflict {
    host::Conflict {
        namespace: question.namespace.clone(),
        occasion: host::Occasion::ConcurrentSave,
        attributes: question.conflicting.clone(),
        base: question.base.as_ref().map(side),
        ours: side(&question.ours),
        theirs: side(&question.theirs),
    }
}

fn as_a_host_is_answered(outcome: Outcome) -> host::Resolution {
    match outcome {
        Outcome::Keep(Choice::Ours) => host::Resolution::KeepOurs,
        Outcome::Keep(Choice::Theirs) => host::Resolution::KeepTheirs,
        Outcome::Attributes(changes) => host::Resolution::Attributes(
            changes.into_iter().map(|(name, value)| (name, value.map(Bytes::from))).collect(),
        ),
        Outcome::Blob(bytes) => host::Resolution::Blob(bytes.into()),
        Outcome::Delete => host::Resolution::Delete,
        Outcome::Quarantine(_) => panic!("a host has no such answer"),
    }
}

/// What is stored afterwards, `None` if the answer was refused.
fn stored(conflict: &host::Conflict, outcome: Outcome) -> Option<Option<Content>> {
    let settled = host::settle(conflict, Ok(as_a_host_is_answered(outcome)));
    if settled.complaint.is_some() {
        return None;
    }
    Some(match (settled.changes, conflict.ours.content.clone()) {
        (Settlement::Keep, ours) => Some(ours),
        (Settlement::Delete, _) => None,
        (Settlement::Change(Changes::Blob(bytes)), _) => Some(Content::Blob(bytes)),
        (Settlement::Change(Changes::Attributes(changes)), Content::Attributes(mut values)) => {
            for (name, value) in changes {
                match value {
                    Some(value) => values.insert(name, value),
                    None => values.remove(&name),
                };
            }
            Some(Content::Attributes(values))
        }
        (change, ours) => panic!("{change:?} does not fit {ours:?}"),
    })
}

/// Answers of every kind to a question, usable and not.
fn answers(question: &SessionConflict) -> Vec<Outcome> {
    let name = || question.conflicting.first().cloned().unwrap_or_else(|| "a".into());
    let one = |name: String, value: Option<Vec<u8>>| Outcome::Attributes([(name, value)].into());
    vec![
        Outcome::Keep(Choice::Ours),
        Outcome::Keep(Choice::Theirs),
        Outcome::Delete,
        Outcome::Attributes([].into()),
        one(name(), None),
        one(name(), Some(b"merged".to_vec())),
        one(name(), Some(vec![0; MAX_SESSION - name().len()])),
        one(name(), Some(vec![0; MAX_SESSION])),
        one("stranger".into(), None),
        Outcome::Blob(b"merged".to_vec()),
        Outcome::Blob(vec![0; MAX_SESSION]),
        Outcome::Blob(vec![0; MAX_SESSION + 1]),
    ]
}

#[test]
fn the_kit_judges_answers_as_the_host_does() {
    assert_eq!(colony_laws::MAX_ATTRIBUTES, MAX_ATTRIBUTES);
    assert_eq!(colony_laws::MAX_ATTRIBUTE_NAME, MAX_ATTRIBUTE_NAME);
    assert_eq!(colony_laws::MAX_SESSION, MAX_SESSION);
    let asked_by_hosts = |case: &Case| case.occasion == Occasion::ConcurrentSave;
    let questions = colony_laws::cases(&Effort { cases: 150, seed: 9 }).filter(asked_by_hosts);
    let mut judged = 0;
    for question in questions.filter_map(|case| case.conflict()) {
        let conflict = as_a_host_asks(&question);
        for outcome in answers(&question) {
            let by_kit = match settle(&question, Ok(outcome.clone())) {
                Settled::Holds(State::Deleted) => Some(None),
                Settled::Holds(state) => Some(Some(content(&state))),
                Settled::Quarantined(_) | Settled::Unanswered(_) => None,
            };
            assert!(by_kit == stored(&conflict, outcome.clone()), "{outcome:?} to {question:?}");
            judged += 1;
        }
    }
    assert!(judged > 500, "{judged}");
}

/// The trial asks what a host asks: the answers to what both can ask are the same.
#[test]
fn a_trial_and_a_host_hear_the_same_of_a_plugin() {
    let plugin: MergePlugin = merge_plugin("cart-merge", PATIENT);
    let mut trial = MergeTrial(&plugin);
    for case in colony_laws::cases(&EFFORT).filter(|case| case.occasion == Occasion::ConcurrentSave) {
        let Some(mut question) = case.conflict() else { continue };
        let version = |side: &mut Snapshot| side.version = colony_guest::merge::Version::default();
        question.base.iter_mut().for_each(version);
        version(&mut question.ours);
        version(&mut question.theirs);
        let by_trial = colony_laws::Subject::ask(&mut trial, &question).answer.expect("a cart always answers");
        assert_eq!(plugin.merge(&as_a_host_asks(&question)), Ok(as_a_host_is_answered(by_trial)), "{question:?}");
    }
}
