//! What the primary knows of one peer.

use std::time::Duration;

use colony_wire::{Cfg, Seq};

use super::backed_off;
use super::pace::Pace;
use crate::Time;
use crate::colony::transfer::Transfer;

/// The doublings of the time after which something is sent again.
const DOUBLINGS: u32 = 3;
/// The same for one in sync: it must not be left alone for as long as it may be silent
/// ([`Settings::replica_timeout`](crate::colony::Settings::replica_timeout)), or it is removed for what it was not asked.
const DOUBLINGS_IN_SYNC: u32 = 1;

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
    /// How quickly it acknowledges.
    pub(super) pace: Pace,
    /// When something was sent last.
    pub(super) sent: Time,
    /// How often something was sent again since it went forward last.
    pub(super) sent_again: u32,
    /// It is catching up and near: every commit needs it from here on (`PROTOCOL.md` 6.3).
    pub(super) counted_on: bool,
    /// The state was too large for it.
    pub(super) too_large: Option<TooLarge>,
}

/// A state that was not sent for its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TooLarge {
    /// When that was reported last.
    pub(super) reported: Time,
    /// The smallest state found too large, by its sessions: it is not cut again before it is smaller,
    /// or a minute has passed.
    pub(super) about: u64,
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
            pace: Pace::default(),
            sent: now,
            sent_again: 0,
            counted_on: false,
            too_large: None,
        }
    }

    /// Whether what it was sent is not answered in time. A host with much to do answers late, and what is sent to it again
    /// is more to do: so each time it goes forward it has its time anew, and the more often nothing came the longer it has.
    pub(super) fn is_late(&self, now: Time, resend_after: Duration, is_in_sync: bool) -> bool {
        let since = self.owes_since.map_or(self.sent, |owes| owes.max(self.sent));
        let most = if is_in_sync { DOUBLINGS_IN_SYNC } else { DOUBLINGS };
        now.since(since) >= backed_off(resend_after, self.sent_again, most)
    }

    /// It is sent something again.
    pub(super) fn note_sent_again(&mut self) {
        self.sent_again = self.sent_again.saturating_add(1);
    }

    /// It holds more than before.
    pub(super) fn goes_forward(&mut self, matched: Seq, now: Time) {
        self.matched = matched;
        self.owes_since = (matched < self.next).then_some(now);
        self.sent_again = 0;
    }

    /// Whether it has everything and knows it.
    pub(super) fn is_restless(&self, prepared: Seq, committed: Seq) -> bool {
        self.matched < prepared || self.told < committed.min(self.matched) || !matches!(self.stage, Stage::Streaming)
    }

    /// It is asked again after a while, and not now.
    pub(super) fn wait_from(&mut self, next: Seq, now: Time) {
        self.next = next;
        self.stage = Stage::Probing { out: true };
        self.sent = now;
    }

    /// Back to one batch at a time, after what it surely has or is said to have.
    pub(super) fn probe_from(&mut self, next: Seq) {
        self.next = next;
        self.stage = Stage::Probing { out: false };
    }
}
