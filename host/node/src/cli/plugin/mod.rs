//! `colony plugin`: for those who write plugins.

mod new;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::failure::Failure;
use super::output::Output;
pub(super) use new::NewError;

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
    }
}
