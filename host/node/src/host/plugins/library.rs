//! The bytes of the plugins that the group keeps, and what they compile to on this host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use colony_core::group::State;
use colony_wasm::{LoadError, Plugin, Runtime, content_id};
use colony_wire::limits::{MAX_PLUGIN_BYTES, MAX_REASON, PLUGIN_CHUNK};
use colony_wire::plugin::{ContentId, Readiness};
use tokio::sync::watch;

use super::disk::Disk;
use super::lock;

/// Plugins held that are not installed: those on their way to be. Beyond it the one held longest goes.
const STRAYS: usize = 8;

/// What this host holds.
pub(in crate::host) struct Library {
    /// Made when it is first needed: most hosts of a test have no plugins.
    runtime: Mutex<Option<Arc<Runtime>>>,
    shelf: Mutex<BTreeMap<ContentId, Held>>,
    disk: Option<Disk>,
    /// Counts the changes, for who waits for one.
    changes: watch::Sender<u64>,
}

struct Held {
    bytes: Bytes,
    stage: Stage,
    /// The number of the change that brought it.
    since: u64,
}

#[derive(Clone)]
enum Stage {
    Held,
    Compiling,
    Ready(Arc<Plugin>),
    Failed(String),
}

impl From<&Stage> for Readiness {
    fn from(stage: &Stage) -> Self {
        match stage {
            Stage::Held => Self::Missing,
            Stage::Compiling => Self::Compiling,
            Stage::Ready(_) => Self::Ready,
            Stage::Failed(why) => Self::Failed { why: why.clone() },
        }
    }
}

/// Why bytes are not held.
#[derive(Debug, thiserror::Error)]
pub(in crate::host) enum NotHeld {
    #[error("these are not the bytes of {}", .0.short())]
    OtherBytes(ContentId),
    #[error("larger than {MAX_PLUGIN_BYTES} bytes")]
    TooLarge,
    #[error("they cannot be kept in the data folder: {0}")]
    Disk(#[from] std::io::Error),
}

impl Library {
    pub(super) fn new(data_dir: Option<&Path>) -> Self {
        Self {
            runtime: Mutex::default(),
            shelf: Mutex::default(),
            disk: data_dir.map(Disk::in_data_dir),
            changes: watch::Sender::new(0),
        }
    }

    /// The runtime of all plugins of this process.
    pub(super) fn runtime(&self) -> Result<Arc<Runtime>, LoadError> {
        let mut runtime = lock(&self.runtime);
        if let Some(runtime) = &*runtime {
            return Ok(runtime.clone());
        }
        let made = Arc::new(super::runtime()?);
        *runtime = Some(made.clone());
        Ok(made)
    }

    /// Keeps these bytes, once they are known to be those of the content id. Blocks while the disk is written.
    pub(in crate::host) fn hold(&self, content: ContentId, bytes: Bytes) -> Result<(), NotHeld> {
        if bytes.len() > MAX_PLUGIN_BYTES {
            return Err(NotHeld::TooLarge);
        }
        if content_id(&bytes) != content {
            return Err(NotHeld::OtherBytes(content));
        }
        if let Some(disk) = &self.disk {
            disk.write(content, &bytes)?;
        }
        self.shelve(content, bytes);
        Ok(())
    }

    /// Takes the bytes from the disk, if a former process put them there. Blocks meanwhile.
    pub(in crate::host) fn recall(&self, content: ContentId) -> bool {
        let found = self.disk.as_ref().and_then(|disk| disk.read(content));
        match found {
            Some(bytes) => self.shelve(content, bytes),
            None => return false,
        }
        true
    }

    fn shelve(&self, content: ContentId, bytes: Bytes) {
        let since = self.change();
        lock(&self.shelf).entry(content).or_insert(Held { bytes, stage: Stage::Held, since });
    }

    fn change(&self) -> u64 {
        self.changes.send_modify(|count| *count += 1);
        *self.changes.borrow()
    }

    /// Whether the bytes are here.
    pub(in crate::host) fn holds(&self, content: ContentId) -> bool {
        lock(&self.shelf).contains_key(&content)
    }

    /// Size of the whole, and the piece of it that begins there; empty beyond the end.
    pub(in crate::host) fn piece(&self, content: ContentId, offset: u32) -> Option<(u32, Bytes)> {
        let shelf = lock(&self.shelf);
        let bytes = &shelf.get(&content)?.bytes;
        let begin = (offset as usize).min(bytes.len());
        let end = (begin + PLUGIN_CHUNK).min(bytes.len());
        Some((u32::try_from(bytes.len()).ok()?, bytes.slice(begin..end)))
    }

    /// Compiles what is held on a thread of its own, unless that was begun. One that failed is tried again if that is
    /// wanted: the machine may have been busy.
    pub(in crate::host) fn begin(self: &Arc<Self>, content: ContentId, name: &str, again: bool) {
        let bytes = {
            let mut shelf = lock(&self.shelf);
            let Some(held) = shelf.get_mut(&content) else { return };
            let is_due = matches!(held.stage, Stage::Held) || (again && matches!(held.stage, Stage::Failed(_)));
            if !is_due {
                return;
            }
            held.stage = Stage::Compiling;
            held.bytes.clone()
        };
        let (this, called) = (self.clone(), name.to_owned());
        let body = move || {
            let loaded = this.runtime().and_then(|runtime| runtime.load(&called, &bytes));
            this.end(content, loaded.map(Arc::new).map_err(|error| error.to_string()));
        };
        if let Err(error) = std::thread::Builder::new().name("plugin-loader".into()).spawn(body) {
            self.end(content, Err(error.to_string()));
        }
    }

    fn end(&self, content: ContentId, loaded: Result<Arc<Plugin>, String>) {
        if let Some(held) = lock(&self.shelf).get_mut(&content) {
            held.stage = match loaded {
                Ok(plugin) => Stage::Ready(plugin),
                Err(why) => {
                    tracing::warn!(content = %content.short(), %why, "a plugin cannot be used here");
                    Stage::Failed(cut(why))
                }
            };
        }
        self.change();
    }

    /// How far this host is with a version.
    pub(in crate::host) fn readiness(&self, content: ContentId) -> Readiness {
        lock(&self.shelf).get(&content).map_or(Readiness::Missing, |held| (&held.stage).into())
    }

    /// Waits until a version that is being compiled is no more.
    pub(in crate::host) async fn settled(&self, content: ContentId) -> Readiness {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let readiness = self.readiness(content);
            // This owns the sender: it does not close meanwhile.
            if readiness != Readiness::Compiling || changes.changed().await.is_err() {
                return readiness;
            }
        }
    }

    /// What it compiled to.
    pub(in crate::host) fn compiled(&self, content: ContentId) -> Option<Arc<Plugin>> {
        match &lock(&self.shelf).get(&content)?.stage {
            Stage::Ready(plugin) => Some(plugin.clone()),
            Stage::Held | Stage::Compiling | Stage::Failed(_) => None,
        }
    }

    /// Everything held, and how far it is.
    pub(in crate::host) fn all(&self) -> Vec<(ContentId, Readiness)> {
        lock(&self.shelf).iter().map(|(content, held)| (*content, (&held.stage).into())).collect()
    }

    /// Drops what the group does not keep, but for the newest few, which may be about to be installed.
    pub(super) fn forget_all_but(&self, state: &State) {
        let kept: BTreeSet<ContentId> = state.plugin_versions().map(|(_, version)| version.content).collect();
        let dropped: Vec<ContentId> = {
            let mut shelf = lock(&self.shelf);
            let strays = shelf.iter().filter(|(content, _)| !kept.contains(content));
            let mut strays: Vec<(u64, ContentId)> = strays.map(|(content, held)| (held.since, *content)).collect();
            strays.sort_unstable();
            let surplus = strays.len().saturating_sub(STRAYS);
            let dropped: Vec<ContentId> = strays.into_iter().take(surplus).map(|(_, content)| content).collect();
            for content in &dropped {
                shelf.remove(content);
            }
            dropped
        };
        if let Some(disk) = &self.disk {
            dropped.into_iter().for_each(|content| disk.remove(content));
        }
    }

    /// Removes what a former process put on the disk and nobody speaks of any more. Blocks meanwhile.
    pub(in crate::host) fn sweep(&self, state: &State) {
        if let Some(disk) = &self.disk {
            let kept: BTreeSet<ContentId> = state.plugin_versions().map(|(_, version)| version.content).collect();
            disk.sweep(|content| kept.contains(&content) || self.holds(content));
        }
    }
}

/// What fits a report.
fn cut(mut why: String) -> String {
    let mut end = why.len().min(MAX_REASON);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    why.truncate(end);
    why
}
