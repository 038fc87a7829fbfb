//! What an island begins with (`PROTOCOL.md` 8).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use colony_wire::admin::OnPartition;
use colony_wire::island::CopyEnd;
use colony_wire::{Cfg, ColonyId, LineageId, Reign, Revision, StartId, View};
use serde::{Deserialize, Serialize};

use super::state::check_member;
use super::{Command, Entry, Member, MemberState, Outcome, Refusal, State, Unaccounted};

/// The line of state that an island parted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Parent {
    /// Which line.
    pub lineage: LineageId,
    /// Its view when they parted, as far as those knew who parted.
    pub view: View,
    /// Its revision, likewise.
    pub revision: Revision,
}

/// A host that comes into an island, the founder among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settler {
    /// Its start in the group that the island parts from.
    pub root: StartId,
    /// Its record in the island, with the start it has there.
    pub member: Member,
    /// The copies it brings.
    pub copies: Vec<CopyEnd>,
}

/// One copy that a settler brings and that was in sync.
struct Brought {
    start: StartId,
    end: CopyEnd,
}

impl State {
    /// Whether this line of state parted from another and has not met it again.
    #[must_use]
    pub fn is_island(&self) -> bool {
        self.parent.is_some()
    }

    /// What an island of these hosts begins with, if this is the newest state that one of them has of the group they
    /// part from. It is carried by [`Command::Island`](super::Command::Island).
    ///
    /// - Who is not up in this state does not come along: it has been judged already. It is to be told so.
    /// - All other members are away, and those who were dead stay so.
    /// - Colonies of strict namespaces are left out. They have one history, and it is not here.
    /// - Of every other colony, the copies that this state names in sync and that are brought are in sync here. The one
    ///   whose log ends in the highest reign, furthest on, leads: what it holds beyond its `committed` may have been
    ///   acknowledged. But if the primary of that reign is among them it leads, wherever the others end: it knows what it
    ///   acknowledged.
    /// - Of a colony that nobody brings there is nothing here, and who has it is known: `unaccounted`, and ahead.
    /// - No placement plugin is tried on a share of the colonies.
    #[must_use]
    pub fn island(&self, lineage: LineageId, settlers: &[Settler]) -> Self {
        let settlers: BTreeMap<StartId, &Settler> =
            settlers.iter().filter(|settler| self.is_up(settler.root)).map(|settler| (settler.root, settler)).collect();
        let absent = self.members.values().filter(|member| !settlers.contains_key(&member.start)).map(|member| {
            let state = if member.state.is_up() { MemberState::Away } else { member.state };
            Member { state, ..member.clone() }
        });
        let present = settlers.values().map(|settler| {
            // Under these it may keep copies: those of strict namespaces it goes on with.
            let before = self.members.get(&settler.root).map(|member| member.earlier.clone()).unwrap_or_default();
            let earlier = before.into_iter().chain([settler.root]).collect();
            Member { state: MemberState::Up, earlier, ..settler.member.clone() }
        });
        let mut brought: BTreeMap<ColonyId, Vec<(StartId, CopyEnd)>> = BTreeMap::new();
        for settler in settlers.values() {
            for end in &settler.copies {
                brought.entry(end.colony).or_default().push((settler.root, *end));
            }
        }
        let mut table = BTreeMap::new();
        for (colony, entry) in &self.table {
            let Some(policy) = self.policy(*colony) else { continue };
            if policy.on_partition == OnPartition::Strict {
                continue;
            }
            let held = brought.get(colony).map_or(&[][..], Vec::as_slice);
            table.insert(*colony, parted(entry, lineage, held, usize::from(policy.copies), &settlers));
        }
        Self {
            lineage,
            members: absent.chain(present).map(|member| (member.start, member)).collect(),
            table,
            parent: Some(Parent { lineage: self.lineage, view: self.view, revision: self.revision }),
            // What is tried is tried in the group that decided it.
            canary: None,
            ..self.clone()
        }
    }

    /// What a host of this island would begin with that goes on from it alone, for no majority of its group is left
    /// (`PROTOCOL.md` 9). Simulated; hosts do not do it yet. `me` is its record here, and `next` the one it has from now on.
    /// None if it may not.
    ///
    /// Nobody decides here any more, and nothing is decided for others: it is this host that leaves, as it would in another
    /// split, and whoever is left does the same. If this group held it for dead and could not let it in again, it lets
    /// itself in, and takes back those of its copies that are in sync still, as the group would have done.
    #[must_use]
    pub fn alone(&self, lineage: LineageId, me: &Member, next: Member, copies: Vec<CopyEnd>) -> Option<Self> {
        let mut last = self.clone();
        if !last.is_up(me.start) {
            // It ran them when it was a member, and decides for nobody else.
            let plugins = last.needed_plugins().map(|(_, _, version)| version.content).collect();
            let join = Command::Join { member: me.clone(), deviations: Vec::new(), plugins };
            if last.apply(&join) != Outcome::Applied {
                return None;
            }
        }
        for CopyEnd { colony, .. } in &copies {
            if let Some(restore) = last.restoration(*colony, &me.earlier, me.start) {
                last.apply(&restore);
            }
        }
        Some(last.island(lineage, &[Settler { root: me.start, member: next, copies }]))
    }

    /// The island begins: all of it at once.
    pub(super) fn settle(&mut self, island: &Self) -> Result<(), Refusal> {
        if self.has_begun() {
            return Err(Refusal::NotAtBeginning);
        }
        let Some(parent) = island.parent else {
            return Err(Refusal::Malformed("an island has a parent".into()));
        };
        if island.lineage == parent.lineage || island.up().next().is_none() {
            return Err(Refusal::Malformed("an island has a lineage and members of its own".into()));
        }
        island.up().try_for_each(check_member)?;
        // Numbers are of this line from now on.
        let revision = self.revision;
        *self = Self { revision, view: View(revision.0), ..island.clone() };
        Ok(())
    }
}

/// One colony's entry in the island.
fn parted(
    entry: &Entry,
    lineage: LineageId,
    held: &[(StartId, CopyEnd)],
    copies: usize,
    settlers: &BTreeMap<StartId, &Settler>,
) -> Entry {
    let end_of = |root: &StartId| held.iter().find(|(holder, _)| holder == root).map(|(_, end)| *end);
    // In the order of the set: of two that end alike the first leads.
    let mut brought: Vec<Brought> = Vec::new();
    let mut missing: Vec<StartId> = Vec::new();
    for root in &entry.in_sync {
        match (settlers.get(root), end_of(root)) {
            (Some(settler), Some(end)) => brought.push(Brought { start: settler.member.start, end }),
            _ => missing.push(*root),
        }
    }
    let newest = brought.iter().map(|one| one.end.reign).max().unwrap_or_default();
    let merit = |at: &usize| {
        let end = brought[*at].end;
        let led_it = end.reign == newest && end.led;
        (led_it, end.reign, end.end, Reverse(*at))
    };
    if let Some(leader) = (0..brought.len()).max_by_key(merit) {
        brought[..=leader].rotate_right(1);
    }
    let in_sync: Vec<StartId> = brought.iter().map(|one| one.start).collect();
    // Where nobody brings a copy, all that was acknowledged is with those who are missing.
    let ahead = in_sync.is_empty();
    let mut unaccounted = entry.unaccounted.clone();
    unaccounted.extend(missing.into_iter().map(|start| Unaccounted { start, ahead }));
    Entry {
        lineage,
        reign: Reign(entry.reign.max(newest).0 + 1),
        cfg: Cfg(entry.cfg.0 + 1),
        primary: in_sync.first().copied(),
        want: in_sync.iter().copied().take(copies).collect(),
        in_sync,
        dead: Vec::new(),
        unaccounted,
        absorbed: entry.absorbed.clone(),
    }
}
