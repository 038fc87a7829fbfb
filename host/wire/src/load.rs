//! What a host says of its load. All counts only grow while a process runs, so that whoever asks twice has the rate
//! between, and the host keeps nothing for whoever asks.

use serde::{Deserialize, Serialize};

use crate::frame::{DecodeError, within};
use crate::id::{ColonyId, Seq, StartId};
use crate::limits::MAX_COLONIES;

/// What a host has used and uses now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LoadCounts {
    /// The process.
    pub start: StartId,
    /// When this was counted: microseconds of a clock of its own.
    pub at_us: u64,
    /// Processor time used up to then, in microseconds.
    pub cpu_us: u64,
    /// Processor time there is, in thousandths of a core; zero if it is not known.
    pub cores: u64,
    /// Memory used, in bytes.
    pub memory: u64,
    /// Memory it may use, in bytes; zero if it is not known.
    pub memory_limit: u64,
    /// Its copies.
    pub copies: Vec<CopyCounts>,
}

/// What one copy holds and has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CopyCounts {
    /// Of which colony.
    pub colony: ColonyId,
    /// Sessions in it.
    pub sessions: u64,
    /// About the bytes that they take.
    pub bytes: u64,
    /// Place of its last committed op: as many ops were committed, by whomever.
    pub committed: Seq,
}

impl LoadCounts {
    /// Refuses counts of more copies than there can be.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] names the limit.
    pub fn check(&self) -> Result<(), DecodeError> {
        within("number of copies", self.copies.len(), MAX_COLONIES)
    }
}
