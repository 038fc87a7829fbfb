//! Bugs put in on purpose, to show that the simulator would find them. Only with the feature `mutants`,
//! and then only behind a switch.

use super::settings::Settings;

/// A bug put in on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mutant {
    /// A write is acknowledged before all in-sync peers hold it.
    AckBeforeAllInSync,
    /// The group promotes a peer that is wanted and still catching up. The simulator's group does it: the
    /// shards only suffer it.
    PromoteCatchingUp,
    /// A peer is proposed into the in-sync set as soon as it answers, below the committed position.
    ProposeBelowCommitted,
    /// A peer takes ops of a reign lower than one it knows.
    AcceptLowerReign,
    /// A peer that installed a snapshot skips, yet acknowledges, the ops streamed meanwhile.
    SkipStreamedOps,
    /// Reads see ops that are prepared and not committed.
    ReadUncommitted,
    /// A new primary serves reads before its barrier is committed.
    ReadBeforeBarrier,
    /// A new primary drops the prepared suffix it inherited.
    DropInheritedSuffix,
    /// A repeated request is carried out again.
    ForgetRequests,
    /// A peer takes a batch without comparing the op before it.
    SkipLogMatching,
    /// A snapshot leaves out which requests were done.
    SnapshotWithoutRecords,
    /// A process that was declared dead drops a copy whose fate is not decided yet.
    DiscardOnWait,
    /// What a dropped copy acknowledged counts for the one begun after it.
    TrustLostCopy,
    /// While an addition to the in-sync set is proposed, the peer's acknowledgement is not waited for.
    CommitWithoutUnion,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::AckBeforeAllInSync,
        Self::PromoteCatchingUp,
        Self::ProposeBelowCommitted,
        Self::AcceptLowerReign,
        Self::SkipStreamedOps,
        Self::ReadUncommitted,
        Self::ReadBeforeBarrier,
        Self::DropInheritedSuffix,
        Self::ForgetRequests,
        Self::SkipLogMatching,
        Self::SnapshotWithoutRecords,
        Self::DiscardOnWait,
        Self::TrustLostCopy,
        Self::CommitWithoutUnion,
    ];
}

impl Settings {
    /// Whether this bug is switched on.
    pub(super) fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
