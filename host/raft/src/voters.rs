//! Who votes: the next step towards the voters a group should have (`PROTOCOL.md` 7), as a pure function.
//!
//! - One voter with one or two hosts, three from three on, never more than asked for: two voters would stop
//!   when either does.
//! - A voter whose host is dead is replaced one for one by a living host that is no voter, and stays where
//!   there is none: the number of voters never falls by itself, or a minority could outvote who is away.
//! - A voter whose host is about to leave is replaced likewise. Where there is nobody to replace it, the number
//!   falls to what the hosts that stay should have: only leaving by will makes it fall. It leads no more before it
//!   loses its vote, so that the group is not without a leader for as long as an election takes.
//! - Voters are spread over zones, then over racks and machines.
//! - Who is to vote is first made a learner, and promoted when it has the log: until then it could not help
//!   to a quorum.
//!
//! What this does not know: whether this host leads, whether a change is under way, how changes are made.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use colony_core::group::{Member, State};
use colony_wire::RaftId;

use crate::types::Peer;

/// Most voters a group gets without being asked for more: three survive the loss of any one.
pub const VOTERS: usize = 3;

/// Labels that say where a host is, the widest first. Hosts without the label are each at a place of their own.
const PLACES: [&str; 4] = ["region", "zone", "rack", "machine"];

/// Raft's membership now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Electorate {
    /// Who votes. Two sets while the first gives way to the second.
    pub(crate) voters: Vec<BTreeSet<RaftId>>,
    /// Everyone the leader sends the log to, and where they were when they were added.
    pub(crate) nodes: BTreeMap<RaftId, SocketAddr>,
    /// Those who have nearly the whole log.
    pub(crate) caught_up: BTreeSet<RaftId>,
    /// Those who have this membership itself in their log, and so know whether they vote.
    pub(crate) informed: BTreeSet<RaftId>,
    /// Who leads.
    pub(crate) leader: RaftId,
}

/// One change of the electorate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A change that an earlier leader began is brought to its end.
    Finish(BTreeSet<RaftId>),
    /// A host is sent the log, to vote later.
    Teach(Peer),
    /// These vote from now on, in place of those before.
    Elect(BTreeSet<RaftId>),
    /// A node that does not vote and shall not is no longer sent the log.
    Dismiss(RaftId),
    /// The leader, who is to lose its vote, lets this voter lead.
    HandOver(RaftId),
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This.
    Step(Step),
    /// Nothing until a learner has caught up.
    Wait,
    /// Nothing: the voters are who they should be.
    Nothing,
}

/// The next step, if `most` hosts may vote.
#[must_use]
pub(crate) fn next_step(state: &State, now: &Electorate, most: usize) -> Next {
    let Some(voters) = now.voters.last() else { return Next::Nothing };
    if now.voters.len() > 1 {
        return Next::Step(Step::Finish(voters.clone()));
    }
    let living: BTreeMap<RaftId, &Member> = state.up().map(|member| (member.raft, member)).collect();
    let staying: BTreeMap<RaftId, &Member> = state.staying().map(|member| (member.raft, member)).collect();
    let wanted = wanted(&living, &staying, now, voters, most);
    // Its successor must vote already. It goes first: what a leader that leaves has under way when it hands over would
    // wait for its outcome.
    let heir = wanted.intersection(voters).find(|raft| now.caught_up.contains(raft));
    let leaves = voters.contains(&now.leader) && !wanted.contains(&now.leader);
    if let Some(heir) = heir.filter(|_| leaves) {
        return Next::Step(Step::HandOver(*heir));
    }
    let added: Vec<RaftId> = wanted.difference(voters).copied().collect();
    for raft in &added {
        if !now.nodes.contains_key(raft)
            && let Some(member) = living.get(raft)
        {
            return Next::Step(Step::Teach(Peer { raft: *raft, address: member.address }));
        }
    }
    if wanted != *voters {
        if !added.iter().all(|raft| now.caught_up.contains(raft)) {
            return Next::Wait;
        }
        return Next::Step(Step::Elect(if leaves { voters.union(&wanted).copied().collect() } else { wanted }));
    }
    // One that does not know yet that it votes no more would wait for a log that nobody sends it; one that is about to
    // leave is sent the log until it is gone.
    let is_done_with = |raft: &RaftId| match living.contains_key(raft) {
        true => staying.contains_key(raft) && now.informed.contains(raft),
        false => true,
    };
    let mut idle = now.nodes.keys().filter(|raft| !voters.contains(raft));
    match idle.clone().find(|raft| is_done_with(raft)) {
        Some(raft) => Next::Step(Step::Dismiss(*raft)),
        None if idle.any(|raft| staying.contains_key(raft)) => Next::Wait,
        None => Next::Nothing,
    }
}

/// Who should vote.
fn wanted(
    living: &BTreeMap<RaftId, &Member>,
    staying: &BTreeMap<RaftId, &Member>,
    now: &Electorate,
    voters: &BTreeSet<RaftId>,
    most: usize,
) -> BTreeSet<RaftId> {
    if staying.is_empty() {
        // All leave: there is nobody to give a vote to.
        return voters.clone();
    }
    let is_left = voters.iter().any(|raft| living.contains_key(raft) && !staying.contains_key(raft));
    let worth_having = odd(staying.len().min(most));
    let count = if is_left && staying.len() < voters.len() { worth_having } else { voters.len().max(worth_having) };
    let mut wanted: BTreeSet<RaftId> = voters.iter().copied().filter(|raft| staying.contains_key(raft)).collect();
    while wanted.len() > count {
        // The leader stays, so that it need not change.
        let Some(last) = wanted.iter().rev().copied().find(|raft| *raft != now.leader) else { break };
        wanted.remove(&last);
    }
    while wanted.len() < count {
        let spare = staying.keys().copied().filter(|raft| !wanted.contains(raft));
        let best = spare.min_by_key(|raft| {
            // Who is learning already goes first among equals, so that a choice once made stands.
            (crowding(staying, &wanted, *raft), !now.nodes.contains_key(raft), *raft)
        });
        let Some(best) = best else { break };
        wanted.insert(best);
    }
    let missing = count.saturating_sub(wanted.len());
    wanted.extend(voters.iter().copied().filter(|raft| !staying.contains_key(raft)).take(missing));
    wanted
}

/// The largest number of voters worth having among so many: an even one survives no more losses than the odd
/// one below it. Two hosts have one voter, so that one of them may stop.
fn odd(hosts: usize) -> usize {
    if hosts.is_multiple_of(2) { hosts.saturating_sub(1) } else { hosts }
}

/// With how many of the chosen the host shares each kind of place.
fn crowding(living: &BTreeMap<RaftId, &Member>, chosen: &BTreeSet<RaftId>, raft: RaftId) -> [usize; PLACES.len()] {
    PLACES.map(|place| {
        let at = |raft: &RaftId| living.get(raft).and_then(|member| member.labels.get(place));
        at(&raft).map_or(0, |own| chosen.iter().filter(|other| at(other) == Some(own)).count())
    })
}

#[cfg(test)]
mod tests;
