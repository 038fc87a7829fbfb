//! Whole hosts in simulation, as a program.
//!
//! ```text
//! colony-whole --seeds N [--from S] [--jobs J] [--trace]
//! ```

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use colony_whole::plan::Plan;
use colony_whole::{Habits, Report, run, trace};

const USAGE: &str = "usage: colony-whole --seeds N [--from S] [--jobs J] [--trace]";

struct Arguments {
    seeds: u64,
    from: u64,
    jobs: u64,
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
    let all = run_all(&arguments);
    println!("{all}");
    if all.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the seeds, so many at a time as there are jobs, and says of each what came of it as it ends.
fn run_all(arguments: &Arguments) -> Report {
    let end = arguments.from.saturating_add(arguments.seeds);
    let next = AtomicU64::new(arguments.from);
    let all = Mutex::new(Report::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            if arguments.trace {
                eprintln!("seed {seed}: {}", Plan::draw(seed));
            }
            let began = Instant::now();
            let report = run(seed, Habits::default());
            let mut all = all.lock().expect("no run panics while it reports");
            eprintln!("{:>6.1} s, seed {seed}: {report}", began.elapsed().as_secs_f64());
            for fault in report.faults() {
                println!("seed {seed}: {fault}");
            }
            if !report.is_sound() {
                println!("  again: cargo xtask whole --seeds 1 --from {seed} --trace");
            }
            all.add(report);
        }
    };
    thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(work);
        }
    });
    all.into_inner().expect("no run panics while it reports")
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments { seeds: 0, from: 0, jobs: 2, trace: false };
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().ok_or_else(|| format!("{word} needs a number"))?;
            value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"))
        };
        match word.as_str() {
            "--seeds" => arguments.seeds = number()?,
            "--from" => arguments.from = number()?,
            "--jobs" => arguments.jobs = number()?.clamp(1, 64),
            "--trace" => arguments.trace = true,
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    if arguments.seeds == 0 { Err("how many seeds?".to_owned()) } else { Ok(arguments) }
}
