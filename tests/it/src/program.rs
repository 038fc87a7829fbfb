//! What is under test: the program, and the plugins it loads.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name under which a cluster's hosts load the merge plugin.
pub const MERGE: &str = "cart-merge";

/// Names the program; `cargo xtask test` sets it.
const PROGRAM_VARIABLE: &str = "COLONY_BIN";
/// Names the folder of the built plugins; `cargo xtask test` sets it.
const PLUGINS_VARIABLE: &str = "COLONY_PLUGINS";
/// Below the home folder: where `cargo xtask` builds.
const BUILDS: &str = ".cache/colony";
/// Below the plugins' target folder.
const COMPONENTS: &str = "wasm32-unknown-unknown/release";

/// The program `colony`.
///
/// # Panics
/// If it is not built; the message says how to.
#[must_use]
pub fn program() -> PathBuf {
    let given = variable(PROGRAM_VARIABLE);
    let built = variable("CARGO_TARGET_DIR").map(|folder| folder.join("debug/colony"));
    let by_default = builds().map(|folder| folder.join("target/debug/colony"));
    found("the program", PROGRAM_VARIABLE, "cargo build -p colony-node", [given, built, by_default])
}

/// The component of this file name among the built plugins.
///
/// # Panics
/// If it is not built; the message says how to.
#[must_use]
pub fn plugin(file: &str) -> PathBuf {
    let given = variable(PLUGINS_VARIABLE);
    let by_default = builds().map(|folder| folder.join("plugins").join(COMPONENTS));
    let places = [given, by_default].map(|folder| folder.map(|folder| folder.join(file)));
    found("a plugin", PLUGINS_VARIABLE, "cargo xtask plugins", places)
}

/// The program with these words, and none of the tester's own settings.
#[must_use]
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (variable, _) in env::vars_os() {
        if variable.to_str().is_some_and(|name| name.starts_with("COLONY_") && name != "COLONY_LOG") {
            command.env_remove(variable);
        }
    }
    command
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn builds() -> Option<PathBuf> {
    variable("HOME").map(|home| home.join(BUILDS))
}

/// The first place that is named must hold the file: an older one elsewhere would be tested in its stead.
fn found<const N: usize>(what: &str, variable: &str, build: &str, places: [Option<PathBuf>; N]) -> PathBuf {
    let Some(path) = places.into_iter().flatten().next() else {
        panic!("nothing says where {what} is: build it with `{build}` and set {variable}");
    };
    assert!(path.is_file(), "{what} is not at {}: build it with `{build}`, or set {variable}", path.display());
    path
}
