//! What the state machine shows to the rest of the host: the newest state, and the commands that led there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use colony_core::group::State;
use colony_wire::Revision;
use colony_wire::limits::{MAX_FEED_BYTES, MAX_FEED_COMMANDS};
use tokio::sync::watch;

/// Most committed commands kept for hosts that do not vote. One that is further behind takes the whole state.
pub const KEPT_COMMANDS: usize = 4_096;
/// Most bytes of them.
pub const KEPT_BYTES: usize = 8 * 1024 * 1024;

/// What brings a host that does not vote from its revision to a newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The whole state: the host is too far behind for commands.
    Snapshot {
        /// Its revision.
        revision: Revision,
        /// The state, as [`State::encode`] wrote it.
        state: Bytes,
    },
    /// The commands after its revision, oldest first, as many as one answer may carry; none if there are none.
    Commands(Vec<Bytes>),
}

/// The newest state and the commands before it. One task writes, any may read.
#[derive(Debug)]
pub(crate) struct Published {
    state: watch::Sender<Arc<State>>,
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    /// Revision after the newest command here.
    revision: Revision,
    commands: VecDeque<Bytes>,
    bytes: usize,
}

impl Published {
    pub(crate) fn new() -> Self {
        Self { state: watch::Sender::default(), recent: Mutex::default() }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    /// The state after these commands were applied, one revision each.
    pub(crate) fn advance(&self, state: Arc<State>, commands: Vec<Bytes>) {
        {
            let mut recent = self.recent();
            for command in commands {
                recent.push(command);
            }
            recent.revision = state.revision;
        }
        self.state.send_replace(state);
    }

    /// A state that was not reached by commands known here.
    pub(crate) fn replace(&self, state: Arc<State>) {
        *self.recent() = Recent { revision: state.revision, ..Recent::default() };
        self.state.send_replace(state);
    }

    /// What a host at revision `have` needs next.
    pub(crate) fn feed(&self, have: Revision) -> Feed {
        if let Some(commands) = self.recent().since(have) {
            return Feed::Commands(commands);
        }
        let state = self.state();
        Feed::Snapshot { revision: state.revision, state: state.encode() }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        // No code that can panic runs under this lock.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn push(&mut self, command: Bytes) {
        self.bytes += command.len();
        self.commands.push_back(command);
        while self.commands.len() > KEPT_COMMANDS || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.commands.pop_front() else { return };
            self.bytes -= oldest.len();
        }
    }

    /// The commands after `have`; none if some of them are no longer here.
    fn since(&self, have: Revision) -> Option<Vec<Bytes>> {
        let Some(missing) = self.revision.0.checked_sub(have.0) else {
            // The asker heard of more than this host did.
            return Some(Vec::new());
        };
        let first = self.commands.len().checked_sub(usize::try_from(missing).ok()?)?;
        let mut bytes = 0;
        let fits = |command: &&Bytes| {
            let is_first = bytes == 0;
            bytes += command.len();
            is_first || bytes <= MAX_FEED_BYTES
        };
        Some(self.commands.iter().skip(first).take(MAX_FEED_COMMANDS).take_while(fits).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(revision: u64) -> Arc<State> {
        Arc::new(State { revision: Revision(revision), ..State::default() })
    }

    fn numbered(range: std::ops::RangeInclusive<u64>) -> Vec<Bytes> {
        range.map(|number| Bytes::copy_from_slice(&number.to_le_bytes())).collect()
    }

    #[test]
    fn an_asker_within_reach_gets_exactly_what_it_lacks() {
        let published = Published::new();
        published.advance(at(10), numbered(1..=10));
        assert_eq!(published.feed(Revision(7)), Feed::Commands(numbered(8..=10)));
        assert_eq!(published.feed(Revision(10)), Feed::Commands(vec![]));
        assert_eq!(published.feed(Revision(11)), Feed::Commands(vec![]));
    }

    #[test]
    fn an_asker_beyond_what_is_kept_gets_the_state() {
        let published = Published::new();
        let last = KEPT_COMMANDS as u64 + 2;
        published.advance(at(last), numbered(1..=last));
        assert!(matches!(published.feed(Revision(1)), Feed::Snapshot { revision, .. } if revision.0 == last));
        let Feed::Commands(commands) = published.feed(Revision(2)) else { panic!("commands are kept") };
        assert_eq!(commands, numbered(3..=2 + MAX_FEED_COMMANDS as u64));
    }

    #[test]
    fn a_replaced_state_has_no_commands_behind_it() {
        let published = Published::new();
        published.advance(at(3), numbered(1..=3));
        published.replace(at(9));
        assert!(matches!(published.feed(Revision(3)), Feed::Snapshot { .. }));
        published.advance(at(10), numbered(10..=10));
        assert_eq!(published.feed(Revision(9)), Feed::Commands(numbered(10..=10)));
    }

    #[test]
    fn large_commands_are_sent_one_at_a_time_and_kept_within_bounds() {
        let published = Published::new();
        let large = Bytes::from(vec![0; MAX_FEED_BYTES]);
        let count = (KEPT_BYTES / MAX_FEED_BYTES) as u64 + 1;
        published.advance(at(count), vec![large.clone(); count as usize]);
        assert!(matches!(published.feed(Revision(0)), Feed::Snapshot { .. }));
        assert_eq!(published.feed(Revision(1)), Feed::Commands(vec![large]));
    }
}
