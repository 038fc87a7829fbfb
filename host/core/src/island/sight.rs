//! What a host sees of the others when it judges whether it is cut off.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use colony_wire::admin::OnPartition;
use colony_wire::{ColonyId, RaftId, StartId};

use super::{Attachment, Config};
use crate::Now;
use crate::group::{Entry, State};

/// One look around. All of it is of the root group.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The newest state that this host has.
    pub state: &'a State,
    /// What was heard of a leader and of who votes.
    pub attachment: &'a Attachment,
    /// Who answers this host ([`Watch::reached`](crate::watch::Watch::reached)).
    pub reached: &'a BTreeSet<StartId>,
}

/// For how long no leader has been heard of.
enum Forsaken {
    No,
    /// For longer than an election takes.
    Briefly,
    /// Beyond all patience.
    Long,
}

impl Sight<'_> {
    /// Whether `me` is cut off, if it has listened for as long as `listened`.
    pub(super) fn is_cut(&self, config: &Config, now: Now, me: StartId, listened: Duration) -> bool {
        match self.forsaken(config, now, listened) {
            Forsaken::No => false,
            Forsaken::Briefly => self.reaches_majority(me) == Some(false),
            Forsaken::Long => self.reaches_majority(me) == Some(false) || self.misses_copies(me),
        }
    }

    /// Whether `me` would be right to go along with one that is cut off. Who does not know the voters believes the one
    /// that does.
    pub(super) fn may_come_along(&self, config: &Config, now: Now, me: StartId, listened: Duration) -> bool {
        match self.forsaken(config, now, listened) {
            Forsaken::No => false,
            Forsaken::Briefly => self.reaches_majority(me) != Some(true),
            Forsaken::Long => true,
        }
    }

    /// Time in which this host did not listen does not count.
    fn forsaken(&self, config: &Config, now: Now, listened: Duration) -> Forsaken {
        let unattached = self.attachment.age(now).unwrap_or(Duration::MAX).min(listened);
        if self.attachment.is_attached(now) || unattached < config.island_after {
            Forsaken::No
        } else if unattached < config.island_after * config.patience {
            Forsaken::Briefly
        } else {
            Forsaken::Long
        }
    }

    /// Whether `me` and those it reaches are a majority of the voters; none if nobody knows who votes.
    fn reaches_majority(&self, me: StartId) -> Option<bool> {
        let voters = self.attachment.voters();
        if voters.is_empty() {
            return None;
        }
        let here = self.reached.iter().chain([&me]).filter_map(|start| self.state.members.get(start));
        let voting: BTreeSet<RaftId> = here.map(|member| member.raft).filter(|raft| voters.contains(raft)).collect();
        Some(voting.len() * 2 > voters.len())
    }

    /// Whether a colony that `me` holds a copy of, and that goes on in islands, waits for a copy that it does not reach.
    fn misses_copies(&self, me: StartId) -> bool {
        let is_here = |start: &StartId| *start == me || self.reached.contains(start);
        self.forking().any(|(_, entry)| entry.is_in_sync(me) && !entry.in_sync.iter().all(is_here))
    }

    /// Whether an island of these would have anything to serve.
    pub(super) fn is_worth_it(&self, hosts: &[StartId]) -> bool {
        self.forking().any(|(_, entry)| hosts.iter().any(|start| entry.is_in_sync(*start)))
    }

    /// The colonies that go on in islands.
    fn forking(&self) -> impl Iterator<Item = (&ColonyId, &Entry)> {
        let goes_on =
            |colony: &ColonyId| self.state.policy(*colony).is_some_and(|it| it.on_partition == OnPartition::Island);
        self.state.table.iter().filter(move |(colony, _)| goes_on(colony))
    }

    /// Those who may open an island together, `me` among them, in the order in which they act: by address.
    pub(super) fn line(&self, me: StartId) -> Vec<StartId> {
        let here = self.state.up().filter(|member| member.start == me || self.reached.contains(&member.start));
        let mut line: Vec<(SocketAddr, StartId)> = here.map(|member| (member.address, member.start)).collect();
        line.sort_unstable();
        line.into_iter().map(|(_, start)| start).collect()
    }

    /// Whether `one` acts before `other`. Who is not a member acts before nobody.
    pub(super) fn precedes(&self, one: StartId, other: StartId) -> bool {
        let place = |start: StartId| self.state.members.get(&start).map(|member| (member.address, start));
        match (place(one), place(other)) {
            (Some(one), Some(other)) => one < other,
            (one, _) => one.is_some(),
        }
    }
}
