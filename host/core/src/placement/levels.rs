//! How far apart hosts stand, and the sets of hosts that stand furthest apart.
//!
//! A level's label names the place a host stands in. Two hosts of the same place share it; a host without
//! the label stands alone in a place of its own. A set of hosts is judged by its pairs that share a place,
//! of machines first, then of racks, zones and regions.
//!
//! Adding one host after another, always the one that adds the least sharing, gives a best set whenever
//! places nest or are apart, as racks lie within zones: the function is then laminar convex, and for such
//! functions greedy choice is exact (K. Murota, *Discrete Convex Analysis*, SIAM 2003, 6.3). Labels that
//! cross each other (one zone has parts of two racks that it does not contain) need a search, which is
//! bounded.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::group::Member;

/// The labels that copies of one colony are kept apart by, the most important first.
pub(super) const LEVELS: [&str; 4] = ["machine", "rack", "zone", "region"];

/// Hosts looked at in one search through crossing labels: enough to search a dozen hosts to the end. Beyond
/// that the best set found stands, which is at least the greedy one.
const MAX_SEARCH: usize = 200_000;
/// Hosts looked at in all searches of one plan, which takes some seconds. Labels that cross each other so
/// that greedy choice fails for thousands of colonies are a mistake, and must not hold up a leader.
const MAX_SEARCHES: usize = 5_000_000;

/// Pairs of a set that share a place, by level. The smaller, the better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sharing([u8; LEVELS.len()]);

impl Sharing {
    /// Pairs by level, the most important first.
    pub(super) fn pairs(self) -> [u8; LEVELS.len()] {
        self.0
    }

    fn plus(self, more: Self) -> Self {
        Self(std::array::from_fn(|level| self.0[level] + more.0[level]))
    }
}

/// Where the hosts stand. Hosts are numbers below the length of the list it was made of.
pub(super) struct Levels {
    /// By host, by level: its place, if another host stands there too.
    places: Vec<[Option<u32>; LEVELS.len()]>,
    /// By host: hosts of the same kind stand in the same places, so either is as good as the other.
    kinds: Vec<usize>,
    crossing: bool,
    /// Hosts that may still be looked at in searches.
    patience: Cell<usize>,
}

impl Levels {
    pub(super) fn of(hosts: &[&Member]) -> Self {
        let mut places = vec![[None; LEVELS.len()]; hosts.len()];
        for (level, label) in LEVELS.iter().enumerate() {
            let mut by_value: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (host, member) in hosts.iter().enumerate() {
                if let Some(value) = member.labels.get(*label) {
                    by_value.entry(value).or_default().push(host);
                }
            }
            for (place, together) in (0..).zip(by_value.values().filter(|together| together.len() > 1)) {
                for host in together {
                    places[*host][level] = Some(place);
                }
            }
        }
        let mut first_of: BTreeMap<[Option<u32>; LEVELS.len()], usize> = BTreeMap::new();
        let kind = |(host, places): (usize, &[Option<u32>; LEVELS.len()])| *first_of.entry(*places).or_insert(host);
        let kinds = places.iter().enumerate().map(kind).collect();
        let crossing = is_crossing(&places);
        Self { places, kinds, crossing, patience: Cell::new(MAX_SEARCHES) }
    }

    /// What a host would add to the sharing of a set that it is not in.
    pub(super) fn added(&self, set: &[usize], host: usize) -> Sharing {
        self.added_to(set.iter(), host)
    }

    fn added_to<'a>(&self, set: impl Iterator<Item = &'a usize>, host: usize) -> Sharing {
        let places = &self.places[host];
        let mut added = Sharing::default();
        for other in set {
            for (level, other_place) in self.places[*other].iter().enumerate() {
                added.0[level] += u8::from(other_place.is_some() && *other_place == places[level]);
            }
        }
        added
    }

    /// The sharing within a set.
    pub(super) fn sharing(&self, set: &[usize]) -> Sharing {
        (0..set.len()).fold(Sharing::default(), |sum, at| sum.plus(self.added(&set[..at], set[at])))
    }

    /// Whether taking `to` in place of `from` leaves a set no worse.
    pub(super) fn bears(&self, set: &[usize], from: usize, to: usize) -> bool {
        let others = || set.iter().filter(|host| **host != from);
        self.added_to(others(), to) <= self.added_to(others(), from)
    }

    /// The worst place that two hosts of the set share: its level, and the two.
    pub(super) fn shared(&self, set: &[usize]) -> Option<(usize, usize, usize)> {
        (0..LEVELS.len()).find_map(|level| {
            let mut pairs =
                set.iter().enumerate().flat_map(|(at, one)| set[at + 1..].iter().map(move |two| (*one, *two)));
            let share = |(one, two): &(usize, usize)| {
                self.places[*one][level].is_some() && self.places[*one][level] == self.places[*two][level]
            };
            pairs.find(share).map(|(one, two)| (level, one, two))
        })
    }

    /// Whether there was so much to search that no more will be.
    pub(super) fn is_out_of_patience(&self) -> bool {
        self.patience.get() == 0
    }

    fn look_at(&self, hosts: usize) {
        self.patience.set(self.patience.get().saturating_sub(hosts));
    }

    /// Whether two hosts stand in the same places.
    pub(super) fn alike(&self, one: usize, two: usize) -> bool {
        self.kinds[one] == self.kinds[two]
    }

    /// `kept` with hosts of `pool` added until it has `size` members or the pool is empty, with the least
    /// sharing; of hosts that add alike, the one that stands first in the pool. A result as good as `goal`
    /// ends the search.
    pub(super) fn grow(&self, kept: &[usize], pool: &[usize], size: usize, goal: Sharing) -> Vec<usize> {
        let mut set = kept.to_vec();
        let mut left: Vec<usize> = pool.iter().copied().filter(|host| !kept.contains(host)).collect();
        while set.len() < size && !left.is_empty() {
            // The first of the least: `min_by_key` keeps the earliest.
            let best = (0..left.len()).min_by_key(|at| self.added(&set, left[*at])).unwrap_or_default();
            set.push(left.remove(best));
        }
        if !self.crossing {
            return set;
        }
        self.look_at(pool.len() * size);
        let least = self.sharing(&set);
        let left: Vec<usize> = pool.iter().copied().filter(|host| !kept.contains(host)).collect();
        let mut search = Search { levels: self, size: set.len(), goal, seen: 0, least, best: set };
        search.descend(&mut kept.to_vec(), self.sharing(kept), &left);
        search.best
    }
}

/// Whether the hosts of some two places overlap without the one containing the other.
fn is_crossing(places: &[[Option<u32>; LEVELS.len()]]) -> bool {
    let mut sizes: BTreeMap<(usize, u32), usize> = BTreeMap::new();
    let mut overlaps: BTreeMap<[(usize, u32); 2], usize> = BTreeMap::new();
    for host in places {
        let stands: Vec<(usize, u32)> =
            host.iter().enumerate().filter_map(|(level, place)| place.map(|place| (level, place))).collect();
        for (at, one) in stands.iter().enumerate() {
            *sizes.entry(*one).or_default() += 1;
            for two in &stands[at + 1..] {
                *overlaps.entry([*one, *two]).or_default() += 1;
            }
        }
    }
    overlaps.iter().any(|(pair, overlap)| pair.iter().all(|place| sizes[place] > *overlap))
}

/// Branch and bound over sets that contain the ones kept.
struct Search<'a> {
    levels: &'a Levels,
    size: usize,
    goal: Sharing,
    seen: usize,
    least: Sharing,
    best: Vec<usize>,
}

impl Search<'_> {
    fn descend(&mut self, set: &mut Vec<usize>, sharing: Sharing, left: &[usize]) {
        if set.len() == self.size {
            if sharing < self.least {
                self.least = sharing;
                self.best.clone_from(set);
            }
            return;
        }
        if self.is_over() {
            return;
        }
        self.seen += left.len();
        self.levels.look_at(left.len());
        let mut order: Vec<(Sharing, usize)> = left.iter().map(|host| (self.levels.added(set, *host), *host)).collect();
        order.sort_by_key(|(added, _)| *added);
        for (at, (added, host)) in order.iter().enumerate() {
            let too_few = order.len() - at < self.size - set.len();
            // What is added later only adds: a set that is no better by now will never be.
            if self.is_over() || too_few || sharing.plus(*added) >= self.least {
                return;
            }
            // Sets with a host of this kind have all been seen, and the hosts of a kind are interchangeable.
            if order[..at].iter().any(|(_, earlier)| self.levels.alike(*earlier, *host)) {
                continue;
            }
            let rest: Vec<usize> = order[at + 1..].iter().map(|(_, host)| *host).collect();
            set.push(*host);
            self.descend(set, sharing.plus(*added), &rest);
            set.pop();
        }
    }

    fn is_over(&self) -> bool {
        self.least <= self.goal || self.seen >= MAX_SEARCH || self.levels.is_out_of_patience()
    }
}
