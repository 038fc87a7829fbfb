//! What happens to packets on the way from one host to another.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::rng::SplitMix64;

/// What the loss of a stream's packet costs: the sender notices and sends again.
const RETRANSMIT_AFTER: Duration = Duration::from_millis(25);

/// Losses in a row of one packet, at most: a network that loses everything is a cut, which is told otherwise.
const RETRANSMITS_MAX: u32 = 8;

/// One direction between two hosts.
#[derive(Clone, Debug)]
struct Path {
    delay: RangeInclusive<Duration>,
    loss: f64,
    cut: bool,
}

/// All directions, and the chance that decides on them.
#[derive(Debug)]
pub(super) struct Faults {
    rng: SplitMix64,
    default: Path,
    paths: BTreeMap<(String, String), Path>,
    /// Hosts whose process is stopped.
    stopped: BTreeSet<String>,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        let default = Path { delay: Duration::ZERO..=Duration::ZERO, loss: 0.0, cut: false };
        Self { rng: SplitMix64::new(seed), default, paths: BTreeMap::new(), stopped: BTreeSet::new() }
    }

    pub(super) fn set_default_delay(&mut self, delay: RangeInclusive<Duration>) {
        self.default.delay = delay;
    }

    pub(super) fn set_delay(&mut self, from: &str, to: &str, delay: RangeInclusive<Duration>) {
        self.path_mut(from, to).delay = delay;
    }

    pub(super) fn set_loss(&mut self, from: &str, to: &str, loss: f64) {
        self.path_mut(from, to).loss = loss.clamp(0.0, 1.0);
    }

    pub(super) fn set_cut(&mut self, from: &str, to: &str, cut: bool) {
        self.path_mut(from, to).cut = cut;
    }

    pub(super) fn mend_all(&mut self) {
        for path in self.paths.values_mut() {
            path.cut = false;
        }
    }

    pub(super) fn set_stopped(&mut self, name: &str, stopped: bool) {
        if stopped {
            self.stopped.insert(name.to_owned());
        } else {
            self.stopped.remove(name);
        }
    }

    fn is_stopped(&self, name: &str) -> bool {
        self.stopped.contains(name)
    }

    /// Whether nothing passes between the two machines.
    pub(super) fn is_parted(&self, from: &str, to: &str) -> bool {
        self.path(from, to).cut
    }

    /// Whether nothing passes between the two processes.
    pub(super) fn is_cut(&self, from: &str, to: &str) -> bool {
        self.is_parted(from, to) || self.is_stopped(from) || self.is_stopped(to)
    }

    /// How long a packet of a stream is on its way, lost and sent again as chance will.
    pub(super) fn flight(&mut self, from: &str, to: &str) -> Duration {
        let path = self.path(from, to).clone();
        let mut flight = self.rng.within(&path.delay);
        for _ in 0..RETRANSMITS_MAX {
            if path.loss == 0.0 || !self.rng.chance(path.loss) {
                break;
            }
            flight += RETRANSMIT_AFTER;
        }
        flight
    }

    /// How long a datagram is on its way, or `None` if it is lost.
    pub(super) fn datagram_flight(&mut self, from: &str, to: &str) -> Option<Duration> {
        let path = self.path(from, to).clone();
        if self.is_cut(from, to) || (path.loss > 0.0 && self.rng.chance(path.loss)) {
            return None;
        }
        Some(self.rng.within(&path.delay))
    }

    fn path(&self, from: &str, to: &str) -> &Path {
        // The pair is short-lived and small; this is a test network.
        self.paths.get(&(from.to_owned(), to.to_owned())).unwrap_or(&self.default)
    }

    fn path_mut(&mut self, from: &str, to: &str) -> &mut Path {
        let default = self.default.clone();
        self.paths.entry((from.to_owned(), to.to_owned())).or_insert(default)
    }
}
