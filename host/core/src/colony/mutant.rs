//! Bugs put in on purpose, to show that the simulator would find them. Only with the feature `mutants`,
//! and then only behind a switch.

use colony_wire::op::{Change, Op};
use colony_wire::session::{EndKind, Key};

use super::clock::Moment;
use super::primary::Desk;
use super::settings::Settings;
use super::snapshot::{self, Snapshot};
use super::store::Store;

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
    /// A snapshot is taken of what is prepared, not of what is committed.
    SnapshotAtPrepared,
    /// A peer whose log does not match commits up to the primary's position all the same.
    CommitUnmatched,
    /// A primary that heard of a higher reign goes on answering.
    ServeAfterHigherReign,
    /// A hand-over is proposed before everything is held everywhere.
    HandOverUnflushed,
    /// A process that was declared dead goes on with its copies.
    GoOnWhenDead,
    /// A process that was declared dead goes on under the start it had.
    KeepDeadStart,
    /// The answer to a mutation is kept for no time at all.
    ForgetAnswersAtOnce,
    /// Peers end sessions by their own clocks.
    FollowersExpire,
    /// A new primary counts deadlines by its own clock as if that were its predecessor's.
    PromoteWithoutPad,
    /// The wall clock says when a session's time is over.
    ExpireByWallClock,
    /// A repeated request is answered while its op is not committed.
    AnswerInFlight,
    /// A silent peer's acknowledgement is not waited for, before the group has removed it.
    DropSilentAlone,
    /// A peer is proposed into the in-sync set before the reign's barrier is committed.
    AddBeforeBarrier,
    /// A read is answered although the client has seen more.
    IgnoreTokens,
    /// A process that was declared dead takes its kept copy into use before its fate is known.
    TakeKeptCopy,
    /// A snapshot leaves out when sessions end.
    SnapshotWithoutDeadlines,
    /// A request whose answer is no longer kept is carried out again.
    RedoForgotten,
    /// An answer that was judged by an uncommitted op is given at once.
    RefuseUncommitted,
    /// A precondition that does not hold is passed over.
    IgnorePreconditions,
    /// A write is committed once a majority of the in-sync set holds it.
    CommitByMajority,
    /// A peer that is not wanted drops its copy while it is in sync.
    DropBeforeRemoval,
    /// A peer that hears of a new reign drops what is not committed, matched or not.
    TruncateToCommitted,
    /// Ops that an earlier reign left are kept where the primary has others.
    KeepOldOps,
    /// A proposal without visible outcome counts as refused.
    GiveUpProposal,
    /// A primary confirms its reign without waiting for its peers' word.
    ConfirmUnasked,
    /// Somebody who watches a session is not told that the log no longer reaches back to what they saw.
    HideGap,
    /// Sessions are found to be ended by a tag in what is committed only.
    RevokeCommittedOnly,
    /// A copy that is not wanted is removed before those that are wanted are in sync.
    RemoveBeforeAdded,
    /// A drained host leaves although it still holds copies. The simulator's group lets it.
    LeaveHolding,
    /// At heal what both sides changed is merged without what they began from.
    MergeWithoutBase,
    /// At heal a session that was taken in is taken in once more in the next round.
    IgnoreMarks,
    /// While the copy of a colony is on another side, its process begins an empty one in its place.
    BeginBesideDeparted,
    /// A process that lives in an island begins a copy under the root of a colony that it had none of when the sides
    /// parted, though the island may have given it one.
    BeginBesideIsland,
    /// A change that may have been done on another side is done here.
    RepeatElsewhere,
    /// A save based on another side's version is judged by its place, as if it were on this side's path.
    CompareForeignPlaces,
    /// Tombstones go although a copy that went to another side does not know of them, and what nobody remembers is new.
    ForgetEndsEarly,
    /// A copy is given up although it holds more than the other side has.
    GiveUpMore,
    /// A save that waited for its merge overwrites what a heal took in meanwhile.
    MergeBeside,
    /// A copy that goes over to another shard reads its deadlines by the clock of that one.
    ForgetOwnTime,
}

impl Mutant {
    /// Those that show in one cluster that stays one.
    pub const ALL: [Self; 43] = [
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
        Self::SnapshotAtPrepared,
        Self::CommitUnmatched,
        Self::ServeAfterHigherReign,
        Self::HandOverUnflushed,
        Self::GoOnWhenDead,
        Self::KeepDeadStart,
        Self::ForgetAnswersAtOnce,
        Self::FollowersExpire,
        Self::PromoteWithoutPad,
        Self::ExpireByWallClock,
        Self::AnswerInFlight,
        Self::DropSilentAlone,
        Self::AddBeforeBarrier,
        Self::IgnoreTokens,
        Self::TakeKeptCopy,
        Self::SnapshotWithoutDeadlines,
        Self::RedoForgotten,
        Self::RefuseUncommitted,
        Self::IgnorePreconditions,
        Self::CommitByMajority,
        Self::DropBeforeRemoval,
        Self::TruncateToCommitted,
        Self::KeepOldOps,
        Self::GiveUpProposal,
        Self::ConfirmUnasked,
        Self::HideGap,
        Self::RevokeCommittedOnly,
        Self::RemoveBeforeAdded,
        Self::LeaveHolding,
    ];
}

impl Mutant {
    /// Those that show only where the network is split and heals.
    pub const OF_ISLANDS: [Self; 10] = [
        Self::MergeWithoutBase,
        Self::IgnoreMarks,
        Self::BeginBesideDeparted,
        Self::BeginBesideIsland,
        Self::RepeatElsewhere,
        Self::CompareForeignPlaces,
        Self::ForgetEndsEarly,
        Self::GiveUpMore,
        Self::MergeBeside,
        Self::ForgetOwnTime,
    ];
}

impl Settings {
    /// Whether this bug is switched on.
    pub(super) fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

impl Desk<'_> {
    /// [`Mutant::SnapshotAtPrepared`]: the state with all that is prepared in it.
    pub(super) fn cut_ahead(&self) -> Snapshot {
        let mut ahead = self.holding.clone();
        let now = Moment { mono: self.now.mono, sessions: self.session_time };
        ahead.commit_to(ahead.prepared(), usize::MAX, now);
        snapshot::cut(&ahead.store, self.settings, self.session_time)
    }
}

impl Store {
    /// [`Mutant::FollowersExpire`]: ends sessions whose time is over, without an op.
    pub(super) fn end_overdue(&mut self, now: Moment) {
        let overdue: Vec<Key> = self.over_before(now.sessions).cloned().collect();
        let Some(position) = self.position() else { return };
        for key in overdue {
            let change = Change::End { key, kind: EndKind::Expiry };
            self.apply(&Op { position, stamp: None, written_at: 0, change }, None, now);
        }
    }

    /// [`Mutant::ExpireByWallClock`]: sessions whose time to live has passed since they were written, by the
    /// stamps of whoever wrote them.
    pub(super) fn overdue_by(&self, wall_ms: u64) -> Vec<Key> {
        let is_overdue = |(key, session): (&Key, &super::Session)| {
            session.ttl.is_some_and(|ttl| session.written_at + ttl <= wall_ms).then(|| key.clone())
        };
        self.sessions().filter_map(is_overdue).collect()
    }
}
