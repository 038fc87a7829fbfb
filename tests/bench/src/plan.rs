//! What planning takes: the pure function, without a cluster.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use colony_core::group::{Command, Member, MemberState, Move, Outcome, State};
use colony_core::placement::{Even, Planner, Proposal};
use colony_wire::admin::Policy;
use colony_wire::{ClusterId, LineageId, RaftId, StartId};

use crate::failure::Failure;

/// Hosts.
const HOSTS: u64 = 50;
/// Colonies; a power of two.
const COLONIES: u32 = 4096;
/// Copies of each.
const COPIES: u8 = 2;
/// How often each plan is made: the time told is the middle one.
const TIMES: usize = 5;

/// One plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    /// What it is for.
    pub(crate) about: &'static str,
    /// How long it took.
    pub(crate) took: Duration,
    /// Copies that come new to a host by it.
    pub(crate) moves: usize,
    /// The fewest with which every host has as many copies as any other, within one.
    pub(crate) fewest: usize,
    /// Copies of the host that has most, and of the one that has fewest, once it is carried out.
    pub(crate) most: usize,
    /// See there.
    pub(crate) least: usize,
}

/// Plans a namespace on 50 hosts, the coming of one more host, and the death of one.
///
/// # Errors
/// [`Failure::Plan`] if the core does not do as it should.
pub(crate) fn measure() -> Result<Vec<Planned>, Failure> {
    let mut state = State::default();
    for host in 0..HOSTS {
        join(&mut state, host)?;
    }
    let policy = Policy { copies: COPIES, buckets: COLONIES, ..Policy::default() };
    let (took, placed) = timed(|| Planner::new(&state, &Even).place_namespace("bench", &policy));
    let placement = placed.map_err(|error| Failure::Plan(error.to_string()))?;
    apply(&mut state, &Command::CreateNamespace { name: "bench".into(), policy, placement })?;
    catch_up(&mut state)?;
    let all = COLONIES as usize * usize::from(COPIES);
    let mut planned = vec![of(&state, "4,096 colonies placed on 50 hosts", took, (all, all))];

    join(&mut state, HOSTS)?;
    // The newcomer's even share; nothing else has to move.
    let fewest = all / (HOSTS as usize + 1);
    planned.push(rebalance(&mut state, "a 51st host comes", fewest)?);
    catch_up(&mut state)?;

    let dead = state.up().next().map(|member| member.start).ok_or_else(|| Failure::Plan("no host".into()))?;
    let lost = held(&state).get(&dead).copied().unwrap_or_default();
    let (took, deviations) = timed(|| Planner::new(&state, &Even).heirs(dead));
    apply(&mut state, &Command::Dead { start: dead, deviations })?;
    planned.push(of(&state, "heirs of a host that dies", took, (0, 0)));
    planned.push(rebalance(&mut state, "its copies are made anew", lost)?);
    Ok(planned)
}

fn rebalance(state: &mut State, about: &'static str, fewest: usize) -> Result<Planned, Failure> {
    let (took, proposal) = timed(|| Planner::new(state, &Even).rebalance(about));
    let proposal: Proposal = proposal.ok_or_else(|| Failure::Plan(format!("{about}: no plan")))?;
    let Command::Plan { moves, .. } = &proposal.command else {
        return Err(Failure::Plan(format!("{about}: not a plan")));
    };
    let moved = moves.iter().map(|change| transfers(state, change)).sum();
    apply(state, &proposal.command)?;
    Ok(of(state, about, took, (moved, fewest)))
}

fn transfers(state: &State, change: &Move) -> usize {
    let holders = state.table.get(&change.colony).map(|entry| &entry.in_sync);
    change.want.iter().filter(|start| holders.is_none_or(|holders| !holders.contains(start))).count()
}

fn of(state: &State, about: &'static str, took: Duration, (moves, fewest): (usize, usize)) -> Planned {
    let held = held(state);
    let most = held.values().copied().max().unwrap_or_default();
    let least = held.values().copied().min().unwrap_or_default();
    Planned { about, took, moves, fewest, most, least }
}

/// Copies wanted on each host that is up.
fn held(state: &State) -> BTreeMap<StartId, usize> {
    let mut held: BTreeMap<StartId, usize> = state.up().map(|member| (member.start, 0)).collect();
    for start in state.table.values().flat_map(|entry| &entry.want) {
        if let Some(count) = held.get_mut(start) {
            *count += 1;
        }
    }
    held
}

fn join(state: &mut State, host: u64) -> Result<(), Failure> {
    // Starts are in no order of names, as drawn ones are not.
    let start = StartId((host + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let member = Member {
        start,
        name: format!("h{host}"),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 7400)),
        shards: 1,
        labels: BTreeMap::new(),
        raft: RaftId(start.0),
        earlier: Vec::new(),
        state: MemberState::Up,
    };
    let command = if state.has_begun() {
        Command::Join { member, deviations: Vec::new(), plugins: Vec::new() }
    } else {
        Command::Genesis { cluster: ClusterId(1), lineage: LineageId(1), member }
    };
    apply(state, &command)
}

/// Every copy that is wanted becomes one: first those that come, then the primary's part, then those that go.
fn catch_up(state: &mut State) -> Result<(), Failure> {
    let colonies: Vec<_> = state.table.keys().copied().collect();
    for colony in colonies {
        while let Some(command) = next_step(state, colony) {
            apply(state, &command)?;
        }
    }
    Ok(())
}

fn next_step(state: &State, colony: colony_wire::ColonyId) -> Option<Command> {
    let entry = state.table.get(&colony)?;
    let (cfg, reign, by) = (entry.cfg, entry.reign, entry.primary?);
    if let Some(missing) = entry.want.iter().find(|start| !entry.is_in_sync(**start)) {
        return Some(Command::ChangeInSync { colony, cfg, reign, by, add: Some(*missing), remove: Vec::new() });
    }
    let first = *entry.want.first()?;
    if first != by {
        return Some(Command::Swap { colony, cfg, from: by, to: first });
    }
    let spare = *entry.in_sync.iter().find(|start| !entry.is_wanted(**start))?;
    Some(Command::ChangeInSync { colony, cfg, reign, by, add: None, remove: vec![spare] })
}

fn apply(state: &mut State, command: &Command) -> Result<(), Failure> {
    match state.apply(command) {
        Outcome::Refused(why) => Err(Failure::Plan(format!("refused: {why:?}"))),
        _ => Ok(()),
    }
}

/// Does the same several times, and says how long the middle one took.
fn timed<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut took = Vec::new();
    loop {
        let begun = Instant::now();
        let done = work();
        took.push(begun.elapsed());
        if took.len() >= TIMES {
            took.sort_unstable();
            return (took[TIMES / 2], done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_even_and_nothing_moves_twice() {
        let planned = measure().unwrap();
        assert_eq!(planned.len(), 4);
        for plan in &planned {
            assert!(plan.moves >= plan.fewest, "{plan:?}: fewer than the fewest");
        }
        assert!(planned[1].most - planned[1].least <= 1, "{:?}", planned[1]);
    }
}
