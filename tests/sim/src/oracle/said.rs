//! What replicas say to each other and to the group.

use colony_core::colony::Part;
use colony_core::group::Command;
use colony_wire::peer::{PeerBody, PeerMessage};

use super::Oracle;
use crate::host::Host;
use crate::seen::Sight;
use crate::shell::sight_of;
use crate::violation::{Rule, Violation, demand};

impl Oracle {
    /// A replica says something to another.
    ///
    /// # Errors
    /// I1 and I3, if it is a batch.
    pub fn sent(&mut self, host: &Host, message: &PeerMessage) -> Result<(), Violation> {
        if let Some(sight) = sight_of(&message.body) {
            self.seen.note(sight);
        }
        if self.transfers.note(message) {
            self.seen.note(Sight::Resumed);
        }
        let colony = message.colony;
        let now = host.process.as_ref().map(|process| process.start());
        demand(now == Some(message.from), Rule::StaysDead, || {
            format!("{colony}: {} speaks as {}, and is {now:?}", host.name, message.from)
        })?;
        let truth = self.truth(colony);
        match &message.body {
            PeerBody::Append(append) => {
                truth.wrote(append.reign, message.from)?;
                append.ops.iter().try_for_each(|op| truth.note_prepared(op))
            }
            PeerBody::Appended { reign, prepared, .. } => {
                let replica = host.copies(colony).find(|(start, _)| *start == message.from);
                let known = replica.map(|(_, replica)| (replica.reign(), replica.prepared(), replica.part()));
                demand(
                    known.is_some_and(|(own, held, part)| own == *reign && held >= *prepared && part != Part::Primary),
                    Rule::OneWriter,
                    || format!("{colony}: {} acknowledges {prepared} of {reign} and is at {known:?}", message.from),
                )
            }
            _ => Ok(()),
        }
    }

    /// A replica proposes something to the group.
    ///
    /// # Errors
    /// If it hands over what it has not flushed.
    pub fn proposed(&self, host: &Host, command: &Command) -> Result<(), Violation> {
        let Command::Swap { colony, from, .. } = command else { return Ok(()) };
        let replica = host.copies(*colony).find(|(start, _)| start == from).map(|(_, replica)| replica);
        let open = replica.map(|replica| (replica.committed(), replica.prepared(), replica.doing().merge));
        let is_flushed = open.is_some_and(|(committed, prepared, merges)| committed == prepared && !merges);
        demand(is_flushed, Rule::Flushed, || format!("{colony} is handed over by {from} with {open:?}"))
    }
}
