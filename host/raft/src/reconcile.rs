//! Carries out the steps that [`voters`](crate::voters) names, one at a time, at the leader.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colony_wire::RaftId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, LogIdOptionExt};

use crate::group::Group;
use crate::types::Place;
use crate::voters::{Electorate, Next, Step, next_step};

/// How long one change may take. A change that takes longer is gone on with by the next call, or by the next
/// leader.
const STEP_WITHIN: Duration = Duration::from_secs(10);
/// A learner that lacks no more entries than this may vote: it has them within a round trip or two.
const NEARLY: u64 = 64;

/// What a call of [`Group::reconcile_voters`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// This step is committed; there may be more.
    Done(Step),
    /// A learner is catching up, or a change is being committed. Call again in a while.
    Waiting,
    /// The voters are who they should be.
    Settled,
}

/// Why no step was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// This host does not lead, or does not know it for sure.
    #[error("this host does not lead the group for sure")]
    NotConfirmed,
    /// It was not committed in time; it may be yet.
    #[error("{0:?} is not committed in time")]
    Slow(Step),
    /// Raft refused it.
    #[error("{step:?}: {why}")]
    Refused {
        /// What was tried.
        step: Step,
        /// Why it cannot be.
        why: String,
    },
}

impl Group {
    /// Takes one step towards the voters that the group should have, at most `most` of them. For the leader, now
    /// and then and after every change of members.
    ///
    /// # Errors
    /// [`ReconcileError`]; the next call, here or at another leader, goes on from what is.
    pub async fn reconcile_voters(&self, most: usize) -> Result<Reconciled, ReconcileError> {
        // Two changes at once can leave a joint configuration behind.
        let _one_at_a_time = self.inner.reconcile.lock().await;
        if !self.is_confirmed() {
            return Err(ReconcileError::NotConfirmed);
        }
        let Some(now) = self.electorate() else { return Ok(Reconciled::Waiting) };
        match next_step(&self.inner.published.state(), &now, most) {
            Next::Nothing => Ok(Reconciled::Settled),
            Next::Wait => Ok(Reconciled::Waiting),
            Next::Step(step) => {
                tracing::info!(?step, "the voters change");
                match tokio::time::timeout(STEP_WITHIN, self.take(&step)).await {
                    Ok(Ok(())) => Ok(Reconciled::Done(step)),
                    Ok(Err(why)) => Err(ReconcileError::Refused { step, why }),
                    Err(_) => Err(ReconcileError::Slow(step)),
                }
            }
        }
    }

    /// Raft's membership; none while a change of it is not committed.
    fn electorate(&self) -> Option<Electorate> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = &metrics.membership_config;
        if membership.log_id() != metrics.committed_membership_config.log_id() {
            return None;
        }
        let last = metrics.last_log_index.map_or(0, |last| last + 1);
        let is_near = |matched: Option<u64>| matched.is_some_and(|matched| last - (matched + 1).min(last) <= NEARLY);
        let decided = membership.log_id().index();
        let replicated = || metrics.replication.iter().flatten();
        Some(Electorate {
            voters: membership.get_joint_config().iter().map(|set| set.iter().copied().map(RaftId).collect()).collect(),
            nodes: membership.nodes().map(|(id, place)| (RaftId(*id), place.address)).collect(),
            leader: self.id(),
            caught_up: replicated().filter(|(_, at)| is_near(at.index())).map(|(id, _)| RaftId(*id)).collect(),
            informed: replicated().filter(|(_, at)| at.index() >= decided).map(|(id, _)| RaftId(*id)).collect(),
        })
    }

    async fn take(&self, step: &Step) -> Result<(), String> {
        let numbers = |ids: &BTreeSet<RaftId>| ids.iter().map(|id| id.0).collect::<BTreeSet<u64>>();
        let change = match step {
            Step::Finish(voters) | Step::Elect(voters) => ChangeMembers::ReplaceAllVoters(numbers(voters)),
            Step::Teach(peer) => {
                ChangeMembers::AddNodes(BTreeMap::from([(peer.raft.0, Place { address: peer.address })]))
            }
            Step::Dismiss(raft) => ChangeMembers::RemoveNodes(BTreeSet::from([raft.0])),
            Step::HandOver(raft) => return self.hand_over_to(*raft).await,
        };
        // Who loses its vote is sent the log until it is dismissed, so that it hears of it.
        let changed: Result<_, RaftError<_, ClientWriteError<_>>> =
            self.inner.raft.change_membership(change, true).await;
        changed.map(drop).map_err(|error| error.to_string())
    }

    /// Lets a voter lead, and waits until this host does not any more.
    async fn hand_over_to(&self, heir: RaftId) -> Result<(), String> {
        let mut leadership = self.leadership();
        self.inner.raft.trigger().transfer_leader(heir.0).await.map_err(|error| error.to_string())?;
        let over = leadership.wait_for(|leadership| !leadership.is_here).await;
        over.map(drop).map_err(|_| "the group has ended on this host".to_owned())
    }
}
