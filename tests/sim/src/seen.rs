//! What a run went through: a green run that exercised nothing proves nothing.

use crate::coverage::Coverage;

macro_rules! sights {
    ($($(#[$doc:meta])* $name:ident => $words:literal),* $(,)?) => {
        /// Something that should happen sometimes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Sight {
            $($(#[$doc])* $name),*
        }

        impl Sight {
            /// All of them, in the order they are printed.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in a report.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words),*
                }
            }
        }
    };
}

sights! {
    /// A host was declared dead although its process ran.
    Accusation => "false accusation",
    /// A write was acknowledged while the group was gone for minutes.
    Steady => "acknowledged without a group",
    /// A proposal was carried out a second time.
    Twice => "proposal carried out twice",
    /// The group refused a proposal that was decided on an older entry.
    Stale => "proposal refused as stale",
    /// A colony got a new primary after a death.
    Promotion => "promotion",
    /// A primary handed over.
    Swap => "role swap",
    /// A process that was declared dead got its last copy back.
    Restoration => "restore",
    /// A colony had no primary.
    Offline => "colony offline",
    /// A colony lost every in-sync copy for good.
    Lost => "colony lost every copy",
    /// A peer left the in-sync set by its primary's proposal.
    Removal => "removal from in_sync",
    /// A peer was added to the in-sync set.
    Addition => "addition to in_sync",
    /// A primary asked its peers whether it still reigns.
    Confirm => "reign confirmed by peers",
    /// A primary without peers asked the group whether it still reigns.
    GroupRead => "reign confirmed by the group",
    /// A process went on under a new start.
    Reborn => "reborn",
    /// A kept copy was discarded.
    Discard => "discard",
    /// The fate of a kept copy could not be told yet.
    Wait => "fate unknown",
    /// A peer dropped ops that the primary does not have.
    Truncation => "truncation",
    /// A peer's log did not match the primary's.
    Mismatch => "log mismatch",
    /// A peer was brought up from a snapshot.
    Snapshot => "snapshot installed",
    /// A peer that had taken a part of a state from one primary needed only the rest from a later one.
    Resumed => "transfer resumed by a later primary",
    /// A peer called a transfer off.
    ChunkRefused => "snapshot refused",
    /// A peer told a primary that its reign is over.
    Deposed => "primary deposed by a peer",
    /// A peer heard of a reign before its table did.
    FetchTable => "table fetched",
    /// Two saves met and were put to the plugin.
    Merge => "merge asked",
    /// The plugin failed or answered nonsense.
    MergeFailed => "merge failed",
    /// The primary asked a client for the values at its base.
    NeedBase => "base asked",
    /// A repeated request got the stored answer.
    Repeated => "repeated request answered",
    /// A session ran out.
    Expiry => "expiry",
    /// A touch was answered and not logged.
    Absorbed => "touch not logged",
    /// Tombstones that no copy needed any more went.
    Forgotten => "tombstones forgotten",
    /// A create met an existing session, or a version had changed.
    Refused => "precondition refused",
    /// A save came after its life had ended.
    Gone => "save of an ended life",
    /// A call met a peer that is not the primary.
    NotPrimary => "call to a non-primary",
    /// A call met a primary that does not serve yet.
    NotReady => "call before the barrier",
    /// A call waited when its primary lost its reign.
    CallDeposed => "call caught by the end of a reign",
    /// A call met a colony without a primary.
    CallOffline => "call to an offline colony",
    /// A call's deadline passed before it was served.
    Late => "call came too late",
    /// A client had seen more than the replica.
    Behind => "replica behind a client",
    /// A bound was reached.
    Busy => "call met a bound",
    /// A watcher was told what happened.
    WatchTold => "watch told",
    /// A watcher was told of a gap.
    WatchGap => "watch told a gap",
    /// The sessions that carry a tag were listed.
    Listed => "sessions listed",
    /// The sessions that carry a tag were ended.
    Revoked => "sessions revoked",
    /// A drained host left.
    Left => "drained host left",
    /// A drain was taken back.
    Stayed => "drain taken back",
    /// An answer was no longer kept.
    Unknown => "outcome unknown",
}

/// How often each was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    counts: Vec<u64>,
    /// Which faults met which steps.
    pub coverage: Coverage,
}

impl Default for Seen {
    fn default() -> Self {
        Self { counts: vec![0; Sight::ALL.len()], coverage: Coverage::default() }
    }
}

impl Seen {
    /// Counts one.
    pub fn note(&mut self, sight: Sight) {
        self.counts[sight as usize] += 1;
    }

    /// How often it was seen.
    #[must_use]
    pub fn count(&self, sight: Sight) -> u64 {
        self.counts[sight as usize]
    }

    /// Adds what another run saw.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.coverage.add(&other.coverage);
    }

    /// What was never seen.
    #[must_use]
    pub fn missing(&self) -> Vec<Sight> {
        let never = |sight: &Sight| self.count(*sight) == 0;
        Sight::ALL.iter().copied().filter(never).collect()
    }
}
