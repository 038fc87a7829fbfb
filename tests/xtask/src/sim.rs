//! `cargo xtask sim`, `whole`, `model`, `history`: whole clusters under virtual time, of replicas and of hosts, every
//! state of a small one, and the judge of what clients were told.

use std::process::{Command, ExitCode};

use crate::failure::Failure;
use crate::places::Places;
use crate::tool;

/// The packages; each is a program of the same name.
const SIMULATOR: &str = "colony-sim";
const WHOLE: &str = "colony-whole";
const MODEL: &str = "colony-model";
const HISTORY: &str = "colony-history";

/// Builds the simulator and runs it with the arguments given.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<ExitCode, Failure> {
    build_and_run(places, SIMULATOR, arguments)
}

/// Builds the simulation of whole hosts and runs it with the arguments given.
pub(crate) fn run_whole(places: &Places, arguments: &[String]) -> Result<ExitCode, Failure> {
    build_and_run(places, WHOLE, arguments)
}

/// Builds the simulation of whole hosts and runs so many seeds.
pub(crate) fn simulate_whole(places: &Places, seeds: &str) -> Result<(), Failure> {
    build_package(places, WHOLE)?;
    tool::run(Command::new(places.program(WHOLE)).args(["--seeds", seeds]))
}

/// Builds the model check and runs it with the arguments given.
pub(crate) fn run_model(places: &Places, arguments: &[String]) -> Result<ExitCode, Failure> {
    build_and_run(places, MODEL, arguments)
}

/// Builds the judge of histories and runs it with the arguments given.
pub(crate) fn run_history(places: &Places, arguments: &[String]) -> Result<ExitCode, Failure> {
    build_and_run(places, HISTORY, arguments)
}

/// Builds the simulator.
pub(crate) fn build(places: &Places) -> Result<(), Failure> {
    build_package(places, SIMULATOR)
}

/// Runs the simulator that `build` made. It prints the line that repeats a failure itself.
pub(crate) fn simulate(places: &Places, arguments: &[&str]) -> Result<(), Failure> {
    tool::run(Command::new(places.program(SIMULATOR)).args(arguments))
}

/// Builds the model check and runs all of it, then shows that it finds bugs.
pub(crate) fn check_model(places: &Places) -> Result<(), Failure> {
    build_package(places, MODEL)?;
    tool::run(&mut Command::new(places.program(MODEL)))?;
    tool::run(Command::new(places.program(MODEL)).arg("--mutants"))
}

fn build_and_run(places: &Places, package: &str, arguments: &[String]) -> Result<ExitCode, Failure> {
    build_package(places, package)?;
    tool::run(Command::new(places.program(package)).args(arguments))?;
    Ok(ExitCode::SUCCESS)
}

fn build_package(places: &Places, package: &str) -> Result<(), Failure> {
    tool::run(&mut tool::cargo(places, &["build", "-p", package]))
}
