//! Running other programs: cargo above all.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::failure::Failure;
use crate::places::{Places, TARGET_VARIABLE};

/// What `cargo run` tells the program it runs about itself. Handed on to another cargo, these would change
/// the fingerprint of build scripts that watch them (ring's does), and the same crate would be built again.
const OWN_VARIABLES: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];

/// Cargo in the main workspace.
pub(crate) fn cargo(places: &Places, arguments: &[&str]) -> Command {
    cargo_in(places.root(), places.target(), arguments)
}

/// Cargo in the workspace of the plugins.
pub(crate) fn plugins_cargo(places: &Places, arguments: &[&str]) -> Command {
    cargo_in(&places.plugins(), places.plugins_target(), arguments)
}

fn cargo_in(folder: &Path, target: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments);
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        let ours = name.to_str().is_some_and(is_own_variable);
        if ours {
            command.env_remove(name);
        }
    }
    command.env(TARGET_VARIABLE, target);
    command
}

fn is_own_variable(name: &str) -> bool {
    OWN_VARIABLES.iter().any(|start| name.starts_with(start))
}

/// Runs a command with our streams; anything but success is a failure.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = status(command)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Exit { command: typed(command), code: status.code() })
}

/// Runs a command with its output on our error stream: for set-up, which must not mix with what a verb prints.
pub(crate) fn run_aside(command: &mut Command) -> Result<(), Failure> {
    run(command.stdout(Stdio::from(std::io::stderr())))
}

/// Runs a command with our streams and hands back how it ended.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus, Failure> {
    command.status().map_err(|source| Failure::Start { command: typed(command), source })
}

/// What a command prints, or nothing if it is absent or fails: for questions about the machine.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The command as a person would type it.
fn typed(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_stem().unwrap_or(program.as_os_str());
    let words: Vec<_> = std::iter::once(name).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_named_as_it_is_typed() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command.args(["build", "-p", "colony-node"]);
        assert_eq!(typed(&command), "cargo build -p colony-node");
    }

    #[test]
    fn what_cargo_said_about_us_is_not_handed_on() {
        assert!(is_own_variable("CARGO_PKG_NAME"));
        assert!(is_own_variable("CARGO_MANIFEST_DIR"));
        assert!(!is_own_variable("CARGO_HOME"));
        assert!(!is_own_variable("CARGO_NET_OFFLINE"));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let failure = run(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert!(matches!(failure, Failure::Start { .. }));
        assert!(failure.to_string().contains("no-such-program-anywhere"));
    }

    #[test]
    fn an_absent_program_answers_nothing() {
        assert_eq!(answer(&mut Command::new("no-such-program-anywhere")), None);
    }
}
