//! The lineages that this process lives in: the root's always, and at times an island's (`PROTOCOL.md` 8).

use std::sync::Arc;

use colony_wire::LineageId;
use tokio::sync::{mpsc, watch};

use super::watching::Evidence;
use super::{Control, apart};

/// The process's part in each.
pub(in crate::host) struct Realms {
    pub(super) root: Arc<Control>,
    island: watch::Sender<Option<Arc<Control>>>,
    /// The way to who opens islands.
    pub(super) opening: mpsc::Sender<apart::Event>,
}

impl Realms {
    /// The root's only.
    pub(super) fn new(root: Arc<Control>, opening: mpsc::Sender<apart::Event>) -> Arc<Self> {
        Arc::new(Self { root, island: watch::Sender::default(), opening })
    }

    /// The island's, if it lives in one.
    pub(super) fn island(&self) -> Option<Arc<Control>> {
        self.island.borrow().clone()
    }

    /// The one that people hear of: the island's for as long as the root decides nothing here.
    pub(super) fn speaking(&self) -> Arc<Control> {
        self.island().filter(|_| !self.root.is_attached()).unwrap_or_else(|| self.root.clone())
    }

    /// It lives in this island from now on, or in none.
    pub(super) fn live_in(&self, island: Option<Arc<Control>>) {
        self.island.send_replace(island);
    }

    /// That of this island.
    pub(super) fn island_of(&self, lineage: LineageId) -> Option<Arc<Control>> {
        self.island().filter(|island| island.realm.island() == Some(lineage))
    }

    /// That of this lineage; the root's, if it is no island's that is known here.
    pub(super) fn of(&self, lineage: LineageId) -> Arc<Control> {
        self.island_of(lineage).unwrap_or_else(|| self.root.clone())
    }

    /// Every one.
    pub(super) fn all(&self) -> impl Iterator<Item = Arc<Control>> {
        std::iter::once(self.root.clone()).chain(self.island())
    }

    /// The lineages, as far as they are known.
    pub(super) fn lineages(&self) -> Vec<LineageId> {
        let states = self.all().map(|realm| realm.state());
        states.filter(|state| state.has_begun()).map(|state| state.lineage).collect()
    }

    /// Tells the watch of each.
    pub(super) async fn notice(&self, evidence: impl Fn() -> Evidence) {
        for realm in self.all() {
            let _ = realm.evidence.send(evidence()).await;
        }
    }
}
