//! All laws of a merge, tried on many cases.

use crate::case::Case;
use crate::effort::Effort;
use crate::generate;
use crate::law::Law;
use crate::report::{Counterexample, LawReport, Report, Verdict};
use crate::settle::Settled;
use crate::shrink::smallest;
use crate::subject::Subject;
use crate::trial::{Asker, Breach, Trial, alike, asked, attempt, ended, quarantined};

/// Tries the laws on generated cases and on the user's own.
///
/// `one` and `other` are the same plugin twice, each in an engine of its own where there are engines; the second is
/// asked in another order.
pub fn check(one: &mut dyn Subject, other: &mut dyn Subject, effort: &Effort, samples: &[Case]) -> Report {
    let generated = (0..effort.cases).map(|number| generate::case(effort.seed, number));
    let cases: Vec<_> = samples.iter().cloned().chain(generated).collect();
    let mut one = Asker::new(one);
    let mut other = Asker::new(other);
    let origin = |at: usize| match at.checked_sub(samples.len()) {
        None => format!("sample {}", at + 1),
        Some(number) => format!("case {number} of seed {}", effort.seed),
    };

    let deterministic = judge_determinism(&mut one, &mut other, &cases, &origin);
    let judge_others = matches!(deterministic.verdict, Verdict::Holds);
    let (set_aside, quarantine) = count(&mut one, &cases, quarantined);
    let (ended, ending) = count(&mut one, &cases, ended);

    let mut laws = vec![deterministic];
    for &law in Law::MERGE.iter().skip(1) {
        // What does not answer does not answer, whether or not its answers hold still.
        if !judge_others && law != Law::Total {
            laws.push(LawReport { law, tried: 0, verdict: Verdict::NotJudged });
            continue;
        }
        let mut report = judge(law, &mut one, &cases, &origin);
        let most = |count: u64| 2 * count > cases.len() as u64;
        if matches!(report.verdict, Verdict::Holds) {
            let overdone = match law {
                Law::Total if most(set_aside) => {
                    quarantine.map(|at| (at, "set aside", set_aside, quarantined as Finds))
                }
                Law::Keeps if most(ended) => ending.map(|at| (at, "ended", ended, self::ended as Finds)),
                _ => None,
            };
            if let Some((at, what, times, finds)) = overdone {
                let why =
                    format!("{times} of {} sessions {what}: the odd one may be, most are not merged", cases.len());
                report.verdict = shrunk(&mut one, &cases[at], origin(at), finds, Some(why));
            }
        }
        laws.push(report);
    }
    Report {
        seed: effort.seed,
        cases: effort.cases,
        samples: samples.len(),
        questions: one.questions + other.questions,
        quarantined: set_aside,
        ended,
        fuel: one.fuel.max(other.fuel),
        laws,
    }
}

type Finds = fn(&mut Asker<'_>, &Case) -> Option<Breach>;

/// Tries one law on every case, up to the first that breaks it.
fn judge(law: Law, asker: &mut Asker<'_>, cases: &[Case], origin: &dyn Fn(usize) -> String) -> LawReport {
    let mut tried = 0;
    for (at, case) in cases.iter().enumerate() {
        match attempt(law, asker, case) {
            Trial::Silent => {}
            Trial::Kept => tried += 1,
            Trial::Broken(breach) => {
                tried += 1;
                let shows = |asker: &mut Asker<'_>, case: &Case| match attempt(law, asker, case) {
                    Trial::Broken(breach) => Some(breach),
                    Trial::Silent | Trial::Kept => None,
                };
                let breach = smallest(case, breach, |case| shows(asker, case));
                return LawReport { law, tried, verdict: broken(breach, origin(at), None) };
            }
        }
    }
    LawReport { law, tried, verdict: Verdict::Holds }
}

/// The cases of which `finds` finds something: how many, and the first.
fn count(asker: &mut Asker<'_>, cases: &[Case], finds: Finds) -> (u64, Option<usize>) {
    let mut found = cases.iter().enumerate().filter(|(_, case)| finds(asker, case).is_some()).map(|(at, _)| at);
    let first = found.next();
    (u64::from(first.is_some()) + found.count() as u64, first)
}

fn shrunk(asker: &mut Asker<'_>, case: &Case, origin: String, finds: Finds, why: Option<String>) -> Verdict {
    match finds(asker, case) {
        Some(breach) => broken(smallest(case, breach, |case| finds(asker, case)), origin, why),
        None => Verdict::Holds,
    }
}

fn broken(breach: Breach, origin: String, why: Option<String>) -> Verdict {
    Verdict::Broken(Box::new(Counterexample { why: why.unwrap_or(breach.why), origin, asked: breach.asked }))
}

/// Asks everything once in order, then everything in the opposite order of the other engine, then each question twice.
fn judge_determinism(
    one: &mut Asker<'_>,
    other: &mut Asker<'_>,
    cases: &[Case],
    origin: &dyn Fn(usize) -> String,
) -> LawReport {
    let law = Law::Deterministic;
    let questions: Vec<_> = cases.iter().enumerate().filter_map(|(at, case)| Some((at, case.conflict()?))).collect();
    let tried = questions.len() as u64;
    let answers: Vec<_> = questions.iter().map(|(_, question)| one.ask(question)).collect();
    let mut differs = None;
    for (asked, (_, question)) in questions.iter().enumerate().rev() {
        let answer = other.ask(question);
        if !answers.get(asked).is_some_and(|first| alike(first, &answer)) {
            differs = Some((asked, answer));
        }
    }
    let mut twice = judge(law, other, cases, origin);
    let Some((at, answer)) = differs else { return LawReport { tried, ..twice } };
    // The question that comes out differently at once says more than the one that does so after hundreds of others.
    if matches!(twice.verdict, Verdict::Holds)
        && let (Some((case, question)), Some(first)) = (questions.get(at), answers.get(at))
    {
        let breach = after_another(one, &questions, at).unwrap_or_else(|| Breach {
            why: "the answer hangs on what was asked before".into(),
            asked: vec![
                asked(&format!("asked after {at} other questions"), question, first),
                asked("asked after others, in another instance", question, &answer),
            ],
        });
        twice.verdict = broken(breach, origin(*case), None);
    }
    LawReport { tried, ..twice }
}

/// A single question that changes the answer to the one at `at`.
fn after_another(
    asker: &mut Asker<'_>,
    questions: &[(usize, colony_guest::merge::SessionConflict)],
    at: usize,
) -> Option<Breach> {
    let (_, question) = questions.get(at)?;
    asker.subject.restart();
    let alone: Settled = asker.ask(question);
    for (number, (_, before)) in questions.iter().enumerate() {
        if number == at {
            continue;
        }
        asker.subject.restart();
        let first = asker.ask(before);
        let after = asker.ask(question);
        if !alike(&alone, &after) {
            return Some(Breach {
                why: "the answer hangs on what was asked before".into(),
                asked: vec![
                    asked("asked first of all", question, &alone),
                    asked("another question, asked of a fresh instance", before, &first),
                    asked("asked after that one", question, &after),
                ],
            });
        }
    }
    None
}
