//! Who leads, followed in openraft's metrics.

use std::sync::Arc;
use std::time::Duration;

use colony_core::group::State;
use colony_wire::RaftId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant as _, RaftMetrics, ServerState};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::network::whereabouts;
use crate::published::Published;
use crate::types::{Peer, Types};

/// Who leads the group, as one host sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The term, which grows with every election.
    pub term: u64,
    /// Who leads and where it is now; none while nobody is known to lead.
    pub leader: Option<Peer>,
    /// Whether that is this host.
    pub is_here: bool,
    /// Whether this host leads, heard so from a quorum just now, and has applied all that was committed
    /// before its term. A leader without this decides nothing: it may have a successor.
    pub is_confirmed: bool,
}

/// Why a group ended by itself. The process must end too: it may have forgotten what it promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the group failed: {0}")]
pub struct Fatal(pub(crate) String);

/// How a group ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stopped,
    Failed(Fatal),
}

pub(crate) type Metrics = openraft::alias::WatchReceiverOf<Types, RaftMetrics<Types>>;

/// How long ago a quorum of the voters answered the leader here; none if it does not lead, or has not applied what was
/// committed before its term.
pub(crate) fn quorum_age(metrics: &RaftMetrics<Types>) -> Option<Duration> {
    let has_applied_own = metrics.last_applied.is_some_and(|last| last.leader_id == metrics.vote.leader_id);
    answered_ago(metrics).filter(|_| has_applied_own)
}

/// How long ago a quorum answered the leader here; none if none has, or none leads.
fn answered_ago(metrics: &RaftMetrics<Types>) -> Option<Duration> {
    if metrics.state != ServerState::Leader {
        return None;
    }
    if metrics.membership_config.voter_ids().eq([metrics.id]) {
        // Alone it is the quorum.
        return Some(Duration::ZERO);
    }
    Some(metrics.last_quorum_acked?.elapsed())
}

/// Until when the leader here may take itself for confirmed; none if it is not. One that is alone looks again then.
pub(crate) fn confirmed_until(metrics: &RaftMetrics<Types>, within: Duration) -> Option<Instant> {
    from_now(within, quorum_age(metrics)?)
}

/// Until when a quorum counts as having answered the leader here `within` that time; none if none has, or none leads.
pub(crate) fn answered_until(metrics: &RaftMetrics<Types>, within: Duration) -> Option<Instant> {
    from_now(within, answered_ago(metrics)?)
}

fn from_now(within: Duration, ago: Duration) -> Option<Instant> {
    let left = within.checked_sub(ago)?;
    (!left.is_zero()).then(|| Instant::now() + left)
}

/// Whether the leader here had the answers of a quorum once, and not within this time. One that has just been elected
/// counts as answered: by those who elected it.
pub(crate) fn is_unanswered(metrics: &RaftMetrics<Types>, within: Duration) -> bool {
    metrics.last_quorum_acked.is_some()
        && metrics.state == ServerState::Leader
        && answered_until(metrics, within).is_none()
}

/// The leader, at the address that the state gives it.
pub(crate) fn leader(metrics: &RaftMetrics<Types>, state: &State) -> Option<Peer> {
    let leader = metrics.current_leader?;
    let place = metrics.membership_config.get_node(&leader)?;
    Some(whereabouts(state, Peer { raft: RaftId(leader), address: place.address }))
}

/// The leadership these metrics tell of, and when that must be looked at again although nothing is told.
pub(crate) fn read(metrics: &RaftMetrics<Types>, state: &State, within: Duration) -> (Leadership, Option<Instant>) {
    let until = confirmed_until(metrics, within);
    let leadership = Leadership {
        term: metrics.current_term,
        leader: leader(metrics, state),
        is_here: metrics.state == ServerState::Leader,
        is_confirmed: until.is_some(),
    };
    (leadership, until)
}

/// Resolves when the leader here has heard from a quorum again, or leads no more. To look at every change of the
/// metrics would be to spin: they tell the time that has passed.
pub(crate) async fn renewed(metrics: &mut Metrics) {
    let before = metrics.borrow_watched().last_quorum_acked;
    loop {
        {
            let metrics = metrics.borrow_watched();
            let leads = metrics.state == ServerState::Leader && metrics.running_state.is_ok();
            if !leads || metrics.last_quorum_acked != before {
                return;
            }
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps `shown` up to date until the group ends, and then says how in `end`.
pub(crate) async fn follow(
    mut metrics: Metrics,
    published: Arc<Published>,
    within: Duration,
    shown: watch::Sender<Leadership>,
    electing: watch::Sender<Vec<RaftId>>,
    end: watch::Sender<Option<End>>,
) {
    loop {
        let (leadership, until) = {
            let metrics = metrics.borrow_watched();
            show(&electing, metrics.membership_config.voter_ids().map(RaftId).collect());
            if let Err(fatal) = &metrics.running_state {
                let ended = match fatal {
                    openraft::errors::Fatal::Stopped => End::Stopped,
                    failed => End::Failed(Fatal(failed.to_string())),
                };
                end.send_replace(Some(ended));
                break;
            }
            read(&metrics, &published.state(), within)
        };
        show(&shown, leadership);
        let expired = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = metrics.changed() => if changed.is_err() {
                end.send_replace(Some(End::Failed(Fatal("its task panicked".into()))));
                break;
            },
            () = expired => {}
        }
    }
    show(&shown, Leadership::default());
}

fn show<T: PartialEq>(shown: &watch::Sender<T>, now: T) {
    shown.send_if_modified(|current| {
        let is_new = *current != now;
        *current = now;
        is_new
    });
}
