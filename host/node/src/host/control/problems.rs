//! What is not as it should be, and what is on its way to be, in words for people. Worked out from the group's state
//! alone, so that any host can tell, also when it hears from nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colony_core::group::{MemberState, State};
use colony_core::placement::{Even, Planner};
use colony_wire::admin::{Problem, Severity};
use colony_wire::{ColonyId, NamespaceId, RaftId, StartId};

/// Without a leader for so long, people are told: an election is no problem.
pub(super) const LEADERLESS_FOR: Duration = Duration::from_secs(2);

/// The problems of colonies, worst first; those of one namespace that are the same are one.
pub(super) fn of_colonies(state: &State) -> Vec<Problem> {
    let mut alike: BTreeMap<(Severity, NamespaceId, String), Vec<u32>> = BTreeMap::new();
    for (colony, text) in Planner::new(state, &Even).problems() {
        alike.entry((severity(state, colony), colony.namespace, text)).or_default().push(colony.bucket);
    }
    let problem = |((severity, namespace, text), mut buckets): ((Severity, NamespaceId, String), Vec<u32>)| {
        buckets.sort_unstable();
        let namespace = state.namespaces.get(&namespace).map_or("?", |known| known.name.as_str()).to_owned();
        Problem { severity, namespace: Some(namespace), buckets, text }
    };
    alike.into_iter().map(problem).collect()
}

/// Whether clients of the colony are refused what they ask for.
fn severity(state: &State, colony: ColonyId) -> Severity {
    let Some(entry) = state.table.get(&colony) else { return Severity::Degraded };
    let running = entry.in_sync.iter().filter(|start| state.is_up(**start)).count();
    let is_failing = entry.primary.is_none() || running < state.least_in_sync(colony);
    if is_failing { Severity::Failing } else { Severity::Degraded }
}

/// Hosts that are dead and have not come back.
pub(super) fn of_hosts(state: &State) -> Vec<Problem> {
    let back: BTreeSet<&str> = state
        .members
        .values()
        .filter(|member| member.state != MemberState::Dead)
        .map(|member| member.name.as_str())
        .collect();
    let mut dead: BTreeMap<&str, Vec<StartId>> = BTreeMap::new();
    for member in state.members.values().filter(|member| !back.contains(member.name.as_str())) {
        dead.entry(&member.name).or_default().push(member.start);
    }
    let problem = |(name, starts): (&str, Vec<StartId>)| {
        let waits = state.table.values().filter(|entry| entry.in_sync.iter().any(|start| starts.contains(start)));
        let text = match waits.count() {
            0 => format!("host {name} is dead: no colony waits for it, start it again or do without"),
            count => format!("host {name} is dead: {} for the copies it held", wait(count)),
        };
        problem(text)
    };
    let away = state.members.values().filter(|member| member.state == MemberState::Away).map(|member| {
        let name = &member.name;
        self::problem(format!("host {name} is away: it was not there when this island parted from the group"))
    });
    dead.into_iter().map(problem).chain(away).collect()
}

/// What is wrong with the group itself. `voters` are those this host knows of; none if it does not vote.
pub(super) fn of_group(state: &State, voters: &[RaftId], leaderless: Duration) -> Vec<Problem> {
    let mut problems = Vec::new();
    if leaderless >= LEADERLESS_FOR {
        let text = format!(
            "the answering host has known no leader of the group for {} s: what it tells may be that old, and while \
             there is none nobody is declared dead, promoted or admitted",
            leaderless.as_secs()
        );
        problems.push(problem(text));
    }
    let running = voters.iter().filter(|voter| state.up().any(|member| member.raft == **voter)).count();
    if running < voters.len() {
        let text = format!(
            "{running} of {} voters run: the group decides while more than half of them do, and replaces the others \
             by hosts that are up",
            voters.len()
        );
        problems.push(problem(text));
    }
    problems
}

fn problem(text: String) -> Problem {
    Problem { severity: Severity::Degraded, namespace: None, buckets: Vec::new(), text }
}

/// Copies that are not where they should be yet, by host.
pub(super) fn under_way(state: &State) -> Vec<String> {
    let mut lines = Vec::new();
    for member in state.up() {
        let lacks =
            state.table.values().filter(|entry| entry.is_wanted(member.start) && !entry.is_in_sync(member.start));
        let lacks = lacks.count();
        if lacks > 0 {
            lines.push(format!("host {} is catching up in {}", member.name, colonies(lacks)));
        }
        let held_before = |start: &StartId| member.earlier.contains(start);
        let kept = state.table.values().filter(|entry| {
            let unaccounted = entry.unaccounted.iter().map(|one| &one.start);
            entry.in_sync.iter().chain(unaccounted).any(held_before)
        });
        let kept = kept.count();
        if kept > 0 {
            let copies = if kept == 1 { "copy" } else { "copies" };
            lines.push(format!("host {} may keep {kept} {copies} from before it was declared dead", member.name));
        }
    }
    lines
}

fn colonies(count: usize) -> String {
    format!("{count} {}", if count == 1 { "colony" } else { "colonies" })
}

fn wait(count: usize) -> String {
    format!("{} {}", colonies(count), if count == 1 { "waits" } else { "wait" })
}

#[cfg(test)]
mod tests {
    use colony_core::group::{Command, Member};
    use colony_wire::admin::{OnPartition, Policy};
    use colony_wire::{ClusterId, LineageId};

    use super::*;

    fn member(number: u64, name: &str) -> Member {
        Member {
            start: StartId(number),
            name: name.to_owned(),
            address: "127.0.0.1:7400".parse().unwrap(),
            shards: 1,
            labels: BTreeMap::new(),
            raft: RaftId(number),
            earlier: Vec::new(),
            state: MemberState::Up,
        }
    }

    /// Two hosts with a namespace of four buckets.
    fn state(policy: Policy) -> State {
        let mut state = State::default();
        let founder = member(1, "h1");
        state.apply(&Command::Genesis { cluster: ClusterId(1), lineage: LineageId(1), member: founder });
        state.apply(&Command::Join { member: member(2, "h2"), deviations: Vec::new(), plugins: Vec::new() });
        let placement = vec![vec![StartId(1), StartId(2)]; 4];
        state.apply(&Command::CreateNamespace {
            name: "cart".into(),
            policy: Policy { buckets: 4, ..policy },
            placement,
        });
        state
    }

    fn dead(state: &mut State, number: u64) {
        state.apply(&Command::Dead { start: StartId(number), deviations: Vec::new() });
    }

    #[test]
    fn a_healthy_cluster_has_no_problem_and_nothing_under_way() {
        let state = state(Policy::default());
        assert_eq!(of_colonies(&state), []);
        assert_eq!(of_hosts(&state), []);
        assert_eq!(of_group(&state, &[RaftId(1)], Duration::from_millis(1999)), []);
        assert_eq!(under_way(&state), [""; 0]);
    }

    #[test]
    fn colonies_with_the_same_problem_are_one_problem() {
        let mut state = state(Policy::default());
        dead(&mut state, 2);
        let problems = of_colonies(&state);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].buckets, [0, 1, 2, 3]);
        assert_eq!(problems[0].severity, Severity::Degraded);
        assert_eq!(problems[0].text, "degraded: want 2 copies, have 1: only 1 host is up");
    }

    #[test]
    fn refused_changes_and_lost_copies_are_failures() {
        let mut state = state(Policy { min_in_sync: 2, on_partition: OnPartition::Strict, ..Policy::default() });
        dead(&mut state, 2);
        let problems = of_colonies(&state);
        assert_eq!(problems[0].severity, Severity::Failing, "{problems:?}");
        assert_eq!(problems[0].text, "refuses changes: 1 of at least 2 copies runs: only 1 host is up");
        dead(&mut state, 1);
        let problems = of_colonies(&state);
        assert_eq!(problems[0].severity, Severity::Failing, "{problems:?}");
        assert!(problems[0].text.starts_with("offline: "), "{problems:?}");
    }

    #[test]
    fn a_dead_host_is_named_until_its_name_is_back() {
        let mut state = state(Policy { min_in_sync: 2, on_partition: OnPartition::Strict, ..Policy::default() });
        dead(&mut state, 2);
        let problems = of_hosts(&state);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].text, "host h2 is dead: 4 colonies wait for the copies it held");
        state.apply(&Command::Join { member: member(3, "h2"), deviations: Vec::new(), plugins: Vec::new() });
        assert_eq!(of_hosts(&state), []);
    }

    #[test]
    fn an_old_view_and_lost_voters_are_told() {
        let state = state(Policy::default());
        let problems = of_group(&state, &[RaftId(1), RaftId(2), RaftId(7)], Duration::from_secs(9));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].text.contains("for 9 s"), "{problems:?}");
        assert!(problems[1].text.starts_with("2 of 3 voters run"), "{problems:?}");
    }

    #[test]
    fn copies_on_their_way_are_counted_by_host() {
        let mut state = state(Policy::default());
        state.apply(&Command::Join { member: member(3, "h3"), deviations: Vec::new(), plugins: Vec::new() });
        let colony = ColonyId { namespace: NamespaceId(1), bucket: 0 };
        let cfg = state.table[&colony].cfg;
        let moves = vec![colony_core::group::Move { colony, cfg, want: vec![StartId(1), StartId(3)] }];
        state.apply(&Command::Plan { moves, reason: String::new(), inputs: 0 });
        assert_eq!(under_way(&state), ["host h3 is catching up in 1 colony"]);
        dead(&mut state, 2);
        let back = Member { earlier: vec![StartId(2)], ..member(4, "h2") };
        state.apply(&Command::Join { member: back, deviations: Vec::new(), plugins: Vec::new() });
        assert_eq!(under_way(&state)[1], "host h2 may keep 4 copies from before it was declared dead");
    }
}
