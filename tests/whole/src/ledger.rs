//! What the clients were told, and whether it holds.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a session may hold: the number that was written, or nothing.
pub(crate) type Held = Option<u64>;

/// What is known of the sessions. Each is written by one writer, one change after the other.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sessions: BTreeMap<String, Entry>,
    /// Changes that were acknowledged.
    pub(crate) acknowledged: u64,
    /// The longest that one of them took.
    pub(crate) slowest: Duration,
    /// What does not hold, in words.
    pub(crate) lost: Vec<String>,
    pub(crate) phantom: Vec<String>,
    pub(crate) doubled: Vec<String>,
}

/// What is known of one session.
#[derive(Debug, Default)]
struct Entry {
    /// What the last change left that was acknowledged, or nothing at the beginning.
    certain: Held,
    /// What changes would leave that nobody knows the outcome of. They may be made yet.
    open: Vec<Held>,
    /// What earlier changes left: to find it is to have lost the later ones.
    earlier: Vec<Held>,
}

impl Ledger {
    /// What the session holds; none if nobody can tell.
    pub(crate) fn certain(&self, key: &str) -> Option<Held> {
        match self.sessions.get(key) {
            None => Some(None),
            Some(entry) => entry.open.is_empty().then_some(entry.certain),
        }
    }

    /// A change that leaves this was acknowledged.
    pub(crate) fn acknowledge(&mut self, key: &str, held: Held) {
        let entry = self.sessions.entry(key.to_owned()).or_default();
        let before = std::mem::replace(&mut entry.certain, held);
        entry.earlier.push(before);
        self.acknowledged += 1;
    }

    /// Nobody knows what became of a change that would leave this.
    pub(crate) fn leave_open(&mut self, key: &str, held: Held) {
        self.sessions.entry(key.to_owned()).or_default().open.push(held);
    }

    /// A change was refused because the session is not as its last change left it, although no other was made: the
    /// same request was taken for two.
    pub(crate) fn refuse(&mut self, key: &str, why: &str) {
        self.doubled.push(format!("{key}: {why}"));
        // It is not known any more what it holds; nothing more is said of it.
        self.sessions.remove(key);
    }

    /// A read showed this.
    pub(crate) fn show(&mut self, key: &str, held: Held) {
        let unwritten = Entry::default();
        let entry = self.sessions.get(key).unwrap_or(&unwritten);
        if held == entry.certain || entry.open.contains(&held) {
            return;
        }
        let words = format!("{key}: {held:?} instead of {:?} or one of {:?}", entry.certain, entry.open);
        if entry.earlier.contains(&held) || held.is_none() {
            self.lost.push(words);
        } else {
            self.phantom.push(words);
        }
    }

    /// The sessions of which anything is known.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.sessions.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(tell: impl FnOnce(&mut Ledger)) -> [usize; 3] {
        let mut ledger = Ledger::default();
        tell(&mut ledger);
        [ledger.lost.len(), ledger.phantom.len(), ledger.doubled.len()]
    }

    #[test]
    fn what_was_acknowledged_is_lost_if_an_earlier_state_is_shown() {
        let told = |shown| {
            judged(|ledger| {
                ledger.acknowledge("a", Some(1));
                ledger.acknowledge("a", Some(2));
                ledger.show("a", shown);
            })
        };
        assert_eq!(told(Some(2)), [0, 0, 0]);
        assert_eq!(told(Some(1)), [1, 0, 0]);
        assert_eq!(told(None), [1, 0, 0]);
        assert_eq!(told(Some(3)), [0, 1, 0], "nobody wrote that");
    }

    #[test]
    fn a_deleted_session_that_is_shown_is_a_loss_of_the_delete() {
        let judged = judged(|ledger| {
            ledger.acknowledge("a", Some(1));
            ledger.acknowledge("a", None);
            ledger.show("a", Some(1));
        });
        assert_eq!(judged, [1, 0, 0]);
    }

    #[test]
    fn an_open_change_may_be_made_or_not() {
        for shown in [Some(1), Some(2)] {
            let judged = judged(|ledger| {
                ledger.acknowledge("a", Some(1));
                ledger.leave_open("a", Some(2));
                ledger.show("a", shown);
            });
            assert_eq!(judged, [0, 0, 0]);
        }
        assert_eq!(judged(|ledger| ledger.show("a", Some(9))), [0, 1, 0]);
    }

    #[test]
    fn of_an_open_session_nothing_is_certain() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.certain("a"), Some(None));
        ledger.acknowledge("a", Some(1));
        assert_eq!(ledger.certain("a"), Some(Some(1)));
        ledger.leave_open("a", Some(2));
        assert_eq!(ledger.certain("a"), None);
    }
}
