//! What of a plan cannot wait.

use super::Proposal;
use crate::group::{Command, Move, State};

/// A colony with fewer copies than this is one death from being lost.
const BARE: usize = 2;

impl Proposal {
    /// What of this plan is to be done although a host that died a moment ago may be back at once: the moves of
    /// colonies that have one copy left, or fewer than their least. None if nothing of it is.
    #[must_use]
    pub fn urgent(mut self, state: &State) -> Option<Self> {
        if let Command::Plan { moves, .. } = &mut self.command {
            moves.retain(|change| is_urgent(state, change));
            if moves.is_empty() {
                return None;
            }
        }
        Some(self)
    }
}

fn is_urgent(state: &State, change: &Move) -> bool {
    let Some(entry) = state.table.get(&change.colony) else { return false };
    let running = entry.in_sync.iter().filter(|start| state.is_up(**start)).count();
    let copies = state.policy(change.colony).map_or(1, |policy| usize::from(policy.copies));
    running < BARE.min(copies).max(state.least_in_sync(change.colony))
}
