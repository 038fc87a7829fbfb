//! A network that is gone for a while and comes back, link by link.

use crate::world::{MS, SECOND, World};

const HOSTS: usize = 5;
/// Connections are made anew one by one: the last link works so much later than the first.
const LAST_LINK_AFTER: u64 = 1_800 * MS;

/// C42, E1.
///
/// Bug: after a minute in which no host heard another, one of five healthy hosts was declared dead.
/// Cause: links come back one after the other; who reached the new leader accused, truly, one who had been silent for a
/// minute, and the leader had not heard that one yet either. Fix: who was answered by nobody was cut off itself. Of the
/// others' silence it knows nothing: it accuses none, then begins anew with all, and trusts itself less for a while.
#[test]
fn a_network_that_comes_back_link_by_link_kills_nobody() {
    for seed in 1..=200 {
        let mut world = World::new(HOSTS, seed);
        world.run_until(5 * SECOND);
        (0..HOSTS).for_each(|host| world.isolate(host));
        world.run_until(65 * SECOND);
        let pairs = (0..HOSTS).flat_map(|one| (0..one).map(move |other| (one, other)));
        let mut mended: Vec<(u64, usize, usize)> =
            pairs.map(|(one, other)| (world.now + world.below(LAST_LINK_AFTER), one, other)).collect();
        mended.sort_unstable();
        for (at, one, other) in mended {
            world.run_until(at);
            world.link[one][other] = true;
            world.link[other][one] = true;
        }
        world.run_until(80 * SECOND);
        assert_eq!(world.verdicts.len(), 0, "seed {seed}: {:?}", world.verdicts);
    }
}
