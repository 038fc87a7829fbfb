//! Every way in which the links of a few hosts can be cut.

use crate::world::{SECOND, World, micros};

/// All links work for so long before they are cut.
const WHOLE: u64 = 2 * SECOND;
/// By so long after the cut all is decided.
const DECIDED: u64 = 4 * SECOND;
/// And for so long nothing changes any more.
const SETTLED: u64 = 4 * SECOND;

/// Cuts the links of a cluster down to these and holds what is decided to the rules.
fn judge(hosts: usize, works: impl Fn(usize, usize) -> bool, name: &str) {
    let mut world = World::new(hosts, 7 + hosts as u64);
    world.run_until(WHOLE);
    assert!(world.verdicts.is_empty() && world.accused == 0, "{name}: trouble while all was well");
    for from in 0..hosts {
        for to in 0..hosts {
            world.link[from][to] = from == to || works(from, to);
        }
    }
    let had_leader = world.leader();
    world.run_until(WHOLE + DECIDED);
    let (verdicts, leader) = (world.verdicts.clone(), world.leader());

    let meets_nobody = |host: usize| (0..hosts).all(|other| other == host || !world.meets(host, other));
    let meets_all = |host: usize| (0..hosts).all(|other| world.meets(host, other));
    for host in 0..hosts {
        if meets_nobody(host) && had_leader.is_some() {
            let bound = WHOLE + micros(world.config.suspect_after + world.config.relay_within);
            let found = verdicts.iter().find(|verdict| verdict.dead == host).map(|verdict| verdict.at);
            assert!(found.is_some_and(|at| at <= bound), "{name}: {host} is reached by nobody, found at {found:?}");
        }
        assert!(!meets_all(host) || world.up.contains(&host), "{name}: {host} meets everybody and was declared dead");
    }
    for verdict in &verdicts {
        let needed = world.config.observers.min(verdict.up - 1);
        assert!(verdict.observers.len() >= needed, "{name}: {verdict:?}");
    }
    if let Some(leader) = leader {
        assert!(had_leader != Some(leader) || world.up.contains(&leader));
        // Whoever is not dead can have its proposals brought before the leader by two others.
        let mut reached = vec![leader];
        for _ in 0..3 {
            let next: Vec<usize> =
                world.up.iter().copied().filter(|host| reached.iter().any(|near| world.meets(*host, *near))).collect();
            reached = next;
        }
        for host in &world.up {
            assert!(reached.contains(host), "{name}: {host} is up and cannot come before the leader {leader}");
        }
    } else {
        assert!(had_leader.is_none(), "{name}: the verdicts left no leader");
        assert!(verdicts.is_empty(), "{name}: a verdict without a leader");
    }

    world.run_until(WHOLE + DECIDED + SETTLED);
    assert_eq!(world.verdicts.len(), verdicts.len(), "{name}: it goes on: {:?}", world.verdicts);
    assert!(world.last_clear <= WHOLE + DECIDED, "{name}: an accusation was taken back at {}", world.last_clear);
    for (from, to) in world.links_named.iter().filter(|(from, to)| world.up.contains(from) && world.up.contains(to)) {
        assert!(!world.meets(*from, *to), "{name}: the link from {from} to {to} is said to be broken");
    }
}

/// Each pair of hosts has a bit.
fn symmetric(hosts: usize, cut: u32) -> impl Fn(usize, usize) -> bool {
    move |from, to| {
        let (low, high) = (from.min(to), from.max(to));
        let pair = low * (2 * hosts - low - 1) / 2 + (high - low - 1);
        cut >> pair & 1 == 0
    }
}

/// Each direction of each pair has a bit.
fn one_way(hosts: usize, cut: u32) -> impl Fn(usize, usize) -> bool {
    move |from, to| cut >> (from * (hosts - 1) + to - usize::from(to > from)) & 1 == 0
}

/// E5, C12, C42: whatever links between three, four or five hosts are cut: a host that nobody reaches is declared
/// dead in time, one that meets everybody never is, nobody dies by the word of one where there are two, who is left can
/// come before the leader, and then nothing changes any more.
#[test]
fn every_graph_of_three_to_five_hosts_is_judged_and_settles() {
    for hosts in 3..=5 {
        for cut in 0..1 << (hosts * (hosts - 1) / 2) {
            judge(hosts, symmetric(hosts, cut), &format!("{hosts} hosts, cut {cut:#b}"));
        }
    }
}

/// C12, E5: the same where a link may be cut in one direction alone: all such graphs of three and four hosts.
#[test]
fn every_one_way_graph_of_three_and_four_hosts_is_judged_and_settles() {
    for hosts in 3..=4 {
        for cut in 0..1 << (hosts * (hosts - 1)) {
            judge(hosts, one_way(hosts, cut), &format!("{hosts} hosts, one-way cut {cut:#b}"));
        }
    }
}

/// C42: one cut link among many is named at both ends, and nobody is accused for it.
#[test]
fn one_cut_link_is_named_and_is_no_death() {
    let mut world = World::new(4, 3);
    world.run_until(WHOLE);
    world.link[1][2] = false;
    world.link[2][1] = false;
    world.run_until(WHOLE + 60 * SECOND);
    assert_eq!(world.accused, 0);
    assert_eq!(world.links_named.iter().copied().collect::<Vec<_>>(), [(1, 2), (2, 1)]);
    world.link[1][2] = true;
    world.link[2][1] = true;
    world.run_until(world.now + SECOND);
    assert!(world.links_named.is_empty());
}
