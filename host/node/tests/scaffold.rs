//! `colony plugin new`, as its user goes on: the crate's own tests, the component, and the host that loads it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use colony_wasm::{Limits, Runtime};

const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Runs it to its end.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Where plugins are built; with their own folder as cargo would have it, every run would compile the SDK anew.
fn target() -> PathBuf {
    match std::env::var_os("COLONY_PLUGINS_TARGET") {
        Some(folder) => folder.into(),
        None => std::env::home_dir().expect("a home folder").join(".cache/colony/plugins"),
    }
}

/// Cargo in the folder of a plugin, without what the cargo that runs this test says of this crate.
fn cargo(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).args(words).arg("--quiet").env("CARGO_TARGET_DIR", target());
    command
}

/// Begins a plugin, tests it and builds it; says where the component is.
fn build(world: &str, name: &str, folder: &Path) -> PathBuf {
    let dir = folder.join(name);
    let said = run(Command::new(env!("CARGO_BIN_EXE_colony")).args(["plugin", "new", world]).arg(&dir));
    assert!(said.contains("cargo build --release --target wasm32-unknown-unknown"), "{said}");
    // The versions that the plugins of this checkout are built with: no registry needs to be asked.
    fs::copy(Path::new(CHECKOUT).join("plugins/Cargo.lock"), dir.join("Cargo.lock")).expect("it can be copied");
    run(&mut cargo(&dir, &["test"]));
    run(&mut cargo(&dir, &["build", "--release", "--target", "wasm32-unknown-unknown"]));
    target().join("wasm32-unknown-unknown/release").join(format!("{}.wasm", name.replace('-', "_")))
}

/// What `colony plugin new` writes passes its tests, builds without a further word, and is a component that a host
/// loads, of the world that was asked for and no other.
#[test]
fn a_new_plugin_builds_as_it_is_and_a_host_loads_it() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let merge = build("merge", "scaffold-merge", folder.path());
    let placement = build("placement", "scaffold-placement", folder.path());
    let runtime = Runtime::new(Limits::DEFAULT).expect("this machine runs WebAssembly");
    runtime.load_merge_file(&merge).expect("it is a merge plugin");
    runtime.load_placement_file(&placement).expect("it is a placement plugin");
    assert!(runtime.load_placement_file(&merge).is_err());
    assert!(runtime.load_merge_file(&placement).is_err());
    assert!(fs::metadata(&merge).is_ok_and(|file| file.len() < 256 * 1024), "a small plugin is a small component");
}
