//! The kit finds what is wrong, and nothing where nothing is.

use std::cell::Cell;

use colony_guest::merge::{Choice, Conflict, Merge, Outcome, Resolution, SessionConflict, State};
use colony_guest::placement::{Candidate, Placement, Request, Score};
use colony_laws::{Case, Effort, Law, Report, Settled, check, check_placement, check_with, settle};

/// The first law that is broken.
fn broken(report: &Report) -> Option<Law> {
    report.broken().next().map(|(law, _)| law)
}

/// The later write.
struct Later;

impl Merge for Later {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        Resolution::Keep(conflict.later())
    }
}

#[test]
fn the_later_write_keeps_every_law() {
    let report = check(&Later);
    assert!(report.passed(), "{report}");
    assert!(report.laws.iter().all(|law| law.tried > 50), "{report}");
    assert_eq!(report.laws.len(), Law::MERGE.len());
}

/// A merge that answers for whole sessions.
struct Whole(fn(&SessionConflict) -> Result<Outcome, String>);

impl Merge for Whole {
    fn attribute(&self, _: &Conflict) -> Resolution {
        unreachable!("whole sessions are answered")
    }

    fn session(&self, conflict: SessionConflict) -> Result<Outcome, String> {
        (self.0)(&conflict)
    }
}

#[test]
fn ours_wins_is_not_symmetric_and_the_counter_example_is_two_bytes() {
    let report = check(&Whole(|_| Ok(Outcome::Keep(Choice::Ours))));
    assert_eq!(broken(&report), Some(Law::Symmetric), "{report}");
    let (_, counterexample) = report.broken().next().expect("it is broken");
    let text = counterexample.to_string();
    assert!(text.len() < 320 && text.contains("asked with the sides exchanged"), "{text}");
    assert!(!text.contains("written at") && !text.contains("version"), "{text}");
}

/// Bug that the kit is there to find: equal times are rare in an author's own tests.
#[test]
fn a_tie_that_goes_to_theirs_is_not_symmetric() {
    let report = check(&Whole(|conflict| {
        let theirs = conflict.theirs.written_at_ms >= conflict.ours.written_at_ms;
        Ok(Outcome::Keep(if theirs { Choice::Theirs } else { Choice::Ours }))
    }));
    assert_eq!(broken(&report), Some(Law::Symmetric), "{report}");
}

#[test]
fn what_is_never_answered_is_not_total() {
    for answer in [
        (|_| Err("no".into())) as fn(&SessionConflict) -> Result<Outcome, String>,
        |_| Ok(Outcome::Quarantine("no".into())),
        |_| panic!("as asked"),
        |_| Ok(Outcome::Attributes([("not there".into(), None)].into())),
    ] {
        let report = check(&Whole(answer));
        assert_eq!(broken(&report), Some(Law::Total), "{report}");
    }
}

#[test]
fn who_ends_every_session_keeps_nothing() {
    let report = check(&Whole(|conflict| {
        let (ours, theirs) = (&conflict.ours.state, &conflict.theirs.state);
        Ok(match &conflict.base {
            _ if ours == theirs => Outcome::Keep(Choice::Ours),
            Some(base) if base.state == *ours => Outcome::Keep(Choice::Theirs),
            Some(base) if base.state == *theirs => Outcome::Keep(Choice::Ours),
            _ => Outcome::Delete,
        })
    }));
    assert_eq!(broken(&report), Some(Law::Keeps), "{report}");
}

/// Remembers how often it was asked.
struct Remembers(Cell<u64>, u64);

impl Merge for Remembers {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        self.0.set(self.0.get() + 1);
        if self.0.get().is_multiple_of(self.1) { Resolution::Absent } else { Resolution::Keep(conflict.later()) }
    }
}

#[test]
fn hidden_state_is_found_and_nothing_else_is_judged() {
    for every in [1_000, 7, 2] {
        let report = check(&Remembers(Cell::new(0), every));
        assert_eq!(broken(&report), Some(Law::Deterministic), "{every}: {report}");
        assert_eq!(report.broken().count(), 1, "{report}");
    }
}

#[test]
fn a_counter_example_is_small_however_large_the_case() {
    struct Rare;
    impl Merge for Rare {
        fn attribute(&self, conflict: &Conflict) -> Resolution {
            assert!(!conflict.ours.value().is_some_and(|value| value.contains(&0xff)), "not text");
            Resolution::Keep(conflict.later())
        }
    }
    let report = check(&Rare);
    let (law, counterexample) = report.broken().next().expect("values are any bytes");
    let text = counterexample.to_string();
    assert_eq!(law, Law::Total);
    assert!(text.contains("hex ff\n") && text.contains("panicked: not text"), "{text}");
}

#[test]
fn a_users_own_case_is_tried() {
    struct Vip;
    impl Merge for Vip {
        fn attribute(&self, conflict: &Conflict) -> Resolution {
            if conflict.name == "vip-level" { Resolution::Absent } else { Resolution::Keep(conflict.later()) }
        }
    }
    assert!(check(&Vip).passed(), "nobody generates this name");
    let side = |value: &str| {
        let attributes = [("vip-level".to_owned(), value.as_bytes().to_vec())].into();
        colony_guest::merge::Snapshot::of(State::Attributes(attributes))
    };
    let case = Case {
        namespace: "shop".into(),
        occasion: colony_guest::merge::Occasion::ConcurrentSave,
        base: None,
        ours: side("1"),
        theirs: side("2"),
    };
    let report = check_with(&Vip, &Effort { cases: 10, seed: 1 }, &[case]);
    assert_eq!(broken(&report), Some(Law::Keeps), "{report}");
    assert!(report.to_string().contains("sample 1"), "{report}");
}

#[test]
fn the_referee_takes_what_names_conflicts_and_nothing_else() {
    let case = colony_laws::cases(&Effort::DEFAULT)
        .find(|case| case.conflict().is_some_and(|question| question.conflicting.len() == 1));
    let question = case.and_then(|case| case.conflict()).expect("most are like that");
    let settled = |outcome| settle(&question, Ok(outcome));
    assert_eq!(settled(Outcome::Keep(Choice::Theirs)), Settled::Holds(question.theirs.state.clone()));
    assert!(matches!(settled(Outcome::Blob(Vec::new())), Settled::Unanswered(_)));
    let stranger = Outcome::Attributes([("stranger".into(), None)].into());
    assert!(matches!(settled(stranger), Settled::Unanswered(_)));
    let nothing = Outcome::Attributes([(question.conflicting[0].clone(), None)].into());
    assert_eq!(settled(nothing), Settled::Holds(State::Attributes([].into())));
}

/// Scores by how often it was asked, or leaves a host out.
struct Moody(Cell<i32>, usize);

impl Placement for Moody {
    fn score(&self, _: &Request, _: &Candidate) -> Score {
        Score::Points(self.0.get())
    }

    fn rank(&self, request: &Request) -> Vec<Score> {
        self.0.set(self.0.get() + i32::from(self.1 == 0));
        request.candidates.iter().skip(self.1).map(|host| self.score(request, host)).collect()
    }
}

#[test]
fn a_moody_placement_is_refused() {
    let report = check_placement(&Moody(Cell::new(0), 0));
    assert_eq!(broken(&report), Some(Law::Deterministic), "{report}");
    let text = report.to_string();
    assert_eq!(text.matches("host    \"h").count(), 1, "one host is enough: {text}");
}

#[test]
fn a_placement_that_leaves_out_a_host_is_refused() {
    let report = check_placement(&Moody(Cell::new(0), 1));
    assert_eq!(broken(&report), Some(Law::Total), "{report}");
}
