//! What a plan would do, for people to look at before it is made.

use std::collections::BTreeMap;

use colony_wire::{ColonyId, StartId};

use super::levels::{LEVELS, Levels};
use super::survey::hosts;
use super::{Loads, Move};
use crate::group::State;

/// What a plan would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// One for each colony that would change, in their order.
    pub changes: Vec<Change>,
    /// By level, the nearest first: colonies of which two copies are to share it, without the plan and with it.
    pub shared: [(&'static str, u32, u32); LEVELS.len()],
}

/// What would become of one colony.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which colony.
    pub colony: ColonyId,
    /// Where its copies are to live without the plan, the primary first.
    pub before: Vec<StartId>,
    /// Where with it.
    pub after: Vec<StartId>,
    /// Bytes that would be copied; none if it is not known how large the colony is.
    pub bytes: Option<u64>,
}

/// What these moves would do.
pub(super) fn of(state: &State, loads: &Loads, moves: &[Move]) -> Preview {
    let hosts = hosts(state);
    let levels = Levels::of(&hosts);
    let sizes = loads.colonies();
    let planned: BTreeMap<ColonyId, &Vec<StartId>> = moves.iter().map(|change| (change.colony, &change.want)).collect();
    let mut shared = LEVELS.map(|level| (level, 0, 0));
    for (colony, entry) in &state.table {
        let after = planned.get(colony).copied().unwrap_or(&entry.want);
        for (is_after, want) in [(false, &entry.want), (true, after)] {
            let number = |start: &StartId| hosts.iter().position(|member| member.start == *start);
            let set: Vec<usize> = want.iter().filter_map(number).collect();
            for ((_, without, with), pairs) in shared.iter_mut().zip(levels.sharing(&set).pairs()) {
                *(if is_after { with } else { without }) += u32::from(pairs > 0);
            }
        }
    }
    let change = |change: &Move| {
        let entry = state.table.get(&change.colony)?;
        let new = change.want.iter().filter(|start| !entry.concerns(**start)).count();
        let size = sizes.get(&change.colony).map(|load| load.bytes);
        let bytes = if new == 0 { Some(0) } else { size.map(|size| size.saturating_mul(new as u64)) };
        Some(Change { colony: change.colony, before: entry.want.clone(), after: change.want.clone(), bytes })
    };
    Preview { changes: moves.iter().filter_map(change).collect(), shared }
}
