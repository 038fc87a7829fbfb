//! Relief of hosts that carry too much, without making the counts uneven.
//!
//! Copies and primaries are even by count; what they weigh is not. So hosts exchange a heavy one for a light
//! one, or give one where that leaves the counts as even as they were. Two things may make them uneven, within
//! bounds: memory that is nearly used up, and work that no exchange takes away.
//!
//! Everything done here lowers the use of a host that is above its upper mark, and lifts none above its lower
//! mark. The steps that even the counts out do not undo it: they put no copy where memory would be short again
//! and no primary where work would be too much. So a plan of what a plan led to is none, if loads stay as
//! they were.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Role;
use super::burden::{
    DWINDLING, EXHAUSTED, MEMORY_OF_SECONDARIES, Marks, Resource, WORK_OF_PRIMARIES, WORK_OF_SECONDARIES,
};
use super::draft::{Draft, Freedom};

/// Most colonies that one plan moves because of load. Each may be a transfer, and what a measurement says of
/// the future is not worth more; the next plan goes on from a new measurement.
pub const MAX_MOVES_FOR_LOAD: usize = 16;
/// What takes less than this part off what is too much is not worth a transfer.
const WORTH: u64 = 64;
/// Light copies of a host that are looked at as a return for heavy ones.
const MAX_RETURNS: usize = 32;

/// Colonies that an exchange changes.
const BOTH: usize = 2;

/// Two hosts change copies, or one host gives one away.
struct Exchange {
    give: usize,
    to: usize,
    /// What comes back for it.
    back: Option<usize>,
}

impl Draft<'_> {
    /// Relieves hosts; says how many colonies changed.
    pub(super) fn relieve(&mut self) -> usize {
        if !self.burden.is_known() {
            return 0;
        }
        let before = self.relief_left;
        self.shed_memory();
        self.exchange_secondaries(Resource::Memory, MEMORY_OF_SECONDARIES);
        self.exchange_secondaries(Resource::Work, WORK_OF_SECONDARIES);
        self.pass_primaries_on();
        before - self.relief_left
    }

    fn count_relief(&mut self, host: usize, resource: Resource, colonies: usize) {
        self.relief_left = self.relief_left.saturating_sub(colonies);
        self.relieved.insert((host, resource));
    }

    /// Hosts that are too much used, worst first.
    fn over(&self, resource: Resource, is_over: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut over: Vec<usize> = (0..self.copies.len()).filter(|host| is_over(*host)).collect();
        over.sort_by_key(|host| Reverse(self.burden.use_of(resource, *host)));
        over
    }

    // ---- Memory that is nearly used up. ----

    fn shed_memory(&mut self) {
        let is_above = |draft: &Self, host: usize, mark: u64| {
            draft.burden.use_of(Resource::Memory, host).is_some_and(|used| used > mark)
        };
        for from in self.over(Resource::Memory, |host| is_above(self, host, DWINDLING)) {
            let is_exhausted = is_above(self, from, EXHAUSTED);
            while self.relief_left > 0 {
                let too_much = self.burden.memory_to_shed(from, self.bytes_on(from));
                if too_much == 0 {
                    break;
                }
                if let Some((at, to)) = self.copy_to_shed(from, too_much) {
                    self.replace(at, from, to);
                } else if let Some((at, heir)) = self.primary_to_shed(from).filter(|_| is_exhausted) {
                    // As a secondary it is shed next.
                    self.lead_by(at, heir);
                } else {
                    break;
                }
                self.count_relief(from, Resource::Memory, 1);
            }
        }
    }

    fn bytes_on(&self, host: usize) -> u64 {
        let held = self.slots.iter().enumerate().filter(|(_, slot)| slot.want.contains(&host));
        held.fold(0, |sum, (at, _)| sum.saturating_add(self.burden.weight(Resource::Memory, at, host, false)))
    }

    /// The copy that takes most off a host, and where it may go: if it can be, to a host that bears the work. The primary of a colony of one copy has no
    /// secondary to pass its part to, so it is among them.
    fn copy_to_shed(&self, from: usize, too_much: u64) -> Option<(usize, usize)> {
        let copies = self.movable_on(from).filter(|at| {
            let slot = &self.slots[*at];
            slot.role(from) == Role::Secondary || slot.copies == 1
        });
        let ways = copies.flat_map(|at| {
            let bytes = self.burden.weight(Resource::Memory, at, from, false);
            let may_take = move |to: &usize| bytes > 0 && self.move_gain(at, from, *to).is_some_and(|gain| gain >= 0);
            let takers = (0..self.copies.len()).filter(may_take);
            takers.map(move |to| {
                let work = self.burden.weight(Resource::Work, at, to, self.slots[at].role(from) == Role::Primary);
                let is_overworked = !self.burden.bears(Resource::Work, to, work, 0);
                let used = self.burden.use_of(Resource::Memory, to);
                ((is_overworked, Reverse(bytes.min(too_much)), self.copies[to], used), at, to)
            })
        });
        ways.min().map(|(_, at, to)| (at, to))
    }

    /// A primary whose part may pass to a secondary, so that its copy may go: the heaviest.
    fn primary_to_shed(&self, from: usize) -> Option<(usize, usize)> {
        let led = self.movable_on(from).filter(|at| self.slots[*at].role(from) == Role::Primary);
        let ways = led.filter_map(|at| {
            let (slot, slate) = (&self.slots[at], self.slate(at));
            let bytes = self.burden.weight(Resource::Memory, at, from, false);
            let tier = |host| slate.tier(Role::Secondary, host);
            let may_take = |to: usize| {
                tier(to).is_some_and(|to| tier(from).is_some_and(|from| to <= from))
                    && !slot.want.contains(&to)
                    && self.levels.bears(&slot.want, from, to)
                    && self.burden.has_memory_for(at, to)
            };
            let heir = self.heirs_in_sync(at).next()?;
            (bytes > 0 && (0..self.copies.len()).any(may_take)).then_some((Reverse(bytes), at, heir))
        });
        ways.min().map(|(_, at, heir)| (at, heir))
    }

    // ---- Exchange of secondaries. ----

    fn exchange_secondaries(&mut self, resource: Resource, marks: Marks) {
        for from in self.over(resource, |host| self.burden.is_over(resource, host, marks)) {
            while self.relief_left >= BOTH {
                let excess = self.burden.excess(resource, from, marks);
                if excess == 0 {
                    break;
                }
                let Some(Exchange { give, to, back }) = self.best_exchange(from, resource, excess) else { break };
                self.replace(give, from, to);
                if let Some(back) = back {
                    self.replace(back, to, from);
                }
                self.count_relief(from, resource, 1 + usize::from(back.is_some()));
            }
        }
    }

    /// The exchange that takes most off a host, up to what is too much, by the fewest bytes.
    fn best_exchange(&self, from: usize, resource: Resource, excess: u64) -> Option<Exchange> {
        let secondaries = |host: usize, to: usize| {
            let may_go = move |at: &usize| {
                self.slots[*at].role(host) == Role::Secondary
                    && self.standing_gain(*at, host, to).is_some_and(|gain| gain >= 0)
            };
            self.movable_on(host).filter(may_go)
        };
        let mut best = None;
        for to in (0..self.copies.len()).filter(|to| *to != from && self.burden.is_below_mean(resource, *to)) {
            let leaves_even = self.copies[from] > self.copies[to];
            let mut backs: Vec<usize> = secondaries(to, from).collect();
            backs.sort_by_key(|back| self.burden.weight(resource, *back, from, false));
            backs.truncate(MAX_RETURNS);
            let backs: Vec<Option<usize>> =
                leaves_even.then_some(None).into_iter().chain(backs.into_iter().map(Some)).collect();
            for give in secondaries(from, to) {
                for back in &backs {
                    let weight = |at: usize| self.burden.weight(resource, at, from, false);
                    let taken_off = weight(give).saturating_sub(back.map_or(0, weight));
                    let is_worth_it = taken_off > 0 && taken_off >= excess / WORTH;
                    if !is_worth_it || !self.bear_exchange(from, give, to, *back) {
                        continue;
                    }
                    let used = self.burden.use_of(resource, to);
                    let key = (Reverse(taken_off.min(excess)), self.bytes_sent(give, to, from, *back), used);
                    let found = (key, give, to, *back);
                    if best.as_ref().is_none_or(|best| found < *best) {
                        best = Some(found);
                    }
                }
            }
        }
        best.map(|(_, give, to, back)| Exchange { give, to, back })
    }

    /// Whether neither host is used too much after an exchange of secondaries.
    fn bear_exchange(&self, from: usize, give: usize, to: usize, back: Option<usize>) -> bool {
        [Resource::Work, Resource::Memory].into_iter().all(|resource| {
            let weight = |at: usize, host: usize| self.burden.weight(resource, at, host, false);
            let returned = |host: usize| back.map_or(0, |back| weight(back, host));
            self.burden.bears(resource, to, weight(give, to), returned(to))
                && self.burden.bears(resource, from, returned(from), weight(give, from))
        })
    }

    fn bytes_sent(&self, give: usize, to: usize, from: usize, back: Option<usize>) -> u64 {
        let sent = |at: usize, host: usize| {
            let is_there = self.slots[at].is_known_at(host);
            if is_there { 0 } else { self.burden.weight(Resource::Memory, at, host, false) }
        };
        sent(give, to).saturating_add(back.map_or(0, |back| sent(back, from)))
    }

    // ---- Role swaps. ----

    fn pass_primaries_on(&mut self) {
        let (resource, marks) = (Resource::Work, WORK_OF_PRIMARIES);
        for from in self.over(resource, |host| self.burden.is_over(resource, host, marks)) {
            while self.relief_left >= BOTH {
                let excess = self.burden.excess(resource, from, marks);
                if excess == 0 {
                    break;
                }
                let Some(Exchange { give, to, back }) = self.best_swap(from, excess) else { break };
                self.lead_by(give, to);
                if let Some(back) = back {
                    self.lead_by(back, from);
                }
                self.count_relief(from, resource, 1 + usize::from(back.is_some()));
            }
        }
    }

    /// The swap of roles that takes most off a host, up to what is too much: one that leaves the counts as
    /// even as they are, or else one that does not, within a bound.
    fn best_swap(&self, from: usize, excess: u64) -> Option<Exchange> {
        let mut returns: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in self.movable_on(from) {
            if let Some(lead) = self.slots[at].want.first().filter(|lead| **lead != from)
                && self.heirs_in_sync(at).any(|heir| heir == from)
            {
                returns.entry(*lead).or_default().push(at);
            }
        }
        for returns in returns.values_mut() {
            returns.sort_by_key(|at| self.burden.lead_weight(*at, from));
            returns.truncate(MAX_RETURNS);
        }
        let mut best = None;
        for give in self.movable_on(from).filter(|at| self.slots[*at].role(from) == Role::Primary) {
            let weight = self.burden.lead_weight(give, from);
            for to in self.heirs_in_sync(give).filter(|to| self.burden.is_below_mean(Resource::Work, *to)) {
                let room = self.burden.room(Resource::Work, to, WORK_OF_PRIMARIES);
                let alone = if self.primaries[from] > self.primaries[to] {
                    Some(false)
                } else {
                    self.may_be_lopsided(from, to).then_some(true)
                };
                let exchanged = returns.get(&to).into_iter().flatten().map(|back| (Some(*back), false));
                for (back, is_lopsided) in alone.map(|is_lopsided| (None, is_lopsided)).into_iter().chain(exchanged) {
                    let back_at = |host| back.map_or(0, |back| self.burden.lead_weight(back, host));
                    let taken_off = weight.saturating_sub(back_at(from));
                    let added = self.burden.lead_weight(give, to).saturating_sub(back_at(to));
                    if taken_off == 0 || taken_off < excess / WORTH || added > room {
                        continue;
                    }
                    let key = (is_lopsided, Reverse(taken_off.min(excess)), self.burden.use_of(Resource::Work, to));
                    let found = (key, give, to, back);
                    if best.as_ref().is_none_or(|best| found < *best) {
                        best = Some(found);
                    }
                }
            }
        }
        best.map(|(_, give, to, back)| Exchange { give, to, back })
    }

    /// Whether a primary may pass though the counts then differ more: an overworked host keeps at least half of
    /// its share, and no host gets more than half of a share on top of its own.
    fn may_be_lopsided(&self, from: usize, to: usize) -> bool {
        let share = self.share_of_primaries();
        (self.primaries[from] - 1) * 2 >= share && self.primaries[to] < share + share.div_ceil(2)
    }

    fn share_of_primaries(&self) -> usize {
        self.primaries.iter().sum::<usize>().checked_div(self.primaries.len()).unwrap_or_default()
    }

    /// By host: whether it may be given primaries so that the counts become even. An overworked host that has
    /// given some up would have to give them up again; it may have as few as half of its share.
    pub(super) fn bear_more_primaries(&self) -> Vec<bool> {
        let all = self.primaries.iter().sum::<usize>();
        let weight = |(at, lead): (usize, usize)| self.burden.lead_weight(at, lead);
        let led = self.slots.iter().enumerate().filter_map(|(at, slot)| Some((at, *slot.want.first()?)));
        let weights: u128 = if self.burden.is_known() { led.map(weight).map(u128::from).sum() } else { 0 };
        let mean = u64::try_from(weights / (all.max(1) as u128)).unwrap_or(u64::MAX);
        let share = self.share_of_primaries();
        let bears = |host: usize| {
            let missing = share.saturating_sub(self.primaries[host]).max(1);
            self.primaries[host] * 2 < share || self.burden.bears_primaries(host, missing, mean)
        };
        (0..self.primaries.len()).map(bears).collect()
    }

    // ---- What may move. ----

    /// Colonies with a copy on a host that may be moved.
    fn movable_on(&self, host: usize) -> impl Iterator<Item = usize> {
        let slots = self.slots.iter().enumerate();
        let movable = slots.filter(move |(_, slot)| slot.freedom == Freedom::All && slot.want.contains(&host));
        movable.map(|(at, _)| at)
    }

    /// Secondaries that could take the primary's part over without copying.
    fn heirs_in_sync(&self, at: usize) -> impl Iterator<Item = usize> {
        let slot = &self.slots[at];
        let others = slot.want.iter().skip(1).copied().filter(|heir| slot.held.contains(heir));
        others.filter(move |heir| self.swap_gain(at, *heir).is_some_and(|gain| gain >= 0))
    }

    /// The primary and another copy of a colony change parts.
    fn lead_by(&mut self, at: usize, heir: usize) {
        let mut want = self.slots[at].want.clone();
        if let Some(place) = want.iter().position(|host| *host == heir) {
            want.swap(0, place);
        }
        self.set(at, want);
    }
}

/// What hosts were relieved of, by number.
pub(super) type Relieved = BTreeSet<(usize, Resource)>;
