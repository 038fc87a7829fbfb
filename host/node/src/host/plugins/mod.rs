//! The plugins of this process: those that its configuration names by file, and those that the group keeps.
//!
//! ```text
//!   library.rs   the bytes of what the group keeps, and what they compile to     disk.rs   the same beside the log
//!   upload.rs    bytes on their way in from a person                            guard.rs  between a plugin and its host
//! ```
//!
//! Where both have a plugin of one name the group's goes first. It does not come to that by itself: a name that some
//! host's configuration has is refused to whoever installs, and a host does not join with a name that is installed.

mod disk;
mod guard;
mod library;
mod upload;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use colony_core::group::State;
use colony_core::merge::Switch;
use colony_core::placement::{Even, Placement, Request, Score, Silent};
use colony_wasm::{Limits, LoadError, PlacementPlugin, Runtime};
use colony_wire::limits::{MAX_NAME, MAX_NAMESPACES};
use colony_wire::plugin::{ActivePlugin, PluginKind, PluginReport};

pub(super) use self::guard::{About, Guard};
use self::library::Library;
pub(super) use self::upload::Taken;
use self::upload::Uploads;

use super::HostError;
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
    guards: Mutex<BTreeMap<String, Arc<Guard>>>,
}

impl Plugins {
    /// Reads, checks and compiles every configured plugin. Blocks meanwhile. What the group keeps is remembered in
    /// `data_dir`, if there is one.
    pub(super) fn load(config: &PluginsConfig, data_dir: Option<&Path>) -> Result<Self, HostError> {
        let library = Library::new(data_dir);
        let guards = config.merge.keys().map(|name| (name.clone(), Arc::default())).collect();
        let mut plugins = Self {
            merge: BTreeMap::new(),
            placement: None,
            library: Arc::new(library),
            uploads: Uploads::default(),
            guards: Mutex::new(guards),
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
        let active = state.needed_plugins().map(|(name, kind, version)| ActivePlugin {
            name: name.to_owned(),
            kind,
            content: version.content,
            size: version.size,
        });
        PluginReport {
            // No more can be in use than there are namespaces.
            configured: self.merge.keys().take(MAX_NAMESPACES).cloned().collect(),
            placement: self.placement.as_ref().map(|plugin| cut(plugin.identity().name())),
            active: active.collect(),
            versions: self.library.all(),
        }
    }

    /// The guard of each merge plugin, and what decides under its name in this group state.
    pub(super) fn guards(&self, state: &State) -> Vec<Guarded> {
        let guards = lock(&self.guards).clone();
        let guarded = |(name, guard): (String, Arc<Guard>)| Guarded { plugin: self.version(state, &name), name, guard };
        guards.into_iter().map(guarded).collect()
    }

    /// The guard of one of them.
    pub(super) fn guard_of(&self, name: &str) -> Option<Arc<Guard>> {
        lock(&self.guards).get(name).cloned()
    }

    /// Plugins of this host that are not asked, each in one line for people.
    pub(super) fn troubles(&self, state: &State) -> Vec<String> {
        self.guards(state).iter().filter_map(|guarded| guard::trouble(&guarded.name, guarded.switch())).collect()
    }

    /// Drops what is no longer the group's.
    pub(super) fn forget_all_but(&self, state: &State) {
        self.library.forget_all_but(state);
        lock(&self.guards).retain(|name, _| self.is_configured(name) || state.plugins.contains_key(name));
    }

    /// Who decides a conflict that comes up while this is the group state: one version, whatever becomes active before
    /// it is asked.
    pub(super) fn judge(&self, state: &State, name: &str) -> Judge {
        match self.version(state, name) {
            Some(plugin) => Judge::Plugin { plugin, guard: self.guard(name) },
            None => Judge::Nobody(format!("merge plugin {name} is not loaded on this host")),
        }
    }

    /// What decides under this name here, if it is loaded.
    fn version(&self, state: &State, name: &str) -> Option<Arc<colony_wasm::Plugin>> {
        match state.plugins.get(name).and_then(|plugin| plugin.active) {
            Some(content) => self.library.compiled(content),
            None => self.merge.get(name).cloned(),
        }
    }

    fn guard(&self, name: &str) -> Arc<Guard> {
        let mut guards = lock(&self.guards);
        match guards.get(name) {
            Some(guard) => guard.clone(),
            None => guards.entry(name.to_owned()).or_default().clone(),
        }
    }

    /// Who says where colonies live, in this group state and for one piece of work.
    pub(super) fn placement(&self, state: &State) -> ByPlugin {
        let plugin = match state.placement_plugin() {
            Some((_, content)) => self.library.compiled(content),
            None => self.placement.clone(),
        };
        ByPlugin { plugin, spent: Cell::default() }
    }

    /// Who says it before for a share of the colonies, if anybody does.
    pub(super) fn canary(&self, state: &State) -> Option<ByPlugin> {
        let plugin = self.library.compiled(state.canary.as_ref()?.content)?;
        Some(ByPlugin { plugin: Some(plugin), spent: Cell::default() })
    }
}

/// A file's name may be longer than a plugin's.
fn cut(name: &str) -> String {
    name[..name.floor_char_boundary(MAX_NAME)].to_owned()
}

/// A runtime under the limits of every host.
pub(crate) fn runtime() -> Result<Runtime, LoadError> {
    Runtime::new(Limits { compile_time: COMPILE_TIME, ..Limits::default() })
}

/// A merge plugin under its guard.
pub(super) struct Guarded {
    pub(super) name: String,
    pub(super) guard: Arc<Guard>,
    /// What decides under the name, if it is loaded.
    plugin: Option<Arc<colony_wasm::Plugin>>,
}

impl Guarded {
    /// Whether what decides now is asked.
    pub(super) fn switch(&self) -> Switch {
        self.plugin.as_ref().map_or(Switch::On, |plugin| self.guard.switch(plugin.identity().content_id()))
    }

    /// Instances of it there are.
    pub(super) fn instances(&self) -> usize {
        match self.plugin.as_deref() {
            Some(colony_wasm::Plugin::Merge(plugin)) => plugin.instances(),
            Some(colony_wasm::Plugin::Placement(_)) | None => 0,
        }
    }
}

/// Who decides one conflict.
pub(super) enum Judge {
    /// This version of a plugin and no other.
    Plugin {
        /// The version.
        plugin: Arc<colony_wasm::Plugin>,
        /// Stands between it and the host.
        guard: Arc<Guard>,
    },
    /// The plugin cannot be asked, for this reason.
    Nobody(String),
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

/// Longest time that a placement plugin may take for one piece of work, all its calls together. A plugin that burns its
/// fuel for each of thousands of colonies must not hold up a failover; what it was not asked, balance decides.
const RANK_WITHIN: Duration = Duration::from_secs(2);

/// Placement as the leader asks for it for one piece of work, by the plugin that decides when that begins.
pub(super) struct ByPlugin {
    plugin: Option<Arc<colony_wasm::Plugin>>,
    /// The time that its calls took so far.
    spent: Cell<Duration>,
}

impl Placement for ByPlugin {
    fn rank(&self, request: &Request<'_>) -> Result<Vec<Score>, Silent> {
        let Some(colony_wasm::Plugin::Placement(plugin)) = self.plugin.as_deref() else { return Even.rank(request) };
        if self.spent.get() > RANK_WITHIN {
            return Err(Silent { why: format!("it took more than {} s for one plan", RANK_WITHIN.as_secs()) });
        }
        let began = Instant::now();
        let answer = plugin.rank(request);
        self.spent.set(self.spent.get() + began.elapsed());
        answer
    }
}

/// A value no holder of which ever panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
