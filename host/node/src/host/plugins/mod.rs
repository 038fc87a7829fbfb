//! The plugins of this process: those that its configuration names by file, and those that the group keeps.
//!
//! ```text
//!   library.rs   the bytes of what the group keeps, and what they compile to     disk.rs   the same beside the log
//!   upload.rs    bytes on their way in from a person
//! ```
//!
//! Where both have a plugin of one name the group's goes first. It does not come to that by itself: a name that some
//! host's configuration has is refused to whoever installs, and a host does not join with a name that is installed.

mod disk;
mod library;
mod upload;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use colony_core::group::State;
use colony_core::merge::{Conflict, Resolution};
use colony_core::placement::{Even, Placement, Request, Score, Silent};
use colony_wasm::{Limits, LoadError, MergePlugin, PlacementPlugin, PluginError, Runtime};
use colony_wire::limits::MAX_NAMESPACES;
use colony_wire::plugin::{ActivePlugin, PluginKind, PluginReport};

use self::library::Library;
pub(super) use self::upload::Taken;
use self::upload::Uploads;

use super::HostError;
use super::seen::PluginMeters;
use crate::config::PluginsConfig;

/// Whoever installed a plugin or wrote it into a configuration chose it: a busy machine may take its time.
const COMPILE_TIME: Duration = Duration::from_secs(60);

/// What users' plugins decide on this host.
pub(super) struct Plugins {
    /// Those that the configuration names, by name.
    merge: BTreeMap<String, Arc<colony_wasm::Plugin>>,
    placement: Option<Arc<colony_wasm::Plugin>>,
    /// Those that the group keeps.
    pub(super) library: Arc<Library>,
    /// What people are sending.
    pub(super) uploads: Uploads,
    /// By name, whoever named it. As many as there are plugins: [`forget_all_but`](Self::forget_all_but).
    meters: Mutex<BTreeMap<String, Arc<PluginMeters>>>,
}

impl Plugins {
    /// Reads, checks and compiles every configured plugin. Blocks meanwhile. What the group keeps is remembered in
    /// `data_dir`, if there is one.
    pub(super) fn load(config: &PluginsConfig, data_dir: Option<&Path>) -> Result<Self, HostError> {
        let library = Library::new(data_dir);
        let meters = config.merge.keys().map(|name| (name.clone(), Arc::default())).collect();
        let mut plugins = Self {
            merge: BTreeMap::new(),
            placement: None,
            library: Arc::new(library),
            uploads: Uploads::default(),
            meters: Mutex::new(meters),
        };
        if config.merge.is_empty() && config.placement.is_none() {
            return Ok(plugins);
        }
        let failed =
            |name: &str, file: &Path, error| HostError::Plugin { name: name.to_owned(), file: file.to_owned(), error };
        let runtime = plugins.library.runtime().map_err(HostError::PluginRuntime)?;
        for (name, path) in &config.merge {
            let plugin = runtime.load_merge_file(path).map_err(|error| failed(name, path, error))?;
            plugins.merge.insert(name.clone(), Arc::new(colony_wasm::Plugin::Merge(plugin)));
        }
        if let Some(path) = &config.placement {
            let plugin = runtime.load_placement_file(path).map_err(|error| failed("placement", path, error))?;
            plugins.placement = Some(Arc::new(colony_wasm::Plugin::Placement(plugin)));
        }
        Ok(plugins)
    }

    /// Whether the configuration names a merge plugin so.
    pub(super) fn is_configured(&self, name: &str) -> bool {
        self.merge.contains_key(name)
    }

    /// Whether the configuration names a placement plugin.
    pub(super) fn places_by_file(&self) -> bool {
        self.placement.is_some()
    }

    /// Names of the merge plugins that can decide: those of the configuration, and of the group's the active ones.
    pub(super) fn merge_names(&self, state: &State) -> Vec<String> {
        let active = state.active_plugins().filter(|(_, kind, _)| *kind == PluginKind::Merge);
        self.merge.keys().cloned().chain(active.map(|(name, ..)| name.to_owned())).collect()
    }

    /// What this host has to do with plugins, for others.
    pub(super) fn report(&self, state: &State) -> PluginReport {
        let active = state.active_plugins().map(|(name, kind, version)| ActivePlugin {
            name: name.to_owned(),
            kind,
            content: version.content,
            size: version.size,
        });
        PluginReport {
            // No more can be in use than there are namespaces.
            configured: self.merge.keys().take(MAX_NAMESPACES).cloned().collect(),
            places_by_file: self.places_by_file(),
            active: active.collect(),
            versions: self.library.all(),
        }
    }

    /// What each merge plugin was asked, and what came of it.
    pub(super) fn meters(&self) -> Vec<(String, Arc<PluginMeters>)> {
        lock(&self.meters).iter().map(|(name, meters)| (name.clone(), meters.clone())).collect()
    }

    /// The same of one of them.
    pub(super) fn meters_of(&self, name: &str) -> Option<Arc<PluginMeters>> {
        lock(&self.meters).get(name).cloned()
    }

    /// Drops what is no longer the group's.
    pub(super) fn forget_all_but(&self, state: &State) {
        self.library.forget_all_but(state);
        lock(&self.meters).retain(|name, _| self.is_configured(name) || state.plugins.contains_key(name));
    }

    /// Who decides a conflict that comes up while this is the group state: one version, whatever becomes active before
    /// it is asked.
    pub(super) fn judge(&self, state: &State, name: &str) -> Judge {
        let plugin = match state.plugins.get(name).and_then(|plugin| plugin.active) {
            Some(content) => self.library.compiled(content),
            None => self.merge.get(name).cloned(),
        };
        match plugin {
            Some(plugin) => Judge::Plugin { plugin, meters: self.meters_to_count(name) },
            None => Judge::Nobody(format!("merge plugin {name} is not loaded on this host")),
        }
    }

    fn meters_to_count(&self, name: &str) -> Arc<PluginMeters> {
        let mut meters = lock(&self.meters);
        match meters.get(name) {
            Some(meters) => meters.clone(),
            None => meters.entry(name.to_owned()).or_default().clone(),
        }
    }

    /// Who says where colonies live, in this group state.
    pub(super) fn placement(&self, state: &State) -> ByPlugin {
        ByPlugin(match state.placement_plugin() {
            Some((_, content)) => self.library.compiled(content),
            None => self.placement.clone(),
        })
    }
}

/// A runtime under the limits of every host.
pub(crate) fn runtime() -> Result<Runtime, LoadError> {
    Runtime::new(Limits { compile_time: COMPILE_TIME, ..Limits::default() })
}

/// Who decides one conflict.
pub(super) enum Judge {
    /// This version of a plugin and no other.
    Plugin {
        /// The version.
        plugin: Arc<colony_wasm::Plugin>,
        /// Counts what it is asked.
        meters: Arc<PluginMeters>,
    },
    /// The plugin cannot be asked, for this reason.
    Nobody(String),
}

impl Judge {
    /// Decides a conflict. Blocks while a plugin runs.
    pub(super) fn merge(&self, conflict: &Conflict) -> Result<Resolution, String> {
        match self {
            Self::Plugin { plugin, meters } => match &**plugin {
                colony_wasm::Plugin::Merge(plugin) => ask(plugin, meters, conflict),
                colony_wasm::Plugin::Placement(plugin) => Err(format!("{} does not merge", plugin.identity())),
            },
            Self::Nobody(why) => Err(why.clone()),
        }
    }
}

fn ask(plugin: &MergePlugin, meters: &PluginMeters, conflict: &Conflict) -> Result<Resolution, String> {
    meters.calls.inc();
    plugin.merge(conflict).map_err(|error| {
        if is_trap(&error) { &meters.traps } else { &meters.refusals }.inc();
        format!("{} {error}", plugin.identity())
    })
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
        let runtime = runtime().map_err(|error| error.to_string())?;
        runtime.load_placement("on-trial", bytes).map(Self).map_err(|error| error.to_string())
    }
}

impl Placement for OnTrial {
    fn rank(&self, request: &Request<'_>) -> Result<Vec<Score>, Silent> {
        self.0.rank(request)
    }
}

/// Placement as the leader asks for it, by the plugin that decides when it begins to plan.
pub(super) struct ByPlugin(Option<Arc<colony_wasm::Plugin>>);

impl Placement for ByPlugin {
    fn rank(&self, request: &Request<'_>) -> Result<Vec<Score>, Silent> {
        match self.0.as_deref() {
            Some(colony_wasm::Plugin::Placement(plugin)) => plugin.rank(request),
            Some(colony_wasm::Plugin::Merge(_)) | None => Even.rank(request),
        }
    }
}

/// A value no holder of which ever panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
