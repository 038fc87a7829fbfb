//! Where plugins are loaded.

use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use colony_wire::plugin::PluginKind;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::bindings::log;
use crate::bindings::placement::Placement;
use crate::engine::engine;
use crate::error::LoadError;
use crate::identity::Identity;
use crate::limits::Limits;
use crate::load;
use crate::merge::MergePlugin;
use crate::placement::PlacementPlugin;
use crate::pool::{Pool, World};
use crate::sandbox::Sandbox;
use crate::ticker::Ticker;

/// Loads plugins. One for a process: its engine and its clock are shared by all plugins, which keep them
/// alive when the runtime itself is dropped.
pub struct Runtime {
    shared: Arc<Shared>,
    linker: Linker<Sandbox>,
}

/// A loaded plugin of either kind.
pub enum Plugin {
    /// It merges sessions.
    Merge(MergePlugin),
    /// It places colonies.
    Placement(PlacementPlugin),
}

impl Plugin {
    /// Which plugin this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        match self {
            Self::Merge(plugin) => plugin.identity(),
            Self::Placement(plugin) => plugin.identity(),
        }
    }

    /// What people call a plugin of its kind.
    #[must_use]
    pub fn kind(&self) -> PluginKind {
        match self {
            Self::Merge(_) => PluginKind::Merge,
            Self::Placement(_) => PluginKind::Placement,
        }
    }
}

/// What all plugins of a runtime have in common.
pub(crate) struct Shared {
    // The clock's thread ends before the engine it drives.
    pub(crate) ticker: Ticker,
    pub(crate) engine: Engine,
    pub(crate) limits: Arc<Limits>,
    pub(crate) compiling: Mutex<()>,
    /// Components that wait for the compiler or are in it.
    pub(crate) compiles: AtomicUsize,
}

impl Runtime {
    /// A runtime under these limits.
    ///
    /// # Errors
    /// [`LoadError::Compile`] if this machine cannot run compiled WebAssembly, or the limits contradict each
    /// other.
    pub fn new(limits: Limits) -> Result<Self, LoadError> {
        let refused = |error: wasmtime::Error| LoadError::Compile { reason: format!("{error:#}") };
        let engine = engine(&limits).map_err(refused)?;
        let mut linker = Linker::new(&engine);
        log::add_to_linker::<_, HasSelf<_>>(&mut linker, |sandbox: &mut Sandbox| sandbox).map_err(refused)?;
        let shared = Shared {
            ticker: Ticker::start(engine.clone()),
            engine,
            limits: Arc::new(limits),
            compiling: Mutex::new(()),
            compiles: AtomicUsize::new(0),
        };
        Ok(Self { shared: Arc::new(shared), linker })
    }

    /// The limits of every plugin of this runtime.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Loads a merge plugin under this name. Blocks while it is compiled.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn load_merge(&self, name: &str, bytes: &[u8]) -> Result<MergePlugin, LoadError> {
        self.load_as(name, bytes).map(MergePlugin::new)
    }

    /// Loads a placement plugin under this name. Blocks while it is compiled.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn load_placement(&self, name: &str, bytes: &[u8]) -> Result<PlacementPlugin, LoadError> {
        self.load_as(name, bytes).map(PlacementPlugin::new)
    }

    /// Loads a merge plugin from a file, named after the file.
    ///
    /// # Errors
    /// Why the file cannot be read, or what is wrong with its bytes.
    pub fn load_merge_file(&self, path: impl AsRef<Path>) -> Result<MergePlugin, LoadError> {
        let path = path.as_ref();
        self.load_merge(&name_of(path), &self.read(path)?)
    }

    /// Loads a placement plugin from a file, named after the file.
    ///
    /// # Errors
    /// Why the file cannot be read, or what is wrong with its bytes.
    pub fn load_placement_file(&self, path: impl AsRef<Path>) -> Result<PlacementPlugin, LoadError> {
        let path = path.as_ref();
        self.load_placement(&name_of(path), &self.read(path)?)
    }

    /// Loads a plugin of whichever world it is, named after its file.
    ///
    /// # Errors
    /// Why the file cannot be read, or what is wrong with its bytes.
    pub fn load_file(&self, path: impl AsRef<Path>) -> Result<Plugin, LoadError> {
        let path = path.as_ref();
        let (name, bytes) = (name_of(path), self.read(path)?);
        match self.load_merge(&name, &bytes) {
            Ok(plugin) => Ok(Plugin::Merge(plugin)),
            Err(LoadError::MissingExport { .. }) => match self.load_placement(&name, &bytes) {
                Ok(plugin) => Ok(Plugin::Placement(plugin)),
                Err(LoadError::MissingExport { found, .. }) => Err(LoadError::NoWorld { found }),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Loads a plugin under this name, whichever kind it is of. Blocks while it is compiled.
    ///
    /// # Errors
    /// What is wrong with the bytes. One that is of no kind is told what a merge plugin would export.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Plugin, LoadError> {
        let component = load::compile(&self.shared, bytes)?;
        Ok(if load::is_of::<Placement>(&self.shared.engine, &component) {
            Plugin::Placement(PlacementPlugin::new(self.pool(name, bytes, &component)?))
        } else {
            Plugin::Merge(MergePlugin::new(self.pool(name, bytes, &component)?))
        })
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, LoadError> {
        load::read(path, self.shared.limits.component_bytes)
    }

    fn load_as<W: World>(&self, name: &str, bytes: &[u8]) -> Result<Pool<W>, LoadError> {
        self.pool(name, bytes, &load::compile(&self.shared, bytes)?)
    }

    fn pool<W: World>(&self, name: &str, bytes: &[u8], component: &Component) -> Result<Pool<W>, LoadError> {
        load::check_export::<W>(&self.shared.engine, component)?;
        let linked = self
            .linker
            .instantiate_pre(component)
            .map_err(|error| LoadError::WrongTypes { reason: crate::text::reason(&format!("{error:#}")) })?;
        let pool = Pool::new(Identity::of(name, bytes), Arc::clone(&self.shared), linked)?;
        tracing::info!(plugin = %pool.identity(), kind = W::KIND, bytes = bytes.len(), "plugin loaded");
        Ok(pool)
    }
}

/// `plugins/cart_merge.wasm` is called `cart_merge`.
fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
