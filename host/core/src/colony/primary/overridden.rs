//! The values that heals overrode, for people who ask (`PROTOCOL.md` 9).

use colony_wire::Position;
use colony_wire::client::{ReplyBody, Token};
use colony_wire::heal::Overridden;
use colony_wire::limits::{MAX_HEAL_BYTES, MAX_OVERRIDDEN};

use super::{Desk, Primary};

impl Primary {
    /// Those after a place: committed state only.
    pub(super) fn overridden(&self, desk: &Desk<'_>, token: &Token, after: Option<Position>, limit: u32) -> ReplyBody {
        if let Some(refusal) = self.refuse_read(desk, token) {
            return ReplyBody::Refused(refusal);
        }
        let limit = usize::try_from(limit).unwrap_or(MAX_OVERRIDDEN).min(MAX_OVERRIDDEN);
        let quarantine = desk.holding.store.quarantine();
        let mut rest = quarantine.after(after).peekable();
        let (mut found, mut bytes) = (Vec::new(), 0);
        while found.len() < limit
            && let Some(one) = rest.next_if(|one| found.is_empty() || bytes + one.size() <= MAX_HEAL_BYTES)
        {
            bytes += one.size();
            found.push(Overridden::clone(one));
        }
        ReplyBody::Overridden { found, more: rest.peek().is_some(), dropped: quarantine.dropped() }
    }
}
