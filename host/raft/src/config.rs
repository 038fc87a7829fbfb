//! How fast the group notices, decides and forgets.

use std::time::Duration;

use openraft::{SnapshotPolicy, StepDownPolicy};

/// Time between two signs of life of the leader. Also the time within which a follower must answer one, so
/// it is well above a round trip; idle, it costs ten small messages a second for each voter.
pub const HEARTBEAT: Duration = Duration::from_millis(100);
/// Shortest time a voter waits, after the leader's lease has run out, before it stands for election. At least
/// three heartbeats, so that a lost one unseats nobody, and ten times the sync of an ordinary disk.
pub const ELECTION_MIN: Duration = Duration::from_millis(300);
/// Longest such time, and the leader's lease. Wide enough above [`ELECTION_MIN`] that two voters seldom stand
/// at once. A killed leader is replaced after lease + election time: 900 to 1200 ms, within the 2.5 s that a
/// write may wait for a promotion.
pub const ELECTION_MAX: Duration = Duration::from_millis(600);
/// A leader that heard from a quorum longer ago than this may have a successor and decides nothing. Above the
/// heartbeat by some losses, and not above the shortest time in which a successor can be elected
/// ([`ELECTION_MAX`] + [`ELECTION_MIN`]).
pub const CONFIRMED_WITHIN: Duration = Duration::from_millis(900);

/// How long an append that carries entries may take: a follower's slow sync must not look like a dead peer,
/// whose appends would be sent again and again. Heartbeats notice the dead ones.
pub(crate) const APPEND_WITHIN: Duration = Duration::from_secs(1);
/// How long sending and installing a snapshot may take.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(10);
/// Entries after which the next snapshot is made.
const SNAPSHOT_EVERY: u64 = 5_000;
/// Entries kept behind a snapshot, so that a voter that was away for a while needs no snapshot. With
/// [`SNAPSHOT_EVERY`] this bounds the log, in memory and on disk.
const KEPT_BEHIND_SNAPSHOT: u64 = 10_000;
/// A voter further behind than this takes a snapshot. Must be above [`SNAPSHOT_EVERY`], else the newest
/// snapshot would not bring it near enough.
const LAGGING: u64 = 10_000;
/// Most entries in one append; their bytes are bounded beside it, in `storage`.
const APPEND_ENTRIES: u64 = 256;
/// Most requests that wait for Raft's task. Each is a proposal or a message of a peer, and both are bounded
/// where they come in; who asks more waits.
const WAITING_REQUESTS: u64 = 1_024;
/// A leader that is no voter any more leads on for so long, so that the followers hear that its removal is
/// committed. Above one heartbeat.
const STEP_DOWN_MS: u64 = 150;

/// The times of one group, the same on all its hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// See [`HEARTBEAT`]. Less than half of `election_min`.
    pub heartbeat: Duration,
    /// See [`ELECTION_MIN`].
    pub election_min: Duration,
    /// See [`ELECTION_MAX`]. More than `election_min`.
    pub election_max: Duration,
    /// See [`CONFIRMED_WITHIN`].
    pub confirmed_within: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: HEARTBEAT,
            election_min: ELECTION_MIN,
            election_max: ELECTION_MAX,
            confirmed_within: CONFIRMED_WITHIN,
        }
    }
}

impl Timing {
    /// How long a leader says nothing once it has heard from no quorum for its lease, and then how long it speaks
    /// before it is silent again (`PROTOCOL.md` 15). The lease that its last words gave it with the others, and their
    /// longest wait before they stand: after that another leads, or nobody could.
    pub(crate) fn silence(&self) -> Duration {
        self.election_max * 2
    }

    /// openraft's settings, or why these times do not go together.
    pub(crate) fn settings(&self) -> Result<openraft::Config, String> {
        if self.heartbeat * 2 >= self.election_min {
            return Err("the heartbeat must be less than half of the shortest election time".into());
        }
        if self.confirmed_within > self.election_max + self.election_min {
            return Err("a leader must doubt itself before its successor can be elected".into());
        }
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let config = openraft::Config {
            cluster_name: "colony".into(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_min),
            election_timeout_max: millis(self.election_max),
            install_snapshot_timeout: millis(SNAPSHOT_WITHIN),
            max_payload_entries: APPEND_ENTRIES,
            replication_lag_threshold: LAGGING,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_EVERY),
            max_in_snapshot_log_to_keep: KEPT_BEHIND_SNAPSHOT,
            purge_batch_size: SNAPSHOT_EVERY,
            api_channel_size: Some(WAITING_REQUESTS),
            removed_leader_step_down: StepDownPolicy::After(STEP_DOWN_MS),
            enable_pre_vote: Some(true),
            // A restarted leader may have a successor, and its state is behind its log: it must be elected.
            enable_leader_restore: Some(false),
            allow_log_reversion: Some(false),
            quorum_loss_probe_interval: Some(millis(self.silence())),
            // A peer that cannot be reached is tried again soon at first: it may only be restarting.
            backoff: "50ms 100ms 200ms ..1s".into(),
            ..openraft::Config::default()
        };
        config.validate().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_times_go_together() {
        assert!(Timing::default().settings().is_ok());
    }

    #[test]
    fn a_leader_that_doubts_itself_too_late_is_refused() {
        let timing = Timing { confirmed_within: Duration::from_secs(1), ..Timing::default() };
        assert!(timing.settings().is_err());
    }
}
