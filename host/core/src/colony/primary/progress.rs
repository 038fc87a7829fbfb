//! What the primary knows of one peer.

use std::time::Duration;

use bytes::Bytes;
use colony_wire::{Cfg, Seq};

use crate::Time;

/// One peer of this reign.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Progress {
    /// The table entry on which the copy that answers was begun.
    pub(super) begun: Cfg,
    /// The newest table entry that this copy was known to know, when it acknowledged `matched`.
    pub(super) knows: Cfg,
    /// It has acknowledged everything up to here, in this reign.
    pub(super) matched: Seq,
    /// What it is sent next.
    pub(super) next: Seq,
    pub(super) stage: Stage,
    /// The commit position it is known to know.
    pub(super) told: Seq,
    /// When it was heard last.
    pub(super) heard: Time,
    /// Since when it owes an acknowledgement; every one that brings it forward restarts this.
    pub(super) owes_since: Option<Time>,
    /// When something was sent last.
    pub(super) sent: Time,
    /// It is catching up and near: every commit needs it from here on (`PROTOCOL.md` 6.3).
    pub(super) counted_on: bool,
}

/// How it is sent to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Where its log stands is not known: one batch at a time.
    Probing {
        /// Whether that batch is out.
        out: bool,
    },
    /// All that comes, as it comes.
    Streaming,
    /// A snapshot; new ops stream beside it.
    Snapshot(Transfer),
}

/// A snapshot on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Transfer {
    pub(super) id: u64,
    /// The committed place it was taken at.
    pub(super) at: Seq,
    pub(super) chunks: Vec<Bytes>,
    /// How many chunks the peer has.
    pub(super) taken: u32,
    /// How many were sent.
    pub(super) sent: u32,
    /// When it last went forward.
    pub(super) moved: Time,
    /// How long it may stand still before chunks are sent again.
    pub(super) patience: Duration,
}

impl Progress {
    pub(super) fn new(next: Seq, now: Time) -> Self {
        Self {
            begun: Cfg(0),
            knows: Cfg(0),
            matched: Seq(0),
            next,
            stage: Stage::Probing { out: false },
            told: Seq(0),
            heard: now,
            owes_since: None,
            sent: now,
            counted_on: false,
        }
    }

    /// Whether it has everything and knows it.
    pub(super) fn is_restless(&self, prepared: Seq, committed: Seq) -> bool {
        self.matched < prepared || self.told < committed.min(self.matched) || !matches!(self.stage, Stage::Streaming)
    }

    /// Back to one batch at a time, after what it surely has or is said to have.
    pub(super) fn probe_from(&mut self, next: Seq) {
        self.next = next;
        self.stage = Stage::Probing { out: false };
    }
}
