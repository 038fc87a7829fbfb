//! One of the lineages that a shard lives in: the core's part of it, and what it was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use colony_core::colony::{Settings, Shard, Space};
use colony_core::group::{Command, Entry, State};
use colony_wire::{Cfg, ColonyId, LineageId, NamespaceId, Reign, StartId};
use tokio::sync::{mpsc, watch};

use super::Question;
use super::tally::Tally;
use crate::host::realm::Realm;

/// What ties a shard to the group of one lineage.
pub(in crate::host) struct Ties {
    /// The newest state.
    pub(in crate::host) view: watch::Receiver<Arc<State>>,
    /// What it proposes.
    pub(in crate::host) proposals: mpsc::Sender<Command>,
    /// What it asks.
    pub(in crate::host) questions: mpsc::Sender<Question>,
}

/// A shard in one lineage.
pub(super) struct Line {
    pub(super) realm: Realm,
    /// The start that the process has there.
    pub(super) start: StartId,
    /// None until the host belongs to a lineage.
    pub(super) shard: Option<(LineageId, Shard)>,
    pub(super) state: Arc<State>,
    pub(super) ties: Ties,
    pub(super) tally: Tally,
    /// The entries handed to the core last.
    heard: BTreeMap<ColonyId, Cfg>,
    spaces: BTreeMap<NamespaceId, Arc<Space>>,
}

impl Line {
    pub(super) fn new(realm: Realm, start: StartId, ties: Ties, tally: Tally) -> Self {
        let (state, heard, spaces) = (Arc::default(), BTreeMap::new(), BTreeMap::new());
        Self { realm, start, shard: None, state, ties, tally, heard, spaces }
    }

    /// Begins its part of the core.
    pub(super) fn begin(&mut self, lineage: LineageId) {
        // The calls that wait are handed in one after the other, and flushed.
        let settings = Settings { gather: true, ..Settings::default() };
        let shard = match self.realm {
            Realm::Root => Shard::new(lineage, self.start, settings),
            Realm::Island(_) => Shard::apart(lineage, self.start, settings),
        };
        self.shard = Some((lineage, shard));
        self.heard.clear();
    }

    /// Its part of the core, if it has one.
    pub(super) fn shard(&self) -> Option<&Shard> {
        self.shard.as_ref().map(|(_, shard)| shard)
    }

    /// The same, to be changed.
    pub(super) fn shard_mut(&mut self) -> Option<&mut Shard> {
        self.shard.as_mut().map(|(_, shard)| shard)
    }

    /// The reign of a colony as it is known here.
    pub(super) fn reign(&self, colony: ColonyId) -> Reign {
        self.state.table.get(&colony).map(|entry| entry.reign).unwrap_or_default()
    }

    /// The group state is newer. What the core has to hear: the entries of this shard, `index` of so many, that
    /// changed.
    pub(super) fn follow(&mut self, state: Arc<State>, index: u16, shards: u16) -> Vec<(ColonyId, Entry, Arc<Space>)> {
        if self.shard.as_ref().is_none_or(|(lineage, _)| *lineage != state.lineage) {
            self.begin(state.lineage);
        }
        let mut news = Vec::new();
        for (colony, entry) in &state.table {
            if colony.shard(shards) != index || self.heard.get(colony).is_some_and(|cfg| *cfg >= entry.cfg) {
                continue;
            }
            let Some(namespace) = state.namespaces.get(&colony.namespace) else { continue };
            let space = self
                .spaces
                .entry(colony.namespace)
                .or_insert_with(|| Arc::new(Space { name: namespace.name.clone(), policy: namespace.policy.clone() }));
            self.heard.insert(*colony, entry.cfg);
            news.push((*colony, entry.clone(), space.clone()));
        }
        self.state = state;
        news
    }
}
