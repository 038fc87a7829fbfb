//! `cargo xtask faults`: real hosts, each in a network of its own, under kills, cuts and loss.

use std::process::{Command, ExitCode};

use crate::failure::Failure;
use crate::places::{Places, Profile};
use crate::{demo, plugins, tool};

/// The package, and the program of the same name.
const PACKAGE: &str = "colony-faults";
/// Where whole-cluster tests find the program under test.
pub(crate) const PROGRAM_VARIABLE: &str = "COLONY_BIN";
/// Where tests find the built plugins.
pub(crate) const COMPONENTS_VARIABLE: &str = "COLONY_PLUGINS";

/// The verb: builds the plugins, the program and the harness as users would run them, for times are measured, and becomes
/// the harness with the arguments given.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<ExitCode, Failure> {
    plugins::build(places)?;
    demo::build_in(places, Profile::Release)?;
    build(places, Profile::Release)?;
    demo::hand_over(harness(places, Profile::Release).args(arguments))
}

/// One kill, to see that the harness itself works; what takes minutes is for `cargo xtask faults`.
pub(crate) fn smoke(places: &Places) -> Result<(), Failure> {
    build(places, Profile::Dev)?;
    tool::run(harness(places, Profile::Dev).args(["--only", "kill", "--minutes", "0"]))
}

fn build(places: &Places, profile: Profile) -> Result<(), Failure> {
    tool::run_aside(&mut tool::cargo(places, &["build", "--profile", profile.name(), "-p", PACKAGE]))
}

fn harness(places: &Places, profile: Profile) -> Command {
    let mut command = Command::new(places.program_in(profile, PACKAGE));
    command.env(PROGRAM_VARIABLE, places.program_in(profile, "colony"));
    command.env(COMPONENTS_VARIABLE, places.components());
    command
}
