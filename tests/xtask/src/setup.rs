//! What a plain Rust toolchain may lack, added where that can be done.

use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::places::Places;
use crate::tool;

/// What plugins are compiled for: no operating system, so no clock, files or entropy.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Adds the standard library of the plugins' target if the toolchain has none.
pub(crate) fn wasm_target() -> Result<(), Failure> {
    if has_wasm_target() {
        return Ok(());
    }
    eprintln!("xtask: adding the target {WASM_TARGET}");
    rustup(&["target", "add", WASM_TARGET], format!("the standard library for {WASM_TARGET}"))?;
    if has_wasm_target() {
        return Ok(());
    }
    Err(Failure::Missing {
        what: format!("the standard library for {WASM_TARGET}"),
        remedy: format!("rustup added it to another toolchain than {}", rustc()),
    })
}

/// Adds a component that cargo calls as a subcommand (`fmt`, `clippy`) if the toolchain has none.
pub(crate) fn component(places: &Places, subcommand: &str, component: &str) -> Result<(), Failure> {
    if tool::answer(&mut tool::cargo(places, &[subcommand, "--version"])).is_some() {
        return Ok(());
    }
    eprintln!("xtask: adding the component {component}");
    rustup(&["component", "add", component], format!("`{component}`"))
}

/// The triple of this machine. Naming it keeps a build native where a workspace's own setting is another.
pub(crate) fn host_triple() -> Result<String, Failure> {
    let text = tool::answer(Command::new(rustc()).arg("-vV")).unwrap_or_default();
    let triple = text.lines().find_map(|line| line.strip_prefix("host: "));
    triple
        .map(str::to_owned)
        .ok_or_else(|| Failure::Missing { what: "rustc".into(), remedy: "install Rust from https://rustup.rs".into() })
}

fn has_wasm_target() -> bool {
    let mut question = Command::new(rustc());
    question.args(["--print", "target-libdir", "--target", WASM_TARGET]);
    tool::answer(&mut question).is_some_and(|folder| Path::new(&folder).is_dir())
}

fn rustup(arguments: &[&str], what: String) -> Result<(), Failure> {
    match tool::run_aside(Command::new("rustup").args(arguments)) {
        Err(Failure::Start { .. }) => Err(Failure::Missing {
            what,
            remedy: format!(
                "there is no rustup to add it; install it with your toolchain's own means, \
                 or get rustup from https://rustup.rs and run `rustup {}`",
                arguments.join(" ")
            ),
        }),
        other => other,
    }
}

fn rustc() -> String {
    std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_triple_of_this_machine_is_known() {
        let triple = host_triple().unwrap();
        assert!(triple.contains(std::env::consts::ARCH), "{triple}");
    }
}
