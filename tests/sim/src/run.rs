//! One seed from beginning to end.

use colony_core::colony::Mutant;

use crate::clock::Micros;
use crate::seen::Seen;
use crate::violation::{Rule, Violation};
use crate::world::World;

/// Most events of one run. A run has some hundred thousand; one that passes this makes no progress in time.
const MAX_EVENTS: u64 = 30_000_000;

/// What came of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which seed.
    pub seed: u64,
    /// Hash of everything that happened.
    pub hash: u64,
    /// Virtual time that passed.
    pub lasted: Micros,
    /// Events that happened.
    pub events: u64,
    /// What was seen.
    pub seen: Seen,
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
}

/// Runs one seed, with a bug switched on if one is named, printing all that happens if asked.
#[must_use]
pub fn run(seed: u64, mutant: Option<Mutant>, print: bool) -> Report {
    let mut world = match World::new(seed, mutant, print) {
        Ok(world) => world,
        Err(violation) => {
            let violation = Some(violation);
            return Report { seed, hash: 0, lasted: 0, events: 0, seen: Seen::default(), violation };
        }
    };
    let (events, violation) = last_step(&mut world);
    if print && let Some(violation) = &violation {
        println!("violated: {violation}");
    }
    Report {
        seed,
        hash: world.trace.hash(),
        lasted: world.clock.now(),
        events,
        seen: world.oracle.seen.clone(),
        violation,
    }
}

/// Lets everything happen that does; says how much that was, and the rule that was broken, if one was.
pub(crate) fn last_step(world: &mut World) -> (u64, Option<Violation>) {
    let mut events = 0;
    loop {
        match world.step() {
            Ok(true) if events < MAX_EVENTS => events += 1,
            Ok(true) => {
                let how = format!("the run is not over after {MAX_EVENTS} events");
                return (events, Some(Violation { at: world.clock.now(), ..Violation::of(Rule::Progress, how) }));
            }
            Ok(false) => return (events, None),
            Err(violation) => return (events, Some(violation)),
        }
    }
}
