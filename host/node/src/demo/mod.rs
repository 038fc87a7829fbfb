//! `colony demo`: the whole story in under a minute, on real processes.
//!
//! It starts hosts of this very program on loopback, with certificates of their own authority, and tells what
//! becomes of sessions when a host is killed, when two saves meet, when a host joins, and when the network is cut in two
//! and mended. What it tells it has read back from the cluster, through the client that applications use; each claim is
//! checked, and a false one ends the demo with an error that names it.
//!
//! Reading order: `story` (what happens), one file for each of its chapters (`placement`, `failover`, `merge`, `join`,
//! `split` with its `side`s and `links`), `writers` and `ledger` (what was acknowledged must be there), `cluster`
//! (processes and their end).

mod cluster;
mod error;
mod failover;
mod folder;
mod join;
mod ledger;
mod links;
mod merge;
mod observer;
mod placement;
mod plugins;
mod ports;
mod side;
mod signals;
mod split;
mod story;
mod teller;
mod writers;

use std::path::PathBuf;

pub use error::DemoError;

use folder::Folder;
use teller::Teller;

/// What a demo is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoOptions {
    /// Hosts at the beginning, at least 3: one is killed, and two copies want two hosts. One more joins later.
    pub hosts: u8,
    /// Leave the cluster running at the end.
    pub keep: bool,
    /// Folder with the components of the plugins; where `cargo xtask plugins` puts them if it is not named.
    pub plugins: Option<PathBuf>,
}

/// Tells the story on the standard output: lines for people, or with `json` one JSON object a line.
///
/// However it ends, the processes it started are gone, unless it succeeds and they are to be kept.
///
/// # Errors
/// [`DemoError`]; [`DemoError::Claim`] if something that Colony promises did not hold.
pub async fn run(options: DemoOptions, json: bool) -> Result<(), DemoError> {
    let teller = Teller::new(json);
    let folder = Folder::create()?;
    // What the story has started ends when it is dropped.
    let outcome = tokio::select! {
        outcome = story::tell(&options, &folder, &teller) => outcome,
        stopped = signals::stopped() => Err(stopped),
    };
    match &outcome {
        Ok(()) if options.keep => folder.keep(),
        // Of a host that did not do what it should, the log may tell why.
        Err(
            error @ (DemoError::Claim { .. }
            | DemoError::Call { .. }
            | DemoError::Command { .. }
            | DemoError::HostEnded { .. }),
        ) => {
            teller.failed(error, Some(&folder.keep_logs()));
        }
        Err(error) => teller.failed(error, None),
        Ok(()) => {}
    }
    outcome
}
