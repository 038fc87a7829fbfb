//! Evening out copies and primaries.
//!
//! Copies go one by one from the most loaded host to the least loaded that may take one, so that hosts which
//! could take each other's place end within one copy of each other, and no more copies move than that takes.
//!
//! What needs no transfer is evened along paths of colonies: copies that only this plan puts somewhere, and
//! the primary's part, which needs a role swap. Both are semi-matchings (N. Harvey, R. Ladner, L. Lovasz,
//! T. Tamir, *Semi-matchings for bipartite graphs and load balancing*, J. Algorithms 59, 2006): an assignment
//! is best exactly if no path leads from a host to one that has two less.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Role;
use super::draft::{Draft, Freedom, Slot};

/// A host with so many more than another gives one to it, and is then no worse off than that.
const UNEVEN: usize = 2;

impl Draft<'_> {
    /// Evens copies out; says how many moved. Copies that are only planned go first: they cost nothing yet.
    pub(super) fn even_copies(&mut self) -> usize {
        self.even_planned_copies() + self.even_all_copies()
    }

    fn even_planned_copies(&mut self) -> usize {
        let mut planned = self.movable_by_host(|slot, host| !slot.is_known_at(host));
        let mut moved = 0;
        loop {
            let before = moved;
            let mut is_stuck = vec![false; self.copies.len()];
            while let Some(from) = fullest(&self.copies, &is_stuck) {
                let path = self.planned_path(from, &planned, &mut is_stuck);
                for Step { at, giver, taker } in path {
                    self.replace(at, giver, taker);
                    planned[giver].remove(&at);
                    if !self.slots[at].is_known_at(taker) {
                        planned[taker].insert(at);
                    }
                    moved += 1;
                }
            }
            if moved == before {
                return moved;
            }
        }
    }

    /// The shortest path of planned copies, of different colonies, to a host with at least [`UNEVEN`] fewer;
    /// empty if none leads to one.
    ///
    /// Then all hosts within reach are stuck: no path from them leads further, and the fullest of all cannot be
    /// relieved, so neither can they.
    fn planned_path(&self, from: usize, planned: &[BTreeSet<usize>], is_stuck: &mut [bool]) -> Vec<Step> {
        let mut steps_to: BTreeMap<usize, Step> = BTreeMap::new();
        let mut unseen: Vec<usize> = (0..self.copies.len()).filter(|host| *host != from && !is_stuck[*host]).collect();
        // The emptiest first, so that of those within one step it is the one taken.
        unseen.sort_by_key(|host| self.copies[*host]);
        let mut queue = VecDeque::from([from]);
        while let Some(giver) = queue.pop_front() {
            let path = path_to(giver, &steps_to);
            for at in planned[giver].iter().filter(|at| path.iter().all(|step| step.at != **at)) {
                let may_take = |taker: &usize| self.move_gain(*at, giver, *taker).is_some_and(|gain| gain >= 0);
                let takers: Vec<usize> = unseen.extract_if(.., |taker| may_take(taker)).collect();
                for taker in takers {
                    steps_to.insert(taker, Step { at: *at, giver, taker });
                    if self.copies[taker] + UNEVEN <= self.copies[from] {
                        return path_to(taker, &steps_to);
                    }
                    queue.push_back(taker);
                }
            }
        }
        for host in steps_to.keys().chain([&from]) {
            is_stuck[*host] = true;
        }
        Vec::new()
    }

    fn even_all_copies(&mut self) -> usize {
        let mut held_by = self.movable_by_host(|_, _| true);
        let mut moved = 0;
        loop {
            let before = moved;
            let mut is_stuck = vec![false; self.copies.len()];
            while let Some(from) = fullest(&self.copies, &is_stuck) {
                let Some((at, to)) = self.copy_to_move(from, &held_by[from]) else {
                    is_stuck[from] = true;
                    continue;
                };
                self.replace(at, from, to);
                held_by[from].remove(&at);
                held_by[to].insert(at);
                moved += 1;
            }
            // A host that was stuck may see a new way after the moves of others.
            if moved == before {
                return moved;
            }
        }
    }

    /// `to` takes the place of `from`.
    pub(super) fn replace(&mut self, at: usize, from: usize, to: usize) {
        let want = self.slots[at].want.iter().map(|host| if *host == from { to } else { *host }).collect();
        self.set(at, want);
    }

    /// By host: the colonies of which it holds a copy that may be moved and is of the kind asked for.
    fn movable_by_host(&self, is_meant: impl Fn(&Slot, usize) -> bool) -> Vec<BTreeSet<usize>> {
        let mut held_by = vec![BTreeSet::new(); self.copies.len()];
        for (at, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.freedom == Freedom::All) {
            for host in slot.want.iter().filter(|host| is_meant(slot, **host)) {
                held_by[*host].insert(at);
            }
        }
        held_by
    }

    /// A copy that may go from `from` to a host with at least [`UNEVEN`] fewer: to the emptiest such host, and
    /// of all copies the one that costs least.
    fn copy_to_move(&self, from: usize, held: &BTreeSet<usize>) -> Option<(usize, usize)> {
        let mut emptier: Vec<usize> =
            (0..self.copies.len()).filter(|to| self.copies[*to] + UNEVEN <= self.copies[from]).collect();
        emptier.sort_by_key(|to| (self.copies[*to], *to));
        emptier.into_iter().find_map(|to| {
            let may_move = |at: &&usize| self.move_gain(**at, from, to).is_some_and(|gain| gain >= 0);
            let cost = |at: &&usize| {
                let slot = &self.slots[**at];
                let is_transfer = !slot.is_known_at(to);
                let saves_transfer = !slot.is_known_at(from);
                // Transfers first, then role swaps.
                (i8::from(is_transfer) - i8::from(saves_transfer), slot.role(from) == Role::Primary)
            };
            held.iter().filter(may_move).min_by_key(cost).map(|at| (*at, to))
        })
    }

    /// Evens primaries out among the hosts that hold copies; says how many changed parts.
    pub(super) fn even_primaries(&mut self) -> usize {
        let mut ways = Ways::of(self);
        let mut swapped = 0;
        loop {
            let before = swapped;
            let mut is_stuck = vec![false; self.primaries.len()];
            while let Some(from) = fullest(&self.primaries, &is_stuck) {
                let path = ways.path(from, &self.primaries, &mut is_stuck);
                for (giver, taker) in path {
                    swapped += usize::from(ways.swap(self, giver, taker));
                }
            }
            if swapped == before {
                return swapped;
            }
        }
    }
}

/// A copy of colony `at` passes from one host to another.
#[derive(Clone, Copy)]
struct Step {
    at: usize,
    giver: usize,
    taker: usize,
}

/// The steps that lead to a host, first one first.
fn path_to(host: usize, steps_to: &BTreeMap<usize, Step>) -> Vec<Step> {
    let mut path = Vec::new();
    let mut taker = host;
    while let Some(step) = steps_to.get(&taker) {
        path.push(*step);
        taker = step.giver;
    }
    path.reverse();
    path
}

/// The fullest host that is not stuck.
fn fullest(loads: &[usize], is_stuck: &[bool]) -> Option<usize> {
    let free = (0..loads.len()).filter(|host| !is_stuck[*host]);
    free.min_by_key(|host| (std::cmp::Reverse(loads[*host]), *host))
}

/// Between which hosts a primary's part can pass: by giver and taker, the colonies.
struct Ways {
    colonies: BTreeMap<(usize, usize), BTreeSet<usize>>,
    /// By host: whether a primary's part may pass to it.
    may_take: Vec<bool>,
}

impl Ways {
    fn of(draft: &Draft<'_>) -> Self {
        let mut ways = Self { colonies: BTreeMap::new(), may_take: draft.bear_more_primaries() };
        for at in 0..draft.slots.len() {
            ways.add(draft, at);
        }
        ways
    }

    fn add(&mut self, draft: &Draft<'_>, at: usize) {
        for (giver, taker) in Self::through(draft, at) {
            self.colonies.entry((giver, taker)).or_default().insert(at);
        }
    }

    fn remove(&mut self, draft: &Draft<'_>, at: usize) {
        for way in Self::through(draft, at) {
            if let Some(colonies) = self.colonies.get_mut(&way) {
                colonies.remove(&at);
                if colonies.is_empty() {
                    self.colonies.remove(&way);
                }
            }
        }
    }

    /// The ways that one colony opens.
    fn through(draft: &Draft<'_>, at: usize) -> Vec<(usize, usize)> {
        let slot = &draft.slots[at];
        let Some((lead, others)) = slot.want.split_first().filter(|_| slot.freedom == Freedom::All) else {
            return Vec::new();
        };
        let may_take = |heir: &&usize| draft.swap_gain(at, **heir).is_some_and(|gain| gain >= 0);
        others.iter().filter(may_take).map(|heir| (*lead, *heir)).collect()
    }

    /// The shortest path from a host to the one with the fewest primaries, if that has at least [`UNEVEN`]
    /// fewer; empty if none leads there, and then all within reach are stuck, as with planned copies.
    fn path(&self, from: usize, primaries: &[usize], is_stuck: &mut [bool]) -> Vec<(usize, usize)> {
        let free = || (0..primaries.len()).filter(|host| !is_stuck[*host] && self.may_take[*host]);
        let fewest = free().map(|host| primaries[host]).min().unwrap_or(usize::MAX - UNEVEN);
        if fewest + UNEVEN > primaries[from] {
            is_stuck.fill(true);
            return Vec::new();
        }
        let mut came_from: BTreeMap<usize, usize> = BTreeMap::from([(from, from)]);
        let mut queue = VecDeque::from([from]);
        let mut best = from;
        while let Some(host) = queue.pop_front() {
            if primaries[host] < primaries[best] {
                best = host;
            }
            if primaries[best] == fewest {
                break;
            }
            for ((_, next), _) in self.colonies.range((host, 0)..(host + 1, 0)) {
                if !is_stuck[*next] && self.may_take[*next] && !came_from.contains_key(next) {
                    came_from.insert(*next, host);
                    queue.push_back(*next);
                }
            }
        }
        let mut path = Vec::new();
        if primaries[best] + UNEVEN > primaries[from] {
            for host in came_from.keys() {
                is_stuck[*host] = true;
            }
            return path;
        }
        while best != from {
            let giver = came_from[&best];
            path.push((giver, best));
            best = giver;
        }
        path
    }

    /// Passes one primary's part on, of the colony for which that changes least.
    fn swap(&mut self, draft: &mut Draft<'_>, giver: usize, taker: usize) -> bool {
        let Some(colonies) = self.colonies.get(&(giver, taker)) else { return false };
        let cost = |at: &&usize| {
            let had = draft.slots[**at].before.first();
            (i8::from(had != Some(&taker)) - i8::from(had != Some(&giver)), **at)
        };
        let Some(at) = colonies.iter().min_by_key(cost).copied() else { return false };
        self.remove(draft, at);
        let mut want = draft.slots[at].want.clone();
        if let Some(place) = want.iter().position(|host| *host == taker) {
            want.swap(0, place);
        }
        draft.set(at, want);
        self.add(draft, at);
        true
    }
}
