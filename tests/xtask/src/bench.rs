//! `cargo xtask bench`: Colony beside its rivals and beside a network that stores nothing.

use std::process::{Command, ExitCode};

use crate::failure::Failure;
use crate::faults::PROGRAM_VARIABLE;
use crate::places::{Places, Profile};
use crate::{demo, tool};

/// The package, and the program of the same name.
const PACKAGE: &str = "colony-bench";

/// The verb: builds the program and the one that measures it as users would run them, and becomes the latter with the
/// arguments given.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<ExitCode, Failure> {
    demo::build_in(places, Profile::Release)?;
    tool::run_aside(&mut tool::cargo(places, &["build", "--profile", Profile::Release.name(), "-p", PACKAGE]))?;
    let mut command = Command::new(places.program_in(Profile::Release, PACKAGE));
    command.args(arguments).env(PROGRAM_VARIABLE, places.program_in(Profile::Release, "colony"));
    demo::hand_over(&mut command)
}
