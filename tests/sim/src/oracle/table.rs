//! What the group decides.

use std::collections::BTreeSet;

use colony_core::group::{Command, Entry, State};
use colony_core::placement::{Even, Planner};
use colony_wire::StartId;

use super::Oracle;
use crate::group::Change;
use crate::host::Host;
use crate::seen::Sight;
use crate::violation::{Rule, Violation, demand};

impl Oracle {
    /// The group carried a command out.
    ///
    /// # Errors
    /// I2 and 3.8 for who is in sync now, I5 for who is primary now, I6 for where copies are to live.
    pub fn table(
        &mut self,
        state: &State,
        hosts: &[Host],
        command: &Command,
        changes: &[Change],
    ) -> Result<(), Violation> {
        for change in changes {
            if let Some(before) = &change.before {
                self.note_change(command, before, &change.after);
                entitled(command, before, change)?;
                enough(state, before, change)?;
                if self.only_drains {
                    no_fewer(state, before, change)?;
                }
            }
            apart(state, change)?;
            self.held_by_all(state, hosts, change.colony)?;
        }
        Ok(())
    }

    fn note_change(&mut self, command: &Command, before: &Entry, after: &Entry) {
        match command {
            Command::Swap { .. } => self.seen.note(Sight::Swap),
            Command::Restore { .. } => self.seen.note(Sight::Restoration),
            Command::ChangeInSync { add, remove, .. } => {
                if add.is_some() {
                    self.seen.note(Sight::Addition);
                }
                if !remove.is_empty() {
                    self.seen.note(Sight::Removal);
                }
            }
            _ => {}
        }
        if before.primary != after.primary {
            match (command, after.primary) {
                (_, None) => self.seen.note(Sight::Offline),
                (Command::Dead { .. } | Command::Join { .. } | Command::Promote { .. }, Some(_)) => {
                    self.seen.note(Sight::Promotion);
                }
                _ => {}
            }
        }
    }
}

/// I5: a new primary was in sync before, unless its last copy was given back to it; and it begins a reign.
fn entitled(command: &Command, before: &Entry, change: &Change) -> Result<(), Violation> {
    let after = &change.after;
    let colony = change.colony;
    demand(after.cfg > before.cfg, Rule::Entitled, || {
        format!("{colony} changes from {before:?} to {after:?} under one cfg")
    })?;
    if after.primary.is_none() || (after.primary == before.primary && after.reign == before.reign) {
        return Ok(());
    }
    let was_in_sync = after.primary.is_some_and(|start| before.is_in_sync(start));
    // The same copy under another start. Who had nobody to serve it may have others in the set still, dead ones
    // that a namespace's minimum keeps there.
    let is_restored = matches!(
        command,
        Command::Restore { dead, now, .. }
            if before.primary.is_none() && before.is_in_sync(*dead) && after.primary == Some(*now)
    );
    demand((was_in_sync || is_restored) && after.reign > before.reign, Rule::Entitled, || {
        format!("{colony} goes from {before:?} to {after:?} by {command:?}")
    })
}

/// 3.8: no change leaves fewer starts in the set than the namespace asks for, where there were as many.
fn enough(state: &State, before: &Entry, change: &Change) -> Result<(), Violation> {
    let least = state.least_in_sync(change.colony).min(before.in_sync.len());
    demand(change.after.in_sync.len() >= least, Rule::Enough, || {
        format!("{} goes from {before:?} to {:?}, the least is {least}", change.colony, change.after)
    })
}

/// 6.5: a move adds before it removes.
fn no_fewer(state: &State, before: &Entry, change: &Change) -> Result<(), Violation> {
    let copies = state.policy(change.colony).map_or(1, |policy| usize::from(policy.copies));
    let least = copies.min(before.in_sync.len());
    demand(change.after.in_sync.len() >= least, Rule::NoFewer, || {
        format!("{} goes from {before:?} to {:?} while hosts are drained", change.colony, change.after)
    })
}

/// I6: no host is wanted twice.
fn apart(state: &State, change: &Change) -> Result<(), Violation> {
    let names = change.after.want.iter().map(|start| state.members.get(start).map(|member| &member.name));
    let distinct: BTreeSet<_> = names.collect();
    demand(distinct.len() == change.after.want.len(), Rule::ApartHosts, || {
        format!("{} is wanted twice on one host: {:?}", change.colony, change.after)
    })
}

/// I6: copies of a colony that is served stand as far apart as the hosts that are up allow, if they are planned to;
/// and people are told of those that do not.
///
/// # Errors
/// The first colony of which that is not so.
pub(crate) fn spread(state: &State, is_planned: bool) -> Result<(), Violation> {
    let zone = |start: &StartId| state.members.get(start).and_then(|member| member.labels.get("zone"));
    let zones: BTreeSet<_> = state.staying().filter_map(|member| zone(&member.start)).collect();
    if zones.is_empty() {
        return Ok(());
    }
    let problems = Planner::new(state, &Even).problems();
    for (colony, entry) in &state.table {
        let used: BTreeSet<_> = entry.want.iter().filter_map(zone).collect();
        let best = zones.len().min(entry.want.len());
        demand(!is_planned || entry.primary.is_none() || used.len() >= best, Rule::Spread, || {
            format!("{colony} is wanted in {used:?} of {zones:?}: {entry:?}")
        })?;
        let shares = used.len() < entry.want.len();
        let is_told = problems.iter().any(|(of, _)| of == colony);
        demand(!shares || is_told, Rule::Spread, || format!("{colony} shares a zone and nobody is told: {entry:?}"))?;
    }
    Ok(())
}
