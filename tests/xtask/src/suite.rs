//! `cargo xtask test`: everything this checkout asks of itself, in one order.
//!
//! Cheap stages come first, so that a slip shows in seconds. No stage is optional: a missing tool is added or
//! is a failure.

use std::io;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::faults::{self, COMPONENTS_VARIABLE, PROGRAM_VARIABLE};
use crate::places::Places;
use crate::setup::{self, WASM_TARGET};
use crate::stages::{self, Stage};
use crate::{demo, plugins, sim, tool};

/// Seeds the simulator runs here. A number for a run on every change; hunting takes `cargo xtask sim --seeds N`.
const SEEDS: &str = "500";
/// Splits and heals that every run simulates: enough to see everything that they are made for.
const ISLANDS: &str = "600";
/// Increments counted and operations recorded here: enough to meet every fault; `cargo xtask sim` takes more.
const COUNTED: &str = "20000";
const RECORDED: &str = "60000";
/// Seeds of whole hosts run here: as many as take a minute.
const WHOLE_SEEDS: &str = "12";

/// The verb: runs all stages, prints the table, and is 0 only if every one passed.
pub(crate) fn run(places: &Places, arguments: &[String]) -> Result<ExitCode, Failure> {
    if let Some(extra) = arguments.first() {
        return Err(Failure::Usage(format!("`test` takes no argument, not `{extra}`")));
    }
    let report = stages::run(all(places), &mut io::stdout()).map_err(Failure::Output)?;
    println!("\n{report}");
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn all(places: &Places) -> Vec<Stage<'_>> {
    vec![
        Stage::new("format", || format(places)),
        Stage::new("plugins", || plugins::build(places)),
        Stage::new("lints", || lints(places)),
        Stage::new("plugin lints", || plugin_lints(places)),
        Stage::new("plugin tests", || plugin_tests(places)),
        Stage::new("program", || demo::build(places)),
        Stage::new("tests", || tests(places)),
        Stage::new("faults", || faults::smoke(places)),
        Stage::new("simulator tests", || simulator_tests(places)),
        Stage::new("simulation", || {
            sim::build(places)?;
            sim::simulate(places, &["--seeds", SEEDS])
        }),
        Stage::new("islands", || sim::simulate(places, &["--islands", "--seeds", ISLANDS])),
        Stage::new("mutants", || sim::simulate(places, &["--mutants"])),
        Stage::new("counters", || sim::simulate(places, &["--counters", COUNTED])),
        Stage::new("history", || sim::simulate(places, &["--history", RECORDED])),
        Stage::new("whole hosts", || sim::simulate_whole(places, WHOLE_SEEDS)),
        Stage::new("model check", || sim::check_model(places)),
    ]
}

fn format(places: &Places) -> Result<(), Failure> {
    setup::component(places, "fmt", "rustfmt")?;
    let check = ["fmt", "--all", "--check"];
    tool::run(&mut tool::cargo(places, &check))?;
    tool::run(&mut tool::plugins_cargo(places, &check))
}

fn lints(places: &Places) -> Result<(), Failure> {
    setup::component(places, "clippy", "clippy")?;
    tool::run(&mut tool::cargo(places, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn plugin_lints(places: &Places) -> Result<(), Failure> {
    tool::run(&mut tool::plugins_cargo(
        places,
        &["clippy", "--workspace", "--target", WASM_TARGET, "--", "-D", "warnings"],
    ))
}

/// A plugin's logic is plain Rust and is tested as such on this machine; whole components are called by the
/// tests of the host.
fn plugin_tests(places: &Places) -> Result<(), Failure> {
    let triple = setup::host_triple()?;
    tool::run(&mut tool::plugins_cargo(places, &["test", "--workspace", "--target", &triple]))
}

/// Unit, suite, story and whole-cluster tests, the never-rules, and the examples in the documentation.
///
/// The simulator and the model check stand apart: cargo builds one core for everything it builds together, and theirs
/// has the mutants compiled in. This way the core under test is the one that ships, and is compiled once.
fn tests(places: &Places) -> Result<(), Failure> {
    let apart = ["--exclude", "colony-sim", "--exclude", "colony-model"];
    let mut command = tool::cargo(places, &["test", "--workspace", "--no-fail-fast"]);
    command.args(apart);
    command.env(PROGRAM_VARIABLE, places.program("colony"));
    command.env(COMPONENTS_VARIABLE, places.components());
    tool::run(&mut command)
}

fn simulator_tests(places: &Places) -> Result<(), Failure> {
    tool::run(&mut tool::cargo(places, &["test", "-p", "colony-sim", "-p", "colony-model"]))
}
