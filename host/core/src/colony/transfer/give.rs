//! A state on its way out.

use std::time::Duration;

use bytes::Bytes;
use colony_wire::Seq;
use colony_wire::limits::SNAPSHOT_CHUNK;
use colony_wire::peer::PartName;

use crate::Time;
use crate::colony::snapshot::{self, Snapshot};

/// Longest wait before something is sent again: a slow link must not fill with copies of it.
const PATIENCE_MAX: Duration = Duration::from_secs(5);
/// A transfer that stood still for so long is given up, for its slot and its memory: two of the longest waits.
/// What arrived of it is not lost: the next one goes on from there.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(10);

/// A state on its way out: offered first, then sent as far as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::colony) struct Transfer {
    /// Its number.
    pub(in crate::colony) id: u64,
    /// The committed place it was taken at.
    pub(in crate::colony) at: Seq,
    step: Step,
    /// How many chunks the peer has.
    taken: u32,
    /// How many were sent.
    sent: u32,
    /// Something was lost, or the peer is gone: one chunk at a time until it takes one.
    feels_its_way: bool,
    /// When it last went forward or was sent again.
    moved: Time,
    /// How long it may stand still before it is sent again.
    patience: Duration,
    /// When the peer last took something of it, or could not for want of bandwidth here.
    alive: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Offered { parts: Vec<Bytes>, names: Vec<PartName>, is_out: bool },
    Sending { chunks: Vec<Bytes> },
}

impl Transfer {
    /// A transfer that begins now. `patience` is how long an answer may take.
    pub(in crate::colony) fn new(id: u64, snapshot: Snapshot, now: Time, patience: Duration) -> Self {
        let Snapshot { at, parts } = snapshot;
        let names = parts.iter().map(snapshot::name).collect();
        let step = Step::Offered { parts, names, is_out: false };
        Self { id, at, step, taken: 0, sent: 0, feels_its_way: false, moved: now, patience, alive: now }
    }

    /// The names of all parts, if they are to be sent now.
    pub(in crate::colony) fn due_offer(&mut self) -> Option<Vec<PartName>> {
        match &mut self.step {
            Step::Offered { names, is_out, .. } if !*is_out => {
                *is_out = true;
                Some(names.clone())
            }
            Step::Offered { .. } | Step::Sending { .. } => None,
        }
    }

    /// The next chunk, if the window has room for it.
    pub(in crate::colony) fn next_chunk(&self, window: u32) -> Option<(u32, Bytes)> {
        let Step::Sending { chunks } = &self.step else { return None };
        let chunk = chunks.get(usize::try_from(self.sent).ok()?)?;
        let window = if self.feels_its_way { 1 } else { window };
        (self.sent < self.taken.saturating_add(window)).then(|| (self.sent, chunk.clone()))
    }

    /// The next chunk was sent.
    pub(in crate::colony) fn note_sent(&mut self) {
        self.sent += 1;
    }

    /// How many chunks are sent and not taken.
    pub(in crate::colony) fn under_way(&self) -> usize {
        self.sent.saturating_sub(self.taken) as usize
    }

    /// The next chunk must wait for bandwidth: the peer is not to blame.
    pub(in crate::colony) fn note_throttled(&mut self, now: Time) {
        if self.sent == self.taken {
            self.moved = now;
            self.alive = now;
        }
    }

    /// The peer says which parts it lacks; only these stay in memory here.
    pub(in crate::colony) fn wanted(&mut self, bits: &[u8], now: Time) {
        let Step::Offered { parts, .. } = &self.step else { return };
        let is_wanted = |index: usize| bits.get(index / 8).is_some_and(|byte| byte & (1 << (index % 8)) != 0);
        let wanted = parts.iter().enumerate().filter(|(index, _)| is_wanted(*index));
        let chunks = wanted.flat_map(|(_, part)| pieces(part)).collect();
        self.step = Step::Sending { chunks };
        self.moved = now;
        self.alive = now;
    }

    /// The peer took every chunk up to this one. `least` is the shortest patience.
    pub(in crate::colony) fn taken(&mut self, index: u32, least: Duration, now: Time) {
        if index < self.sent && index >= self.taken {
            self.taken = index + 1;
            self.feels_its_way = false;
            self.patience = least.max(now.since(self.moved) * 2).min(PATIENCE_MAX);
            self.moved = now;
            self.alive = now;
        }
    }

    /// What was not answered in time is to be sent again, and less often from then on.
    pub(in crate::colony) fn send_again(&mut self, now: Time) {
        if now.since(self.moved) < self.patience {
            return;
        }
        match &mut self.step {
            Step::Offered { is_out, .. } => *is_out = false,
            Step::Sending { .. } => {
                self.sent = self.taken;
                self.feels_its_way = true;
            }
        }
        self.moved = now;
        self.patience = (self.patience * 2).min(PATIENCE_MAX);
    }

    /// Whether the peer has taken nothing for so long that it is to be asked anew where it stands.
    pub(in crate::colony) fn stands_still(&self, now: Time) -> bool {
        now.since(self.alive) >= GIVEN_UP_AFTER
    }
}

/// A part as it is cut for sending. No bytes are copied.
fn pieces(part: &Bytes) -> impl Iterator<Item = Bytes> {
    let begins = (0..part.len()).step_by(SNAPSHOT_CHUNK);
    begins.map(|begin| part.slice(begin..part.len().min(begin + SNAPSHOT_CHUNK)))
}
