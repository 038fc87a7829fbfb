//! `colony plugin`: for those who write plugins.

mod bench;
mod check;
mod empty;
mod new;
mod samples;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use colony_wasm::{Limits, LoadError, Plugin, Runtime};

use super::failure::Failure;
use super::output::Output;
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
}

/// What a plugin is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum World {
    /// What becomes of a session that was changed twice at once
    Merge,
    /// Which hosts are good for a copy of a colony
    Placement,
}

pub(super) fn run(command: PluginCommand, output: Output) -> Result<(), Failure> {
    match command {
        PluginCommand::New { world, dir, sdk } => new::run(world, &dir, sdk.as_deref(), output),
        PluginCommand::Check(args) => check::run(&args, output),
        PluginCommand::Bench(args) => bench::run(&args, output),
    }
}

/// The limits of hosts, but for time.
fn limits() -> Limits {
    Limits { compile_time: COMPILE_TIME, call_time: CALL_TIME, ..Limits::DEFAULT }
}

/// Loads a plugin of either world in an engine of its own. Inside is what is wrong with the component, outside what
/// is wrong with the file or the machine.
fn load(file: &Path) -> Result<Result<Plugin, LoadError>, Failure> {
    let runtime = Runtime::new(limits()).map_err(|source| Failure::Plugin { file: file.to_owned(), source })?;
    match runtime.load_file(file) {
        Err(LoadError::Unreadable { path, source }) => Err(Failure::Read { path, source }),
        loaded => Ok(loaded),
    }
}
