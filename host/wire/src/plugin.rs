//! Plugins as hosts and people speak of them: what identifies one, and its bytes on their way.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::frame::{DecodeError, Kind, Message, within};
use crate::limits::{
    MAX_HOSTS, MAX_NAME, MAX_NAMESPACES, MAX_PLUGIN_BYTES, MAX_PLUGIN_VERSIONS, MAX_PLUGINS, MAX_REASON, PLUGIN_CHUNK,
};

/// Identity of a plugin's bytes: their blake3 hash. Two plugins with the same id are the same plugin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentId(pub [u8; 32]);

/// Digits of a content id that are shown to people.
const SHORT: usize = 12;

impl ContentId {
    /// Its first digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        let mut digits = self.to_string();
        digits.truncate(SHORT);
        digits
    }
}

/// In hexadecimal, 64 digits.
impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// What a plugin decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginKind {
    /// What becomes of two versions of a session.
    Merge,
    /// Where colonies live.
    Placement,
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Merge => "merge",
            Self::Placement => "placement",
        })
    }
}

/// A piece of a plugin on its way to a host, which answers [`PluginHeld`](crate::admin::AdminReply::PluginHeld).
/// Needs the admin right. Pieces come in order, on a stream of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PluginPart {
    /// Identity of the whole.
    pub content: ContentId,
    /// Bytes of the whole.
    pub size: u32,
    /// Where in the whole this piece begins.
    pub offset: u32,
    /// The piece.
    pub bytes: Bytes,
}

impl Message for PluginPart {
    const KIND: Kind = Kind(0x0403);

    fn check(&self) -> Result<(), DecodeError> {
        within("size of a plugin", self.size as usize, MAX_PLUGIN_BYTES)?;
        within("bytes of a plugin's piece", self.bytes.len(), PLUGIN_CHUNK)
    }
}

/// How far one host is with one version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Readiness {
    /// It has not got the bytes yet.
    Missing,
    /// It compiles them.
    Compiling,
    /// It can run it.
    Ready,
    /// It cannot run it.
    Failed {
        /// Why, for people.
        why: String,
    },
}

/// What a host has to do with plugins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PluginReport {
    /// Merge plugins that its own configuration names by file.
    pub configured: Vec<String>,
    /// The placement plugin that its own configuration names by file, called as the file is.
    pub placement: Option<String>,
    /// The versions that are active in the group state it knows, and the canary.
    pub active: Vec<ActivePlugin>,
    /// The versions it holds the bytes of, and how far it is with each.
    pub versions: Vec<(ContentId, Readiness)>,
}

/// A version that decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ActivePlugin {
    /// The plugin's name.
    pub name: String,
    /// Its kind.
    pub kind: PluginKind,
    /// Which version.
    pub content: ContentId,
    /// Its size in bytes.
    pub size: u32,
}

/// Most versions that a host reports on: all that are installed and as many again that may become so.
pub(crate) const MAX_REPORTED: usize = 2 * MAX_PLUGINS * MAX_PLUGIN_VERSIONS;

impl PluginReport {
    /// Refuses a report whose parts exceed their limits.
    pub(crate) fn check(&self) -> Result<(), DecodeError> {
        within("number of configured plugins", self.configured.len(), MAX_NAMESPACES)?;
        self.configured.iter().try_for_each(|name| within("length of the plugin's name", name.len(), MAX_NAME))?;
        within("length of the plugin's name", self.placement.as_ref().map_or(0, String::len), MAX_NAME)?;
        // A canary may be another version of one that is active.
        within("number of active plugins", self.active.len(), MAX_PLUGINS + 1)?;
        self.active.iter().try_for_each(|one| within("length of the plugin's name", one.name.len(), MAX_NAME))?;
        within("number of plugin versions", self.versions.len(), MAX_REPORTED)?;
        self.versions.iter().try_for_each(|(_, readiness)| match readiness {
            Readiness::Failed { why } => within("length of a reason", why.len(), MAX_REASON),
            Readiness::Missing | Readiness::Compiling | Readiness::Ready => Ok(()),
        })
    }
}

/// A plugin, as people see it: an installed one, or one that hosts' own configurations name by file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: PluginKind,
    /// The version that decides, if one does.
    pub active: Option<ContentId>,
    /// The version that a rollback would bring back, if there is one.
    pub before: Option<ContentId>,
    /// Its versions, the newest last; none if it is not installed.
    pub versions: Vec<PluginVersionStatus>,
    /// Names of the hosts whose own configuration names it by file; none if it is installed.
    pub by_file: Vec<String>,
    /// The version that is tried on a share of the colonies, if one is.
    pub canary: Option<CanaryStatus>,
}

/// A version of a placement plugin that decides for a share of the colonies, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CanaryStatus {
    /// The plugin's name.
    pub plugin: String,
    /// Which version.
    pub content: ContentId,
    /// Its share in per cent, as it was asked for.
    pub percent: u8,
    /// The colonies that are in it.
    pub colonies: u32,
    /// The colonies that there are.
    pub of: u32,
}

/// One version of an installed plugin.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PluginVersionStatus {
    /// Which.
    pub content: ContentId,
    /// Its size in bytes.
    pub size: u32,
    /// Whether whoever installed it overrode the check.
    pub forced: bool,
    /// Names of the hosts that can run it.
    pub ready: Vec<String>,
    /// Names of the hosts that are not so far, or did not answer.
    pub waiting: Vec<String>,
    /// Names of the hosts that cannot run it, each with the reason.
    pub failed: Vec<(String, String)>,
}

impl PluginStatus {
    /// Refuses a status whose parts exceed their limits.
    pub(crate) fn check(&self) -> Result<(), DecodeError> {
        within("number of versions of a plugin", self.versions.len(), MAX_PLUGIN_VERSIONS)?;
        within("number of hosts", self.by_file.len(), MAX_HOSTS)?;
        self.versions.iter().try_for_each(|version| {
            within("number of hosts", version.ready.len() + version.waiting.len() + version.failed.len(), MAX_HOSTS)
        })
    }
}
