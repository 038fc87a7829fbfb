//! Splits and heals (`PROTOCOL.md` 8, 9): hosts with a shard of the root and, while they are cut off, one of an island.
//!
//! ```text
//! mod.rs     a run: split, open, judge, heal, until everybody is back     clients.rs  who counts, sets, ends and asks again
//! world.rs   hosts, groups, messages                                      keepers.rs  who uses a session, that it may live
//! truth.rs   what must come out
//! ```
//!
//! Groups decide here by one state for each line, for those who reach it: Raft has its own simulation. Everything else is
//! the real core: fences, forks, pins, what one side tells the other, adoptions.

mod clients;
mod keepers;
mod truth;
mod world;

use std::collections::BTreeMap;

use colony_core::colony::Mutant;

use crate::rng::Rng;

use self::world::World;

/// What came of one run.
#[derive(Clone, Debug, Default)]
pub struct Healed {
    /// Which seed.
    pub seed: u64,
    /// The rule that was broken, if one was.
    pub violation: Option<String>,
    /// Virtual time, in microseconds.
    pub lasted: u64,
    /// How often each thing happened that runs are made for.
    pub seen: BTreeMap<&'static str, u64>,
}

/// What a batch of runs must have seen, or it shows nothing.
pub const MUST_SEE: [&str; 13] = [
    "absorbed",
    "adopted",
    "ended at heal",
    "expired for want of use",
    "islands",
    "logout against change",
    "merged",
    "nobody led",
    "overridden",
    "rounds of one run",
    "sessions kept by use",
    "sessions taken",
    "three sides",
];

/// And one in which hosts of islands die.
pub const MUST_SEE_OF_DEATHS: [&str; 3] = ["colonies lost in an island", "gone on alone", "held for dead in an island"];

/// Runs one seed. With `deaths` hosts of islands die, and are held for dead there: not all that comes of it is right yet.
#[must_use]
pub fn run(seed: u64, mutant: Option<Mutant>, deaths: bool, print: bool) -> Healed {
    let mut world = World::new(seed, mutant, print);
    let violation = live(&mut world, deaths).err();
    Healed { seed, violation, lasted: world.now.0, seen: std::mem::take(&mut world.seen) }
}

fn live(world: &mut World, deaths: bool) -> Result<(), String> {
    let mut dice = Rng::new(world.seed).fork("story");
    world.run_for(dice.between(1_000, 3_000))?;
    let rounds = dice.between(1, 2);
    for _ in 0..rounds {
        split(world, &mut dice, deaths)?;
    }
    world.note("rounds of one run", rounds - 1);
    world.stop_clients();
    world.run_until_quiet()?;
    truth::check(world)
}

/// One split, from the cut until everything is one again, or nearly so.
fn split(world: &mut World, dice: &mut Rng, deaths: bool) -> Result<(), String> {
    let hosts = world.hosts();
    let parts = if hosts > 3 && dice.chance(300) { 3 } else { 2 };
    // The side of number 0 keeps the root's quorum, unless nobody does.
    let mut sides: Vec<usize> = (0..hosts).map(|_| dice.index(parts)).collect();
    for side in 0..parts {
        let at = dice.index(hosts);
        sides[at] = side;
    }
    let is_rootless = dice.chance(150);
    world.cut(&sides, is_rootless);
    let parts = sides.iter().copied().max().unwrap_or(0) + 1;
    world.note("three sides", u64::from(parts > 2));
    world.note("nobody led", u64::from(is_rootless));
    world.run_for(dice.between(300, 1_500))?;
    if !is_rootless && dice.chance(900) {
        world.judge(&sides);
    }
    for side in usize::from(!is_rootless)..parts {
        if dice.chance(900) {
            world.run_for(dice.between(10, 800))?;
            world.open(side)?;
        }
    }
    world.run_for(dice.between(500, 4_000))?;
    if deaths && dice.chance(200) {
        world.kill_in_island(dice.index(hosts))?;
        world.run_for(dice.between(100, 3_000))?;
    }
    // A heal that is cut short, and begins anew.
    if dice.chance(300) {
        world.mend();
        world.run_for(dice.between(20, 600))?;
        world.cut(&sides, is_rootless);
        world.run_for(dice.between(200, 3_000))?;
    }
    world.mend();
    if deaths && dice.chance(300) {
        world.run_for(dice.between(5, 400))?;
        world.misjudge(dice.index(hosts));
    }
    if dice.chance(700) {
        world.run_until_one()?;
    }
    Ok(())
}
