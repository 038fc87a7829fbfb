//! What came of a check.

use std::fmt;

use colony_guest::merge::SessionConflict;
use colony_guest::placement::Request;

use crate::law::Law;

/// What came of a check. Its `Display` is for people: a line for each law, then the counter-examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct Report {
    /// The seed that gives the same cases again.
    pub seed: u64,
    /// How many cases were generated.
    pub cases: u64,
    /// How many cases of the user's own were tried beside them.
    pub samples: usize,
    /// How many questions were asked in all.
    pub questions: u64,
    /// Sessions that the plugin set aside, of [`cases`](Self::cases) and samples.
    pub quarantined: u64,
    /// Sessions that the plugin ended though neither side had.
    pub ended: u64,
    /// The most fuel that a call took, if it was counted.
    pub fuel: Option<u64>,
    /// Each law that was tried.
    pub laws: Vec<LawReport>,
}

impl Report {
    /// Whether every law holds, as far as was seen.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.laws.iter().all(|law| matches!(law.verdict, Verdict::Holds))
    }

    /// The laws that are broken, each with its counter-example.
    pub fn broken(&self) -> impl Iterator<Item = (Law, &Counterexample)> {
        self.laws.iter().filter_map(|law| match &law.verdict {
            Verdict::Broken(counterexample) => Some((law.law, &**counterexample)),
            Verdict::Holds | Verdict::NotJudged => None,
        })
    }
}

/// What came of one law.
#[derive(Debug, Clone)]
pub struct LawReport {
    /// The law.
    pub law: Law,
    /// Cases about which it says something.
    pub tried: u64,
    /// What came of them.
    pub verdict: Verdict,
}

/// What came of one law.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It held in every case.
    Holds,
    /// It does not hold.
    Broken(Box<Counterexample>),
    /// The plugin's answers change by themselves, so that nothing can be said.
    NotJudged,
}

/// The smallest case that was found in which a law is broken.
#[derive(Debug, Clone)]
pub struct Counterexample {
    /// What is wrong, in one line.
    pub why: String,
    /// Where the first such case came from: `case 17` or `sample 2`.
    pub origin: String,
    /// The questions and answers that show it.
    pub asked: Vec<Asked>,
}

/// One question, and what the host makes of the answer.
#[derive(Debug, Clone)]
pub struct Asked {
    /// How it was asked: `asked`, `asked again`, ...
    pub how: String,
    /// The question.
    pub question: Question,
    /// The answer, for people.
    pub answer: String,
}

/// A question of either world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// What becomes of a session?
    Merge(Box<SessionConflict>),
    /// How good are these hosts?
    Rank(Box<Request>),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for LawReport { law, tried, verdict } in &self.laws {
            let word = match verdict {
                Verdict::Holds => "holds",
                Verdict::Broken(_) => "BROKEN",
                Verdict::NotJudged => "not judged",
            };
            write!(f, "{:<14} {word:<11} {tried:>6} cases   ", law.name())?;
            match verdict {
                Verdict::Holds => writeln!(f, "{}", law.says())?,
                Verdict::Broken(counterexample) => writeln!(f, "{}", counterexample.why)?,
                Verdict::NotJudged => writeln!(f, "the answers change by themselves")?,
            }
        }
        for (law, counterexample) in self.broken() {
            writeln!(f, "\n{}: {}\n{counterexample}", law.name(), law.says())?;
        }
        write!(f, "{} cases, {} questions, seed {}", self.cases, self.questions, self.seed)?;
        if self.samples > 0 {
            write!(f, ", {} samples", self.samples)?;
        }
        for (count, what) in [(self.quarantined, "set aside"), (self.ended, "ended")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        writeln!(f)
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {} (the smallest like {})", self.why, self.origin)?;
        let mut shown = None;
        for Asked { how, question, answer } in &self.asked {
            if shown != Some(question) {
                write!(f, "{question}")?;
                shown = Some(question);
            }
            writeln!(f, "  {how}: {answer}")?;
        }
        Ok(())
    }
}
