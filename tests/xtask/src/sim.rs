//! `cargo xtask sim`: whole clusters under virtual time.

use std::process::{Command, ExitCode};

use crate::failure::Failure;
use crate::places::Places;
use crate::tool;

/// Builds the simulator and runs it with the arguments given.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<ExitCode, Failure> {
    build(places)?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    simulate(places, &arguments)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the simulator.
pub(crate) fn build(places: &Places) -> Result<(), Failure> {
    tool::run(&mut tool::cargo(places, &["build", "-p", "colony-sim"]))
}

/// Runs the simulator that `build` made. It prints the line that repeats a failure itself.
pub(crate) fn simulate(places: &Places, arguments: &[&str]) -> Result<(), Failure> {
    tool::run(Command::new(places.program("colony-sim")).args(arguments))
}
