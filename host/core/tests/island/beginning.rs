//! What an island begins with (`PROTOCOL.md` 8).

use std::collections::BTreeMap;

use colony_core::group::{Command, Deviation, Entry, Member, MemberState, Outcome, Refusal, Settler, State};
use colony_core::placement::{Even, Planner};
use colony_wire::admin::{OnPartition, Policy};
use colony_wire::island::CopyEnd;
use colony_wire::plugin::{ContentId, PluginKind};
use colony_wire::{Cfg, ColonyId, LineageId, NamespaceId, Reign, Revision, Seq, StartId, View};
use proptest::prelude::*;

use crate::town::{create, group, member, start};

const ISLAND: LineageId = LineageId(8);
const CART: ColonyId = ColonyId { namespace: NamespaceId(1), bucket: 0 };

/// The start that a host has in the island.
fn settled(host: usize) -> StartId {
    StartId(start(host).0 + 1000)
}

fn settler(host: usize, copies: Vec<CopyEnd>) -> Settler {
    Settler { root: start(host), member: Member { start: settled(host), ..member(host) }, copies }
}

/// Host, reign of its last op, its place, and what it knows to be committed.
fn end(colony: ColonyId, (reign, end, committed): (u64, u64, u64), led: bool) -> CopyEnd {
    CopyEnd { colony, reign: Reign(reign), end: Seq(end), committed: Seq(committed), led }
}

/// The cart of an island of these hosts, each with the end of its log, and whether it led its last reign.
fn cart(state: &State, hosts: &[(usize, (u64, u64, u64), bool)]) -> Entry {
    let settlers: Vec<Settler> =
        hosts.iter().map(|(host, at, led)| settler(*host, vec![end(CART, *at, *led)])).collect();
    begun(state, &settlers).table[&CART].clone()
}

/// The island as its group has it.
fn begun(state: &State, settlers: &[Settler]) -> State {
    let before = state.clone();
    let island = state.island(ISLAND, settlers);
    assert_eq!(*state, before);
    let command = Command::Island { state: Box::new(island) };
    assert_eq!(Command::decode(&command.encode()).expect("it was encoded here"), command);
    let mut states = [State::default(), State::default()];
    for state in &mut states {
        assert_eq!(state.apply(&command), Outcome::Applied);
    }
    assert_eq!(states[0], states[1], "apply is pure");
    assert_eq!(State::decode(&states[0].encode()).expect("it was encoded here"), states[0]);
    assert_sound(state, &states[0]);
    states[0].clone()
}

/// What holds of every island at its beginning.
fn assert_sound(root: &State, island: &State) {
    assert!(island.is_island() && island.has_begun() && island.view.0 <= island.revision.0);
    let parent = island.parent.expect("a parent");
    assert_eq!((parent.lineage, parent.view, parent.revision), (root.lineage, root.view, root.revision));
    assert_eq!((&island.namespaces, &island.plugins, island.cluster), (&root.namespaces, &root.plugins, root.cluster));
    for old in root.members.values() {
        match island.members.get(&old.start) {
            Some(now) if old.state.is_up() => assert_eq!(now.state, MemberState::Away),
            Some(now) => assert_eq!(now.state, old.state),
            None => assert_eq!(island.up().filter(|now| now.earlier.contains(&old.start)).count(), 1, "it is here"),
        }
    }
    for (colony, old) in &root.table {
        let policy = root.policy(*colony).expect("its namespace is there");
        let Some(new) = island.table.get(colony) else {
            assert_eq!(policy.on_partition, OnPartition::Strict);
            continue;
        };
        assert_eq!(policy.on_partition, OnPartition::Island);
        assert_eq!(new.lineage, island.lineage);
        assert!(new.reign > old.reign && new.cfg > old.cfg);
        assert_eq!(new.primary, new.in_sync.first().copied());
        assert!(new.in_sync.iter().all(|start| island.is_up(*start)));
        assert!(new.want.iter().all(|start| new.is_in_sync(*start)) && new.want.len() <= usize::from(policy.copies));
        let roots = |start: &StartId| island.members[start].earlier.last().copied();
        let held: Vec<StartId> = new.in_sync.iter().filter_map(roots).collect();
        assert!(held.iter().all(|start| old.is_in_sync(*start)), "I5: it was in sync before");
        for start in &old.in_sync {
            assert!(held.contains(start) != new.is_unaccounted(*start), "{colony}: here, or not accounted for");
        }
    }
}

#[test]
fn an_island_knows_who_is_here_and_who_is_away() {
    let mut state = group(4, OnPartition::Island, &[&[0, 1]]);
    state.apply(&Command::Dead { start: start(3), deviations: Vec::<Deviation>::new() });
    let island = begun(&state, &[settler(1, Vec::new()), settler(2, Vec::new())]);
    let states: BTreeMap<StartId, MemberState> =
        island.members.iter().map(|(start, one)| (*start, one.state)).collect();
    let expected = [
        (start(0), MemberState::Away),
        (start(3), MemberState::Dead),
        (settled(1), MemberState::Up),
        (settled(2), MemberState::Up),
    ];
    assert_eq!(states.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!((island.lineage, island.revision, island.view), (ISLAND, Revision(1), View(1)));
    assert_eq!(island.members[&settled(1)].earlier, [start(1)]);
}

/// C17: where a copy is there is a primary, from the first command on.
#[test]
fn the_log_that_ends_furthest_in_the_highest_reign_leads() {
    let state = group(4, OnPartition::Island, &[&[0, 1, 2]]);
    let entry = cart(&state, &[(1, (1, 30, 20), false), (2, (1, 31, 20), false)]);
    assert_eq!((entry.primary, entry.in_sync), (Some(settled(2)), vec![settled(2), settled(1)]));
    assert_eq!((entry.reign, entry.cfg, entry.lineage), (Reign(2), Cfg(2), ISLAND));
    assert_eq!(entry.want, [settled(2), settled(1)]);
    // A later reign goes before a longer log.
    let entry = cart(&state, &[(1, (5, 29, 20), false), (2, (4, 31, 20), false)]);
    assert_eq!((entry.primary, entry.reign), (Some(settled(1)), Reign(6)));
    // Of two that end alike the first in the set leads, whoever consented first.
    let entry = cart(&state, &[(2, (1, 30, 20), false), (1, (1, 30, 20), false)]);
    assert_eq!(entry.in_sync, [settled(1), settled(2)]);
}

/// Alone it knows that nothing beyond what it committed was acknowledged: it leads and truncates, and the others follow
/// it. Without it a suffix may have been acknowledged, and stays.
#[test]
fn the_primary_of_the_highest_reign_leads_and_truncates() {
    let state = group(4, OnPartition::Island, &[&[0, 1, 2]]);
    let entry = cart(&state, &[(0, (3, 30, 28), true), (1, (3, 30, 27), false), (2, (3, 30, 27), false)]);
    assert_eq!(entry.in_sync, [settled(0), settled(1), settled(2)]);
    let entry = cart(&state, &[(1, (3, 31, 27), false), (2, (3, 30, 28), true)]);
    assert_eq!(entry.in_sync, [settled(2), settled(1)], "also where another's log goes on further");
    // The primary of a reign that is over is a copy like any other.
    let entry = cart(&state, &[(0, (3, 40, 40), true), (1, (4, 30, 27), false)]);
    assert_eq!(entry.in_sync, [settled(1), settled(0)]);
}

/// Only who was in sync by the newest table holds what was acknowledged.
#[test]
fn a_copy_that_was_not_in_sync_counts_for_nothing() {
    let state = group(4, OnPartition::Island, &[&[0, 1]]);
    let entry = cart(&state, &[(1, (1, 30, 20), false), (2, (9, 99, 99), true)]);
    assert_eq!((&entry.in_sync, &entry.want), (&vec![settled(1)], &vec![settled(1)]));
    assert!(entry.is_unaccounted(start(0)), "the other side has it");
    assert!(!entry.unaccounted.iter().any(|one| one.ahead));
}

/// Nobody here has it. It is offline, and who has it is said.
#[test]
fn a_colony_that_nobody_brings_is_offline_by_name() {
    let state = group(4, OnPartition::Island, &[&[0, 1], &[2, 3]]);
    let second = ColonyId { bucket: 1, ..CART };
    let settlers = [settler(2, vec![end(second, (1, 5, 5), true)]), settler(3, vec![end(second, (1, 5, 5), false)])];
    let island = begun(&state, &settlers);
    let entry = &island.table[&CART];
    assert_eq!((entry.primary, entry.in_sync.len(), entry.want.len()), (None, 0, 0));
    let lacking: Vec<(StartId, bool)> = entry.unaccounted.iter().map(|one| (one.start, one.ahead)).collect();
    assert_eq!(lacking, [(start(0), true), (start(1), true)]);
    let problems = Planner::new(&island, &Even).problems();
    let offline = (CART, "offline: no in-sync copy is in this island; last on h0, h1".to_owned());
    assert!(problems.contains(&offline), "{problems:?}");
    assert_eq!(Planner::new(&island, &Even).rebalance(""), None, "there is nothing to copy, and nobody to copy it to");
    assert!(Planner::new(&island, &Even).promotions().is_empty());
}

/// C16: there is one history of it, and it is not here.
#[test]
fn strict_colonies_are_left_out() {
    let mut state = group(3, OnPartition::Island, &[&[0, 1]]);
    create(&mut state, "bank", OnPartition::Strict, 2, &[&[1, 2], &[2, 1]]);
    let island = begun(&state, &[settler(1, Vec::new()), settler(2, Vec::new())]);
    assert_eq!(island.table.keys().copied().collect::<Vec<_>>(), [CART]);
    assert!(island.namespace("bank").is_some(), "it is known, and not served");
}

/// Who the newest state says is dead has been judged: its copies may lack what was acknowledged since.
#[test]
fn who_was_declared_dead_does_not_come_along() {
    let mut state = group(3, OnPartition::Island, &[&[0, 1, 2]]);
    state.apply(&Command::Dead { start: start(1), deviations: Vec::new() });
    let settlers = [settler(1, vec![end(CART, (1, 90, 90), true)]), settler(2, vec![end(CART, (1, 80, 80), false)])];
    let island = begun(&state, &settlers);
    assert!(!island.members.contains_key(&settled(1)));
    assert_eq!(island.table[&CART].in_sync, [settled(2)]);
}

fn island_of_two() -> State {
    let state = group(4, OnPartition::Island, &[&[0, 1, 2]]);
    let copies = || vec![end(CART, (1, 9, 9), false)];
    begun(&state, &[settler(1, copies()), settler(2, copies())])
}

#[track_caller]
fn refused(state: &mut State, command: &Command) -> Refusal {
    let mut before = state.clone();
    let outcome = state.apply(command);
    before.revision.0 += 1;
    assert_eq!(*state, before, "a refused command changes nothing");
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("{command:?} gave {other:?}"),
    }
}

#[test]
fn what_belongs_to_the_whole_cluster_is_not_changed_in_an_island() {
    let mut island = island_of_two();
    let (name, content) = ("cart".to_owned(), ContentId([1; 32]));
    let version = colony_core::group::PluginVersion { content, size: 1, forced: false };
    let cfg = island.table[&CART].cfg;
    let policy = Policy { copies: 1, buckets: 1, ..Policy::default() };
    let commands = [
        Command::CreateNamespace { name: "new".into(), policy, placement: vec![vec![settled(1)]] },
        Command::InstallPlugin { name: name.clone(), kind: PluginKind::Merge, version },
        Command::UsePlugin { name: name.clone(), content, compiled: Vec::new() },
        Command::RollBackPlugin { name: name.clone(), from: content, to: content, compiled: Vec::new() },
        Command::BeginCanary { name: name.clone(), content, percent: 10, compiled: Vec::new() },
        Command::EndCanary { name: name.clone(), content },
        Command::UninstallPlugin { name },
        Command::AcceptStale { colony: CART, cfg, to: settled(1), lineage: LineageId(9) },
    ];
    for command in commands {
        assert_eq!(refused(&mut island, &command), Refusal::NotInIsland, "{command:?}");
    }
}

/// Who is away is judged where it lives.
#[test]
fn who_is_away_is_not_judged_here() {
    let mut island = island_of_two();
    let away = start(0);
    let dead = Command::Dead { start: away, deviations: Vec::new() };
    assert_eq!(refused(&mut island, &dead), Refusal::NotUp(away));
    assert_eq!(refused(&mut island, &Command::Drain { starts: vec![away] }), Refusal::NotUp(away));
    assert_eq!(refused(&mut island, &Command::Leave { start: away }), Refusal::NotDraining(away));
    let join = |member: Member| Command::Join { member, deviations: Vec::new(), plugins: Vec::new() };
    assert_eq!(refused(&mut island, &join(member(0))), Refusal::NotUp(away));
    assert!(!island.is_up(away) && !island.is_staying(away));
    // Another process of that name attests that it is gone, and its copy with it.
    assert!(island.table[&CART].is_unaccounted(away));
    let again = Member { start: StartId(77), ..member(0) };
    assert_eq!(island.apply(&join(again)), Outcome::Applied);
    assert!(!island.members.contains_key(&away) && !island.table[&CART].is_unaccounted(away));
    // The same process under another start attests nothing.
    let three = Member { start: StartId(78), earlier: vec![start(3)], ..member(3) };
    assert_eq!(island.apply(&join(three)), Outcome::Applied);
    assert_eq!(island.members[&start(3)].state, MemberState::Away);
}

/// The other commands go on: a member of the island dies, and the colony has a primary.
#[test]
fn an_island_is_a_group_like_any_other() {
    let mut island = island_of_two();
    assert_eq!(island.apply(&Command::Dead { start: settled(1), deviations: Vec::new() }), Outcome::Applied);
    let entry = &island.table[&CART];
    assert_eq!((entry.primary, &entry.in_sync), (Some(settled(2)), &vec![settled(2)]));
    assert!(entry.is_unaccounted(start(0)), "the other side's copy still counts");
}

#[test]
fn an_island_begins_once_and_with_a_parent() {
    let mut island = island_of_two();
    let again = Command::Island { state: Box::new(island.clone()) };
    assert_eq!(refused(&mut island, &again), Refusal::NotAtBeginning);
    let mut empty = State::default();
    let root = group(2, OnPartition::Island, &[&[0, 1]]);
    let orphan = Command::Island { state: Box::new(root.clone()) };
    assert!(matches!(refused(&mut empty, &orphan), Refusal::Malformed(_)));
    let deserted = Command::Island { state: Box::new(root.island(ISLAND, &[])) };
    assert!(matches!(refused(&mut empty, &deserted), Refusal::Malformed(_)));
}

proptest! {
    /// I5: whoever comes along with whatever ends, an island serves from a copy that was in sync, the best there is,
    /// and forgets nobody who holds another.
    #[test]
    fn any_island_is_sound(
        sets in prop::collection::vec(prop::sample::subsequence(vec![0, 1, 2, 3, 4], 1..=3), 1..4),
        here in prop::sample::subsequence(vec![0, 1, 2, 3, 4], 1..=5),
        ends in prop::collection::vec((any::<bool>(), 1..3_u64, 1..9_u64), 20),
        dead in prop::option::of(0..5_usize),
    ) {
        let sets: Vec<Vec<usize>> = sets;
        let sets: Vec<&[usize]> = sets.iter().map(Vec::as_slice).collect();
        let mut state = group(5, OnPartition::Island, &sets[..1]);
        let rest = &sets[1..];
        for (at, set) in rest.iter().enumerate() {
            create(&mut state, &format!("n{at}"), OnPartition::Island, 1, &[*set]);
        }
        if let Some(dead) = dead {
            state.apply(&Command::Dead { start: start(dead), deviations: Vec::new() });
        }
        let mut ends = ends.into_iter().cycle();
        let settlers: Vec<Settler> = here.iter().map(|host| {
            let held = state.table.iter().filter(|(_, entry)| entry.is_in_sync(start(*host)));
            let copies = held.zip(&mut ends).filter(|(_, (brings, ..))| *brings).map(|((colony, entry), (_, reign, at))| {
                let led = entry.primary == Some(start(*host)) && reign == 2;
                end(*colony, (reign, at, at / 2), led)
            });
            settler(*host, copies.collect())
        }).collect();
        prop_assume!(here.iter().any(|host| state.is_up(start(*host))));
        let island = begun(&state, &settlers);
        for (colony, entry) in &island.table {
            let brought = settlers.iter().filter(|one| state.is_up(one.root) && state.table[colony].is_in_sync(one.root));
            let copies: Vec<(StartId, CopyEnd)> = brought.flat_map(|one| {
                one.copies.iter().filter(|end| end.colony == *colony).map(|end| (one.member.start, *end))
            }).collect();
            prop_assert_eq!(copies.len(), entry.in_sync.len());
            let Some(leader) = entry.primary else { continue };
            let of_leader = copies.iter().find(|(start, _)| *start == leader).expect("it brought one").1;
            for (_, other) in &copies {
                let is_behind = (other.reign, other.end) <= (of_leader.reign, of_leader.end);
                prop_assert!(is_behind || (of_leader.led && of_leader.reign >= other.reign));
                prop_assert!(!other.led || of_leader.led || other.reign < of_leader.reign);
            }
        }
    }
}
