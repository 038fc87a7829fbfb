//! Every bound and every time of a client, each with its reason.

use std::time::Duration;

use colony_wire::limits::{MAX_COLONIES, MAX_DEADLINE};

/// How long a call may take if its options do not say otherwise.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(5);
/// Longest deadline of a call: what a host keeps of a request is kept for this long (`PROTOCOL.md` 12).
pub const DEADLINE_MAX: Duration = MAX_DEADLINE;
/// How long [`Client::connect`](crate::Client::connect) looks for a host that answers.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long a namespace that the routing table does not name may still turn up: hosts learn of a new one
/// within a moment of each other.
pub const NAMESPACE_GRACE: Duration = Duration::from_secs(1);

/// Most calls waiting for a reply on one stream. More of them wait here for room, within their deadlines: a
/// slow shard makes its callers wait, not this process grow.
pub const IN_FLIGHT_MAX: usize = 1024;
/// Most streams a client holds: above the shards of a hundred hosts at ten each.
pub(crate) const LINKS_MAX: usize = 1024;
/// Most read tokens kept: one for each colony that a cluster can have.
pub(crate) const TOKENS_MAX: usize = MAX_COLONIES;
/// Most seed addresses looked at, after resolving names.
pub(crate) const SEEDS_MAX: usize = 64;

/// First pause before a call is tried again; it doubles up to [`BACKOFF_MAX`].
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(2);
/// Longest pause before a call is tried again. Short beside a deadline, long beside a refusal's cost.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_millis(100);
/// First pause after a host said that it is at a limit: what it sheds by takes tens of milliseconds to pass.
pub(crate) const BACKOFF_BUSY: Duration = Duration::from_millis(25);
/// One retry against a host at a limit for so many calls. A tenth more load is what a host that sheds can bear.
pub(crate) const CALLS_PER_RETRY: u32 = 10;
/// Such retries that a client may have saved up: enough for a single call to go on until its deadline.
pub(crate) const RETRY_BURST: u32 = 100;
/// A call without an answer for this long asks whether its colony has moved; the time doubles from one
/// question to the next. A killed host says nothing at all, so this is what a failover costs a client on top
/// of what it costs the cluster. Above what a call takes where all is well; and below it a question costs little, for
/// all calls of a client ask as one.
pub(crate) const PATIENCE: Duration = Duration::from_millis(25);
/// Longest time between two such questions.
pub(crate) const PATIENCE_MAX: Duration = Duration::from_secs(1);

/// Least time between two refreshes of the routing table, however many calls ask for one. When a host is drained its
/// colonies move one after the other, and each move is learned of by a refresh: this is what it adds to a write.
pub(crate) const REFRESH_INTERVAL_MIN: Duration = Duration::from_millis(4);
/// After a refresh that took long, because the table is large or hosts are busy, the next one waits so many times as
/// long: a client spends no more than a fifth of its time on them.
pub(crate) const REFRESH_SHARE: u32 = 4;
/// The same where a host has refused a call because its own table says that the colony is elsewhere: there is news, and
/// calls wait for it. No more than half of a client's time goes into refreshes then.
pub(crate) const REFRESH_SHARE_TOLD: u32 = 1;
/// A host that has not sent the table after this long is not waited for alone: another is asked beside it. Some
/// round trips: a host that has just died is among those that are asked.
pub(crate) const HEDGE_AFTER: Duration = Duration::from_millis(20);
/// A host that has not sent the table after this long has failed.
pub(crate) const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// Most hosts asked for the table in one refresh.
pub(crate) const ASKED_MAX: usize = 16;
/// Most times one save answers a question for its base values: each names attributes changed meanwhile.
pub(crate) const BASE_ROUNDS_MAX: u32 = 8;
/// How long a host holds its answer to a watch while nothing happens. Each answer costs a round trip and a
/// client that is gone keeps its place for this long.
pub const WATCH_HOLD: Duration = Duration::from_secs(10);
/// Most colonies of a namespace asked at a time by a call that goes to all of them.
pub(crate) const FAN_OUT: usize = 16;
/// An admin question that changes nothing and is not answered after this long is put to another host.
pub(crate) const ADMIN_PATIENCE: Duration = Duration::from_secs(2);
