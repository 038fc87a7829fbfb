//! What the primary ends by itself: sessions whose time is over, and tombstones that nobody needs any more
//! (`PROTOCOL.md` 8, 11).

use colony_wire::Seq;
use colony_wire::op::Change;
use colony_wire::session::{EndKind, Key};

use super::{Desk, Primary};

impl Primary {
    /// Logs the end of sessions whose time to live is over.
    pub(super) fn end_what_is_over(&mut self, desk: &mut Desk<'_>) {
        let due = desk.holding.store.expired(desk.session_time).take(desk.settings.max_expiries);
        let due: Vec<Key> = due.cloned().collect();
        for key in due {
            // A session with a change under way is in use; what the change leaves is looked at next time.
            let busy = self.tips.contains_key(&key) || self.parked_keys.contains_key(&key);
            if !busy && self.has_room(desk) {
                self.append(desk, Change::End { key, kind: EndKind::Expiry }, None);
            }
        }
    }

    /// Logs that tombstones go which no copy needs: every one there is has committed the ends they stand for.
    /// A copy begun later begins with a state in which these lives are over.
    pub(super) fn forget_ends(&mut self, desk: &mut Desk<'_>) {
        let upto = self.known_to_all(desk);
        if desk.holding.store.ends().any_between(self.forgotten, upto) && self.has_room(desk) {
            self.append(desk, Change::Forget { upto }, None);
            self.forgotten = upto;
        }
    }

    /// Up to here every start that holds or is to hold a copy is known to know what is committed. Nobody can say
    /// that of one that was in sync once and may still hold its copy.
    fn known_to_all(&self, desk: &Desk<'_>) -> Seq {
        let entry = desk.entry;
        if !entry.unaccounted.is_empty() {
            return Seq(0);
        }
        let others = entry.in_sync.iter().chain(&entry.want).filter(|start| **start != desk.me);
        let told = others.map(|start| self.peers.get(start).map_or(Seq(0), |peer| peer.told));
        told.min().unwrap_or(Seq(u64::MAX)).min(desk.holding.committed())
    }
}
