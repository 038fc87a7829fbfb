//! A placement plugin that decides for a share of the colonies, to be seen before it decides for all (`PROTOCOL.md`
//! 14.1).

use std::collections::{BTreeMap, BTreeSet};

use colony_wire::plugin::{ContentId, PluginKind};
use colony_wire::{ColonyId, StartId};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{Move, Refusal, State};

/// A version of a placement plugin that is tried on a share of the colonies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Canary {
    /// The plugin's name.
    pub plugin: String,
    /// Which version.
    pub content: ContentId,
    /// Its share of the colonies in per cent, 1 to 99.
    pub percent: u8,
    /// By colony of its share: where the copies were to live before, the primary first. They go back there when it is
    /// taken back.
    pub homes: BTreeMap<ColonyId, Vec<StartId>>,
}

impl Canary {
    /// Whether this colony is in its share. That hangs on the colony's name alone: a larger share holds the smaller one,
    /// and one that is tried again decides for the same colonies.
    #[must_use]
    pub fn has(&self, namespace: &str, bucket: u32) -> bool {
        is_in_share(self.percent, namespace, bucket)
    }
}

fn is_in_share(percent: u8, namespace: &str, bucket: u32) -> bool {
    let colony = [namespace.as_bytes(), &bucket.to_le_bytes()].concat();
    xxh3_64(&colony) % 100 < u64::from(percent)
}

impl State {
    /// The colonies that are in a share of so many per cent.
    pub fn share(&self, percent: u8) -> impl Iterator<Item = ColonyId> {
        self.table.keys().copied().filter(move |colony| {
            let namespace = self.namespaces.get(&colony.namespace);
            namespace.is_some_and(|namespace| is_in_share(percent, &namespace.name, colony.bucket))
        })
    }

    pub(super) fn begin_canary(
        &mut self,
        name: &str,
        content: ContentId,
        percent: u8,
        compiled: &[StartId],
    ) -> Result<(), Refusal> {
        let plugin = self.plugin_with(name, content)?;
        if plugin.kind != PluginKind::Placement {
            return Err(Refusal::OtherKind { name: name.to_owned(), kind: plugin.kind });
        }
        if plugin.active == Some(content) {
            return Err(Refusal::DecidesAlready { name: name.to_owned(), content });
        }
        if !(1..100).contains(&percent) {
            return Err(Refusal::Malformed("a canary has 1 to 99 per cent of the colonies".into()));
        }
        self.check_compiled(name, compiled)?;
        let share: BTreeSet<ColonyId> = self.share(percent).collect();
        let before = self.canary.take();
        let is_same = before.as_ref().is_some_and(|before| before.content == content);
        let homes = before.map(|before| before.homes).unwrap_or_default();
        // Of a share that changes, what stays in it keeps the home that it had at first.
        let (mut homes, left): (BTreeMap<_, _>, BTreeMap<_, _>) =
            homes.into_iter().partition(|(colony, _)| is_same && share.contains(colony));
        self.send_home(left);
        for colony in share {
            if let Some(entry) = self.table.get(&colony) {
                homes.entry(colony).or_insert_with(|| entry.want.clone());
            }
        }
        self.canary = Some(Canary { plugin: name.to_owned(), content, percent, homes });
        Ok(())
    }

    pub(super) fn end_canary(&mut self, name: &str, content: ContentId) -> Result<(), Refusal> {
        match self.canary.take_if(|canary| canary.plugin == name && canary.content == content) {
            Some(canary) => {
                self.send_home(canary.homes);
                Ok(())
            }
            None => Err(Refusal::NoCanary { name: name.to_owned() }),
        }
    }

    /// Wants copies where they were. Colonies one of whose hosts is gone or about to leave stay where they are, and so do
    /// those that nobody serves: they are the planner's.
    fn send_home(&mut self, homes: impl IntoIterator<Item = (ColonyId, Vec<StartId>)>) {
        for (colony, want) in homes {
            let Some(entry) = self.table.get(&colony) else { continue };
            if entry.primary.is_some() && entry.want != want {
                let cfg = entry.cfg;
                self.move_to(&Move { colony, cfg, want });
            }
        }
    }
}
