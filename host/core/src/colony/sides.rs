//! Copies on two sides of a split (`PROTOCOL.md` 8, 9).
//!
//! A process that goes on apart has two shards where it had one: that of the root, which keeps the colonies that never
//! fork, and that of its island. Copies *depart* from the first and *arrive* at the second; each copy is of one side at a
//! time, so nothing that one side says is ever acknowledged by a copy of the other. When the sides have met, a copy whose
//! colony was taken in is dropped, or departs and arrives back where it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use colony_wire::admin::OnPartition;
use colony_wire::heal::HealMessage;
use colony_wire::island::CopyEnd;
use colony_wire::{Cfg, ColonyId, LineageId, StartId};

use super::io::{Output, Staying};
use super::replica::{Part, Replica};
use super::settings::Settings;
use super::shard::Shard;
use crate::{Now, Time};

/// How a shard has to do with other sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Sides {
    /// Whether it is of a side that goes on apart.
    apart: bool,
    /// Nothing is acknowledged until then for colonies that may fork.
    fenced: Option<Time>,
    /// Colonies that are another side's to hold here, whether their copies went over or were begun there: until the root
    /// has what that side did, this process holds none of them under the root.
    left: BTreeSet<ColonyId>,
    /// Colonies whose copy went over from here and is not back, until another one is begun; each with the newest entry that
    /// the copy knew.
    missed: BTreeMap<ColonyId, Cfg>,
    /// How colonies stand on the side that stays.
    staying: BTreeMap<ColonyId, Arc<Staying>>,
    /// Copies that are the other side's from now on.
    returning: Vec<Replica>,
    /// Colonies of which the other side has everything that was here.
    taken_in: BTreeSet<ColonyId>,
}

/// How many copies are left of a side that goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Those that hold what the root may not have.
    pub open: usize,
    /// Those of which the root has everything, but not in as many copies as it should.
    pub taken_in: usize,
}

impl Sides {
    /// Whether the shard is of a side that goes on apart.
    pub(super) fn is_apart(&self) -> bool {
        self.apart
    }

    /// Whether a colony is another side's to hold here.
    pub(super) fn has_left(&self, colony: ColonyId) -> bool {
        self.left.contains(&colony)
    }

    /// Whether another side has everything that was here of a colony: no copy of it is begun here any more.
    pub(super) fn is_over(&self, colony: ColonyId) -> bool {
        self.taken_in.contains(&colony)
    }

    /// Whether the copy that was held here went over to another side and is not back: none that is begun empty may pass
    /// for it.
    pub(super) fn is_missed(&self, colony: ColonyId) -> bool {
        self.missed.contains_key(&colony)
    }

    /// Whether the copy that went over may have acknowledged something by this entry. What is told apart by the entry it was
    /// begun on must not be begun on that one, and what was proposed on the word of the first copy stands on none that is newer.
    pub(super) fn may_have_spoken(&self, colony: ColonyId, cfg: Cfg) -> bool {
        self.missed.get(&colony).is_some_and(|known| cfg <= *known)
    }

    /// A copy is begun here, to catch up: what it is called later is true of it.
    pub(super) fn is_begun(&mut self, colony: ColonyId) {
        self.missed.remove(&colony);
    }

    /// Whether any is.
    pub(super) fn have_left(&self) -> bool {
        !self.left.is_empty()
    }
}

impl Shard {
    /// A shard of an island, without peers.
    #[must_use]
    pub fn apart(lineage: LineageId, start: StartId, settings: Settings) -> Self {
        let mut shard = Self::new(lineage, start, settings);
        shard.sides.apart = true;
        shard
    }

    /// How far the copies of colonies that may fork go. To be asked while it is fenced: else it is old when it is read.
    #[must_use]
    pub fn ends(&self) -> Vec<CopyEnd> {
        let (used, kept) = self.going();
        used.chain(kept).map(Replica::copy_end).collect()
    }

    /// The copies that go to another side: those in use, and of an island those that are kept.
    fn going(&self) -> (impl Iterator<Item = &Replica>, impl Iterator<Item = &Replica>) {
        let goes = |replica: &&Replica| replica.may_fork() && !replica.is_taken_in();
        let kept = self.kept().map(|(_, replica)| replica).filter(|_| self.sides.apart);
        (self.replicas().filter(goes), kept.filter(goes))
    }

    /// Hands out the copies of all colonies that may fork. They are no copies of this side any more, and no others of
    /// them are begun in their place. Of an island that one host goes on from alone these are all that it holds but what the
    /// root has taken in, and those as well whose start the island's group held for dead.
    pub fn fork(&mut self, now: Now, out: &mut Vec<Output>) -> Vec<Replica> {
        self.sides.fenced = None;
        let all: Vec<ColonyId> = self.colonies().filter(|colony| self.may_fork(*colony)).collect();
        if !mutant!(self.settings(), BeginBesideIsland) {
            self.sides.left.extend(all);
        }
        let (used, kept) = self.going();
        let (colonies, kept): (Vec<ColonyId>, Vec<ColonyId>) =
            (used.map(Replica::colony).collect(), kept.map(Replica::colony).collect());
        let mut departed = Vec::with_capacity(colonies.len() + kept.len());
        for colony in kept {
            departed.extend(self.hand_out_kept(now, colony, out, Replica::depart_apart));
        }
        for colony in colonies {
            let known = self.replica(colony).map(Replica::newest).unwrap_or_default();
            self.with(now, colony, out, Replica::depart_apart);
            if let Some(replica) = self.hand_out(colony) {
                self.sides.left.insert(colony);
                self.sides.missed.insert(colony, known);
                departed.push(replica);
            }
        }
        departed
    }

    /// Takes copies in that departed from another side.
    pub fn take_over(&mut self, now: Now, replicas: Vec<Replica>, out: &mut Vec<Output>) {
        for mut replica in replicas {
            let colony = replica.colony();
            replica.arrive(self.start(), self.lineage(), self.sides.apart, self.session_time());
            self.sides.left.remove(&colony);
            self.sides.missed.remove(&colony);
            match self.held_before(colony) {
                // It was to come back under a start that this process has lost meanwhile.
                Some(dead) => self.keep(dead, replica),
                None => {
                    self.put_in(replica);
                    self.follow_table(now, colony, out);
                }
            }
        }
    }

    /// Copies that are of the side that stays from now on: for [`Shard::take_over`] of its shard.
    pub fn returning(&mut self) -> Vec<Replica> {
        std::mem::take(&mut self.sides.returning)
    }

    /// Whether nothing is left to do on this side: no copy is here, not even one that is kept. Of a colony of which nothing
    /// is here others bring what they have, and nobody is waited for who may be gone for good.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left() == Left::default()
    }

    /// What is left here of this side. A copy that is not in sync, of a colony that nobody on this side serves any more, is
    /// nothing: all that was acknowledged is with those who were in sync, and nobody brings this copy the rest.
    #[must_use]
    pub fn left(&self) -> Left {
        // One that has not heard yet what it is on this side may be the best there is.
        let has_heard = |it: &Replica| it.entry().lineage == self.lineage();
        let is_idle = |it: &&Replica| has_heard(it) && it.part() == Part::CatchingUp && it.entry().primary.is_none();
        let used = self.replicas().filter(|it| !is_idle(it) || it.is_taken_in());
        let copies = used.chain(self.kept().map(|(_, replica)| replica));
        let (taken_in, open): (Vec<&Replica>, Vec<&Replica>) = copies.partition(|it| it.is_taken_in());
        Left { open: open.len() + self.sides.returning.len(), taken_in: taken_in.len() }
    }

    pub(super) fn staying(&mut self, now: Now, colony: ColonyId, staying: Option<Arc<Staying>>, out: &mut Vec<Output>) {
        // That it was taken in stays true while that side is out of reach.
        if let Some(staying) = &staying {
            self.sides.staying.insert(colony, Arc::clone(staying));
        }
        self.tell_kept(now, colony, staying.clone(), out);
        self.with(now, colony, out, |replica, loan| replica.staying(staying, loan));
        self.give_up_what_is_taken_in(now, colony, out);
    }

    /// Nobody discards first: a copy stays until its colony has its full count on the other side, or this very process
    /// holds one there. That it is kept, for this side's group holds its start for dead, makes it no worse: what it may
    /// have that the other side lacks is this side's group to judge, and until then the colony is not over here.
    fn give_up_what_is_taken_in(&mut self, now: Now, colony: ColonyId, out: &mut Vec<Output>) {
        let Some(staying) = self.sides.staying.get(&colony) else { return };
        let entry = &staying.entry;
        let Some(replica) = self.replica(colony).or_else(|| self.kept_of(colony)) else {
            // The copy that came here was of no use, or has moved on: that side hears of it when it has the colony.
            let is_here = self.served_here().find(|(served, _)| *served == colony);
            let is_over = is_here.is_none_or(|(_, lineage)| entry.absorbed_of(lineage).is_some());
            if is_over && self.sides.taken_in.insert(colony) {
                out.push(Output::TakenIn { colony });
            }
            return;
        };
        if !replica.is_taken_in() {
            return;
        }
        let is_back = replica.is_adopted();
        let is_enough = entry.in_sync.len() >= replica.copies() || entry.is_in_sync(staying.me);
        // Once another copy may have been begun there, this one is none of that side's any more.
        let is_awaited = is_back && staying.held_as.is_some() && !self.sides.taken_in.contains(&colony);
        if is_awaited {
            let replica = self.let_go(now, colony, out);
            self.sides.returning.extend(replica);
            self.sides.taken_in.insert(colony);
        } else if !is_back || entry.primary.is_some() {
            // From here on this process may hold a copy there.
            if self.sides.taken_in.insert(colony) {
                out.push(Output::TakenIn { colony });
            }
            if is_enough {
                drop(self.let_go(now, colony, out));
            }
        }
    }

    /// The copy of this colony, in use or kept, is none of this side's any more.
    fn let_go(&mut self, now: Now, colony: ColonyId, out: &mut Vec<Output>) -> Option<Replica> {
        if self.replica(colony).is_none() {
            return self.hand_out_kept(now, colony, out, Replica::depart);
        }
        self.with(now, colony, out, Replica::depart);
        self.hand_out(colony)
    }

    pub(super) fn heal(&mut self, now: Now, message: HealMessage, out: &mut Vec<Output>) {
        if message.to_lineage == self.lineage() && !self.is_fenced(now, message.colony) {
            let colony = message.colony;
            self.with(now, colony, out, |replica, loan| replica.heal(message, loan));
        }
    }

    pub(super) fn taken_in(&mut self, now: Now, colony: ColonyId, out: &mut Vec<Output>) {
        self.sides.left.remove(&colony);
        self.follow_table(now, colony, out);
    }

    /// Copies that went over and were dropped there, because that side had no use for them, may be begun anew as well.
    pub(super) fn back(&mut self, now: Now, out: &mut Vec<Output>) {
        for colony in std::mem::take(&mut self.sides.left) {
            self.follow_table(now, colony, out);
        }
    }

    /// Whether nothing may be acknowledged for a colony now.
    pub(super) fn is_fenced(&self, now: Now, colony: ColonyId) -> bool {
        self.sides.fenced.is_some_and(|until| now.mono < until) && self.may_fork(colony)
    }

    pub(super) fn fence(&mut self, now: Now, until: Option<Time>, out: &mut Vec<Output>) {
        let was_fenced = self.sides.fenced.is_some();
        self.sides.fenced = until;
        if was_fenced && until.is_none() {
            self.look_at_what_was_fenced(now, out);
        }
    }

    pub(super) fn lift_fence_in_time(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.sides.fenced.is_some_and(|until| now.mono >= until) {
            self.sides.fenced = None;
            self.look_at_what_was_fenced(now, out);
        }
    }

    /// What the table said meanwhile was not followed.
    fn look_at_what_was_fenced(&mut self, now: Now, out: &mut Vec<Output>) {
        for colony in self.colonies().filter(|colony| self.may_fork(*colony)).collect::<Vec<_>>() {
            self.follow_table(now, colony, out);
        }
    }
}

impl Replica {
    /// Whether its colony goes on on both sides of a split.
    pub(super) fn may_fork(&self) -> bool {
        self.space().policy.on_partition == OnPartition::Island
    }

    fn copies(&self) -> usize {
        usize::from(self.space().policy.copies)
    }

    /// Where its log ends.
    fn copy_end(&self) -> CopyEnd {
        let last = self.end();
        CopyEnd {
            colony: self.colony(),
            reign: last.map(|last| last.reign).unwrap_or_default(),
            end: self.prepared(),
            committed: self.committed(),
            led: self.entry().primary == Some(self.start()) && last.is_some_and(|last| last.reign == self.reign()),
        }
    }
}
