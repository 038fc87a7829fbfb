//! What people type.
//!
//! Every command answers on the standard output, for people or with `--json` for programs, and says on the error
//! stream in one line what went wrong, why, and what to do. Exit codes: 0 done, 1 refused or failed, 2 wrong
//! usage; of `status --check` also 3 degraded, 4 failing; of `host` 3 if it left before what it held was safe elsewhere.

mod args;
mod cert;
mod cluster;
mod connect;
mod drain;
mod failure;
mod heal;
mod host;
mod logging;
mod merge;
mod namespace;
mod output;
mod plan;
mod plugin;
mod session;
mod sessions;
mod stale;
mod status;
mod table;
mod text;
mod usage;
mod watch;
mod what_if;

use std::process::ExitCode;

use clap::Parser;

use args::{Command, CommandLine};
use failure::Failure;
use output::Output;

/// Runs the command that the arguments of this process name.
#[must_use]
pub fn main() -> ExitCode {
    // Help and wrong usage end here, with clap's words and codes 0 and 2.
    let line = CommandLine::try_parse().unwrap_or_else(|error| usage::without_misleading_tips(error).exit());
    match run(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(line: CommandLine) -> Result<(), Failure> {
    let CommandLine { command, common } = line;
    if !matches!(command, Command::Host(_)) {
        logging::start_command()?;
    }
    let output = Output::new(common.json);
    match command {
        Command::Cert(command) => cert::run(command, output),
        Command::Host(args) => host::run(args, common.certs, output),
        Command::Demo(args) => runtime()?.block_on(crate::demo::run(args.into(), output.json)).map_err(Failure::from),
        Command::Status { check } => status::run(&common, check, output),
        Command::Hosts => cluster::hosts(&common, output),
        Command::Colonies { of } => cluster::colonies(&common, of, output),
        Command::Drain { hosts, cancel, timeout } => drain::run(&hosts, cancel, timeout, &common, output),
        Command::SafeToStop { host } => drain::safe_to_stop(&host, &common, output),
        Command::AcceptStale { namespace, bucket, host, empty } => {
            stale::run(&stale::Wanted { namespace, bucket, host, empty }, &common, output)
        }
        Command::Plan { dry_run, plugin } => plan::run(dry_run, plugin, &common, output),
        Command::WhatIf { cut } => what_if::run(cut, &common, output),
        Command::Namespace(command) => namespace::run(command, &common, output),
        Command::Plugin(command) => plugin::run(command, &common, output),
        Command::Heal(command) => heal::run(command, &common, output),
        Command::Session(command) => session::run(command, &common, output),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)
}
