//! Where a rival's program is, and how it comes to a Debian machine.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::PeerError;

/// Where Debian puts servers; often not on the path of users.
const SYSTEM: &str = "/usr/sbin";

/// A program that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// The first line of what it says of its version.
    pub version: String,
}

/// Finds a program; where it is absent and `may_install`, tries its Debian package of the same name first.
///
/// # Errors
/// [`PeerError::Absent`] with what was tried.
pub fn find(program: &'static str, may_install: bool) -> Result<Found, PeerError> {
    let found = |path: PathBuf| Found { version: version(&path), path };
    if let Some(path) = on_path(program) {
        return Ok(found(path));
    }
    if !may_install {
        return Err(PeerError::Absent { program, why: "it is not on the path, and installing was not allowed".into() });
    }
    let why = match install(program) {
        Ok(()) => match on_path(program) {
            Some(path) => return Ok(found(path)),
            None => "its package is installed and does not have it".into(),
        },
        Err(why) => why,
    };
    Err(PeerError::Absent { program, why })
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([Path::new(SYSTEM).to_path_buf()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn install(package: &str) -> Result<(), String> {
    eprintln!("peers: installing the package {package}");
    let mut command = Command::new("apt-get");
    command.args(["install", "--yes", "--no-install-recommends", package]);
    // Debian starts what it installs; at run level 1 it does not. We start servers of our own.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("apt-get: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("apt-get install {package}: {}", said.lines().next_back().unwrap_or("it failed")))
}

fn version(program: &Path) -> String {
    let said = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let text = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_on_the_path_is_not_installed() {
        let found = find("sh", false).unwrap();
        assert!(found.path.is_file());
    }

    #[test]
    fn an_absent_program_is_named_with_what_was_tried() {
        let failure = find("no-such-program-anywhere", false).unwrap_err().to_string();
        assert!(failure.contains("no-such-program-anywhere"), "{failure}");
        assert!(failure.contains("was not allowed"), "{failure}");
    }
}
