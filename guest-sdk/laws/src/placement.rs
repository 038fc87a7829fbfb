//! The laws of a placement: it answers every question, and the same one alike.

use std::panic::{AssertUnwindSafe, catch_unwind};

use colony_guest::placement::{Candidate, Load, Placement, Request, Role, Score};

use crate::effort::Effort;
use crate::law::Law;
use crate::report::{Asked, Counterexample, LawReport, Question, Report, Verdict};
use crate::rng::Rng;
use crate::subject::words;

/// Hosts of a generated question, at most; one case in [`LARGE_EVERY`] has [`LARGE_HOSTS`].
const HOSTS: usize = 8;
const LARGE_EVERY: u64 = 50;
const LARGE_HOSTS: usize = 200;

/// A placement, asked as a host asks it.
pub trait Ranker {
    /// Asks for one score for each candidate. Gives why there is no answer, in words for people.
    ///
    /// # Errors
    /// Why there is no answer.
    fn ask(&mut self, request: &Request) -> Result<Vec<Score>, String>;

    /// The fuel that the last call took, if it was counted.
    fn fuel(&self) -> Option<u64> {
        None
    }
}

/// A plugin as plain Rust, on its author's machine.
pub(crate) struct Native<'a, P: ?Sized>(pub(crate) &'a P);

impl<P: Placement + ?Sized> Ranker for Native<'_, P> {
    fn ask(&mut self, request: &Request) -> Result<Vec<Score>, String> {
        let scores = catch_unwind(AssertUnwindSafe(|| self.0.rank(request)));
        scores.map_err(|panic| format!("panicked: {}", words(&*panic)))
    }
}

/// Tries the laws on generated requests. `one` and `other` are the same plugin twice.
pub fn check(one: &mut dyn Ranker, other: &mut dyn Ranker, effort: &Effort) -> Report {
    let requests: Vec<_> = (0..effort.cases).map(|number| request(effort.seed, number)).collect();
    let mut fuel = None;
    let mut questions = 0;
    let mut ask = |ranker: &mut dyn Ranker, request: &Request| {
        let answer = ranker.ask(request);
        questions += 1;
        fuel = fuel.max(ranker.fuel());
        judged(request, answer)
    };

    let first: Vec<_> = requests.iter().map(|request| ask(one, request)).collect();
    let second: Vec<_> = requests.iter().rev().map(|request| ask(other, request)).collect();
    let differs = (0..requests.len()).find(|&at| !same(&first[at], &second[requests.len() - 1 - at]));
    let deterministic = differs.map(|at| {
        let twice = |request: &Request, ask: &mut dyn FnMut(&Request) -> Answer| {
            let (first, second) = (ask(request), ask(request));
            (!same(&first, &second)).then_some((request.clone(), first, second))
        };
        let mut again = |request: &Request| ask(one, request);
        let (request, first, second) = match twice(&requests[at], &mut again) {
            Some(found) => smallest(found, |request| twice(request, &mut again), |found| &found.0),
            None => (requests[at].clone(), first[at].clone(), second[requests.len() - 1 - at].clone()),
        };
        let asked = vec![asked("asked", &request, &first), asked("asked another time", &request, &second)];
        counterexample("the same question was answered differently", at, effort.seed, asked)
    });

    let silent = first.iter().position(Result::is_err);
    let total = silent.map(|at| {
        let mut fails = |request: &Request| ask(one, request).err().map(|why| (request.clone(), why));
        let found = match fails(&requests[at]) {
            Some(found) => smallest(found, &mut fails, |found| &found.0),
            None => (requests[at].clone(), first[at].clone().err().unwrap_or_default()),
        };
        let (request, why) = found;
        let asked = vec![asked("asked", &request, &Err(why.clone()))];
        counterexample(&format!("no answer: {why}"), at, effort.seed, asked)
    });

    let law = |law, broken: Option<Counterexample>| LawReport {
        law,
        tried: effort.cases,
        verdict: broken.map_or(Verdict::Holds, |counterexample| Verdict::Broken(Box::new(counterexample))),
    };
    let laws = vec![law(Law::Deterministic, deterministic), law(Law::Total, total)];
    Report { seed: effort.seed, cases: effort.cases, samples: 0, questions, quarantined: 0, ended: 0, fuel, laws }
}

type Answer = Result<Vec<Score>, String>;

/// One score for each candidate, or no answer.
fn judged(request: &Request, answer: Answer) -> Answer {
    let scores = answer?;
    if scores.len() == request.candidates.len() {
        Ok(scores)
    } else {
        Err(format!("{} scores for {} hosts", scores.len(), request.candidates.len()))
    }
}

/// Whether two answers place alike. That there is none is told under [`Law::Total`], whatever the words.
fn same(one: &Answer, other: &Answer) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one == other,
        (one, other) => one.is_err() == other.is_err(),
    }
}

fn counterexample(why: &str, at: usize, seed: u64, asked: Vec<Asked>) -> Counterexample {
    Counterexample { why: why.into(), origin: format!("case {at} of seed {seed}"), asked }
}

fn asked(how: &str, request: &Request, answer: &Answer) -> Asked {
    let answer = match answer {
        Ok(scores) => {
            let scores = scores.iter().map(|score| match score {
                Score::Points(points) => points.to_string(),
                Score::Veto(reason) => format!("veto {reason:?}"),
            });
            format!("[{}]", scores.collect::<Vec<_>>().join(", "))
        }
        Err(why) => format!("no answer: {why}"),
    };
    Asked { how: how.into(), question: Question::Rank(Box::new(request.clone())), answer }
}

/// The finding with the fewest hosts and labels that is left of this one.
fn smallest<T>(mut found: T, mut finds: impl FnMut(&Request) -> Option<T>, request: impl Fn(&T) -> &Request) -> T {
    'smaller: loop {
        for candidate in smaller(request(&found)) {
            if let Some(still) = finds(&candidate) {
                found = still;
                continue 'smaller;
            }
        }
        return found;
    }
}

/// Requests without some of the hosts, then without a host's labels or load. Each is smaller, so there is an end.
fn smaller(request: &Request) -> Vec<Request> {
    let mut all = Vec::new();
    let hosts = request.candidates.len();
    let mut step = hosts.div_ceil(2);
    while step > 0 {
        for at in (0..hosts).step_by(step) {
            let mut fewer = request.clone();
            fewer.candidates.drain(at..(at + step).min(hosts));
            all.push(fewer);
        }
        step /= 2;
    }
    for (at, host) in request.candidates.iter().enumerate() {
        let plain = Candidate::new(host.name.clone(), Load::default());
        if *host != plain {
            let mut plainer = request.clone();
            plainer.candidates[at] = plain;
            all.push(plainer);
        }
    }
    all
}

fn request(seed: u64, number: u64) -> Request {
    let mut rng = Rng::of(seed, number);
    let hosts = if number % LARGE_EVERY == LARGE_EVERY - 1 { LARGE_HOSTS } else { rng.below(HOSTS + 1) };
    let candidates = (0..hosts).map(|number| candidate(number, &mut rng)).collect();
    let role = rng.pick(&[Role::Primary, Role::Secondary]);
    let mut request = Request::new(role, candidates);
    request.bucket = rng.pick(&[0, 1, 63, u32::MAX]);
    request
}

fn candidate(number: usize, rng: &mut Rng) -> Candidate {
    let most = rng.pick(&[1, 20, 20, 1_000]);
    let primaries = rng.below(most) as u32;
    let mut load = Load { primaries, colonies: primaries + rng.below(most) as u32, ..Load::default() };
    if rng.percent(5) {
        load.colonies = u32::MAX;
    }
    // Hosts send no measurements yet, and may one day.
    if rng.percent(50) {
        load.sessions = Some(rng.next() >> rng.below(64));
        load.bytes = Some(rng.next() >> rng.below(64));
        load.cpu_percent = Some(rng.pick(&[0, 1, 50, 99, 100, 101, u32::MAX]));
        load.memory_percent = Some(rng.below(101) as u32);
    }
    let mut host = Candidate::new(format!("h{number}"), load);
    for (key, values) in LABELS {
        if rng.percent(60) {
            host = host.labelled(key, rng.pick(values));
        }
    }
    host
}

const LABELS: [(&str, &[&str]); 5] = [
    ("zone", &["a", "b", "c", ""]),
    ("rack", &["1", "2"]),
    ("machine", &["m1", "m2", "Ä"]),
    ("primary", &["never", "yes"]),
    ("weight", &["0", "-1", "heavy", "99999999999999999999"]),
];
