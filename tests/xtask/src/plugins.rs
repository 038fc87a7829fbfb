//! Plugins are built from source, never committed.

use std::process::ExitCode;

use crate::failure::Failure;
use crate::places::Places;
use crate::setup::{self, WASM_TARGET};
use crate::tool;

/// The verb: builds the plugins and prints the folder with the components.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<ExitCode, Failure> {
    if let Some(extra) = arguments.first() {
        return Err(Failure::Usage(format!("`plugins` takes no argument, not `{extra}`")));
    }
    build(places)?;
    println!("{}", places.components().display());
    Ok(ExitCode::SUCCESS)
}

/// Builds every plugin in the release profile: a debug component is ten times as large and as slow, and it is
/// the component that users would install.
pub(crate) fn build(places: &Places) -> Result<(), Failure> {
    setup::wasm_target()?;
    tool::run(&mut tool::plugins_cargo(places, &["build", "--release", "--target", WASM_TARGET]))
}
