//! Sessions found by what they carry: listed, or ended all together.

use std::collections::BTreeSet;

use colony_wire::client::{Refusal, ReplyBody, Token};
use colony_wire::limits::MAX_TAGGED;
use colony_wire::op::Change;
use colony_wire::session::{EndKind, Key};
use colony_wire::tag::Tag;

use super::{Asker, Desk, Primary};
use crate::Time;

impl Primary {
    /// The sessions that carry a tag: committed state only.
    pub(super) fn tagged(
        &self,
        desk: &Desk<'_>,
        token: &Token,
        tag: &Tag,
        after: Option<&Key>,
        limit: u32,
    ) -> ReplyBody {
        if let Some(refusal) = self.refuse_read(desk, token) {
            return ReplyBody::Refused(refusal);
        }
        let limit = usize::try_from(limit).unwrap_or(MAX_TAGGED).min(MAX_TAGGED);
        let now = desk.session_time;
        let mut carriers = desk.holding.store.tagged(tag, after);
        let found = carriers.by_ref().take(limit).map(|(key, session)| (key.clone(), session.summary(now))).collect();
        ReplyBody::Sessions { found, more: carriers.next().is_some() }
    }

    /// Ends every session that carries a tag: one op for each, then one that answers the request. A log keeps
    /// its order, so whoever holds the answer holds the ends; a reign that ended in between leaves ends
    /// without an answer, and the repetition ends the rest.
    pub(super) fn revoke(&mut self, desk: &mut Desk<'_>, asker: Asker, tag: &Tag, deadline: Time) {
        let caller = asker.caller;
        if let Some(answer) = self.refuse_or_repeat(desk, asker, deadline) {
            if let Some(body) = answer {
                desk.reply(caller, body);
            }
            return;
        }
        if self.is_handing_over() {
            return desk.reply(caller, ReplyBody::Refused(Refusal::NotReady));
        }
        let mut keys = self.carriers(desk, tag);
        // No more than an idle colony has room for, the answer included.
        let most = desk.settings.max_revoke.min(desk.settings.max_uncommitted.saturating_sub(1));
        let more = keys.len() > most;
        keys.truncate(most);
        let open = desk.holding.prepared().0 - desk.holding.committed().0;
        let needed = usize::try_from(open).unwrap_or(usize::MAX).saturating_add(keys.len() + 1);
        if needed > desk.settings.max_uncommitted {
            let busy = Refusal::Busy { what: "uncommitted changes of the colony".into() };
            return desk.reply(caller, ReplyBody::Refused(busy));
        }
        let ended = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        for key in keys {
            self.append(desk, Change::End { key, kind: EndKind::Revoke }, None);
        }
        self.append(desk, Change::Revoked { ended, more }, Some(asker));
    }

    /// The sessions that carry a tag as the newest prepared ops leave them, by key.
    fn carriers(&self, desk: &Desk<'_>, tag: &Tag) -> Vec<Key> {
        let settled = desk.holding.store.tagged(tag, None).map(|(key, _)| key);
        let blind = mutant!(desk.settings, RevokeCommittedOnly);
        let settled = settled.filter(|key| blind || !self.tips.contains_key(key));
        let carries = |tip: &super::Tip| !blind && tip.session.as_ref().is_some_and(|session| session.carries(tag));
        let open = self.tips.iter().filter(|(_, tip)| carries(tip)).map(|(key, _)| key);
        settled.chain(open).collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }
}
