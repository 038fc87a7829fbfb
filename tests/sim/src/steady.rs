//! What must go on while only the group is gone: the data path needs it for changes alone (`PROTOCOL.md` 7).

use crate::clock::{Micros, SECOND};
use crate::phase::{Ask, Phase};
use crate::violation::{Rule, Violation, demand};
use crate::world::World;

/// How long a write may take while no data host fails and the network is whole: a hand-over that the group
/// left undecided holds writes up for a second, a repetition comes within another.
const STEADY_BOUND: Micros = 3 * SECOND;

impl World {
    /// In a quiet run every colony is written to in turn, and every write is acknowledged in time.
    pub(crate) fn stay_steady(&mut self) -> Result<(), Violation> {
        let Some(quiet) = &self.mix.quiet else { return Ok(()) };
        let now = self.clock.now();
        if self.phase != Phase::Faulty || now < quiet.from {
            return Ok(());
        }
        if let Some(call) = self.clients[self.prober()].calls.values().next() {
            let waits = now.saturating_sub(call.began);
            return demand(waits < STEADY_BOUND, Rule::Steady, || {
                format!("a write to {} waits for {waits} us: {}", call.colony, self.words_of(call.colony))
            });
        }
        if self.aftermath.todo.is_empty() {
            let keys = self.colonies().into_iter().map(|colony| (self.key_in(colony), Ask::Write));
            self.aftermath.todo = keys.collect();
        }
        self.probe()
    }
}
