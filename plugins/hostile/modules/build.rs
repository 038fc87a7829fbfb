//! Makes a component of every module in `text/`, and puts it beside the other plugins.
//!
//! `text/NAME.wat` is the inside of a core module. It is put behind `prelude.wat`, which has a memory and an allocator,
//! and is wrapped into a component as the linker of a real plugin does. A file with a line that begins with `(module`
//! stands alone. One that begins with `;; world: ` is wrapped into that world in place of `merge`: another of the
//! contract's, or the one of `text/WORLD.wit`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// How a module names the world that it is wrapped into.
const WORLD: &str = ";; world: ";
/// The world of most.
const MERGE: &str = "merge";
/// The export of a module of it.
const EXPORT: &str = "(func (export \"colony:plugin/merger@0.1.0#merge\") (param i32) (result i32)";

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to build"));
    // OUT_DIR is PROFILE/build/PACKAGE-HASH/out; cargo puts the other components into PROFILE.
    let profile = out.ancestors().nth(3).expect("a folder for the profile");
    let text = here.join("text");
    println!("cargo::rerun-if-changed={}", text.display());
    println!("cargo::rerun-if-changed={}", here.join("../../../guest-sdk/wit").display());

    let files = fs::read_dir(&text).expect("the texts can be read").flatten().map(|file| file.path());
    for file in files.filter(|file| file.extension().is_some_and(|it| it == "wat")) {
        let name = file.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        if name != "prelude" {
            write(profile, &name, &component(&here, &name, &read(&file)));
        }
    }
    for (name, text) in generated() {
        write(profile, name, &component(&here, name, &text));
    }
}

/// Those that are too long to be written down.
fn generated() -> Vec<(&'static str, String)> {
    let keeps_theirs = "(i32.store8 (i32.const 8) (i32.const 1)) (i32.const 0)";
    let with_data = |bytes: usize| format!("(data \"{}\")\n{EXPORT} {keeps_theirs})", "x".repeat(bytes));
    let nested = |depth| format!("{EXPORT} {} {} {keeps_theirs})", "block ".repeat(depth), "end ".repeat(depth));
    vec![
        // Fine, and beyond the limit of 4 MiB.
        ("big-data", with_data(3 << 20)),
        ("over-size", with_data(5 << 20)),
        // Deeper than any program, and much deeper.
        ("nested-deep", nested(1_000)),
        ("nested-deeper", nested(40_000)),
    ]
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn write(profile: &Path, name: &str, bytes: &[u8]) {
    let file = profile.join(format!("{}.wasm", name.replace('-', "_")));
    fs::write(&file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// Imports stand first in a module.
fn behind_prelude(here: &Path, text: &str) -> String {
    let prelude = read(&here.join("text/prelude.wat"));
    let (imports, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("(import"));
    format!("(module\n{}\n{prelude}\n{}\n)", imports.join("\n"), rest.join("\n"))
}

fn component(here: &Path, name: &str, text: &str) -> Vec<u8> {
    let world = text.lines().next().and_then(|first| first.strip_prefix(WORLD)).map_or(MERGE, str::trim);
    let is_whole = text.lines().any(|line| line.starts_with("(module"));
    let whole = if is_whole { text.to_owned() } else { behind_prelude(here, text) };
    let mut module = wat::parse_str(&whole).unwrap_or_else(|error| panic!("{name}: {error}"));

    let mut resolve = Resolve::default();
    let folder = match world {
        "merge" | "placement" => here.join("../../../guest-sdk/wit"),
        other => here.join("text").join(format!("{other}.wit")),
    };
    let (package, _) = resolve.push_path(folder).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let world = resolve.select_world(&[package], Some(world)).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .unwrap_or_else(|error| panic!("{name}: {error:#}"));
    // Not validated: the host does, and is under test.
    let mut encoder = ComponentEncoder::default();
    let encoded = encoder.validate(false).module(&module).and_then(|encoder| encoder.encode());
    encoded.unwrap_or_else(|error| panic!("{name}: {error:#}"))
}
