//! What becomes of copies whose process was declared dead but runs (`PROTOCOL.md` 7).

use colony_wire::control::Fate;
use colony_wire::{ColonyId, StartId};

use super::{Command, State};

impl State {
    /// What becomes of the copy that the process `dead` kept of this colony.
    ///
    /// - `Restore` if it is the last in-sync copy: [`State::restoration`] is the command that does it.
    /// - `Discard` if the set went on without it and one of those copies runs: whatever it holds beyond
    ///   them was never acknowledged.
    /// - `Wait` if none of them runs: its copy may be the best there will ever be.
    #[must_use]
    pub fn fate(&self, colony: ColonyId, dead: StartId) -> Fate {
        let Some(entry) = self.table.get(&colony) else { return Fate::Discard };
        if entry.in_sync == [dead] {
            Fate::Restore
        } else if entry.in_sync.iter().any(|start| self.is_up(*start)) {
            Fate::Discard
        } else {
            Fate::Wait
        }
    }

    /// The command that gives the colony back to the process `dead`, whose start is `now` from here on.
    #[must_use]
    pub fn restoration(&self, colony: ColonyId, dead: StartId, now: StartId) -> Option<Command> {
        let entry = self.table.get(&colony)?;
        (entry.in_sync == [dead]).then_some(Command::Restore { colony, cfg: entry.cfg, dead, now })
    }
}
