//! What a peer is in the middle of, and how full its queues are: for people who look at a running shard, and
//! for the simulator, which must meet every step with every fault and every queue with its bound.

/// What a peer is in the middle of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doing {
    /// A client's change is prepared and not committed.
    pub write: bool,
    /// The end of a session whose time is over is prepared and not committed.
    pub expiry: bool,
    /// It reigns, and its barrier is not committed.
    pub barrier: bool,
    /// It reigns, and ops that earlier reigns left are not committed.
    pub inherited: bool,
    /// It reigns, and the outcome of a change of the in-sync set is not known.
    pub change: bool,
    /// It reigns, and its reign is being handed over.
    pub handover: bool,
    /// It reigns, and a snapshot is on its way to a peer.
    pub snapshot: bool,
    /// It reigns, and counts on a peer that catches up.
    pub counted_on: bool,
    /// It reigns, and a save waits for a merge.
    pub merge: bool,
}

/// How full something is that may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// What is counted.
    pub what: &'static str,
    /// How many there are.
    pub held: usize,
    /// How many there may be.
    pub bound: usize,
}

impl Load {
    /// This many of at most so many.
    pub(super) fn new(what: &'static str, held: usize, bound: usize) -> Self {
        Self { what, held, bound }
    }
}
