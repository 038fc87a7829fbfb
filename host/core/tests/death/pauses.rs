//! Hosts that are slow and not dead, and those that are dead among slow ones.

use crate::world::{MS, SECOND, World};

const MINUTE: u64 = 60 * SECOND;

/// E1: ten minutes on machines at full load, twenty times: every host stands still for 300 ms at random, about every
/// second, its timers run late, and of a hundred packets two are lost. Nobody is declared dead.
#[test]
fn ten_minutes_of_random_pauses_kill_nobody() {
    for seed in 1..=20 {
        let mut world = World::new(5, seed);
        world.lost = 20;
        world.pauses(SECOND, 300 * MS);
        world.run_until(10 * MINUTE);
        assert_eq!(world.verdicts.len(), 0, "seed {seed}: {:?}", world.verdicts);
    }
}

/// E1: one sick host, asleep for half of the time, among healthy ones: it has nobody declared dead, and while it is
/// heard at all nor is it.
#[test]
fn one_sick_host_kills_nobody() {
    for seed in 1..=20 {
        let mut world = World::new(4, seed);
        world.lost = 20;
        world.pauses_of(0, 300 * MS, 300 * MS);
        world.run_until(10 * MINUTE);
        assert_eq!(world.verdicts.len(), 0, "seed {seed}: {:?}", world.verdicts);
    }
}

/// Where three of ten packets are lost, so that half of the beacons stay unanswered, links are slow and hosts live.
#[test]
fn a_lossy_network_kills_nobody() {
    for seed in 1..=10 {
        let mut world = World::new(4, seed);
        world.lost = 300;
        world.run_until(10 * MINUTE);
        assert_eq!(world.verdicts.len(), 0, "seed {seed}: {:?}", world.verdicts);
    }
}

/// In a healthy network a host that hangs is found in little more than `suspect_after`, so that the first write after
/// it is answered well within 1.5 s.
#[test]
fn a_hung_host_is_found_soon_where_all_is_well() {
    for seed in 1..=40 {
        let mut world = World::new(5, seed);
        let hangs = 5 * SECOND + seed * MS;
        world.run_until(hangs);
        world.isolate(4);
        world.run_until(hangs + 5 * SECOND);
        let found: Vec<(usize, u64)> =
            world.verdicts.iter().map(|verdict| (verdict.dead, verdict.at - hangs)).collect();
        assert!(matches!(found[..], [(4, after)] if after <= 1_200 * MS), "seed {seed}: {found:?}");
    }
}

/// And in a bad one no later than the longest suspicion and a question to others allow.
#[test]
fn a_hung_host_is_found_in_time_where_all_are_slow() {
    for seed in 1..=40 {
        let mut world = World::new(5, seed);
        world.lost = 20;
        world.pauses(SECOND, 300 * MS);
        let hangs = 20 * SECOND + seed * MS;
        world.run_until(hangs);
        world.isolate(4);
        world.run_until(hangs + 10 * SECOND);
        let found: Vec<(usize, u64)> =
            world.verdicts.iter().map(|verdict| (verdict.dead, verdict.at - hangs)).collect();
        assert!(matches!(found[..], [(4, after)] if after <= 5 * SECOND), "seed {seed}: {found:?}");
    }
}
