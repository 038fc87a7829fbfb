//! The brake on mass expiry (`PROTOCOL.md` 11; D5).
//!
//! Sessions that came due while nobody could use them, because their colony had no primary or could log
//! nothing, are *overdue*. To end them all at once would turn an outage into the loss of every session. So only
//! a part of the colony ends so within a window; the rest is held, and somebody is told.

use std::time::Duration;

use crate::colony::clock::SessionTime;

/// How long one allowance lasts, in the time that sessions live by.
const WINDOW: Duration = Duration::from_secs(60);
/// Least allowance: in a small colony a share means little, and it is done soon.
const LEAST: usize = 16;

/// What may still end in this window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Brake {
    began: SessionTime,
    /// A deadline before this is overdue. One after it came due, or was set, while its session could be used
    /// and ended: there is no bound on those.
    due_from: SessionTime,
    /// When ends were looked for last.
    looked: SessionTime,
    /// How many overdue sessions may still end.
    left: usize,
    told: bool,
}

impl Brake {
    /// The brake of a reign that begins now: what is over by now is overdue.
    pub(super) fn new(now: SessionTime, allowance: usize) -> Self {
        Self { began: now, due_from: now, looked: now, left: allowance.max(LEAST), told: false }
    }

    /// Ends are looked for now. `allowance` counts if a window begins.
    pub(super) fn look(&mut self, now: SessionTime, allowance: usize) {
        if now.since(self.looked) >= WINDOW {
            self.due_from = now;
        }
        self.looked = now;
        if now.since(self.began) >= WINDOW {
            (self.began, self.left, self.told) = (now, allowance.max(LEAST), false);
        }
    }

    /// Sessions with a deadline before this are overdue.
    pub(super) fn due_from(&self) -> SessionTime {
        self.due_from
    }

    /// How many overdue sessions may still end in this window.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// An overdue session ends.
    pub(super) fn spend(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Whether sessions are held that nobody was told of in this window. From now on somebody was.
    pub(super) fn tells(&mut self, held: usize) -> bool {
        let tells = held > 0 && self.left == 0 && !self.told;
        self.told |= tells;
        tells
    }

    /// Whether it is worth counting what is held.
    pub(super) fn may_tell(&self) -> bool {
        self.left == 0 && !self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SessionTime {
        SessionTime(0) + Duration::from_secs(secs)
    }

    #[test]
    fn each_window_has_its_allowance_and_tells_once() {
        let mut brake = Brake::new(at(5), 20);
        (0..20).for_each(|_| brake.spend());
        assert!(brake.tells(80) && !brake.tells(80), "once a window");
        brake.look(at(64), 16);
        assert_eq!(brake.left(), 0);
        brake.look(at(65), 3);
        assert_eq!((brake.left(), brake.due_from()), (LEAST, at(5)), "what came due meanwhile is not overdue");
        assert!(!brake.tells(64), "nothing is held while something may end");
    }

    #[test]
    fn what_came_due_in_a_window_without_ends_is_overdue() {
        let mut brake = Brake::new(at(0), 20);
        brake.look(at(30), 20);
        assert_eq!(brake.due_from(), at(0));
        brake.look(at(90), 20);
        assert_eq!(brake.due_from(), at(90));
    }
}
