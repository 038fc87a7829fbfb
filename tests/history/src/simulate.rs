//! Histories of a store that is right by construction: every operation takes effect in one moment between its call
//! and its return, and every answer tells what was there in that moment.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::history::{Fault, History};
use crate::operation::{Action, Micros, Operation, Outcome, Value};
use crate::rng::Rng;

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Determines the history.
    pub seed: u64,
    /// How many operations there are.
    pub operations: u64,
    /// Over how many sessions they are spread evenly; 0 is 1.
    pub sessions: u64,
    /// How many clients each session has; 0 is 1.
    pub clients: u64,
    /// How often, in a thousand times, the answer is lost. Half of these operations take effect.
    pub unknown: u64,
    /// How often, in a thousand times, a refusal is recorded as one judged linearizably. All others say nothing.
    pub judged: u64,
    /// How often, in a thousand times, an operation takes a hundred times as long: a failover.
    pub slow: u64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { seed: 0, operations: 1000, sessions: 4, clients: 6, unknown: 50, judged: 100, slow: 5 }
    }
}

/// The span between two moments of an operation, and between two operations of a client, on average.
const STEP_US: Micros = 500;
/// An operation without an answer takes effect, if it does, up to this much later.
const LATE_US: Micros = 2_000_000;

/// Makes the history of this mix.
///
/// # Errors
/// If there are more operations than a history may have.
pub fn simulate(mix: &Mix) -> Result<History, Fault> {
    let mut history = History::new();
    let mut rng = Rng::new(mix.seed);
    let sessions = mix.sessions.max(1);
    for index in 0..sessions {
        let count = mix.operations / sessions + u64::from(index < mix.operations % sessions);
        let session = Session::new(mix, Rng::new(rng.draw()));
        for operation in session.run(count) {
            history.push(&format!("session-{index}"), operation)?;
        }
    }
    Ok(history)
}

/// What happens at a moment. The order of the kinds is that of events at the same moment: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// This client calls.
    Call(u64),
    /// This operation takes effect.
    Effect(usize),
}

struct Session<'a> {
    mix: &'a Mix,
    rng: Rng,
    held: Option<Value>,
    next_value: u64,
    /// What each client saw last: what it bases its saves on.
    seen: Vec<Option<Value>>,
    operations: Vec<Operation>,
    events: BinaryHeap<Reverse<(Micros, Event)>>,
}

impl<'a> Session<'a> {
    fn new(mix: &'a Mix, rng: Rng) -> Self {
        let seen = vec![None; usize::try_from(mix.clients.max(1)).unwrap_or(1)];
        Self { mix, rng, held: None, next_value: 0, seen, operations: Vec::new(), events: BinaryHeap::new() }
    }

    fn run(mut self, count: u64) -> Vec<Operation> {
        for client in 0..self.mix.clients.max(1) {
            let at = self.rng.below(STEP_US);
            self.events.push(Reverse((at, Event::Call(client))));
        }
        while let Some(Reverse((now, event))) = self.events.pop() {
            match event {
                Event::Call(client) if (self.operations.len() as u64) < count => self.call(client, now),
                Event::Call(_) => {}
                Event::Effect(operation) => self.take_effect(operation),
            }
        }
        self.operations
    }

    fn call(&mut self, client: u64, now: Micros) {
        let action = self.choose(client);
        let index = self.operations.len();
        let lost = self.rng.chance(self.mix.unknown);
        let span = if self.rng.chance(self.mix.slow) { STEP_US * 100 } else { STEP_US };
        let effect = now + 1 + self.rng.below(span);
        let returned = effect + self.rng.below(span);
        let (returned_or_none, outcome) =
            if lost { (None, Outcome::Unknown) } else { (Some(returned), Outcome::NotDone) };
        self.operations.push(Operation { client, invoked: now, returned: returned_or_none, action, outcome });
        if !lost {
            self.events.push(Reverse((effect, Event::Effect(index))));
        } else if self.rng.chance(500) {
            let late = if self.rng.chance(500) { self.rng.below(LATE_US) } else { 0 };
            self.events.push(Reverse((effect + late, Event::Effect(index))));
        }
        let next = returned + 1 + self.rng.below(STEP_US);
        self.events.push(Reverse((next, Event::Call(client))));
    }

    fn choose(&mut self, client: u64) -> Action {
        let based_on = usize::try_from(client).ok().and_then(|client| *self.seen.get(client)?);
        let new = Value(self.next_value);
        let action = match (self.rng.below(20), based_on) {
            (0..3, _) => Action::Put(new),
            (3..5, _) => Action::Create(new),
            (5..10, Some(from)) => Action::Swap { from, to: new },
            (10, _) => Action::Delete,
            _ => return Action::Read,
        };
        self.next_value += u64::from(action.written().is_some());
        action
    }

    /// Does what the store does, and completes the answer if one is given.
    fn take_effect(&mut self, index: usize) {
        let Some(operation) = self.operations.get_mut(index) else { return };
        let outcome = match operation.action {
            Action::Put(_) => Outcome::Done,
            Action::Create(_) if self.held.is_none() => Outcome::Done,
            Action::Create(_) => Outcome::Exists,
            Action::Swap { from, .. } if self.held == Some(from) => Outcome::Done,
            Action::Swap { .. } if self.held.is_some() => Outcome::Changed,
            Action::Swap { .. } => Outcome::Gone,
            Action::Delete if self.held.is_some() => Outcome::Done,
            Action::Delete => Outcome::NotFound,
            Action::Read => self.held.map_or(Outcome::Absent, Outcome::Found),
        };
        if outcome == Outcome::Done {
            self.held = operation.action.written();
        }
        if operation.outcome == Outcome::Unknown {
            return;
        }
        let is_refusal = matches!(outcome, Outcome::Exists | Outcome::Changed | Outcome::Gone | Outcome::NotFound);
        if !is_refusal || self.rng.chance(self.mix.judged) {
            operation.outcome = outcome;
        }
        if let Some(seen) = usize::try_from(operation.client).ok().and_then(|client| self.seen.get_mut(client)) {
            *seen = self.held;
        }
    }
}
