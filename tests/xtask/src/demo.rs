//! `cargo xtask demo`: from a bare checkout to the whole story.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::failure::Failure;
use crate::places::{Places, Profile};
use crate::{plugins, tool};

/// Builds the plugins and the program, then becomes `colony demo` with the arguments given here. Everything
/// before that is printed on the error stream, so that `--json` leaves one JSON object a line on the other.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<ExitCode, Failure> {
    plugins::build(places)?;
    build(places)?;
    let mut words: Vec<OsString> = vec!["demo".into(), "--plugins".into()];
    words.push(places.components().into());
    words.extend(arguments.iter().map(OsString::from));
    hand_over(Command::new(places.program("colony")).args(words))
}

/// Builds the program `colony` in the dev profile, the one profile that serves tests, simulator and demo.
pub(crate) fn build(places: &Places) -> Result<(), Failure> {
    build_in(places, Profile::Dev)
}

/// Builds the program `colony`.
pub(crate) fn build_in(places: &Places, profile: Profile) -> Result<(), Failure> {
    let what = ["build", "--profile", profile.name(), "-p", "colony-node", "--bin", "colony"];
    tool::run(&mut tool::cargo(places, &what))
}

/// Puts the program in our place: its exit code is ours, and a signal to us reaches it.
#[cfg(unix)]
pub(crate) fn hand_over(command: &mut Command) -> Result<ExitCode, Failure> {
    use std::os::unix::process::CommandExt;

    // Comes back only if the program could not be started.
    let source = command.exec();
    Err(Failure::Start { command: command.get_program().to_string_lossy().into_owned(), source })
}

/// Runs the program and passes its exit code on.
#[cfg(not(unix))]
pub(crate) fn hand_over(command: &mut Command) -> Result<ExitCode, Failure> {
    let code = tool::status(command)?.code();
    let code = code.and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}
