//! The model check as a program.
//!
//! ```text
//! colony-model [--full] [--only NAME]    every configuration, or the larger ones with --full
//! colony-model --mutants                 shows that each of some bugs would be found
//! ```

use std::process::ExitCode;
use std::time::Instant;

use colony_model::{Outcome, Scope, check};

/// Both cores of the smallest machine this is run on.
const THREADS: usize = 2;
const USAGE: &str = "usage: colony-model [--full | --mutants] [--only NAME]";

fn main() -> ExitCode {
    colony_sim::panics::keep_quiet();
    let (mut full, mut mutants, mut only) = (false, false, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--full" => full = true,
            "--mutants" => mutants = true,
            "--only" => match words.next() {
                Some(name) => only = Some(name),
                None => return misused("--only needs a name"),
            },
            _ => return misused(&format!("unknown argument {word}")),
        }
    }
    let mut scopes = match (mutants, full) {
        (true, true) => return misused("--full and --mutants are two things"),
        (true, false) => Scope::mutants(),
        (false, true) => Scope::full(),
        (false, false) => Scope::all(),
    };
    if let Some(name) = only {
        let names: Vec<&str> = scopes.iter().map(|scope| scope.name).collect();
        let problem = format!("no configuration {name} here; there are {}", names.join(", "));
        scopes.retain(|scope| scope.name == name);
        if scopes.is_empty() {
            return misused(&problem);
        }
    }
    let passed = if mutants { hunt_mutants(scopes) } else { walk(scopes) };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn misused(problem: &str) -> ExitCode {
    eprintln!("{problem}\n{USAGE}");
    ExitCode::from(2)
}

/// Walks configurations to their end; true if no rule was broken, and everything was seen that should be possible.
fn walk(scopes: Vec<Scope>) -> bool {
    let mut all = Outcome::default();
    for scope in scopes {
        let begun = Instant::now();
        let outcome = check(scope, THREADS);
        println!("{}: {}", scope.name, scope.words());
        println!("  {} in {:.1} s", outcome.summary(), begun.elapsed().as_secs_f64());
        print_violations(&outcome);
        for unseen in &outcome.unseen {
            println!("  never seen: {unseen}");
        }
        all.add(outcome);
    }
    println!("{}", all.summary());
    all.violations.is_empty() && all.unseen.is_empty()
}

fn print_violations(outcome: &Outcome) {
    for (rule, actions) in &outcome.violations {
        println!("  broken: {rule}, by {} actions:", actions.len());
        for action in actions {
            println!("    {action}");
        }
    }
}

/// Switches each bug on in the configuration that shows it soonest; true if all are caught.
fn hunt_mutants(scopes: Vec<Scope>) -> bool {
    let (mut tried, mut caught) = (0, 0);
    for scope in scopes {
        tried += 1;
        let outcome = check(scope, THREADS);
        match outcome.violations.first() {
            Some((rule, actions)) => {
                caught += 1;
                println!("{} caught by {rule}: {} actions, {} states", scope.name, actions.len(), outcome.unique);
            }
            None => println!("{} not caught in {} states", scope.name, outcome.unique),
        }
    }
    println!("mutants {tried} caught {caught}");
    tried == caught
}
