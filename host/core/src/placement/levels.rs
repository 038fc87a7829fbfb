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

use std::collections::BTreeMap;

use crate::group::Member;

/// The labels that copies of one colony are kept apart by, the most important first.
pub(super) const LEVELS: [&str; 4] = ["machine", "rack", "zone", "region"];

/// Steps of one search through crossing labels. Clusters of a dozen hosts are searched to the end; beyond
/// that the best set found stands, which is at least the greedy one.
const MAX_SEARCH_STEPS: usize = 2000;

/// Pairs of a set that share a place, by level. The smaller, the better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sharing([u8; LEVELS.len()]);

impl Sharing {
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
        Self { places, kinds, crossing }
    }

    /// What a host would add to the sharing of a set that it is not in.
    pub(super) fn added(&self, set: &[usize], host: usize) -> Sharing {
        let mut added = Sharing::default();
        for other in set {
            for level in 0..LEVELS.len() {
                let place = self.places[host][level];
                added.0[level] += u8::from(place.is_some() && place == self.places[*other][level]);
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
        let others: Vec<usize> = set.iter().copied().filter(|host| *host != from).collect();
        self.added(&others, to) <= self.added(&others, from)
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
        if !self.crossing || self.sharing(&set) <= goal {
            return set;
        }
        let mut search = Search { levels: self, size: set.len(), goal, steps: 0, least: self.sharing(&set), best: set };
        let left: Vec<usize> = pool.iter().copied().filter(|host| !kept.contains(host)).collect();
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
    steps: usize,
    least: Sharing,
    best: Vec<usize>,
}

impl Search<'_> {
    fn descend(&mut self, set: &mut Vec<usize>, sharing: Sharing, left: &[usize]) {
        self.steps += 1;
        if set.len() == self.size {
            if sharing < self.least {
                self.least = sharing;
                self.best.clone_from(set);
            }
            return;
        }
        let mut order: Vec<(Sharing, usize)> = left.iter().map(|host| (self.levels.added(set, *host), *host)).collect();
        order.sort_by_key(|(added, _)| *added);
        for (at, (added, host)) in order.iter().enumerate() {
            let enough = self.least <= self.goal || self.steps >= MAX_SEARCH_STEPS;
            let too_few = order.len() - at < self.size - set.len();
            // What is added later only adds: a set that is no better by now will never be.
            if enough || too_few || sharing.plus(*added) >= self.least {
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
}
