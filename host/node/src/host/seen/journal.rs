//! What the group's state changed by, as this host saw it: counted from one state to the next, so that nothing that
//! was decided is missed when several changes arrive at once.

use std::sync::Arc;

use colony_core::group::State;
use tokio::sync::watch;

use super::meters::Counter;

/// Counts since this process started.
#[derive(Debug, Default)]
pub(in crate::host) struct Journal {
    /// Commands that the group has committed.
    pub(super) commits: Counter,
    /// Changes of entries of the table.
    pub(super) table_changes: Counter,
    /// New primaries, in all colonies of the cluster.
    pub(super) reigns: Counter,
    /// Colonies whose copies were planned to live elsewhere.
    pub(super) moves: Counter,
    /// Processes that were declared dead.
    pub(super) deaths: Counter,
    /// Processes that were admitted.
    pub(super) joins: Counter,
    /// Peers that this host probed, because their sentinel connection broke.
    pub(in crate::host) probes: Counter,
    /// Times that this host held another for dead and told the leader, repetitions included.
    pub(in crate::host) accusations: Counter,
}

impl Journal {
    /// Counts what changes from now on, until the state is shown no more.
    pub(in crate::host) async fn keep(&self, mut view: watch::Receiver<Arc<State>>) {
        let mut before = view.borrow_and_update().clone();
        while view.changed().await.is_ok() {
            let now = view.borrow_and_update().clone();
            self.count(&before, &now);
            before = now;
        }
    }

    fn count(&self, before: &State, now: &State) {
        // The first state that a host sees is what it comes into, and another lineage has no changes in common.
        if !before.has_begun() || before.lineage != now.lineage {
            return;
        }
        self.commits.add(now.revision.0.saturating_sub(before.revision.0));
        for (colony, entry) in &now.table {
            let Some(old) = before.table.get(colony) else {
                self.table_changes.inc();
                continue;
            };
            self.table_changes.add(entry.cfg.0.saturating_sub(old.cfg.0));
            self.reigns.add(entry.reign.0.saturating_sub(old.reign.0));
            // A death takes the dead out of the target by itself: a move is to somebody.
            let is_moved = entry.want.iter().any(|start| !old.want.contains(start));
            self.moves.add(u64::from(is_moved));
        }
        let deaths = now.buried.iter().filter(|start| !before.buried.contains(start)).count();
        self.deaths.add(deaths as u64);
        self.joins.add(now.members.keys().filter(|start| !before.members.contains_key(start)).count() as u64);
    }
}

#[cfg(test)]
mod tests {
    use colony_core::group::Command;
    use colony_wire::admin::Policy;
    use colony_wire::{ClusterId, LineageId, StartId};

    use super::*;
    use crate::host::seen::sample::member;

    #[test]
    fn what_the_group_decided_is_counted_however_many_decisions_arrive_at_once() {
        let mut state = State::default();
        state.apply(&Command::Genesis { cluster: ClusterId(1), lineage: LineageId(1), member: member(1) });
        let journal = Journal::default();
        journal.count(&State::default(), &state);
        assert_eq!(journal.commits.get(), 0, "what was there before is no change");

        let before = state.clone();
        state.apply(&Command::Join { member: member(2), deviations: Vec::new(), plugins: Vec::new() });
        let (policy, want) = (Policy { buckets: 2, ..Policy::default() }, vec![StartId(2), StartId(1)]);
        let placement = vec![want.clone(), want];
        state.apply(&Command::CreateNamespace { name: "cart".into(), policy, placement });
        journal.count(&before, &state);
        let before = state.clone();
        state.apply(&Command::Dead { start: StartId(2), deviations: Vec::new() });
        state.apply(&Command::Join { member: member(3), deviations: Vec::new(), plugins: Vec::new() });
        journal.count(&before, &state);

        let Journal { commits, table_changes, reigns, moves, deaths, joins, .. } = &journal;
        let counts = [commits, table_changes, reigns, moves, deaths, joins].map(Counter::get);
        assert_eq!(counts, [4, 4, 2, 0, 1, 2]);
    }
}
