//! What hosts say to each other to open an island (`PROTOCOL.md` 8).
//!
//! ```text
//!   founder                                        each host it asked
//!   Consent { nonce }        ->                    fences its copies
//!                            <-                    Consented: what it holds, and who it is in the island
//!   OpenIsland { nonce, .. } ->                    lives in the island from now on
//!   CancelIsland { nonce }   -> (instead)          lifts its fence
//! ```

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::frame::{DecodeError, within};
use crate::id::{ColonyId, Reign, Seq, StartId};
use crate::limits::MAX_COLONIES;

/// What a host brings into an island that it agrees to live in. It acknowledges nothing for colonies of island
/// namespaces in its former lineage until the island opens, is cancelled, or a fence's time is over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Consent {
    /// Of the question this answers.
    pub nonce: u64,
    /// The start it has in the island, drawn for it.
    pub start: StartId,
    /// Its record as a member of the island, as the core encodes it.
    pub member: Bytes,
    /// The newest state of the root group that it has, as the core encodes it.
    pub state: Bytes,
    /// The copies of colonies of island namespaces that it holds under its root start, at most one a colony.
    pub copies: Vec<CopyEnd>,
}

impl Consent {
    /// Refuses a consent whose parts exceed their limits.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] names the limit.
    pub fn check(&self) -> Result<(), DecodeError> {
        within("number of copies that a host brings", self.copies.len(), MAX_COLONIES)
    }
}

/// Where the log of one copy ends: by it is found who leads the colony in the island.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CopyEnd {
    /// Which colony.
    pub colony: ColonyId,
    /// Reign of its last op.
    pub reign: Reign,
    /// Place of its last op.
    pub end: Seq,
    /// Last place that it knows to be committed.
    pub committed: Seq,
    /// Whether this host is the primary of that reign: it alone knows that nothing beyond `committed` was
    /// acknowledged.
    pub led: bool,
}
