//! One law, tried on one case.

use colony_guest::merge::{SessionConflict, Snapshot, State};

use crate::case::{Case, size, with_state};
use crate::law::Law;
use crate::report::{Asked, Question};
use crate::settle::{Settled, settle};
use crate::subject::Subject;
use crate::value::replaced;

/// Rounds of merging merged results. What doubles in each is beyond any bound after so many.
const ROUNDS: u32 = 12;
/// How much more than what was written a merged session may hold: a plugin may write JSON with other spaces.
pub const SLACK_BYTES: usize = 256;

/// What came of a trial.
#[derive(Debug)]
pub(crate) enum Trial {
    /// The law says nothing about this case.
    Silent,
    Kept,
    Broken(Breach),
}

/// How a law was broken.
#[derive(Debug)]
pub(crate) struct Breach {
    pub(crate) why: String,
    pub(crate) asked: Vec<Asked>,
}

/// Asks, judges the answer, and keeps count.
pub(crate) struct Asker<'a> {
    pub(crate) subject: &'a mut dyn Subject,
    pub(crate) questions: u64,
    /// The most fuel that a call took.
    pub(crate) fuel: Option<u64>,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(subject: &'a mut dyn Subject) -> Self {
        Self { subject, questions: 0, fuel: None }
    }

    pub(crate) fn ask(&mut self, question: &SessionConflict) -> Settled {
        let reply = self.subject.ask(question);
        self.questions += 1;
        self.fuel = self.fuel.max(reply.fuel);
        settle(question, reply.answer)
    }
}

/// Tries a law on a case.
pub(crate) fn attempt(law: Law, asker: &mut Asker<'_>, case: &Case) -> Trial {
    match law {
        Law::Deterministic => deterministic(asker, case),
        Law::Total => total(asker, case),
        Law::Symmetric => symmetric(asker, case),
        Law::Idempotent => idempotent(asker, case),
        Law::Unchanged => unchanged(asker, case),
        Law::Bounded => bounded(asker, case),
        Law::Keeps => keeps(asker, case),
    }
}

fn deterministic(asker: &mut Asker<'_>, case: &Case) -> Trial {
    let Some(question) = case.conflict() else { return Trial::Silent };
    let (first, second) = (asker.ask(&question), asker.ask(&question));
    if alike(&first, &second) {
        return Trial::Kept;
    }
    Trial::Broken(Breach {
        why: "the same question was answered differently the second time".into(),
        asked: vec![asked("asked", &question, &first), asked("asked again", &question, &second)],
    })
}

fn total(asker: &mut Asker<'_>, case: &Case) -> Trial {
    let Some(question) = case.conflict() else { return Trial::Silent };
    let answer = asker.ask(&question);
    match &answer {
        Settled::Unanswered(why) => {
            Trial::Broken(Breach { why: format!("no answer: {why}"), asked: vec![asked("asked", &question, &answer)] })
        }
        Settled::Holds(_) | Settled::Quarantined(_) => Trial::Kept,
    }
}

fn symmetric(asker: &mut Asker<'_>, case: &Case) -> Trial {
    let (Some(question), Some(swapped)) = (case.conflict(), case.swapped().conflict()) else { return Trial::Silent };
    let (one, other) = (asker.ask(&question), asker.ask(&swapped));
    if is_silent(&one) || is_silent(&other) {
        return Trial::Silent;
    }
    if alike(&one, &other) {
        return Trial::Kept;
    }
    Trial::Broken(Breach {
        why: "the result hangs on which side is called ours".into(),
        asked: vec![asked("asked", &question, &one), asked("asked with the sides exchanged", &swapped, &other)],
    })
}

fn idempotent(asker: &mut Asker<'_>, case: &Case) -> Trial {
    let both = |state: &State| {
        let side = |of: &Snapshot| with_state(of, state.clone());
        Case { ours: side(&case.ours), theirs: side(&case.theirs), ..case.clone() }
    };
    let cases = [(both(&case.ours.state), &case.ours.state), (both(&case.theirs.state), &case.theirs.state)];
    must_be(asker, cases, "both sides are the same, and the result is not what they are")
}

fn unchanged(asker: &mut Asker<'_>, case: &Case) -> Trial {
    let Some(base) = &case.base else { return Trial::Silent };
    let idle = |of: &Snapshot| with_state(of, base.state.clone());
    let cases = [
        (Case { ours: idle(&case.ours), ..case.clone() }, &case.theirs.state),
        (Case { theirs: idle(&case.theirs), ..case.clone() }, &case.ours.state),
    ];
    must_be(asker, cases, "only one side changed anything, and the result is not what it made of it")
}

/// Cases without a conflict, each with what its result must be.
fn must_be<const N: usize>(asker: &mut Asker<'_>, cases: [(Case, &State); N], why: &str) -> Trial {
    let mut tried = false;
    for (case, expected) in cases {
        let Some(question) = case.everything() else { continue };
        let answer = asker.ask(&question);
        if is_silent(&answer) {
            continue;
        }
        tried = true;
        if answer != Settled::Holds(expected.clone()) {
            return Trial::Broken(Breach { why: why.into(), asked: vec![asked("asked", &question, &answer)] });
        }
    }
    if tried { Trial::Kept } else { Trial::Silent }
}

fn bounded(asker: &mut Asker<'_>, case: &Case) -> Trial {
    let Some(question) = case.conflict() else { return Trial::Silent };
    let states = [question.base.as_ref(), Some(&question.ours), Some(&question.theirs)];
    let mut written: usize = states.into_iter().flatten().map(|side| size(&side.state)).sum();
    let mut sizes = Vec::new();
    let mut steps = Vec::new();
    let mut case = case.clone();
    for round in 0..=ROUNDS {
        let Some(question) = case.conflict() else { break };
        let answer = asker.ask(&question);
        if steps.len() < 2 {
            let how = if round == 0 { "asked" } else { "asked about its result, changed on both sides" };
            steps.push(asked(how, &question, &answer));
        }
        let Settled::Holds(merged) = answer else { break };
        let limit = 2 * written + SLACK_BYTES;
        sizes.push(size(&merged));
        if size(&merged) > limit {
            let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
            let why = format!(
                "grows with every merge: {} bytes; {limit} would be twice all that was ever written and {SLACK_BYTES}",
                sizes.join(", ")
            );
            return Trial::Broken(Breach { why, asked: steps });
        }
        // Each side replaces something of what the last merge gave.
        let (ours, ours_written) = edited(&merged, 2 * round + 1);
        let (theirs, theirs_written) = edited(&merged, 2 * round + 2);
        written += ours_written + theirs_written;
        case = Case {
            base: Some(with_state(&case.ours, merged)),
            ours: with_state(&case.ours, ours),
            theirs: with_state(&case.theirs, theirs),
            ..case
        };
    }
    if sizes.is_empty() { Trial::Silent } else { Trial::Kept }
}

/// The state with every value replaced in part, and how many bytes that wrote.
fn edited(state: &State, mark: u32) -> (State, usize) {
    match state {
        State::Blob(bytes) => {
            let (bytes, written) = replaced(bytes, mark);
            (State::Blob(bytes), written)
        }
        State::Attributes(attributes) => {
            let mut all = 0;
            let replace = |(name, value): (&String, &Vec<u8>)| {
                let (value, written) = replaced(value, mark);
                all += written;
                (name.clone(), value)
            };
            let attributes = attributes.iter().map(replace).collect();
            (State::Attributes(attributes), all)
        }
        State::Deleted => (State::Deleted, 0),
    }
}

fn keeps(asker: &mut Asker<'_>, case: &Case) -> Trial {
    let Some(question) = case.conflict() else { return Trial::Silent };
    let (State::Attributes(ours), State::Attributes(theirs)) = (&question.ours.state, &question.theirs.state) else {
        return Trial::Silent;
    };
    let answer = asker.ask(&question);
    let Settled::Holds(State::Attributes(merged)) = &answer else { return Trial::Silent };
    let lost = ours.keys().find(|name| theirs.contains_key(*name) && !merged.contains_key(*name));
    match lost {
        Some(name) => Trial::Broken(Breach {
            why: format!("both sides hold {name:?}, and the result does not"),
            asked: vec![asked("asked", &question, &answer)],
        }),
        None => Trial::Kept,
    }
}

/// Whether the plugin set the session aside.
pub(crate) fn quarantined(asker: &mut Asker<'_>, case: &Case) -> Option<Breach> {
    let question = case.conflict()?;
    let answer = asker.ask(&question);
    let aside = matches!(answer, Settled::Quarantined(_));
    aside.then(|| Breach { why: String::new(), asked: vec![asked("asked", &question, &answer)] })
}

/// Whether the plugin ended a session that neither side had ended.
pub(crate) fn ended(asker: &mut Asker<'_>, case: &Case) -> Option<Breach> {
    let question = case.conflict()?;
    let alive = [&question.ours, &question.theirs].iter().all(|side| side.state != State::Deleted);
    let answer = if alive { asker.ask(&question) } else { return None };
    let ended = answer == Settled::Holds(State::Deleted);
    ended.then(|| Breach { why: String::new(), asked: vec![asked("asked", &question, &answer)] })
}

/// Whether two answers are the same to those who use the session; a plugin's words may differ.
pub(crate) fn alike(one: &Settled, other: &Settled) -> bool {
    match (one, other) {
        (Settled::Holds(one), Settled::Holds(other)) => one == other,
        (Settled::Quarantined(_), Settled::Quarantined(_)) | (Settled::Unanswered(_), Settled::Unanswered(_)) => true,
        _ => false,
    }
}

/// Whether there was no answer; that is told under [`Law::Total`] and under no other law.
fn is_silent(answer: &Settled) -> bool {
    matches!(answer, Settled::Unanswered(_))
}

pub(crate) fn asked(how: &str, question: &SessionConflict, answer: &Settled) -> Asked {
    Asked { how: how.into(), question: Question::Merge(Box::new(question.clone())), answer: answer.to_string() }
}
