//! Plugins that the group keeps: which versions there are, and which one decides (`PROTOCOL.md` 14.1).
//!
//! The state names bytes by their content id and never holds them. Two rules make a version decide at one revision
//! everywhere: it becomes active only when every host that is up has compiled it, and nobody is admitted who has not
//! compiled what is active. Both hold for a canary. Both are checked here, where the command is carried out, and not only by who proposes it.

use colony_wire::StartId;
use colony_wire::admin::MergeBy;
use colony_wire::limits::{MAX_PLUGIN_BYTES, MAX_PLUGIN_VERSIONS, MAX_PLUGINS, MAX_PLUGINS_BYTES};
use colony_wire::plugin::{ContentId, PluginKind};
use serde::{Deserialize, Serialize};

use super::state::check_name;
use super::{Refusal, State};

/// A plugin that the group keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plugin {
    /// What it decides. The same for all its versions.
    pub kind: PluginKind,
    /// Its versions, the oldest first; at least one.
    pub versions: Vec<PluginVersion>,
    /// The version that decides, if one does.
    pub active: Option<ContentId>,
    /// Versions that decided before it and are kept, each once, the latest last: what a rollback goes back to.
    pub before: Vec<ContentId>,
}

/// One version of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PluginVersion {
    /// Identity of its bytes.
    pub content: ContentId,
    /// How many bytes.
    pub size: u32,
    /// Whether whoever installed it overrode the check.
    pub forced: bool,
}

impl Plugin {
    /// The version of this content.
    #[must_use]
    pub fn version(&self, content: ContentId) -> Option<&PluginVersion> {
        self.versions.iter().find(|version| version.content == content)
    }

    /// This version decides from now on; what did before is remembered.
    fn activate(&mut self, content: ContentId) {
        self.retire();
        self.before.retain(|earlier| *earlier != content);
        self.active = Some(content);
    }

    /// No version decides from now on.
    fn retire(&mut self) {
        if let Some(active) = self.active.take() {
            self.before.retain(|earlier| *earlier != active);
            self.before.push(active);
        }
    }

    /// Takes one version more. The oldest that does not decide makes room for it, but for the canary.
    fn add(&mut self, version: PluginVersion, canary: Option<ContentId>) {
        let decides = |old: &PluginVersion| [self.active, canary].contains(&Some(old.content));
        if self.versions.len() >= MAX_PLUGIN_VERSIONS
            && let Some(at) = self.versions.iter().position(|old| !decides(old))
        {
            let dropped = self.versions.remove(at);
            self.before.retain(|earlier| *earlier != dropped.content);
        }
        self.versions.push(version);
    }
}

impl State {
    /// Every version that is kept, with its plugin's name.
    pub fn plugin_versions(&self) -> impl Iterator<Item = (&str, &PluginVersion)> {
        self.plugins.iter().flat_map(|(name, plugin)| plugin.versions.iter().map(move |one| (name.as_str(), one)))
    }

    /// The versions that decide, each with its plugin's name and kind; a canary is none of them.
    pub fn active_plugins(&self) -> impl Iterator<Item = (&str, PluginKind, &PluginVersion)> {
        self.plugins.iter().filter_map(|(name, plugin)| {
            plugin.version(plugin.active?).map(|version| (name.as_str(), plugin.kind, version))
        })
    }

    /// The versions that hosts may have to run: those that decide, and the canary.
    pub fn needed_plugins(&self) -> impl Iterator<Item = (&str, PluginKind, &PluginVersion)> {
        let canary = self.canary.as_ref().and_then(|canary| {
            let version = self.plugins.get(&canary.plugin)?.version(canary.content)?;
            Some((canary.plugin.as_str(), PluginKind::Placement, version))
        });
        self.active_plugins().chain(canary)
    }

    /// The version that decides for the cluster where colonies live, with its plugin's name; none if no installed one
    /// does.
    #[must_use]
    pub fn placement_plugin(&self) -> Option<(&str, ContentId)> {
        let mut active = self.active_plugins().filter(|(_, kind, _)| *kind == PluginKind::Placement);
        active.next().map(|(name, _, version)| (name, version.content))
    }

    pub(super) fn install_plugin(
        &mut self,
        name: &str,
        kind: PluginKind,
        version: PluginVersion,
    ) -> Result<(), Refusal> {
        check_name(name)?;
        if version.size == 0 || version.size as usize > MAX_PLUGIN_BYTES {
            return Err(Refusal::Limit { what: "bytes of a plugin".into(), limit: MAX_PLUGIN_BYTES as u64 });
        }
        let owner = self.plugin_versions().find(|(_, known)| known.content == version.content);
        match owner.map(|(owner, _)| owner) {
            // The proposer may not have heard the first answer.
            Some(owner) if owner == name => return Ok(()),
            Some(owner) => return Err(Refusal::InstalledAs { content: version.content, name: owner.to_owned() }),
            None => {}
        }
        let mut plugin = match self.plugins.get(name) {
            Some(plugin) if plugin.kind != kind => {
                return Err(Refusal::OtherKind { name: name.to_owned(), kind: plugin.kind });
            }
            Some(plugin) => plugin.clone(),
            None if self.plugins.len() >= MAX_PLUGINS => {
                return Err(Refusal::Limit { what: "plugins".into(), limit: MAX_PLUGINS as u64 });
            }
            None => Plugin { kind, versions: Vec::new(), active: None, before: Vec::new() },
        };
        plugin.add(version, self.canary.as_ref().map(|canary| canary.content));
        let others = self.plugins.iter().filter(|(other, _)| *other != name).map(|(_, other)| other);
        let bytes: u64 = others.chain([&plugin]).flat_map(|one| &one.versions).map(|one| u64::from(one.size)).sum();
        if bytes > MAX_PLUGINS_BYTES {
            return Err(Refusal::Limit { what: "bytes of all plugins".into(), limit: MAX_PLUGINS_BYTES });
        }
        self.plugins.insert(name.to_owned(), plugin);
        Ok(())
    }

    pub(super) fn use_plugin(&mut self, name: &str, content: ContentId, compiled: &[StartId]) -> Result<(), Refusal> {
        let plugin = self.plugin_with(name, content)?;
        if plugin.active == Some(content) {
            return Ok(());
        }
        self.check_compiled(name, compiled)?;
        self.activate(name, content);
        Ok(())
    }

    pub(super) fn roll_back_plugin(
        &mut self,
        name: &str,
        from: ContentId,
        to: ContentId,
        compiled: &[StartId],
    ) -> Result<(), Refusal> {
        let plugin = self.plugin_with(name, to)?;
        if plugin.active != Some(from) || plugin.before.last() != Some(&to) {
            return Err(Refusal::PluginChanged { name: name.to_owned() });
        }
        self.check_compiled(name, compiled)?;
        self.activate(name, to);
        if let Some(plugin) = self.plugins.get_mut(name) {
            // It was found wanting: the next rollback goes further back, not to it again.
            plugin.before.retain(|earlier| *earlier != from);
        }
        Ok(())
    }

    pub(super) fn uninstall_plugin(&mut self, name: &str) -> Result<(), Refusal> {
        let plugin = self.plugins.get(name).ok_or_else(|| Refusal::NoPlugin { name: name.to_owned() })?;
        let merges = |by: &MergeBy| matches!(by, MergeBy::Plugin(of) if of == name);
        let user = self.namespaces.values().find(|namespace| merges(&namespace.policy.merge));
        if let Some(user) = user.filter(|_| plugin.kind == PluginKind::Merge) {
            return Err(Refusal::PluginInUse { name: name.to_owned(), namespace: user.name.clone() });
        }
        if let Some(canary) = self.canary.as_ref().filter(|canary| canary.plugin == name) {
            self.end_canary(name, canary.content)?;
        }
        self.plugins.remove(name);
        Ok(())
    }

    /// Whoever is admitted has compiled what decides.
    pub(super) fn check_joiner(&self, compiled: &[ContentId], start: StartId) -> Result<(), Refusal> {
        match self.needed_plugins().find(|(_, _, version)| !compiled.contains(&version.content)) {
            Some((name, ..)) => Err(Refusal::NotCompiled { name: name.to_owned(), start }),
            None => Ok(()),
        }
    }

    /// Every host that is up has compiled what is to decide.
    pub(super) fn check_compiled(&self, name: &str, compiled: &[StartId]) -> Result<(), Refusal> {
        match self.up().find(|member| !compiled.contains(&member.start)) {
            Some(member) => Err(Refusal::NotCompiled { name: name.to_owned(), start: member.start }),
            None => Ok(()),
        }
    }

    pub(super) fn plugin_with(&self, name: &str, content: ContentId) -> Result<&Plugin, Refusal> {
        let plugin = self.plugins.get(name).ok_or_else(|| Refusal::NoPlugin { name: name.to_owned() })?;
        match plugin.version(content) {
            Some(_) => Ok(plugin),
            None => Err(Refusal::NoVersion { name: name.to_owned(), content }),
        }
    }

    /// One placement plugin decides for the whole cluster: another one that did does no more, and nothing is tried beside
    /// it that was tried beside another.
    fn activate(&mut self, name: &str, content: ContentId) {
        let kind = self.plugins.get(name).map(|plugin| plugin.kind);
        if kind == Some(PluginKind::Placement) {
            self.canary = None;
        }
        for (other, plugin) in &mut self.plugins {
            if other == name {
                plugin.activate(content);
            } else if kind == Some(PluginKind::Placement) && plugin.kind == PluginKind::Placement {
                plugin.retire();
            }
        }
    }
}
