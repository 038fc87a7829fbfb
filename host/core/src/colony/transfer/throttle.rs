//! How many states go out at a time, and how fast.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use colony_wire::limits::SNAPSHOT_CHUNK;
use colony_wire::{ColonyId, StartId};

use crate::Time;
use crate::colony::settings::Settings;

/// Which colony's state, to which process.
type Place = (ColonyId, StartId);

/// A peer that did not ask again for so long waits no more: it is gone, or has caught up by log. Many times the
/// pause between two questions.
const WAITS_FOR: Duration = Duration::from_secs(3);
/// What may be sent at once after a pause, as a fraction of what may be sent in a second.
const BURST: u64 = 16;
/// Bandwidth is counted in bytes times microseconds, so that no fraction of a byte is lost.
const MICROS: u64 = 1_000_000;

/// The transfers of one shard: who may send, first come first served, and how many bytes.
///
/// It counts chunks only. Ops and acknowledgements pass it by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::colony) struct Throttle {
    /// Who has a slot; at most [`Settings::transfer_parallel`].
    slots: BTreeSet<Place>,
    /// Who waits for one, in the order of asking, and when it asked last. At most one entry for each peer of
    /// each colony of the shard.
    queue: BTreeMap<u64, (Place, Time)>,
    numbers: BTreeMap<Place, u64>,
    last_number: u64,
    /// What may be sent now, and when that was counted.
    credit: u64,
    counted: Time,
    /// Who has a slot and waits for bandwidth, longest first.
    short: VecDeque<Place>,
}

impl Throttle {
    /// Whether this transfer may begin. If not, ask again: it is its turn once everybody who asked before has
    /// had a slot, or asks no more.
    pub(in crate::colony) fn admit(&mut self, place: Place, settings: &Settings, now: Time) -> bool {
        if self.slots.contains(&place) {
            return true;
        }
        let number = *self.numbers.entry(place).or_insert_with(|| {
            self.last_number += 1;
            self.last_number
        });
        self.queue.insert(number, (place, now));
        while let Some(first) = self.queue.first_entry()
            && now.since(first.get().1) > WAITS_FOR
        {
            let (place, _) = first.remove();
            self.numbers.remove(&place);
        }
        let free = settings.transfer_parallel.saturating_sub(self.slots.len());
        let is_next = self.queue.keys().take(free).any(|first| *first == number);
        if is_next {
            self.queue.remove(&number);
            self.numbers.remove(&place);
            self.slots.insert(place);
        }
        is_next
    }

    /// Takes the slots of a colony's transfers back, but for those that still go on.
    pub(in crate::colony) fn release(&mut self, colony: ColonyId, goes_on: impl Fn(StartId) -> bool) {
        let before = self.slots.len();
        self.slots.retain(|(of, to)| *of != colony || goes_on(*to));
        if self.slots.len() < before {
            self.short.retain(|place| self.slots.contains(place));
        }
    }

    /// Whether so many bytes of this transfer may be sent now. Whoever was refused before is first: for each of
    /// those a chunk is put by.
    pub(in crate::colony) fn spend(&mut self, place: Place, bytes: usize, settings: &Settings, now: Time) -> bool {
        self.count(settings, now);
        let waits = self.short.iter().position(|short| *short == place);
        let put_by = waits.unwrap_or(self.short.len()) * SNAPSHOT_CHUNK;
        if self.credit < cost(bytes + put_by) {
            if waits.is_none() {
                self.short.push_back(place);
            }
            return false;
        }
        if let Some(waits) = waits {
            self.short.remove(waits);
        }
        self.credit -= cost(bytes);
        true
    }

    /// Time has brought new credit. It is bounded; the bound has room for a chunk of every transfer.
    fn count(&mut self, settings: &Settings, now: Time) {
        let passed = u64::try_from(now.since(self.counted).as_micros()).unwrap_or(u64::MAX);
        let burst = (settings.transfer_bandwidth / BURST).saturating_mul(MICROS);
        let most = burst.max(cost(settings.transfer_parallel.saturating_mul(SNAPSHOT_CHUNK)));
        let grown = self.credit.saturating_add(passed.saturating_mul(settings.transfer_bandwidth));
        self.credit = grown.min(most);
        self.counted = now;
    }
}

fn cost(bytes: usize) -> u64 {
    (bytes as u64).saturating_mul(MICROS)
}

#[cfg(test)]
mod tests {
    use colony_wire::NamespaceId;

    use super::*;

    fn place(number: u32) -> Place {
        (ColonyId { namespace: NamespaceId(1), bucket: number }, StartId(7))
    }

    fn settings(bandwidth: u64, parallel: usize) -> Settings {
        Settings { transfer_bandwidth: bandwidth, transfer_parallel: parallel, ..Settings::default() }
    }

    #[test]
    fn a_free_slot_goes_to_whoever_asked_first() {
        let settings = settings(1, 1);
        let mut throttle = Throttle::default();
        let ask = |throttle: &mut Throttle, number, ms: u64| throttle.admit(place(number), &settings, Time(ms * 1000));
        assert!(ask(&mut throttle, 1, 0));
        assert!(!ask(&mut throttle, 2, 10) && !ask(&mut throttle, 3, 20));
        throttle.release(place(1).0, |_| false);
        assert!(!ask(&mut throttle, 3, 30) && !ask(&mut throttle, 1, 40));
        assert!(ask(&mut throttle, 2, 50));
        throttle.release(place(2).0, |_| true);
        assert!(!ask(&mut throttle, 3, 60));
        throttle.release(place(2).0, |_| false);
        assert!(ask(&mut throttle, 3, 70));
    }

    #[test]
    fn who_asks_no_more_keeps_nobody_waiting() {
        let settings = settings(1, 1);
        let mut throttle = Throttle::default();
        assert!(throttle.admit(place(1), &settings, Time(0)));
        assert!(!throttle.admit(place(2), &settings, Time(0)));
        assert!(!throttle.admit(place(3), &settings, Time(0)));
        throttle.release(place(1).0, |_| false);
        assert!(!throttle.admit(place(3), &settings, Time(1_000_000)));
        assert!(throttle.admit(place(3), &settings, Time(3_100_000)));
    }

    /// Three that always want more, asked in an unlucky order, get the bandwidth in equal shares.
    #[test]
    fn bandwidth_is_kept_and_shared() {
        let bandwidth = 1 << 20;
        let settings = settings(bandwidth, 3);
        let mut throttle = Throttle::default();
        let mut sent = [0_u64; 3];
        for tick in 0..5_000_u64 {
            for (number, sent) in (0..).zip(&mut sent) {
                for _ in 0..4 {
                    if throttle.spend(place(number), SNAPSHOT_CHUNK, &settings, Time(tick * 20_000)) {
                        *sent += SNAPSHOT_CHUNK as u64;
                    }
                }
            }
        }
        let burst = 3 * SNAPSHOT_CHUNK as u64;
        let total: u64 = sent.iter().sum();
        assert!(total <= 100 * bandwidth + burst && total > 99 * bandwidth, "{total}");
        let spread = sent.iter().max().unwrap() - sent.iter().min().unwrap();
        assert!(spread <= 4 * SNAPSHOT_CHUNK as u64, "{sent:?}");
    }

    #[test]
    fn no_pause_saves_up_more_than_a_burst() {
        let settings = settings(64 << 20, 4);
        let mut throttle = Throttle::default();
        let mut sent = 0;
        while throttle.spend(place(1), SNAPSHOT_CHUNK, &settings, Time(3_600_000_000)) {
            sent += SNAPSHOT_CHUNK as u64;
        }
        assert_eq!(sent, (64 << 20) / BURST);
    }
}
