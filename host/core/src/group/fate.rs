//! What becomes of copies whose process was declared dead but runs (`PROTOCOL.md` 7).

use colony_wire::control::Fate;
use colony_wire::{ColonyId, StartId};

use super::{Command, State};

impl State {
    /// What becomes of the copy that a process kept of this colony. `earlier` are the starts it had and
    /// lost, `now` is the one it has: a restoration may have been committed for any of them without the
    /// process having heard of it.
    ///
    /// - `Restore` if its start is in the set still, because it was the last or because a namespace allows no
    ///   fewer ([`State::restoration`] is the command that does it), or if that is done already.
    /// - `Discard` if the set went on without it and one of those copies runs: whatever it holds beyond
    ///   them was never acknowledged.
    /// - `Wait` if none of them runs, for its copy may be the best there will ever be; and if the colony went
    ///   on from a stale copy, for this one may hold what was acknowledged. A process that was never declared
    ///   dead keeps such a copy under the start it has.
    #[must_use]
    pub fn fate(&self, colony: ColonyId, earlier: &[StartId], now: StartId) -> Fate {
        // A state that has not heard of the colony, or of the death, decides nothing.
        let Some(entry) = self.table.get(&colony) else { return Fate::Wait };
        if earlier.iter().any(|start| self.is_up(*start)) {
            return Fate::Wait;
        }
        // While it keeps the copy the process begins no other of that colony, so its start can have come
        // into the set only by a restoration, or by an operator who chose this copy.
        if entry.is_in_sync(now) || held_as(&entry.in_sync, earlier).is_some() {
            Fate::Restore
        } else if entry.unaccounted.iter().any(|one| one.ahead && (earlier.contains(&one.start) || one.start == now)) {
            Fate::Wait
        } else if entry.in_sync.iter().any(|start| self.is_up(*start)) {
            Fate::Discard
        } else {
            Fate::Wait
        }
    }

    /// The command that gives the colony back to a process whose start is `now` and was one of `earlier`.
    /// None if there is nothing to give back, or nothing left to do.
    #[must_use]
    pub fn restoration(&self, colony: ColonyId, earlier: &[StartId], now: StartId) -> Option<Command> {
        let entry = self.table.get(&colony)?;
        let dead = held_as(&entry.in_sync, earlier)?;
        Some(Command::Restore { colony, cfg: entry.cfg, dead, now })
    }

    /// Whether a colony's set holds a dead process of this host, because it allows no fewer: the host is missed.
    #[must_use]
    pub fn lacks_copies_of(&self, host: &str) -> bool {
        let is_of_host = |start: &StartId| self.members.get(start).is_some_and(|member| member.name == host);
        self.table.values().any(|entry| entry.dead.iter().any(is_of_host))
    }
}

/// The start under which the process is in the set still.
fn held_as(in_sync: &[StartId], earlier: &[StartId]) -> Option<StartId> {
    in_sync.iter().copied().find(|start| earlier.contains(start))
}
