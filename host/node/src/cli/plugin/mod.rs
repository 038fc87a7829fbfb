//! `colony plugin`: for those who write plugins, and for those who run them (`PROTOCOL.md` 14.1).

mod activate;
mod bench;
pub(super) mod canary;
mod check;
mod empty;
mod install;
mod list;
mod new;
mod samples;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use colony_wasm::{Limits, LoadError, Plugin, Runtime};
use colony_wire::plugin::PluginKind;

use super::args::Common;
use super::failure::Failure;
use super::output::Output;
use crate::config;
pub(super) use new::NewError;

/// The author waits for a compiler on a machine that may be busy, and nobody else does.
const COMPILE_TIME: Duration = Duration::from_secs(60);
/// On a busy machine a call may stand still for longer than a host would wait. What a call may do is counted in fuel,
/// and that limit is the hosts'.
const CALL_TIME: Duration = Duration::from_secs(2);

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Write a crate to begin a plugin with
    New {
        /// What the plugin is asked
        #[arg(value_enum)]
        world: World,
        /// The folder, made if need be; its name is the crate's
        dir: PathBuf,
        /// Where the SDK is: the folder of a checkout of Colony, or the URL of its git repository [default: the
        /// checkout that this program was built from]
        #[arg(long, value_name = "PATH|URL")]
        sdk: Option<String>,
    },
    /// Try a plugin against its laws, as a host would load and call it; no cluster is needed
    Check(check::CheckArgs),
    /// Measure what a call of a plugin takes; no cluster is needed
    Bench(bench::BenchArgs),
    /// Send a plugin to the cluster, which keeps it; the first version of a merge plugin decides at once
    Install {
        /// The name that namespaces use
        #[arg(value_parser = config::name)]
        name: String,
        /// The WebAssembly component
        file: PathBuf,
        /// What it must be; what it is shows by itself
        #[arg(long, value_enum)]
        kind: Option<World>,
        /// Let it decide at once, also in place of another version, or as the cluster's placement plugin
        #[arg(long = "use")]
        is_to_decide: bool,
        /// Override what the check finds against it; the cluster remembers that
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        patience: Patience,
    },
    /// The installed plugins, their versions, and which hosts can run them
    List,
    /// Let a version decide from now on, on all hosts at once; a placement plugin then places for the whole cluster
    Use {
        /// The plugin
        #[arg(value_parser = config::name)]
        name: String,
        /// The version: the first digits of its content id [default: the canary, or else the newest]
        content: Option<String>,
        /// Let a placement plugin place this share of the colonies only, such as 10%, and leave all others where they are;
        /// the same without --canary has it place for all, `rollback` has the colonies go back
        #[arg(long, value_name = "PERCENT", value_parser = percent)]
        canary: Option<u8>,
        #[command(flatten)]
        patience: Patience,
    },
    /// Let the version decide again that did before the active one; if there is a canary, take that back first
    Rollback {
        /// The plugin
        #[arg(value_parser = config::name)]
        name: String,
        #[command(flatten)]
        patience: Patience,
    },
    /// Forget a plugin that no namespace merges by, with all its versions
    Uninstall {
        /// The plugin
        #[arg(value_parser = config::name)]
        name: String,
    },
}

/// How long a command waits for hosts.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How long to wait until every host that is up has compiled it, such as 2m
    #[arg(long, default_value = "2m", value_parser = config::span)]
    timeout: Duration,
}

/// What a plugin is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum World {
    /// What becomes of a session that was changed twice at once
    Merge,
    /// Which hosts are good for a copy of a colony
    Placement,
}

impl From<World> for PluginKind {
    fn from(world: World) -> Self {
        match world {
            World::Merge => Self::Merge,
            World::Placement => Self::Placement,
        }
    }
}

pub(super) fn run(command: PluginCommand, common: &Common, output: Output) -> Result<(), Failure> {
    match command {
        PluginCommand::New { world, dir, sdk } => new::run(world, &dir, sdk.as_deref(), output),
        PluginCommand::Check(args) => check::run(&args, output),
        PluginCommand::Bench(args) => bench::run(&args, output),
        PluginCommand::Install { name, file, kind, is_to_decide, force, patience } => {
            let wanted = install::Wanted { name, file, kind: kind.map(PluginKind::from), is_to_decide, force };
            install::run(&wanted, patience.timeout, common, output)
        }
        PluginCommand::List => list::run(common, output),
        PluginCommand::Use { name, content, canary: None, patience } => {
            activate::use_version(&name, content, patience.timeout, common, output)
        }
        PluginCommand::Use { name, content, canary: Some(percent), patience } => {
            canary::begin(&name, content, percent, patience.timeout, common, output)
        }
        PluginCommand::Rollback { name, patience } => activate::roll_back(&name, patience.timeout, common, output),
        PluginCommand::Uninstall { name } => activate::uninstall(&name, common, output),
    }
}

/// A share, such as `10%`.
fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    let share = number.filter(|percent| (1..100).contains(percent));
    share.ok_or_else(|| "a canary has 1% to 99% of the colonies".to_owned())
}

/// The limits of hosts, but for time.
fn limits() -> Limits {
    Limits { compile_time: COMPILE_TIME, call_time: CALL_TIME, ..Limits::DEFAULT }
}

/// Loads a plugin of either world in an engine of its own. Inside is what is wrong with the component, outside what
/// is wrong with the file or the machine.
fn load(file: &Path) -> Result<Result<Plugin, LoadError>, Failure> {
    let runtime =
        Runtime::new(limits()).map_err(|error| Failure::Plugin { file: file.to_owned(), why: error.to_string() })?;
    match runtime.load_file(file) {
        Err(LoadError::Unreadable { path, source }) => Err(Failure::Read { path, source }),
        loaded => Ok(loaded),
    }
}
