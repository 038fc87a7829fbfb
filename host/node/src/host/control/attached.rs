//! Whether somebody decides for the group, as far as this host hears (`PROTOCOL.md` 8).

use std::time::Duration;

use colony_core::Time;
use colony_core::island::Attachment;
use colony_wire::control::Beacon;

use super::{Control, lock};

impl Control {
    /// What was heard of a leader and of who votes, with what this host's own log says.
    pub(super) fn attachment(&self) -> Attachment {
        let mut attachment = lock(&self.attachment);
        if let Some(age) = self.group.quorum_age() {
            attachment.heard(self.host.clock.now().mono, age);
        }
        if let Some(electorate) = self.group.known_voters() {
            attachment.heard_voters(&electorate);
        }
        attachment.clone()
    }

    /// Whether the group decides for this host now.
    pub(super) fn is_attached(&self) -> bool {
        self.attachment().is_attached(self.host.clock.now())
    }

    /// A host answered a beacon that was sent then.
    pub(super) fn heard(&self, asked: Time, answer: &Beacon) {
        if self.view.borrow().lineage != answer.lineage {
            return;
        }
        let mut attachment = lock(&self.attachment);
        if let Some(age) = answer.quorum_age_ms {
            attachment.heard(asked, Duration::from_millis(age.into()));
        }
        if let Some(electorate) = &answer.electorate {
            attachment.heard_voters(electorate);
        }
    }
}
