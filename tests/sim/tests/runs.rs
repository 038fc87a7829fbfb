//! Whole runs: what a seed determines, what it goes through, and that a bug is found.

use colony_core::colony::Mutant;
use colony_sim::counters::count;
use colony_sim::run::{Report, run};
use colony_sim::seen::Sight;

/// Runs a seed that must not break a rule.
#[track_caller]
fn unbroken(seed: u64) -> Report {
    let report = run(seed, None, false);
    if let Some(violation) = &report.violation {
        panic!("{violation}\n  again: cargo xtask sim --seeds 1 --from {seed} --trace");
    }
    report
}

/// The first of `seeds` that has seen all of `sights`, run to its end.
#[track_caller]
fn some_seed_sees(seeds: std::ops::Range<u64>, sights: &[Sight]) {
    let sees = |seed: u64| sights.iter().all(|sight| unbroken(seed).seen.count(*sight) > 0);
    assert!(seeds.clone().any(sees), "no seed of {seeds:?} sees {sights:?}");
}

#[test]
fn a_seed_determines_its_run() {
    for seed in 0..4 {
        assert_eq!(run(seed, None, false), run(seed, None, false), "seed {seed}");
    }
}

#[test]
fn two_seeds_have_two_traces() {
    assert_ne!(run(1, None, false).hash, run(2, None, false).hash);
}

#[test]
fn a_deposed_primary_drops_what_its_heir_never_had() {
    some_seed_sees(0..100, &[Sight::Promotion, Sight::Deposed, Sight::Truncation]);
}

/// C14: declared dead, started anew under its own name, and given back what only it had.
#[test]
fn the_last_copy_of_a_process_that_was_declared_dead_serves_again() {
    some_seed_sees(0..100, &[Sight::Reborn, Sight::Offline, Sight::Restoration]);
}

#[test]
fn a_copy_far_behind_catches_up_from_a_snapshot_while_writes_flow() {
    some_seed_sees(0..100, &[Sight::Snapshot, Sight::Addition, Sight::Merge]);
}

/// A13: what one primary began to send, a later one goes on with.
#[test]
fn a_transfer_cut_off_by_a_death_is_resumed_by_the_next_primary() {
    some_seed_sees(0..400, &[Sight::Resumed]);
}

/// C18: a call to a colony that lost its copies is answered Offline, and no run breaks a rule on the way.
#[test]
fn every_lost_copy_leaves_a_colony_that_says_so() {
    some_seed_sees(0..100, &[Sight::Lost, Sight::CallOffline]);
}

#[test]
fn a_bug_put_in_on_purpose_is_found() {
    for mutant in [Mutant::AckBeforeAllInSync, Mutant::ForgetRequests, Mutant::ReadUncommitted] {
        let found = (0..20).any(|seed| run(seed, Some(mutant), false).violation.is_some());
        assert!(found, "{mutant:?} passes 20 seeds");
    }
}

/// C30: without the group for minutes, every write is acknowledged.
#[test]
fn writes_go_on_while_only_the_group_is_gone() {
    some_seed_sees(0..200, &[Sight::Steady]);
}

#[test]
fn counters_are_exact_although_processes_die_before_they_reply() {
    let counted = count(7, 500, false);
    assert_eq!((counted.increments, counted.violation), (500, None));
    assert!(counted.kills > 0, "nobody was killed");
}
