//! The components that the demo's cluster runs.

use std::env;
use std::path::{Path, PathBuf};

use super::DemoError;

/// The merge plugin's name in the cluster.
pub(super) const MERGE: &str = "cart-merge";
/// Below the home folder: where `cargo xtask plugins` builds by default.
const BUILT: &str = ".cache/colony/plugins/wasm32-unknown-unknown/release";

/// The files, which exist.
#[derive(Clone, Debug)]
pub(super) struct PluginFiles {
    /// Carts add up.
    pub(super) merge: PathBuf,
    /// Colonies spread over zones.
    pub(super) placement: PathBuf,
}

impl PluginFiles {
    pub(super) fn find(folder: Option<&Path>) -> Result<Self, DemoError> {
        let built = || Some(PathBuf::from(env::var_os("HOME").filter(|home| !home.is_empty())?).join(BUILT));
        let folder = folder.map(PathBuf::from).or_else(built).ok_or(DemoError::NoPluginsFolder)?;
        let file = |name: &str| {
            let path = std::path::absolute(folder.join(name)).map_err(DemoError::io("find the working folder"))?;
            if path.is_file() { Ok(path) } else { Err(DemoError::NoPlugin { path }) }
        };
        Ok(Self { merge: file("cart_merge.wasm")?, placement: file("spread_zones.wasm")? })
    }
}
