//! How a copy stands, for people and their alarms: nothing is decided by it.

use colony_wire::{Reign, Seq, StartId};

use super::holding::Holding;
use super::replica::Part;

/// How one copy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The part it plays.
    pub part: Part,
    /// Whether it answers clients now.
    pub is_serving: bool,
    /// The reign it takes part in.
    pub reign: Reign,
    /// Sessions in its committed state.
    pub sessions: u64,
    /// About the bytes that these take.
    pub bytes: u64,
    /// Ops it holds that are not committed, as far as it knows.
    pub uncommitted: u64,
    /// At the primary: how far the slowest in-sync peer is behind. None if there is no such peer.
    pub lag: Option<Lag>,
    /// At the primary: how far the slowest peer is behind that catches up. None if none does.
    pub catching_up: Option<Lag>,
}

/// How far a peer is behind its primary, as far as it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Which peer.
    pub peer: StartId,
    /// Ops prepared here and not acknowledged there. For a peer that is sent the state this is all that the state
    /// was made by.
    pub ops: u64,
    /// Bytes of those of them that the log still has; the others travel as a state.
    pub bytes: u64,
}

impl Lag {
    /// Of a peer that has acknowledged everything up to `matched`.
    pub(super) fn of(peer: StartId, matched: Seq, holding: &Holding) -> Self {
        let ops = holding.prepared().0.saturating_sub(matched.0);
        Self { peer, ops, bytes: holding.log.bytes_after(matched) }
    }

    /// The one that is further behind.
    pub(super) fn slower(one: Option<Self>, other: Self) -> Option<Self> {
        Some(one.filter(|one| (one.ops, one.bytes) >= (other.ops, other.bytes)).unwrap_or(other))
    }
}
