//! `colony plugin check`: whether a plugin is one, and keeps the laws.

use std::path::{Path, PathBuf};

use clap::Args;
use colony_laws::{Counterexample, Effort, LawReport, Question, Report, Verdict};
use colony_wasm::{Identity, LoadError, MergeTrial, PlacementTrial, Plugin};
use serde_json::{Value, json};
use tracing::subscriber::NoSubscriber;

use super::samples;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::text::printable;

/// Exit code for a plugin that was refused.
const REFUSED: u8 = 1;
/// What comes before the laws: the component is one that a host takes.
const LOADS: &str = "loads";
const LOADS_SAYS: &str = "a component of a known world, within its limits, that imports nothing but the log";

#[derive(Args, Debug)]
pub(in crate::cli) struct CheckArgs {
    /// The component, as `cargo build --release --target wasm32-unknown-unknown` makes it
    file: PathBuf,
    /// How many sessions or placements to generate
    #[arg(long, value_name = "N", default_value_t = Effort::DEFAULT.cases,
          value_parser = clap::value_parser!(u64).range(1..=Effort::MAX_CASES))]
    cases: u64,
    /// What they are generated from; the same number gives the same ones
    #[arg(long, value_name = "N", default_value_t = Effort::DEFAULT.seed)]
    seed: u64,
    /// Conflicts of your own in JSON, to be tried first; see guest-sdk/laws/SAMPLES.md
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// Also show what the plugin logs
    #[arg(long)]
    log: bool,
}

pub(super) fn run(args: &CheckArgs, output: Output) -> Result<(), Failure> {
    let samples = args.samples.as_deref().map(samples::read).transpose()?.unwrap_or_default();
    let effort = Effort { cases: args.cases, seed: args.seed };
    let check = || check(&args.file, &effort, &samples);
    let checked = if args.log { check()? } else { unheard(check)? };
    output.answer(|| checked.to_json(args), || checked.to_text())?;
    if checked.passed() { Ok(()) } else { Err(Failure::Checked { code: REFUSED }) }
}

/// The laws that a plugin breaks, each with how; none if it keeps them all, or is no plugin at all.
pub(super) fn broken(file: &Path) -> Result<Vec<String>, Failure> {
    Ok(match unheard(|| check(file, &Effort::DEFAULT, &[]))? {
        Checked::Refused(_) => Vec::new(),
        Checked::Loaded { report, .. } => {
            report.broken().map(|(law, found)| format!("{} ({})", law.name(), found.why)).collect()
        }
    })
}

/// Thousands of calls: what the plugin logs in them would bury the answer.
fn unheard<T>(check: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(NoSubscriber::default(), check)
}

/// What came of it.
enum Checked {
    /// It is no plugin.
    Refused(LoadError),
    /// It is one.
    Loaded { world: &'static str, plugin: Identity, report: Box<Report> },
}

fn check(file: &Path, effort: &Effort, samples: &[colony_laws::Case]) -> Result<Checked, Failure> {
    // Two engines: nothing of one reaches the other but the component's bytes.
    let (one, other) = match (super::load(file)?, super::load(file)?) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(error), _) | (_, Err(error)) => return Ok(Checked::Refused(error)),
    };
    match (&one, &other) {
        (Plugin::Merge(one), Plugin::Merge(other)) => {
            let report = colony_laws::merge::check(&mut MergeTrial(one), &mut MergeTrial(other), effort, samples);
            Ok(Checked::Loaded { world: "merge", plugin: one.identity().clone(), report: Box::new(report) })
        }
        (Plugin::Placement(one), Plugin::Placement(other)) => {
            if !samples.is_empty() {
                return Err(Failure::Usage("samples are sessions, and this plugin places colonies".into()));
            }
            let (mut first, mut second) = (PlacementTrial::new(one), PlacementTrial::new(other));
            let report = colony_laws::placement::check(&mut first, &mut second, effort);
            Ok(Checked::Loaded { world: "placement", plugin: one.identity().clone(), report: Box::new(report) })
        }
        _ => Err(Failure::Usage(format!("{} was exchanged while it was read", file.display()))),
    }
}

impl Checked {
    fn passed(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Loaded { report, .. } => report.passed(),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Refused(error) => {
                format!("{LOADS:<14} {:<11} {}\nrefused: it is no plugin\n", "BROKEN", printable(&error.to_string()))
            }
            Self::Loaded { world, plugin, report } => {
                let broken: Vec<_> = report.broken().map(|(law, _)| law.name()).collect();
                let verdict = if broken.is_empty() {
                    format!("passed: {plugin}, a {world} plugin\n")
                } else {
                    format!("refused: {plugin}, a {world} plugin, breaks {}\n", broken.join(", "))
                };
                format!("{LOADS:<14} {:<11} {:>15}{LOADS_SAYS}\n{report}{}{verdict}", "holds", "", fuel_text(report))
            }
        }
    }

    fn to_json(&self, args: &CheckArgs) -> Value {
        match self {
            Self::Refused(error) => json!({
                "file": args.file,
                "ok": false,
                "laws": [{ "law": LOADS, "says": LOADS_SAYS, "verdict": "broken", "why": error.to_string() }],
            }),
            Self::Loaded { world, plugin, report } => {
                let loads = json!({ "law": LOADS, "says": LOADS_SAYS, "verdict": "holds" });
                let laws: Vec<_> = std::iter::once(loads).chain(report.laws.iter().map(law_json)).collect();
                json!({
                    "file": args.file,
                    "ok": report.passed(),
                    "world": world,
                    "plugin": plugin.name(),
                    "content": plugin.content_hex(),
                    "seed": report.seed,
                    "cases": report.cases,
                    "samples": report.samples,
                    "questions": report.questions,
                    "set_aside": report.quarantined,
                    "ended": report.ended,
                    "fuel": { "max": report.fuel, "limit": super::limits().fuel },
                    "laws": laws,
                })
            }
        }
    }
}

/// The most fuel that a call took, beside what it may take.
fn fuel_text(report: &Report) -> String {
    let limit = super::limits().fuel;
    report.fuel.map_or_else(String::new, |fuel| {
        let percent = fuel as f64 * 100.0 / limit as f64;
        format!("fuel: at most {fuel} of {limit} a call ({percent:.2} %)\n")
    })
}

fn law_json(report: &LawReport) -> Value {
    let LawReport { law, tried, verdict } = report;
    let mut json = json!({ "law": law.name(), "says": law.says(), "tried": tried });
    match verdict {
        Verdict::Holds => json["verdict"] = json!("holds"),
        Verdict::NotJudged => json["verdict"] = json!("not judged"),
        Verdict::Broken(counterexample) => {
            let Counterexample { why, origin, asked } = &**counterexample;
            let asked = asked.iter().map(|asked| {
                let question = match &asked.question {
                    Question::Merge(conflict) => samples::to_json(conflict),
                    Question::Rank(_) => json!(asked.question.to_string()),
                };
                json!({ "how": asked.how, "question": question, "answer": asked.answer })
            });
            json["verdict"] = json!("broken");
            json["why"] = json!(why);
            json["origin"] = json!(origin);
            json["counterexample"] = asked.collect();
        }
    }
    json
}
