//! The simulator as a program.
//!
//! ```text
//! colony-sim --seeds N [--from S] [--jobs J] [--trace] [--mutant NAME]
//! colony-sim --islands [--deaths] --seeds N [--from S] [--jobs J] [--trace] [--mutant NAME]
//! colony-sim --mutants [--seeds N] [--from S] [--jobs J]
//! colony-sim --counters N [--from S] [--jobs J] [--trace]
//! colony-sim --history N [--into FILE] [--from S] [--jobs J]
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use colony_core::colony::Mutant;
use colony_history::{History, Verdict, check, doctor, text};
use colony_sim::batch::{Batch, count_all, heal_all, record_all, run_all};
use colony_sim::counters::{INCREMENTS_OF_A_RUN, count};
use colony_sim::islands::{self, Healed};
use colony_sim::run::{Report, run};
use colony_sim::seen::Sight;

/// How many of the first seeds are run twice, to show that a seed determines its run.
const SEEDS_RUN_TWICE: u64 = 3;
/// A batch this large must have seen everything at least once.
const SEEDS_THAT_SEE_ALL: u64 = 100;
/// A batch this large must have met every step with every fault that can strike there.
const SEEDS_THAT_MEET_ALL: u64 = 500;
/// Seeds that a mutant may take to be caught: the rarest needs two faults at one step, and shows in one seed of 200.
const SEEDS_FOR_A_MUTANT: u64 = 1000;
/// Seeds of islands that are run before it is looked whether one caught a mutant.
const SEEDS_AT_A_TIME: usize = 20;
const USAGE: &str = "usage: colony-sim ([--islands [--deaths]] --seeds N | --mutants [--seeds N] | --counters N | --history N [--into FILE]) \
                     [--from S] [--jobs J] [--trace] [--mutant NAME]";

/// What is asked for.
#[derive(Clone, Copy)]
enum Mode {
    /// So many seeds of whole clusters under faults, held to the rules.
    Seeds(u64),
    /// So many seeds of splits and heals.
    Islands { seeds: u64, deaths: bool },
    /// Every mutant, with so many seeds each.
    Mutants,
    /// So many increments under kills.
    Counters(u64),
    /// So many recorded operations, and their judgement.
    History(u64),
}

struct Arguments {
    mode: Mode,
    /// As typed: with `--mutants` the seeds that each of them may take.
    seeds: Option<u64>,
    from: u64,
    jobs: usize,
    print: bool,
    into: Option<PathBuf>,
    mutant: Option<Mutant>,
}

fn main() -> ExitCode {
    colony_sim::panics::keep_quiet();
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(what) => {
            eprintln!("{what}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let passed = match arguments.mode {
        Mode::Seeds(seeds) => run_seeds(&arguments, seeds),
        Mode::Islands { seeds, deaths } => run_islands(&arguments, seeds, deaths),
        Mode::Mutants => hunt_mutants(&arguments),
        Mode::Counters(increments) => count_up(&arguments, increments),
        Mode::History(operations) => make_history(&arguments, operations),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut modes = Vec::new();
    let (mut seeds, mut is_islands, mut deaths) = (None, false, false);
    let (mut from, mut jobs, mut print, mut into, mut mutant) = (0, 2, false, None, None);
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().ok_or_else(|| format!("{word} needs a number"))?;
            value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"))
        };
        match word.as_str() {
            "--seeds" => seeds = Some(number()?),
            "--islands" => is_islands = true,
            "--deaths" => deaths = true,
            "--mutants" => modes.push(Mode::Mutants),
            "--counters" => modes.push(Mode::Counters(number()?)),
            "--history" => modes.push(Mode::History(number()?)),
            "--from" => from = number()?,
            "--jobs" => jobs = usize::try_from(number()?).unwrap_or(usize::MAX).min(64),
            "--trace" => print = true,
            "--into" => into = Some(words.next().ok_or("--into needs a file")?.into()),
            "--mutant" => {
                let name = words.next().ok_or("--mutant needs a name")?;
                let found =
                    Mutant::ALL.into_iter().chain(Mutant::OF_ISLANDS).find(|mutant| format!("{mutant:?}") == name);
                mutant = Some(found.ok_or_else(|| format!("no mutant {name}"))?);
            }
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    let mode = match (modes.as_slice(), seeds) {
        ([mode @ Mode::Mutants], _) | ([mode], None) => *mode,
        ([], Some(seeds)) if is_islands => Mode::Islands { seeds, deaths },
        _ if deaths => return Err("--deaths goes with --islands --seeds N".into()),
        ([], Some(seeds)) => Mode::Seeds(seeds),
        ([], None) => return Err("nothing is asked for".into()),
        _ => return Err("one thing at a time".into()),
    };
    Ok(Arguments { mode, seeds, from, jobs, print, into, mutant })
}

/// Runs seeds; true if nothing was violated and, in a large batch, everything was seen.
fn run_seeds(arguments: &Arguments, seeds: u64) -> bool {
    if arguments.print {
        let reports = (arguments.from..arguments.from + seeds).map(|seed| run(seed, arguments.mutant, true));
        let violations = reports.filter(|report| report.violation.is_some()).count();
        println!("seeds {seeds} violations {violations}");
        return violations == 0;
    }
    let batch = run_all(arguments.from, seeds, arguments.jobs, arguments.mutant, |report| {
        print_violation(report, arguments.mutant);
        true
    });
    for sight in Sight::ALL {
        println!("{:>10} {}", batch.seen.count(*sight), sight.words());
    }
    let blind = if seeds >= SEEDS_THAT_SEE_ALL { batch.seen.missing() } else { Vec::new() };
    println!("{}", batch.seen.coverage);
    let unmet = if seeds >= SEEDS_THAT_MEET_ALL { batch.seen.coverage.missing() } else { Vec::new() };
    for (strike, step) in &unmet {
        println!("never met: {} while {} was under way", strike.words(), step.words());
    }
    for sight in &blind {
        println!("never seen: {}", sight.words());
    }
    let twice = arguments.from..arguments.from + seeds.min(SEEDS_RUN_TWICE);
    let differing: Vec<u64> = twice.filter(|seed| !is_determined(*seed, arguments.mutant)).collect();
    for seed in &differing {
        println!("seed {seed} does not determine its run: two runs have different traces");
    }
    println!("{} events", batch.events);
    println!("colonies that lost every in-sync copy and were offline: {}", batch.seen.count(Sight::Lost));
    println!("{}", summary(&batch));
    batch.violated.is_empty() && blind.is_empty() && unmet.is_empty() && differing.is_empty()
}

/// Splits and heals; true if nothing was violated and, in a large batch, everything was seen.
fn run_islands(arguments: &Arguments, seeds: u64, deaths: bool) -> bool {
    let runs = if arguments.print {
        (arguments.from..arguments.from + seeds)
            .map(|seed| islands::run(seed, arguments.mutant, deaths, true))
            .collect()
    } else {
        heal_all(arguments.from, seeds, arguments.jobs, arguments.mutant, deaths)
    };
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut violations, mut lasted) = (0, 0);
    let with = if deaths { " --deaths" } else { "" };
    for Healed { seed, violation, lasted: span, seen: of_run } in &runs {
        lasted += span;
        of_run.iter().for_each(|(what, times)| *seen.entry(what).or_default() += times);
        if let Some(violation) = violation {
            violations += 1;
            println!(
                "seed {seed} {violation}\n  again: cargo xtask sim --islands{with} --seeds 1 --from {seed} --trace"
            );
        }
    }
    for (what, times) in &seen {
        println!("{times:>10} {what}");
    }
    let is_large = seeds >= SEEDS_THAT_SEE_ALL;
    let of_deaths = islands::MUST_SEE_OF_DEATHS.into_iter().filter(|_| deaths);
    let blind: Vec<&str> = islands::MUST_SEE
        .into_iter()
        .chain(of_deaths)
        .filter(|what| is_large && seen.get(what).is_none_or(|times| *times == 0))
        .collect();
    blind.iter().for_each(|what| println!("never seen: {what}"));
    let hundredths = lasted / 36_000_000;
    println!("seeds {seeds} violations {violations} cluster_hours {}.{:02}", hundredths / 100, hundredths % 100);
    violations == 0 && blind.is_empty()
}

fn is_determined(seed: u64, mutant: Option<Mutant>) -> bool {
    run(seed, mutant, false) == run(seed, mutant, false)
}

fn summary(batch: &Batch) -> String {
    let hundredths = batch.lasted / 36_000_000;
    format!(
        "seeds {} violations {} cluster_hours {}.{:02}",
        batch.seeds,
        batch.violated.len(),
        hundredths / 100,
        hundredths % 100
    )
}

fn print_violation(report: &Report, mutant: Option<Mutant>) {
    if let Some(violation) = &report.violation {
        let mutant = mutant.map(|mutant| format!(" --mutant {mutant:?}")).unwrap_or_default();
        println!(
            "seed {} broke {violation}\n  again: cargo xtask sim --seeds 1 --from {} --trace{mutant}",
            report.seed, report.seed
        );
    }
}

/// Makes so many increments; true if every counter is exact.
fn count_up(arguments: &Arguments, increments: u64) -> bool {
    let runs = if arguments.print {
        vec![(arguments.from, count(arguments.from, increments.min(INCREMENTS_OF_A_RUN), true))]
    } else {
        count_all(arguments.from, increments, arguments.jobs)
    };
    let mut is_exact = true;
    for (seed, counted) in &runs {
        if let Some(violation) = &counted.violation {
            is_exact = false;
            println!(
                "seed {seed} broke {violation}\n  again: cargo xtask sim --counters {increments} --from {seed} --trace"
            );
        }
    }
    let made: u64 = runs.iter().map(|(_, counted)| counted.increments).sum();
    let kills: u64 = runs.iter().map(|(_, counted)| counted.kills).sum();
    let verdict = if is_exact { "exact" } else { "wrong" };
    println!("increments {made} kills {kills} counters {verdict}");
    is_exact
}

/// Records a history, has it judged, and has lies told in it that the judge must find; true if it is linearizable and
/// every lie is found.
fn make_history(arguments: &Arguments, operations: u64) -> bool {
    let runs = record_all(arguments.from, operations, arguments.jobs);
    let mut history = History::new();
    let (mut kills, mut is_sound) = (0, true);
    for (seed, recorded) in &runs {
        kills += recorded.kills;
        for (session, operation) in &recorded.operations {
            if let Err(fault) = history.push(&format!("{seed}-{session}"), *operation) {
                println!("seed {seed}: {fault}");
                is_sound = false;
            }
        }
        if let Some(violation) = &recorded.violation {
            println!("seed {seed} broke {violation}");
            is_sound = false;
        }
    }
    if let Some(file) = &arguments.into {
        let written = File::create(file).map(BufWriter::new).and_then(|mut to| text::write(&history, &mut to));
        if let Err(error) = written {
            println!("{}: {error}", file.display());
            is_sound = false;
        }
    }
    let (lies, found) = tell_lies(&history, arguments.from);
    let verdict = match check(&history) {
        Verdict::Linearizable => "linearizable",
        Verdict::Violated(violations) => {
            violations.iter().take(3).for_each(|violation| println!("{violation}"));
            "violated"
        }
        Verdict::Undecided(sessions) => {
            println!("undecided: {}", sessions.join(" "));
            "undecided"
        }
    };
    let (recorded, sessions) = (history.operations(), history.sessions().len());
    println!("operations {recorded} sessions {sessions} kills {kills} lies {lies} rejected {found} verdict {verdict}");
    is_sound && verdict == "linearizable" && lies > 0 && found == lies
}

/// Tells every kind of lie in a history and has it judged: how many could be told, how many were found.
fn tell_lies(history: &History, seed: u64) -> (u64, u64) {
    let (mut lies, mut found) = (0, 0);
    for lie in doctor::Lie::ALL {
        match doctor::doctor(history, lie, seed) {
            Ok(Some(doctored)) => {
                lies += 1;
                let is_found = matches!(check(&doctored.history), Verdict::Violated(_));
                found += u64::from(is_found);
                println!("{:<15} {}", lie.name(), if is_found { "rejected" } else { "NOT FOUND" });
            }
            Ok(None) => println!("{:<15} cannot be told here", lie.name()),
            Err(fault) => println!("{:<15} {fault}", lie.name()),
        }
    }
    (lies, found)
}

/// Switches every mutant on in turn; true if all are caught.
fn hunt_mutants(arguments: &Arguments) -> bool {
    let seeds = arguments.seeds.unwrap_or(SEEDS_FOR_A_MUTANT);
    let mut caught = 0;
    for mutant in Mutant::ALL {
        let found = AtomicBool::new(false);
        let batch = run_all(arguments.from, seeds, arguments.jobs, Some(mutant), |report| {
            found.fetch_or(report.violation.is_some(), Ordering::Relaxed);
            !found.load(Ordering::Relaxed)
        });
        match batch.violated.first().and_then(|report| Some((report.seed, report.violation.as_ref()?))) {
            Some((seed, violation)) => {
                caught += 1;
                let took = seed + 1 - arguments.from;
                println!("{mutant:?} caught at seed {seed} by {} ({took} seeds)", violation.rule);
            }
            None => println!("{mutant:?} not caught in {seeds} seeds"),
        }
    }
    for mutant in Mutant::OF_ISLANDS {
        let found = (arguments.from..arguments.from + seeds).step_by(SEEDS_AT_A_TIME).find_map(|from| {
            let runs = heal_all(from, SEEDS_AT_A_TIME as u64, arguments.jobs, Some(mutant), false);
            runs.into_iter().find_map(|run| Some((run.seed, run.violation?)))
        });
        match found {
            Some((seed, violation)) => {
                caught += 1;
                let took = seed + 1 - arguments.from;
                let what: String = violation.chars().take(80).collect();
                println!("{mutant:?} caught at seed {seed} by islands: {what} ({took} seeds)");
            }
            None => println!("{mutant:?} not caught in {seeds} seeds"),
        }
    }
    let all = Mutant::ALL.len() + Mutant::OF_ISLANDS.len();
    println!("mutants {all} caught {caught}");
    caught == all
}
