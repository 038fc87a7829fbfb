//! `cargo xtask overload`: a real cluster under more than it can carry.

use std::process::{Command, ExitCode};

use crate::failure::Failure;
use crate::places::{Places, Profile};
use crate::{demo, tool};

/// The package that has the program.
const PACKAGE: &str = "colony-it";
/// The program.
const PROGRAM: &str = "colony-overload";
/// Where it finds the program under test.
const PROGRAM_VARIABLE: &str = "COLONY_BIN";

/// Builds the program under test and the one that loads it as users would run them, and runs the latter with the arguments given.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<ExitCode, Failure> {
    demo::build_in(places, Profile::Release)?;
    tool::run(&mut tool::cargo(places, &["build", "--profile", "release", "-p", PACKAGE, "--bin", PROGRAM]))?;
    let mut command = Command::new(places.program_in(Profile::Release, PROGRAM));
    command.args(arguments).env(PROGRAM_VARIABLE, places.program_in(Profile::Release, "colony"));
    tool::run(&mut command)?;
    Ok(ExitCode::SUCCESS)
}
