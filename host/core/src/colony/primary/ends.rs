//! What the primary ends by itself: sessions whose time is over, and tombstones that nobody needs any more
//! (`PROTOCOL.md` 8, 11).

use colony_wire::Seq;
use colony_wire::op::Change;
use colony_wire::session::{EndKind, Key};

use super::{Desk, Primary};
use crate::colony::io::Output;

impl Primary {
    /// Logs the end of sessions whose time to live is over: those that are due, then of those that are overdue
    /// what the brake lets through.
    pub(super) fn end_what_is_over(&mut self, desk: &mut Desk<'_>) {
        if !self.has_room(desk) {
            return;
        }
        let now = desk.session_time;
        self.brake.look(now, allowance(desk));
        let from = self.brake.due_from();
        // A session with a change under way is in use; what the change leaves is looked at next time.
        let is_idle = |key: &&Key| !self.tips.contains_key(*key) && !self.parked_keys.contains_key(*key);
        let (store, most) = (&desk.holding.store, desk.settings.max_expiries);
        let due: Vec<Key> = store.over_by(now, from).filter(is_idle).take(most).cloned().collect();
        let room = self.brake.left().min(most - due.len());
        let overdue: Vec<Key> = store.over_before(from.min(now)).filter(is_idle).take(room).cloned().collect();
        #[cfg(feature = "mutants")]
        let due = if mutant!(desk.settings, ExpireByWallClock) {
            desk.holding.store.overdue_by(desk.now.wall_ms)
        } else {
            due
        };
        for key in due {
            self.expire(desk, key);
        }
        for key in overdue {
            if self.expire(desk, key) {
                self.brake.spend();
            }
        }
        self.tell_of_held(desk);
    }

    fn expire(&mut self, desk: &mut Desk<'_>, key: Key) -> bool {
        let has_room = self.has_room(desk);
        if has_room {
            self.append(desk, Change::End { key, kind: EndKind::Expiry }, None);
        }
        has_room
    }

    fn tell_of_held(&mut self, desk: &mut Desk<'_>) {
        if !self.brake.may_tell() {
            return;
        }
        let is_held = |key: &&Key| !self.tips.contains_key(*key);
        let held = desk.holding.store.over_before(self.brake.due_from()).filter(is_held).count();
        if self.brake.tells(held) {
            desk.out.push(Output::ExpiryHeld { colony: desk.colony, held: held as u64 });
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
        if !entry.unaccounted.is_empty() && !mutant!(desk.settings, ForgetEndsEarly) {
            return Seq(0);
        }
        let others = entry.in_sync.iter().chain(&entry.want).filter(|start| **start != desk.me);
        let told = others.map(|start| self.peers.get(start).map_or(Seq(0), |peer| peer.told));
        told.min().unwrap_or(Seq(u64::MAX)).min(desk.holding.committed())
    }
}

/// How many overdue sessions may end in one window.
pub(super) fn allowance(desk: &Desk<'_>) -> usize {
    let sessions = desk.holding.store.len() as u64;
    usize::try_from(sessions * u64::from(desk.settings.expiry_brake) / 1000).unwrap_or(usize::MAX)
}
