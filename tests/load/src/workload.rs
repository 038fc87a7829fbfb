//! What is asked for.

use bytes::Bytes;
use colony_client::{Content, Key};

use crate::rng::mixed;

/// Bytes at the begin of a value that name the write.
const NUMBER_LEN: usize = 8;

/// Reads and writes over a number of sessions, all equally likely: operation `n` is the same in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Sessions read and written.
    pub sessions: u64,
    /// Of a hundred operations, how many are reads.
    pub reads_per_cent: u8,
    /// Bytes of a session's content; at least the 8 that name its write.
    pub bytes: usize,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads a session.
    Read {
        /// Which.
        session: u64,
    },
    /// Sets the whole content of a session.
    Write {
        /// Which.
        session: u64,
    },
}

impl Workload {
    /// The operation of this number.
    #[must_use]
    pub fn operation(&self, number: u64) -> Operation {
        let drawn = mixed(number);
        let session = (drawn >> 8) % self.sessions.max(1);
        if drawn & 0xFF < u64::from(self.reads_per_cent) * 256 / 100 {
            Operation::Read { session }
        } else {
            Operation::Write { session }
        }
    }

    /// The content that the write of this number sets.
    #[must_use]
    pub fn content(&self, number: u64) -> Content {
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.resize(self.bytes.max(NUMBER_LEN), 0x5A);
        Content::Blob(Bytes::from(bytes))
    }

    /// The number of the write that set this content.
    #[must_use]
    pub fn number_of(content: &Content) -> Option<u64> {
        match content {
            Content::Blob(bytes) => bytes.first_chunk::<NUMBER_LEN>().map(|head| u64::from_le_bytes(*head)),
            Content::Attributes(_) => None,
        }
    }

    /// The key of a session.
    pub(crate) fn key(session: u64) -> Key {
        Key::new(format!("load-{session}")).expect("a short key is a key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_what_was_asked_for() {
        let workload = Workload { sessions: 100, reads_per_cent: 75, bytes: 64 };
        let reads = (0..10_000).filter(|n| matches!(workload.operation(*n), Operation::Read { .. })).count();
        assert!((7_300..7_700).contains(&reads), "{reads} reads of 10,000");
        let all_reads = Workload { reads_per_cent: 100, ..workload };
        assert!((0..1000).all(|n| matches!(all_reads.operation(n), Operation::Read { .. })));
    }

    #[test]
    fn a_content_names_its_write() {
        let workload = Workload { sessions: 1, reads_per_cent: 0, bytes: 0 };
        assert_eq!(Workload::number_of(&workload.content(77)), Some(77));
    }
}
