//! The bounds and times of replication.

use std::time::Duration;

use colony_wire::limits::{MAX_REVOKE, MAX_SNAPSHOT_BYTES};

/// How a shard replicates. Equal on all hosts of a cluster, but for safety they need not be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// How often the shell ticks. All other times are kept to this grain.
    pub tick: Duration,
    /// An in-sync peer that owes an acknowledgement for so long is proposed for removal. Longer than a
    /// pause a healthy host may have; shorter than a client waits (`PROTOCOL.md` 3.7).
    pub replica_timeout: Duration,
    /// An acknowledgement that takes longer is late. Half of `replica_timeout`: a peer that is heard, and late
    /// throughout, slows every write (`PROTOCOL.md` 3.10).
    pub slow_after: Duration,
    /// A peer that was late throughout for so long is proposed for removal, if another one is in time. Longer than a
    /// burst of work that a healthy host gets through.
    pub slow_for: Duration,
    /// A peer that was removed for being slow is added again when it was not late for so long; twice as long each
    /// time, up to four times.
    pub slow_pause: Duration,
    /// What was sent and is not acknowledged is sent again after this time: above a round trip, well below
    /// `replica_timeout`.
    pub resend_after: Duration,
    /// A proposal without visible outcome is made again after this time.
    pub propose_again_after: Duration,
    /// A hand-over that came to nothing is not tried again for so long: while it is tried, changes are
    /// refused, and without a leader of the group it comes to nothing.
    pub handover_pause: Duration,
    /// Most reigns of one shard that are handed over at a time. A swap takes a few milliseconds, so that hundreds of
    /// reigns are handed over in a second all the same, and each stands still for its own swap only.
    pub handover_parallel: usize,
    /// A catching-up peer this many ops behind or fewer is counted on for every commit from then on, so
    /// that it can close the gap.
    pub lag_bound: u64,
    /// Ops kept after they are committed by all, so that a short absence needs no snapshot.
    pub log_kept: usize,
    /// Most ops prepared and not committed in one colony; beyond it writes are refused as busy.
    pub max_uncommitted: usize,
    /// Most saves waiting for one merge each, in one colony, and most requests queued behind them.
    pub max_parked: usize,
    /// Most linearizable reads waiting for one colony.
    pub max_confirms: usize,
    /// A host whose own timers ran late by more than this has perhaps been replaced: it answers nothing before
    /// its peers have confirmed its reigns (`PROTOCOL.md` 4). The group's time to suspect a silent host.
    pub doubt_after: Duration,
    /// Most sessions that one request ends by a tag, below `max_uncommitted`.
    pub max_revoke: usize,
    /// Most calls that wait for something to happen to a session, in one colony. Each costs a call of the
    /// host's as long as it waits.
    pub max_watchers: usize,
    /// Most ops a peer keeps while a snapshot arrives. What exceeds it is asked for again.
    pub max_buffered: usize,
    /// The same in bytes.
    pub max_buffered_bytes: usize,
    /// Chunks of a snapshot under way to a peer at a time: at a round trip of 1 ms enough to fill
    /// `transfer_bandwidth`, and on a slow link not much to lose.
    pub chunk_window: u32,
    /// Most bytes of snapshots that one shard sends in a second, over all transfers. Ops and acknowledgements
    /// are not counted and never wait.
    pub transfer_bandwidth: u64,
    /// Most snapshots that one shard sends at a time; the others wait for their turn. Each holds a colony's
    /// state a second time in memory.
    pub transfer_parallel: usize,
    /// Largest snapshot that is sent, in bytes. A larger state is reported and not sent; no more than
    /// [`MAX_SNAPSHOT_BYTES`].
    pub max_snapshot_bytes: u64,
    /// How long the answer to a mutation is kept for repetitions (`PROTOCOL.md` 12). Twice the longest
    /// deadline.
    pub record_ttl: Duration,
    /// Most mutations of one client in one colony that are done and not answered.
    pub max_records: usize,
    /// Most sessions that expire in one tick of one colony: a mass expiry must not stall writes.
    pub max_expiries: usize,
    /// Most sessions of a colony, per thousand, that end within a minute beyond what comes due in it: what came
    /// due during an outage must not end all at once (`PROTOCOL.md` 11).
    pub expiry_brake: u32,
    /// Added to deadlines at a promotion, beside a tenth of the time to live for touches that were not logged:
    /// clocks differ, and an early expiry cannot be undone.
    pub promotion_pad: Duration,
    /// A colony that is to be taken in by another side stands still for so long at most while nothing goes on
    /// (`PROTOCOL.md` 9).
    pub give_within: Duration,
    /// Pause before that is tried again.
    pub give_pause: Duration,
    /// Most colonies of one shard that take in what another side did at a time: the others go on there until it is their
    /// turn.
    pub intake_parallel: usize,
    /// Changes that come one after the other are gathered until [`Input::Flush`](super::Input::Flush), and go to the
    /// copies together. Without it each goes at once.
    pub gather: bool,
    /// A bug put in on purpose.
    #[cfg(feature = "mutants")]
    pub mutant: Option<super::Mutant>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(20),
            replica_timeout: Duration::from_millis(300),
            slow_after: Duration::from_millis(150),
            slow_for: Duration::from_secs(2),
            slow_pause: Duration::from_secs(5),
            resend_after: Duration::from_millis(100),
            propose_again_after: Duration::from_millis(500),
            handover_pause: Duration::from_secs(5),
            handover_parallel: 4,
            lag_bound: 512,
            log_kept: 1024,
            max_uncommitted: 4096,
            max_parked: 256,
            max_confirms: 1024,
            doubt_after: Duration::from_secs(1),
            max_revoke: MAX_REVOKE,
            max_watchers: 1024,
            max_buffered: 8192,
            max_buffered_bytes: 64 << 20,
            chunk_window: 8,
            transfer_bandwidth: 64 << 20,
            transfer_parallel: 4,
            max_snapshot_bytes: MAX_SNAPSHOT_BYTES,
            record_ttl: Duration::from_secs(60),
            max_records: 512,
            max_expiries: 256,
            expiry_brake: 200,
            promotion_pad: Duration::from_secs(1),
            give_within: Duration::from_secs(2),
            give_pause: Duration::from_millis(500),
            intake_parallel: 4,
            gather: false,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }
}
