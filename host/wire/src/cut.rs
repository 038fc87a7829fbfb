//! What a cut of the network would do, foretold for people (`PROTOCOL.md` 8).

use serde::{Deserialize, Serialize};

use crate::frame::{DecodeError, within};
use crate::limits::{MAX_COLONIES, MAX_HOSTS, MAX_NAME};

/// What would become of every colony if some hosts and all others reached each other no more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CutReport {
    /// Names of the hosts that would be cut off.
    pub cut_off: Vec<String>,
    /// How many others there are.
    pub others: u32,
    /// The colonies.
    pub colonies: Vec<ColonyOutlook>,
}

/// What would become of one colony.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ColonyOutlook {
    /// Its namespace.
    pub namespace: String,
    /// Its bucket.
    pub bucket: u32,
    /// On the side of those who are cut off.
    pub cut_off: SideOutlook,
    /// On the side of all others.
    pub rest: SideOutlook,
}

/// The same on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SideOutlook {
    /// It is served, with so many copies in sync.
    Served(u8),
    /// So many copies in sync are there, and may not serve: the namespace is strict.
    Stopped(u8),
    /// No copy in sync is there.
    Offline,
}

impl CutReport {
    /// Refuses a report whose parts exceed their limits.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] names the limit.
    pub fn check(&self) -> Result<(), DecodeError> {
        within("number of hosts", self.cut_off.len(), MAX_HOSTS)?;
        within("number of colonies", self.colonies.len(), MAX_COLONIES)?;
        self.colonies.iter().try_for_each(|one| within("length of the namespace's name", one.namespace.len(), MAX_NAME))
    }
}
