//! Whole hosts in simulation, as a program.
//!
//! ```text
//! colony-whole --seeds N [--from S] [--trace]
//! ```

use std::process::ExitCode;
use std::time::Instant;

use colony_whole::plan::Plan;
use colony_whole::{Habits, Report, run, trace};

const USAGE: &str = "usage: colony-whole --seeds N [--from S] [--trace]";

struct Arguments {
    seeds: u64,
    from: u64,
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(what) => {
            eprintln!("{what}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if arguments.trace {
        trace::begin();
    }
    let mut all = Report::default();
    for seed in arguments.from..arguments.from.saturating_add(arguments.seeds) {
        if arguments.trace {
            eprintln!("seed {seed}: {}", Plan::draw(seed));
        }
        let began = Instant::now();
        let report = run(seed, Habits::default());
        eprintln!("seed {seed} took {:.1} s: {report}", began.elapsed().as_secs_f64());
        for fault in report.faults() {
            println!("seed {seed}: {fault}");
        }
        if !report.is_sound() {
            println!("  again: cargo xtask whole --seeds 1 --from {seed} --trace");
        }
        all.add(report);
    }
    println!("{all}");
    if all.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments { seeds: 0, from: 0, trace: false };
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().ok_or_else(|| format!("{word} needs a number"))?;
            value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"))
        };
        match word.as_str() {
            "--seeds" => arguments.seeds = number()?,
            "--from" => arguments.from = number()?,
            "--trace" => arguments.trace = true,
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    if arguments.seeds == 0 { Err("how many seeds?".to_owned()) } else { Ok(arguments) }
}
