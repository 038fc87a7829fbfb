//! A run of named stages that stops at the first failure and ends with a table of all of them.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// One stage: a name, and the work that either succeeds or says why not.
pub(crate) struct Stage<'a> {
    name: &'static str,
    work: Box<dyn FnOnce() -> Result<(), Failure> + 'a>,
}

impl<'a> Stage<'a> {
    /// A stage that has not run.
    pub(crate) fn new(name: &'static str, work: impl FnOnce() -> Result<(), Failure> + 'a) -> Self {
        Self { name, work: Box::new(work) }
    }
}

/// How one stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed(Duration),
    Failed(Duration),
    /// A stage before it failed. It is named, so that nobody takes it for passed.
    NotRun,
}

/// What became of every stage, in order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Whether every stage ran and passed.
    pub(crate) fn passed(&self) -> bool {
        let mut outcomes = self.rows.iter().map(|(_, outcome)| outcome);
        outcomes.all(|outcome| matches!(outcome, Outcome::Passed(_)))
    }

    fn count(&self, of: impl Fn(&Outcome) -> bool) -> usize {
        self.rows.iter().filter(|(_, outcome)| of(outcome)).count()
    }
}

/// Runs the stages in order until one fails, announcing each on `out`.
///
/// # Errors
///
/// Only if `out` cannot be written to; a failed stage is part of the report.
pub(crate) fn run(stages: Vec<Stage<'_>>, out: &mut impl Write) -> io::Result<Report> {
    let total = stages.len();
    let mut report = Report::default();
    for (index, stage) in stages.into_iter().enumerate() {
        let name = stage.name;
        if !report.passed() {
            report.rows.push((name, Outcome::NotRun));
            continue;
        }
        writeln!(out, "==> {} of {total}: {name}", index + 1)?;
        let start = Instant::now();
        let result = (stage.work)();
        let took = start.elapsed();
        let outcome = match result {
            Ok(()) => {
                writeln!(out, "<== {name}: passed in {}", seconds(took))?;
                Outcome::Passed(took)
            }
            Err(failure) => {
                writeln!(out, "<== {name}: FAILED in {}: {failure}", seconds(took))?;
                Outcome::Failed(took)
            }
        };
        report.rows.push((name, outcome));
    }
    Ok(report)
}

impl fmt::Display for Report {
    /// The table, then one plain line of names and values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(name, _)| name.len()).max();
        let width = width.unwrap_or_default();
        let mut sum = Duration::ZERO;
        for (name, outcome) in &self.rows {
            let (word, took) = match *outcome {
                Outcome::Passed(took) => ("passed", Some(took)),
                Outcome::Failed(took) => ("FAILED", Some(took)),
                Outcome::NotRun => ("not run", None),
            };
            sum += took.unwrap_or_default();
            let took = took.map(seconds).unwrap_or_default();
            writeln!(f, "{}", format!("{name:<width$}  {word:<7}  {took:>9}").trim_end())?;
        }
        write!(
            f,
            "stages {} passed {} failed {} not_run {} seconds {}",
            self.rows.len(),
            self.count(|outcome| matches!(outcome, Outcome::Passed(_))),
            self.count(|outcome| matches!(outcome, Outcome::Failed(_))),
            self.count(|outcome| matches!(outcome, Outcome::NotRun)),
            sum.as_secs()
        )
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Result<(), Failure> {
        Err(Failure::Usage("refused".into()))
    }

    #[test]
    fn the_first_failure_stops_the_run_and_the_rest_is_named() {
        let mut after = false;
        let stages = vec![
            Stage::new("one", || Ok(())),
            Stage::new("two", refused),
            Stage::new("three", || {
                after = true;
                Ok(())
            }),
        ];
        let report = run(stages, &mut Vec::new()).unwrap();
        assert!(!report.passed());
        assert!(!after, "a stage ran after the failed one");
        let text = report.to_string();
        let last = text.lines().last().unwrap_or_default();
        assert_eq!(last, "stages 3 passed 1 failed 1 not_run 1 seconds 0");
        assert!(text.lines().any(|line| line == "three  not run"), "{text}");
    }

    #[test]
    fn each_stage_is_announced_with_its_time_and_its_reason() {
        let mut out = Vec::new();
        run(vec![Stage::new("one", refused)], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("==> 1 of 1: one\n<== one: FAILED in "), "{text}");
        assert!(text.contains("refused"), "{text}");
    }

    #[test]
    fn a_run_in_which_all_stages_pass_has_passed() {
        let report = run(vec![Stage::new("one", || Ok(()))], &mut Vec::new()).unwrap();
        assert!(report.passed());
    }
}
