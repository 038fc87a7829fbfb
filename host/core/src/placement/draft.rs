//! A placement being worked out: who holds what so far, and how colonies are mended.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::Role;
use super::burden::Burden;
use super::levels::{Levels, Sharing};
use super::relief::{MAX_MOVES_FOR_LOAD, Relieved};
use super::slate::{Slate, Slates};

/// The steps of a draft improve each other's ground, so they are repeated until nothing changes. Every change
/// lowers (missing copies, sharing, tiers, what hosts are over their marks, unevenness of copies, of
/// primaries), so they end by themselves; two or three rounds are usual.
const MAX_ROUNDS: usize = 16;

/// What may be changed of a colony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freedom {
    /// Nothing: there is no copy to copy from, or the colony is not asked about.
    None,
    /// Missing copies may be added: a move is under way, and another would undo it half done.
    Repair,
    /// All.
    All,
}

/// One colony in a draft. Hosts are numbers.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// How many copies there should be.
    pub(super) copies: usize,
    /// Number of its slate.
    pub(super) slate: usize,
    /// What may be changed.
    pub(super) freedom: Freedom,
    /// Where its copies are to live, the primary first, before the draft.
    pub(super) before: Vec<usize>,
    /// Hosts in sync.
    pub(super) held: Vec<usize>,
    /// Where its copies are to live, the primary first.
    pub(super) want: Vec<usize>,
}

impl Slot {
    /// Whether a copy there costs no transfer, or one that was decided before.
    pub(super) fn is_known_at(&self, host: usize) -> bool {
        self.held.contains(&host) || self.before.contains(&host)
    }

    /// Whether the draft changes it; the order of secondaries means nothing.
    pub(super) fn is_changed(&self) -> bool {
        let same_copies =
            self.want.len() == self.before.len() && self.want.iter().all(|host| self.before.contains(host));
        !same_copies || self.want.first() != self.before.first()
    }

    pub(super) fn role(&self, host: usize) -> Role {
        if self.want.first() == Some(&host) { Role::Primary } else { Role::Secondary }
    }
}

/// How far a set of copies is from what it should be. The smaller, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flaws {
    missing: usize,
    sharing: Sharing,
}

/// What a draft found to be done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Copies that were missing, too close, or where they may not be.
    pub(super) flaws: bool,
    /// Hosts that the plugin likes better.
    pub(super) better_hosts: bool,
}

/// A placement being worked out.
pub(super) struct Draft<'a> {
    pub(super) levels: &'a Levels,
    pub(super) slates: &'a Slates,
    pub(super) slots: Vec<Slot>,
    /// By host: copies it is to hold.
    pub(super) copies: Vec<usize>,
    /// By host: colonies it is to be the primary of.
    pub(super) primaries: Vec<usize>,
    /// What they weigh; nothing if that is not known.
    pub(super) burden: Burden,
    /// Colonies that may still be moved because of load.
    pub(super) relief_left: usize,
    /// What was moved because of load: from which host, and of what it has too little.
    pub(super) relieved: Relieved,
    /// What else there was to do.
    pub(super) found: Found,
    /// The fewest flaws possible, by slate and number of copies.
    fewest: BTreeMap<(usize, usize), Flaws>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(levels: &'a Levels, slates: &'a Slates, slots: Vec<Slot>, hosts: usize) -> Self {
        let (copies, primaries) = (vec![0; hosts], vec![0; hosts]);
        let mut draft = Self {
            levels,
            slates,
            slots,
            copies,
            primaries,
            burden: Burden::default(),
            relief_left: MAX_MOVES_FOR_LOAD,
            relieved: Relieved::new(),
            found: Found::default(),
            fewest: BTreeMap::new(),
        };
        for at in 0..draft.slots.len() {
            draft.count(at);
        }
        draft
    }

    /// The same with what hosts carry now.
    pub(super) fn with_burden(self, burden: Burden) -> Self {
        Self { burden, ..self }
    }

    /// Makes the placement as good as it gets: complete, apart, where the plugin likes it, even.
    pub(super) fn work_out(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let mended = (0..self.slots.len()).filter(|at| self.mend(*at)).count();
            let weighed = (0..self.slots.len()).filter(|at| self.weigh(*at)).count();
            self.found.flaws |= mended > 0;
            self.found.better_hosts |= weighed > 0;
            let evened = self.even_copies() + self.even_primaries();
            let relieved = self.relieve();
            if mended + weighed + evened + relieved == 0 {
                return;
            }
        }
    }

    pub(super) fn slate(&self, at: usize) -> &'a Slate {
        self.slates.slate(self.slots[at].slate)
    }

    /// Puts another set of hosts in place.
    pub(super) fn set(&mut self, at: usize, want: Vec<usize>) {
        for (rank, host) in self.slots[at].want.iter().enumerate() {
            self.copies[*host] -= 1;
            self.burden.take_off(at, *host, rank == 0);
        }
        if let Some(lead) = self.slots[at].want.first() {
            self.primaries[*lead] -= 1;
        }
        for (rank, host) in want.iter().enumerate() {
            self.burden.put_on(at, *host, rank == 0);
        }
        self.slots[at].want = want;
        self.count(at);
    }

    fn count(&mut self, at: usize) {
        for host in &self.slots[at].want {
            self.copies[*host] += 1;
        }
        if let Some(lead) = self.slots[at].want.first() {
            self.primaries[*lead] += 1;
        }
    }

    /// Adds missing copies and parts copies that share a place, keeping all that may stay.
    fn mend(&mut self, at: usize) -> bool {
        if self.slots[at].freedom == Freedom::None {
            return false;
        }
        let slate = self.slate(at);
        let (copies, number) = (self.slots[at].copies, self.slots[at].slate);
        let fewest = self.fewest_flaws(number, copies);
        let kept = self.usable(at);
        let is_sound = kept == self.slots[at].want && kept.first().is_some_and(|lead| slate.may_lead(*lead));
        let now = self.flaws(&kept, copies);
        let is_good_enough = now.missing <= fewest.missing && self.levels.is_out_of_patience();
        if is_sound && (now <= fewest || is_good_enough) {
            return false;
        }
        let Some((flaws, set)) = self.mended(at, kept, fewest) else { return false };
        if is_sound && flaws >= now {
            return false;
        }
        let want = self.led(at, set);
        let is_new = want != self.slots[at].want;
        self.set(at, want);
        is_new
    }

    /// What may stay of a colony's copies.
    fn usable(&self, at: usize) -> Vec<usize> {
        let (slot, slate) = (&self.slots[at], self.slate(at));
        let want = slot.want.iter().copied();
        if slot.freedom != Freedom::All {
            return want.take(slot.copies).collect();
        }
        // A host that may only be primary stays if it is the only such one.
        let only_lead = want.clone().find(|host| slate.may_lead(*host) && !slate.may_hold(*host));
        want.filter(|host| slate.may_hold(*host) || only_lead == Some(*host)).take(slot.copies).collect()
    }

    /// The set with the fewest flaws, dropping as few copies as that takes.
    fn mended(&self, at: usize, mut kept: Vec<usize>, fewest: Flaws) -> Option<(Flaws, Vec<usize>)> {
        // What stands last is dropped first: most loaded secondaries before the primary.
        let lead = self.slots[at].want.first().copied();
        kept.sort_by_key(|host| (lead != Some(*host), self.copies[*host], *host));
        let may_drop = self.slots[at].freedom == Freedom::All;
        // Bit i set: the i-th from the end is dropped. Copies are few, so the masks are.
        let mut masks: Vec<u32> = if may_drop { (0..1 << kept.len()).collect() } else { vec![0] };
        masks.sort_by_key(|mask| (mask.count_ones(), *mask));
        let mut best: Option<(Flaws, Vec<usize>)> = None;
        for mask in masks {
            let last = kept.len().saturating_sub(1);
            let stays = |(place, _): &(usize, &usize)| mask >> (last - place) & 1 == 0;
            let staying: Vec<usize> = kept.iter().enumerate().filter(stays).map(|(_, host)| *host).collect();
            let Some(set) = self.complete(at, &staying, fewest) else { continue };
            let flaws = self.flaws(&set, self.slots[at].copies);
            if best.as_ref().is_none_or(|(least, _)| flaws < *least) {
                best = Some((flaws, set));
            }
            if flaws <= fewest {
                break;
            }
        }
        best
    }

    /// `kept`, made complete with the hosts that suit the colony best; none if no host in it could lead.
    fn complete(&self, at: usize, kept: &[usize], goal: Flaws) -> Option<Vec<usize>> {
        let (slot, slate) = (&self.slots[at], self.slate(at));
        let preferred = |role: Role, load: &[usize]| {
            let mut pool: Vec<usize> = (0..load.len()).filter(|host| slate.tier(role, *host).is_some()).collect();
            pool.sort_by_cached_key(|host| {
                let is_known = slot.is_known_at(*host);
                let is_short = !is_known && !self.burden.has_memory_for(at, *host);
                (slate.tier(role, *host), is_short, !is_known, load[*host], scattered(at, *host))
            });
            pool
        };
        let pool = preferred(Role::Secondary, &self.copies);
        if slate.is_one() || kept.iter().any(|host| slate.may_lead(*host)) {
            let set = self.levels.grow(kept, &pool, slot.copies, goal.sharing);
            return set.iter().any(|host| slate.may_lead(*host)).then_some(set);
        }
        if kept.len() >= slot.copies {
            return None;
        }
        let leaders = preferred(Role::Primary, &self.primaries);
        let mut best: Option<(Flaws, Vec<usize>)> = None;
        for (rank, lead) in leaders.iter().enumerate() {
            let same = |earlier: &usize| {
                self.levels.alike(*earlier, *lead) && slate.may_hold(*earlier) == slate.may_hold(*lead)
            };
            if leaders[..rank].iter().any(same) {
                continue;
            }
            let with_lead: Vec<usize> = kept.iter().copied().chain([*lead]).collect();
            let set = self.levels.grow(&with_lead, &pool, slot.copies, goal.sharing);
            let flaws = self.flaws(&set, slot.copies);
            if best.as_ref().is_none_or(|(least, _)| flaws < *least) {
                best = Some((flaws, set));
            }
            if flaws <= goal {
                break;
            }
        }
        best.map(|(_, set)| set)
    }

    /// The set with its primary first: the one it has, if that may be, or else the one that suits best.
    fn led(&self, at: usize, mut set: Vec<usize>) -> Vec<usize> {
        let (slot, slate) = (&self.slots[at], self.slate(at));
        let suits = |host: usize| {
            let has_office = slot.want.first() == Some(&host);
            (slate.may_hold(host), !has_office, slate.tier(Role::Primary, host), !slot.held.contains(&host))
        };
        let leaders = set.iter().copied().filter(|host| slate.may_lead(*host));
        let lead = leaders.min_by_key(|host| (suits(*host), self.primaries[*host], *host));
        // Secondaries keep the order they had.
        set.sort_by_key(|host| slot.want.iter().position(|wanted| wanted == host).unwrap_or(usize::MAX));
        if let Some(lead) = lead {
            set.retain(|host| *host != lead);
            set.insert(0, lead);
        }
        set
    }

    fn flaws(&self, set: &[usize], copies: usize) -> Flaws {
        Flaws { missing: copies.saturating_sub(set.len()), sharing: self.levels.sharing(set) }
    }

    fn fewest_flaws(&mut self, slate: usize, copies: usize) -> Flaws {
        if let Some(fewest) = self.fewest.get(&(slate, copies)) {
            return *fewest;
        }
        // A draft of one empty colony: what is possible does not depend on what there is.
        let slot =
            Slot { copies, slate, freedom: Freedom::All, before: Vec::new(), held: Vec::new(), want: Vec::new() };
        let alone = Draft::new(self.levels, self.slates, vec![slot], self.copies.len());
        let none = Flaws { missing: 0, sharing: Sharing::default() };
        let set = alone.complete(0, &[], none).unwrap_or_default();
        let fewest = self.flaws(&set, copies);
        self.fewest.insert((slate, copies), fewest);
        fewest
    }

    /// Moves copies and the primary's part to hosts the plugin likes a whole tier better.
    fn weigh(&mut self, at: usize) -> bool {
        if self.slots[at].freedom != Freedom::All || self.slate(at).is_flat() || !self.is_whole(at) {
            return false;
        }
        let mut is_changed = false;
        while let Some(want) = self.weighed(at) {
            self.set(at, want);
            is_changed = true;
        }
        is_changed
    }

    /// Whether the rules of roles hold in it, so that single steps keep them.
    fn is_whole(&self, at: usize) -> bool {
        let (slot, slate) = (&self.slots[at], self.slate(at));
        slot.want.iter().all(|host| slate.tier(slot.role(*host), *host).is_some()) && !slot.want.is_empty()
    }

    /// The set after the best single step to better tiers, if there is one.
    fn weighed(&self, at: usize) -> Option<Vec<usize>> {
        let slot = &self.slots[at];
        let swaps = (1..slot.want.len()).filter_map(|place| {
            let gain = self.swap_gain(at, slot.want[place]).filter(|gain| *gain > 0)?;
            let mut want = slot.want.clone();
            want.swap(0, place);
            Some(((Reverse(gain), false, 0), want))
        });
        let replaced = slot.want.iter().enumerate().flat_map(|(place, from)| {
            let better = move |to: &usize| self.move_gain(at, *from, *to).is_some_and(|gain| gain > 0);
            (0..self.copies.len()).filter(better).map(move |to| {
                let gain = self.move_gain(at, *from, to).unwrap_or_default();
                let mut want = slot.want.clone();
                want[place] = to;
                ((Reverse(gain), !slot.is_known_at(to), self.copies[to]), want)
            })
        });
        swaps.chain(replaced).min().map(|(_, want)| want)
    }

    /// Tiers won if `to` takes the place of `from`; none if it may not, or has no memory for it.
    pub(super) fn move_gain(&self, at: usize, from: usize, to: usize) -> Option<i32> {
        self.standing_gain(at, from, to).filter(|_| self.burden.has_memory_for(at, to))
    }

    /// The same, whatever memory there is.
    pub(super) fn standing_gain(&self, at: usize, from: usize, to: usize) -> Option<i32> {
        let (slot, slate) = (&self.slots[at], self.slate(at));
        if slot.want.contains(&to) {
            return None;
        }
        let role = slot.role(from);
        let gain = i32::from(slate.tier(role, from)?) - i32::from(slate.tier(role, to)?);
        self.levels.bears(&slot.want, from, to).then_some(gain)
    }

    /// Tiers won if the secondary `heir` and the primary change parts; none if they may not.
    pub(super) fn swap_gain(&self, at: usize, heir: usize) -> Option<i32> {
        let (slot, slate) = (&self.slots[at], self.slate(at));
        let lead = *slot.want.first()?;
        let now = i32::from(slate.tier(Role::Primary, lead)?) + i32::from(slate.tier(Role::Secondary, heir)?);
        let then = i32::from(slate.tier(Role::Primary, heir)?) + i32::from(slate.tier(Role::Secondary, lead)?);
        Some(now - then)
    }
}

/// Orders hosts that are equal otherwise, for each colony in another way: so the partners of a host are many,
/// and when it dies its colonies pass to many.
fn scattered(colony: usize, host: usize) -> (u64, usize) {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(colony as u64).to_le_bytes());
    bytes[8..].copy_from_slice(&(host as u64).to_le_bytes());
    (xxh3_64(&bytes), host)
}
