//! What was acknowledged, and whether it is there.

use std::collections::BTreeMap;

use colony_client::Position;

/// For each session the newest version that was acknowledged, and the write that made it.
///
/// Writes to one session may be under way at a time; their order is that of the positions they were given.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    newest: BTreeMap<u64, (Position, u64)>,
    acknowledged: u64,
}

/// What reading everything back has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Sessions read.
    pub sessions: usize,
    /// Sessions that lack an acknowledged write, or could not be read, each in words.
    pub missing: Vec<String>,
}

impl Ledger {
    /// The write of this number was acknowledged at this position.
    pub(crate) fn acknowledged(&mut self, session: u64, version: Position, number: u64) {
        self.acknowledged += 1;
        let newest = self.newest.entry(session).or_insert((version, number));
        if version > newest.0 {
            *newest = (version, number);
        }
    }

    /// How many writes were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.acknowledged
    }

    /// Sessions with an acknowledged write.
    pub fn sessions(&self) -> impl Iterator<Item = u64> {
        self.newest.keys().copied()
    }

    /// What is wrong with a session that was found like this.
    pub(crate) fn fault(&self, session: u64, found: Option<(Position, Option<u64>)>) -> Option<String> {
        let (version, number) = self.newest.get(&session)?;
        match found {
            None => Some(format!("session {session} is gone: write {number} at {version} was acknowledged")),
            Some((held, _)) if held < *version => {
                Some(format!("session {session} is at {held}: write {number} at {version} was acknowledged"))
            }
            Some((held, by)) if held == *version && by != Some(*number) => {
                Some(format!("session {session} at {held} holds write {by:?}, not {number}"))
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use colony_client::Position;

    /// Positions differ by their place in the log only.
    fn at(seq: u64) -> Position {
        let mut position = Position::default();
        position.seq.0 = seq;
        position
    }

    #[test]
    fn an_older_version_or_another_write_at_the_same_is_a_fault() {
        let mut ledger = Ledger::default();
        ledger.acknowledged(1, at(7), 70);
        ledger.acknowledged(1, at(5), 50);
        assert_eq!(ledger.count(), 2);
        assert!(ledger.fault(1, None).is_some());
        assert!(ledger.fault(1, Some((at(6), Some(60)))).is_some());
        assert!(ledger.fault(1, Some((at(7), Some(50)))).is_some());
        assert_eq!(ledger.fault(1, Some((at(7), Some(70)))), None);
        assert_eq!(ledger.fault(1, Some((at(8), Some(80)))), None);
        assert_eq!(ledger.fault(2, None), None);
    }
}
