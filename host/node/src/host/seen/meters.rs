//! What a shard counts: one thread writes, the admin port reads. Relaxed atomics, no lock, nothing allocated.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use colony_core::Time;
use colony_core::group::Command;
use colony_wire::client::{Refusal, RequestBody};
use colony_wire::session::Mutation;
use colony_wire::{ColonyId, Seq, StartId};

use super::histogram::Histogram;

/// Changes of one colony whose commit is awaited and timed. What exceeds it is not timed: a colony that far behind
/// shows by its lag.
const TIMED: usize = 256;

/// A number that only grows.
#[derive(Debug, Default)]
pub(in crate::host) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(in crate::host) fn inc(&self) {
        self.add(1);
    }

    /// So many more.
    pub(in crate::host) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The number.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Gives each variant its place and its name in the metrics.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident: $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::host) enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them, in their order.
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in the metrics.
            pub(super) fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    };
}

labels! {
    /// What a client asks for.
    Kind:
    /// Reads a session.
    Get = "get",
    /// Sets the whole content.
    Put = "put",
    /// Changes parts of it.
    Save = "save",
    /// Restarts the time to live.
    Touch = "touch",
    /// Ends a session.
    Delete = "delete",
    /// Lists the sessions of a tag.
    List = "list",
    /// Ends the sessions of a tag.
    Revoke = "revoke",
    /// Waits for what happens to a session.
    Watch = "watch",
}

impl From<&RequestBody> for Kind {
    fn from(body: &RequestBody) -> Self {
        match body {
            RequestBody::Get { .. } => Self::Get,
            RequestBody::Mutate { mutation: Mutation::Put { .. }, .. } => Self::Put,
            RequestBody::Mutate { mutation: Mutation::Save { .. }, .. } => Self::Save,
            RequestBody::Mutate { mutation: Mutation::Touch { .. }, .. } => Self::Touch,
            RequestBody::Mutate { mutation: Mutation::Delete { .. }, .. } => Self::Delete,
            RequestBody::Tagged { .. } | RequestBody::Overridden { .. } => Self::List,
            RequestBody::Revoke { .. } => Self::Revoke,
            RequestBody::Watch { .. } => Self::Watch,
        }
    }
}

labels! {
    /// What a shard proposes to the group.
    Proposed:
    /// A caught-up peer comes into an in-sync set, perhaps in the place of a dead one.
    Add = "add",
    /// Peers leave an in-sync set.
    Remove = "remove",
    /// Older proposals are made void.
    Void = "void",
    /// A reign is handed over.
    Swap = "swap",
    /// Copies are gone that nobody accounted for.
    Dropped = "dropped",
    /// Anything else.
    Other = "other",
}

impl From<&Command> for Proposed {
    fn from(command: &Command) -> Self {
        match command {
            Command::ChangeInSync { add: Some(_), .. } => Self::Add,
            Command::ChangeInSync { add: None, remove, .. } if remove.is_empty() => Self::Void,
            Command::ChangeInSync { .. } => Self::Remove,
            Command::Swap { .. } => Self::Swap,
            Command::Dropped { .. } => Self::Dropped,
            _ => Self::Other,
        }
    }
}

/// The names of refusals in the metrics, in the order of their places.
pub(super) const REFUSALS: [&str; 22] = [
    "not_primary",
    "deposed",
    "not_ready",
    "offline",
    "too_few_copies",
    "lineage_lost",
    "not_durable",
    "behind",
    "exists",
    "changed",
    "gone",
    "not_found",
    "late",
    "busy",
    "too_large",
    "wrong_content",
    "unknown",
    "no_colony",
    "forbidden",
    "malformed",
    "not_merged",
    "other_lineage",
];

fn place(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::NotPrimary { .. } => 0,
        Refusal::Deposed => 1,
        Refusal::NotReady => 2,
        Refusal::Offline => 3,
        Refusal::TooFewCopies { .. } => 4,
        Refusal::LineageLost => 5,
        Refusal::NotDurable => 6,
        Refusal::Behind => 7,
        Refusal::Exists { .. } => 8,
        Refusal::Changed { .. } => 9,
        Refusal::Gone { .. } => 10,
        Refusal::NotFound => 11,
        Refusal::Late => 12,
        Refusal::Busy { .. } => 13,
        Refusal::TooLarge { .. } => 14,
        Refusal::WrongContent => 15,
        Refusal::Unknown => 16,
        Refusal::NoColony => 17,
        Refusal::Forbidden { .. } => 18,
        Refusal::Malformed { .. } => 19,
        Refusal::NotMerged { .. } => 20,
        Refusal::OtherLineage { .. } => 21,
    }
}

/// What one shard has counted.
#[derive(Debug, Default)]
pub(in crate::host) struct ShardMeters {
    requests: [Counter; Kind::ALL.len()],
    latency: [Histogram; Kind::ALL.len()],
    refusals: [Counter; REFUSALS.len()],
    proposals: [Counter; Proposed::ALL.len()],
    /// From the place in the log to the commit.
    pub(in crate::host) commit: Histogram,
    /// Times this host took office in a colony after another.
    pub(in crate::host) promotions: Counter,
    /// Ops sent to peers, one for each peer.
    pub(in crate::host) ops_sent: Counter,
    /// States that began to be sent to peers.
    pub(in crate::host) transfers_begun: Counter,
    /// Those that the peer has whole.
    pub(in crate::host) transfers_finished: Counter,
    /// Bytes of states, sent again or not.
    pub(in crate::host) transfer_bytes: Counter,
    /// Conflicts that were decided by what is built in, or put to a plugin.
    pub(in crate::host) merges: Counter,
    /// Questions that the built-in decided because whoever was asked gave no usable answer.
    pub(in crate::host) fallbacks: Counter,
    /// Sessions that came due and were not ended at once, for too many did.
    pub(in crate::host) expiries_held: Counter,
}

impl ShardMeters {
    /// A client asks.
    pub(in crate::host) fn asked(&self, kind: Kind) {
        if let Some(counter) = self.requests.get(kind as usize) {
            counter.inc();
        }
    }

    /// A client is answered after `took`.
    pub(in crate::host) fn answered(&self, kind: Kind, took: std::time::Duration) {
        if let Some(histogram) = self.latency.get(kind as usize) {
            histogram.observe(took);
        }
    }

    /// A client is refused.
    pub(in crate::host) fn refused(&self, refusal: &Refusal) {
        if let Some(counter) = self.refusals.get(place(refusal)) {
            counter.inc();
        }
    }

    /// The shard proposes something.
    pub(in crate::host) fn proposed(&self, command: &Command) {
        if let Some(counter) = self.proposals.get(Proposed::from(command) as usize) {
            counter.inc();
        }
    }

    pub(super) fn requests(&self, kind: Kind) -> u64 {
        self.requests.get(kind as usize).map_or(0, Counter::get)
    }

    pub(super) fn latency(&self, kind: Kind) -> Option<&Histogram> {
        self.latency.get(kind as usize)
    }

    pub(super) fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REFUSALS.into_iter().zip(self.refusals.iter().map(Counter::get))
    }

    pub(super) fn proposals(&self, what: Proposed) -> u64 {
        self.proposals.get(what as usize).map_or(0, Counter::get)
    }
}

/// The kinds of failures of a plugin in the metrics, as the sandbox names them; then `answer`, which the referee
/// refused, and `host`, a panic in the sandbox itself.
pub(super) const PLUGIN_FAILURES: [&str; 11] =
    ["fuel", "time", "memory", "trap", "refused", "quarantine", "question", "size", "malformed", "answer", "host"];

/// What one plugin was asked, and what came of it. Shared by all shards.
#[derive(Debug, Default)]
pub(in crate::host) struct PluginMeters {
    /// Calls.
    pub(super) calls: Counter,
    /// Calls without a usable answer, by kind.
    failures: [Counter; PLUGIN_FAILURES.len()],
    /// Questions that were not asked, because the plugin was off.
    pub(in crate::host) skipped: Counter,
    /// Times it was switched off.
    pub(in crate::host) switched_off: Counter,
    /// Questions that the built-in decided in its place, for whichever reason.
    pub(in crate::host) fallbacks: Counter,
    /// Saves that were refused because it gave no usable answer.
    pub(in crate::host) saves_refused: Counter,
    /// Fuel of all calls.
    pub(super) fuel: Counter,
    /// Most fuel of one call.
    fuel_max: AtomicU64,
    /// Time of calls.
    pub(super) time: Histogram,
}

impl PluginMeters {
    /// A call took so long and so much fuel.
    pub(in crate::host) fn call(&self, took: std::time::Duration, fuel: u64) {
        self.calls.inc();
        self.fuel.add(fuel);
        self.fuel_max.fetch_max(fuel, Ordering::Relaxed);
        self.time.observe(took);
    }

    /// A call gave no usable answer.
    pub(in crate::host) fn failed(&self, kind: &str) {
        let place = PLUGIN_FAILURES.iter().position(|one| *one == kind);
        if let Some(counter) = place.and_then(|place| self.failures.get(place)) {
            counter.inc();
        }
    }

    pub(super) fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        PLUGIN_FAILURES.into_iter().zip(self.failures.iter().map(Counter::get))
    }

    pub(super) fn fuel_max(&self) -> u64 {
        self.fuel_max.load(Ordering::Relaxed)
    }
}

/// When changes got their places in their colonies' logs, until they are committed: what times a commit.
#[derive(Debug, Default)]
pub(in crate::host) struct Commits {
    awaited: BTreeMap<ColonyId, VecDeque<(Seq, Time)>>,
}

impl Commits {
    /// The log of a colony led here reaches up to `prepared`, and is committed up to `committed`.
    pub(in crate::host) fn note(
        &mut self,
        meters: &ShardMeters,
        now: Time,
        colony: ColonyId,
        prepared: Seq,
        committed: Seq,
    ) {
        let known = self.awaited.get(&colony).and_then(|awaited| awaited.back()).map(|(seq, _)| *seq);
        if prepared > committed && known.is_none_or(|known| prepared > known) {
            let awaited = self.awaited.entry(colony).or_default();
            if awaited.len() < TIMED {
                awaited.push_back((prepared, now));
            }
        }
        let Some(awaited) = self.awaited.get_mut(&colony) else { return };
        while let Some((_, since)) = awaited.pop_front_if(|(seq, _)| *seq <= committed) {
            meters.commit.observe(now.since(since));
        }
        if awaited.is_empty() {
            self.awaited.remove(&colony);
        }
    }

    /// This host leads the colony no more: nobody here will know when the rest is committed.
    pub(in crate::host) fn forget(&mut self, colony: ColonyId) {
        self.awaited.remove(&colony);
    }
}

/// States on their way to peers, to be told apart: an offer may be made again.
#[derive(Debug, Default)]
pub(in crate::host) struct Transfers {
    under_way: BTreeMap<(ColonyId, StartId), u64>,
}

impl Transfers {
    /// A state is offered to a peer.
    pub(in crate::host) fn offered(&mut self, meters: &ShardMeters, colony: ColonyId, to: StartId, transfer: u64) {
        if self.under_way.insert((colony, to), transfer) != Some(transfer) {
            meters.transfers_begun.inc();
        }
    }

    /// Whether a state is on its way to this peer.
    pub(in crate::host) fn is_under_way(&self, colony: ColonyId, to: StartId) -> bool {
        self.under_way.contains_key(&(colony, to))
    }

    /// The peer has the state.
    pub(in crate::host) fn finished(&mut self, meters: &ShardMeters, colony: ColonyId, to: StartId) {
        if self.under_way.remove(&(colony, to)).is_some() {
            meters.transfers_finished.inc();
        }
    }

    /// Forgets those that do not go on.
    pub(in crate::host) fn retain(&mut self, goes_on: impl Fn(ColonyId, StartId) -> bool) {
        self.under_way.retain(|(colony, to), _| goes_on(*colony, *to));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use colony_wasm::PluginError;
    use colony_wire::NamespaceId;

    use super::*;
    use crate::host::seen::histogram::Counts;

    const COLONY: ColonyId = ColonyId { namespace: NamespaceId(1), bucket: 7 };

    fn commits(meters: &ShardMeters) -> (u64, u64) {
        let mut counts = Counts::default();
        meters.commit.add_to(&mut counts);
        (counts.count(), counts.sum_micros)
    }

    #[test]
    fn every_label_is_one_of_its_own() {
        let labels: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.label()).collect();
        assert_eq!(labels.len(), Kind::ALL.len());
        assert_eq!(REFUSALS.iter().collect::<BTreeSet<_>>().len(), REFUSALS.len());
        let meters = ShardMeters::default();
        meters.refused(&Refusal::Offline);
        meters.refused(&Refusal::Malformed { what: String::new() });
        let counted: Vec<_> = meters.refusals().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("offline", 1), ("malformed", 1)]);
    }

    #[test]
    fn every_failure_of_a_plugin_is_counted_by_its_kind() {
        let (reason, limit) = (String::new, 1);
        let errors = [
            PluginError::OutOfFuel { limit: 1 },
            PluginError::TooSlow { limit: std::time::Duration::ZERO },
            PluginError::OutOfMemory { limit: String::new() },
            PluginError::Trap { reason: reason() },
            PluginError::Refused { reason: reason() },
            PluginError::Quarantine { reason: reason() },
            PluginError::QuestionTooLarge { bytes: 2, limit },
            PluginError::AnswerTooLarge { limit },
            PluginError::Malformed { reason: reason() },
        ];
        let meters = PluginMeters::default();
        for error in &errors {
            meters.failed(error.kind());
        }
        let counted: Vec<u64> = meters.failures().map(|(_, count)| count).collect();
        assert_eq!(counted, [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
        meters.call(std::time::Duration::from_millis(3), 700);
        meters.call(std::time::Duration::from_millis(1), 200);
        assert_eq!((meters.calls.get(), meters.fuel.get(), meters.fuel_max()), (2, 900, 700));
    }

    #[test]
    fn a_commit_is_timed_from_the_place_in_the_log() {
        let (meters, mut commits_of) = (ShardMeters::default(), Commits::default());
        commits_of.note(&meters, Time(1_000), COLONY, Seq(5), Seq(4));
        commits_of.note(&meters, Time(1_200), COLONY, Seq(7), Seq(4));
        assert_eq!(commits(&meters), (0, 0));
        commits_of.note(&meters, Time(1_500), COLONY, Seq(7), Seq(6));
        assert_eq!(commits(&meters), (1, 500));
        commits_of.note(&meters, Time(2_200), COLONY, Seq(7), Seq(7));
        assert_eq!(commits(&meters), (2, 1_500));
        assert!(commits_of.awaited.is_empty());
    }

    #[test]
    fn what_waits_for_a_commit_is_bounded_and_forgotten_with_the_reign() {
        let (meters, mut commits_of) = (ShardMeters::default(), Commits::default());
        for seq in 1..=2 * TIMED as u64 {
            commits_of.note(&meters, Time(seq), COLONY, Seq(seq), Seq(0));
        }
        assert_eq!(commits_of.awaited[&COLONY].len(), TIMED);
        commits_of.forget(COLONY);
        commits_of.note(&meters, Time(9_999), COLONY, Seq(9_999), Seq(9_999));
        assert_eq!(commits(&meters), (0, 0));
    }

    #[test]
    fn an_offer_made_again_is_no_second_transfer() {
        let (meters, mut transfers) = (ShardMeters::default(), Transfers::default());
        let to = StartId(3);
        for transfer in [1, 1, 2] {
            transfers.offered(&meters, COLONY, to, transfer);
        }
        transfers.finished(&meters, COLONY, to);
        transfers.finished(&meters, COLONY, to);
        assert_eq!((meters.transfers_begun.get(), meters.transfers_finished.get()), (2, 1));
        transfers.offered(&meters, COLONY, to, 3);
        transfers.retain(|_, _| false);
        assert!(!transfers.is_under_way(COLONY, to));
    }
}
