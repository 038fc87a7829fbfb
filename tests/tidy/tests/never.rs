//! The never-rules, numbered as in `ARCHITECTURE.md`, "Never".

use std::path::Path;

use colony_tidy::checkout;
use colony_tidy::source;
use colony_tidy::tree::{Reached, Tree};

/// What the crates without I/O may reach. A list of what is allowed, because one of what is forbidden would not
/// know tomorrow's runtime. A new name here is a decision, with its reason in the commit.
const PURE: &[&str] = &[
    "bytes",
    "cfg-if",
    "cobs",
    "crc32fast",
    "postcard",
    "serde",
    "serde_bytes",
    "serde_core",
    // Compares in constant time; depends on nothing.
    "subtle",
    "thiserror",
    "xxhash-rust",
];

/// The plumbing that each have one home.
const HOMES: &[(&str, &str)] = &[("openraft", "host/raft"), ("wasmtime", "host/wasm"), ("quinn", "host/link")];

/// The crates of the product, by folder.
const PRODUCT: &[&str] = &["host/wire", "host/core", "host/link", "host/raft", "host/wasm", "host/client", "host/node"];

fn reached(tree: Tree) -> Vec<Reached> {
    tree.reached().unwrap_or_else(|error| panic!("{error}"))
}

/// The crates of ours that a package reaches, itself left out.
#[track_caller]
fn assert_ours(tree: Tree, package: &str, allowed: &[&str]) {
    let ours = reached(tree).into_iter().filter(|one| one.ours);
    let names = ours.map(|one| one.name).filter(|name| name != package);
    let foreign: Vec<_> = names.filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(foreign.is_empty(), "{package} imports {foreign:?} of ours");
}

#[track_caller]
fn assert_never_reaches(tree: Tree, package: &str, forbidden: &[&str]) {
    let names = reached(tree).into_iter().map(|one| one.name);
    let found: Vec<_> = names.filter(|name| forbidden.iter().any(|one| is_or_extends(name, one))).collect();
    assert!(found.is_empty(), "{package} reaches {found:?}");
}

/// `openraft-macros` is openraft; `colony-core` is not `colony`.
fn is_or_extends(name: &str, family: &str) -> bool {
    let rest = name.strip_prefix(family);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[track_caller]
fn assert_pure(package: &str, ours: &[&str]) {
    let tree = Tree::of(package).edges("normal,no-proc-macro");
    let names = reached(tree).into_iter().map(|one| one.name);
    let impure: Vec<_> = names
        .filter(|name| name != package)
        .filter(|name| !PURE.contains(&name.as_str()) && !ours.contains(&name.as_str()))
        .collect();
    assert!(impure.is_empty(), "{package} reaches {impure:?}");
}

/// Every line of `files`, after `read` has made its text into what is judged, that has one of the words.
fn lines_with(files: &[impl AsRef<Path>], read: impl Fn(&str) -> String, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let file = file.as_ref();
        let text = read(&checkout::text(file).unwrap_or_default());
        for word in words {
            let lines = source::lines_with(&text, word).into_iter();
            found.extend(lines.map(|line| format!("{}:{line}: {word}", file.display())));
        }
    }
    found
}

fn product(text: &str) -> String {
    source::product(&source::code(text))
}

#[track_caller]
fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Never 1.
#[test]
fn wire_stands_alone_and_is_pure() {
    assert_pure("colony-wire", &[]);
    assert_ours(Tree::of("colony-wire"), "colony-wire", &[]);
}

/// Never 2. What the crate's own `clippy.toml` bans is a lint error; here is what it may reach at all.
#[test]
fn core_reaches_wire_and_nothing_impure() {
    assert_pure("colony-core", &["colony-wire", "colony-merges"]);
    let bans = checkout::text("host/core/clippy.toml").expect("the core has its own bans");
    for banned in ["Instant::now", "SystemTime::now", "thread::spawn", "HashMap", "HashSet"] {
        assert!(bans.contains(banned), "{banned} is no longer banned in the core");
    }
}

/// Never 2: a ban that is switched off where it hurts is none.
#[test]
fn core_never_lifts_its_bans() {
    let files = checkout::rust_sources("host/core");
    assert_none(&lines_with(&files, source::code, &["clippy::disallowed"]));
}

/// Never 3.
#[test]
fn client_never_reaches_the_host() {
    let forbidden = ["colony-core", "colony-raft", "colony-wasm", "colony-node", "openraft", "wasmtime"];
    assert_never_reaches(Tree::of("colony-client"), "colony-client", &forbidden);
}

/// Never 4.
#[test]
fn link_does_not_know_what_it_carries() {
    assert_ours(Tree::of("colony-link"), "colony-link", &[]);
}

/// Never 4.
#[test]
fn link_without_its_feature_never_reaches_quinn() {
    let bare = Tree::of("colony-link").with(&["--no-default-features"]);
    assert_never_reaches(bare, "colony-link", &["quinn", "rustls"]);
}

/// Never 5: no crate but the home names it among its own dependencies.
#[test]
fn plumbing_is_imported_in_its_home_only() {
    for folder in checkout::crates() {
        let manifest = checkout::text(folder.join("Cargo.toml")).unwrap_or_default();
        for (plumbing, home) in HOMES.iter().filter(|(_, home)| folder != Path::new(home)) {
            let named = manifest.lines().any(|line| line.starts_with(plumbing));
            assert!(!named, "{} depends on {plumbing}, whose home is {home}", folder.display());
        }
    }
}

/// Never 5: nor does its code, tests included, reach a type of it through another crate.
#[test]
fn plumbing_is_named_in_its_home_only() {
    let files = checkout::rust_sources(".");
    for (plumbing, home) in HOMES {
        let outside: Vec<_> = files.iter().filter(|file| !file.starts_with(home)).collect();
        assert_none(&lines_with(&outside, source::code, &[&format!("{plumbing}::")]));
    }
}

/// Never 6.
#[test]
fn wasm_never_reaches_network_or_consensus_or_wasi() {
    let forbidden = ["colony-link", "colony-raft", "tokio", "wasmtime-wasi", "wasi-common"];
    assert_never_reaches(Tree::of("colony-wasm"), "colony-wasm", &forbidden);
}

/// Never 7.
#[test]
fn guest_sdk_imports_the_ready_made_merges_only() {
    assert_ours(Tree::of("colony-guest"), "colony-guest", &["colony-merges"]);
}

/// Never 7: what every plugin and the core take in depends on nothing.
#[test]
fn the_ready_made_merges_stand_alone() {
    assert_pure("colony-merges", &[]);
    assert_ours(Tree::of("colony-merges"), "colony-merges", &[]);
}

/// Never 7: as they are compiled, for WebAssembly.
#[test]
fn plugins_import_the_guest_sdk_only() {
    let folders = checkout::plugins();
    assert!(!folders.is_empty(), "no plugin found");
    for folder in folders {
        let package = checkout::package_name(&folder).expect("a package has a name");
        let tree = Tree::of(&package).in_workspace("plugins").with(&["--target", "wasm32-unknown-unknown"]);
        // Those that misbehave on purpose share a crate of their own for what they do not do wrong.
        let allowed: &[&str] = if folder.starts_with("plugins/hostile") {
            &["colony-guest", "colony-merges", "hostile"]
        } else {
            &["colony-guest", "colony-merges"]
        };
        assert_ours(tree, &package, allowed);
    }
}

/// Never 8.
#[test]
fn simulator_never_reaches_plumbing() {
    let forbidden = ["tokio", "colony-link", "colony-raft", "colony-wasm", "colony-node"];
    assert_never_reaches(Tree::of("colony-sim"), "colony-sim", &forbidden);
}

/// Never 9, as far as text can show it: the deterministic part of the group does not know that plugins exist.
#[test]
fn nothing_that_raft_applies_names_the_plugin_host() {
    let files: Vec<_> = ["host/core", "host/raft"].into_iter().flat_map(checkout::product_sources).collect();
    assert_none(&lines_with(&files, source::code, &["colony_wasm"]));
    let forbidden = ["colony-wasm", "wasmtime"];
    assert_never_reaches(Tree::of("colony-raft"), "colony-raft", &forbidden);
}

/// Never 10, as far as text can show it.
#[test]
fn the_product_never_unwraps_and_has_no_unbounded_queue() {
    let files: Vec<_> = PRODUCT.iter().flat_map(|folder| checkout::product_sources(folder)).collect();
    let words = [".unwrap()", "unbounded_channel", "unbounded("];
    assert_none(&lines_with(&files, product, &words));
}

/// Never 10: what decodes bytes from outside does not promise itself anything about them either.
#[test]
fn decoders_never_expect() {
    let files = checkout::product_sources("host/wire");
    let words = [".expect(", ".unwrap_err()", "panic!(", "unreachable!("];
    assert_none(&lines_with(&files, product, &words));
}

/// Never 11.
#[test]
fn no_component_is_committed() {
    let files = checkout::files();
    let binary = |file: &&std::path::PathBuf| file.extension().is_some_and(|it| it == "wasm");
    let components: Vec<_> = files.iter().filter(binary).collect();
    assert!(components.is_empty(), "built, not source: {components:?}");
}

/// The bugs that the simulator must catch are not in what ships.
#[test]
fn the_product_is_built_without_mutants() {
    for package in ["colony-node", "colony-raft", "colony-wasm"] {
        let reached = reached(Tree::of(package).edges("features"));
        let on = |one: &&Reached| one.name == "colony-core" && one.feature.as_deref() == Some("mutants");
        assert!(reached.iter().any(|one| one.name == "colony-core"));
        assert_eq!(reached.iter().find(on), None, "in {package}");
    }
}

/// The product stands alone: its text leads to nothing outside the checkout. The words are put together here
/// so that this file is not a finding.
#[test]
fn no_text_leads_out_of_the_checkout() {
    let words = [concat!("../", "shared"), concat!("far", "m-"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];
    assert_none(&lines_with(&checkout::files(), str::to_owned, &words));
}

/// The checks above are able to fail.
mod a_broken_rule_is_found {
    use super::*;

    #[test]
    #[should_panic(expected = "colony-node reaches")]
    fn when_a_crate_reaches_what_it_must_not() {
        assert_never_reaches(Tree::of("colony-node"), "colony-node", &["openraft"]);
    }

    #[test]
    #[should_panic(expected = "colony-link reaches")]
    fn when_a_pure_crate_does_io() {
        assert_pure("colony-link", &[]);
    }

    #[test]
    #[should_panic(expected = "of ours")]
    fn when_a_crate_imports_another_floor() {
        assert_ours(Tree::of("colony-core"), "colony-core", &[]);
    }

    #[test]
    #[should_panic(expected = "never.rs")]
    fn when_a_word_stands_where_it_must_not() {
        let files = checkout::rust_sources("tests/tidy/tests");
        assert_none(&lines_with(&files, product, &["lines_with("]));
    }

    #[test]
    fn when_the_simulator_has_the_mutants() {
        let reached = reached(Tree::of("colony-sim").edges("features"));
        let mutants = Some("mutants");
        assert!(reached.iter().any(|one| one.name == "colony-core" && one.feature.as_deref() == mutants));
    }
}
