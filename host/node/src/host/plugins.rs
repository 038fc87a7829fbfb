//! The plugins of this process, loaded from the files its configuration names.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use colony_core::merge::{Conflict, Resolution};
use colony_core::placement::{Even, Placement, Request, Score, Silent};
use colony_wasm::{Limits, MergePlugin, PlacementPlugin, PluginError, Runtime};

use super::HostError;
use super::seen::PluginMeters;
use crate::config::PluginsConfig;

/// Plugins named in the configuration are compiled before the host serves anybody, and whoever wrote the
/// configuration chose them: a busy machine may take its time.
const COMPILE_TIME: Duration = Duration::from_secs(60);

/// What users' plugins decide on this host.
pub(super) struct Plugins {
    merge: BTreeMap<String, (MergePlugin, PluginMeters)>,
    placement: Option<PlacementPlugin>,
}

impl Plugins {
    /// Reads, checks and compiles every configured plugin. Blocks meanwhile.
    pub(super) fn load(config: &PluginsConfig) -> Result<Self, HostError> {
        if config.merge.is_empty() && config.placement.is_none() {
            return Ok(Self { merge: BTreeMap::new(), placement: None });
        }
        let failed =
            |name: &str, file: &Path, error| HostError::Plugin { name: name.to_owned(), file: file.to_owned(), error };
        let limits = Limits { compile_time: COMPILE_TIME, ..Limits::default() };
        let runtime = Runtime::new(limits).map_err(HostError::PluginRuntime)?;
        let mut merge = BTreeMap::new();
        for (name, path) in &config.merge {
            let plugin = runtime.load_merge_file(path).map_err(|error| failed(name, path, error))?;
            merge.insert(name.clone(), (plugin, PluginMeters::default()));
        }
        let placement = config.placement.as_ref();
        let placement = placement
            .map(|path| runtime.load_placement_file(path).map_err(|error| failed("placement", path, error)))
            .transpose()?;
        Ok(Self { merge, placement })
    }

    /// Names of the merge plugins.
    pub(super) fn merge_names(&self) -> impl Iterator<Item = &str> {
        self.merge.keys().map(String::as_str)
    }

    /// What each merge plugin was asked, and what came of it.
    pub(super) fn meters(&self) -> impl Iterator<Item = (&str, &PluginMeters)> {
        self.merge.iter().map(|(name, (_, meters))| (name.as_str(), meters))
    }

    /// The same of one of them.
    pub(super) fn meters_of(&self, name: &str) -> Option<&PluginMeters> {
        self.merge.get(name).map(|(_, meters)| meters)
    }

    /// Has the plugin of this name decide a conflict. Blocks while it runs.
    pub(super) fn merge(&self, name: &str, conflict: &Conflict) -> Result<Resolution, String> {
        match self.merge.get(name) {
            Some((plugin, meters)) => {
                meters.calls.inc();
                plugin.merge(conflict).map_err(|error| {
                    if is_trap(&error) { &meters.traps } else { &meters.refusals }.inc();
                    error.to_string()
                })
            }
            None => Err(format!("merge plugin {name} is not loaded on this host")),
        }
    }
}

/// Whether the call ended for what the plugin did, and not for what it said.
fn is_trap(error: &PluginError) -> bool {
    match error {
        PluginError::OutOfFuel { .. }
        | PluginError::TooSlow { .. }
        | PluginError::OutOfMemory { .. }
        | PluginError::Trap { .. }
        | PluginError::AnswerTooLarge { .. } => true,
        PluginError::Refused { .. }
        | PluginError::Quarantine { .. }
        | PluginError::QuestionTooLarge { .. }
        | PluginError::Malformed { .. } => false,
    }
}

/// A placement plugin that somebody sent to see what it would do. It is asked once and forgotten.
pub(super) struct OnTrial(PlacementPlugin);

impl OnTrial {
    /// Checks and compiles a component, under the limits of all plugins. Blocks meanwhile.
    pub(super) fn load(bytes: &[u8]) -> Result<Self, String> {
        let runtime = Runtime::new(Limits::default()).map_err(|error| error.to_string())?;
        runtime.load_placement("on-trial", bytes).map(Self).map_err(|error| error.to_string())
    }
}

impl Placement for OnTrial {
    fn rank(&self, request: &Request<'_>) -> Result<Vec<Score>, Silent> {
        self.0.rank(request)
    }
}

/// Placement as the leader asks for it.
pub(super) struct ByPlugin(pub(super) Arc<Plugins>);

impl Placement for ByPlugin {
    fn rank(&self, request: &Request<'_>) -> Result<Vec<Score>, Silent> {
        match &self.0.placement {
            Some(plugin) => plugin.rank(request),
            None => Even.rank(request),
        }
    }
}
