//! What the state of a session allows: which steps can come next, and what they leave behind.

use crate::operation::Micros;
use crate::plan::{Plan, Step, ValueIndex};

/// What a session holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// Nothing.
    Absent,
    /// A value that some step still asks for by name.
    Value(ValueIndex),
    /// A value that no step asks for by name any more: all of these are alike.
    Some,
}

/// How many spares of each kind were used (`plan.rs`, rule 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    puts: u32,
    creates: u32,
    deletes: u32,
}

/// A state, what was used to get there, and how many steps have to see its value before it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) state: State,
    /// Steps that see this value and are not placed yet. A value is written once: while some are left it must
    /// stay, so a write that would end it leads nowhere and is not tried.
    pub(crate) open: u32,
    pub(crate) used: Used,
}

/// What can be done at one moment.
pub(crate) struct Moment<'a> {
    plan: &'a Plan,
    /// What was invoked after this moment is not available.
    now: Micros,
}

/// What a step can lead to; more than one thing if spares can help it in two ways.
pub(crate) type Results = [Option<Held>; 2];

const NOWHERE: Results = [None, None];

impl Used {
    /// Whether whatever can be done after `other` can be done after this: it used no more of anything.
    pub(crate) fn is_within(self, other: Self) -> bool {
        self.puts <= other.puts && self.creates <= other.creates && self.deletes <= other.deletes
    }
}

impl Held {
    /// What a session holds before anything happens.
    pub(crate) fn nothing() -> Self {
        Self { state: State::Absent, open: 0, used: Used::default() }
    }

    /// What is held after a step that is right as things are and changes nothing; none if it is not right or would
    /// change something.
    ///
    /// Such a step is placed at once. Every order that goes on from here has it later; put at the front it is
    /// right too, moves nothing else, and can come in time, because whatever may be placed next it may be too.
    pub(crate) fn after_looking(self, step: Step, plan: &Plan) -> Option<Self> {
        let right = match step {
            Step::Found(value) => return (self.state == State::Value(value)).then(|| self.seen(value, plan)),
            Step::Absent | Step::NotFound => self.state == State::Absent,
            Step::Exists => self.state != State::Absent,
            Step::Changed(value) => self.state != State::Absent && self.state != State::Value(value),
            Step::Gone(value) => self.state != State::Value(value),
            Step::Put(_) | Step::Create(_) | Step::Swap { .. } | Step::Delete => false,
        };
        right.then_some(self)
    }

    fn seen(mut self, value: ValueIndex, plan: &Plan) -> Self {
        self.open = self.open.saturating_sub(1);
        if self.open == 0 && !plan.witnesses[value].named {
            self.state = State::Some;
        }
        self
    }

    fn with(self, state: State) -> Self {
        Self { state, open: 0, ..self }
    }

    fn holding(self, value: ValueIndex, plan: &Plan) -> Self {
        let witness = plan.witnesses[value];
        let kept_apart = witness.observers > 0 || witness.named;
        let state = if kept_apart { State::Value(value) } else { State::Some };
        Self { state, open: witness.observers, ..self }
    }
}

impl<'a> Moment<'a> {
    pub(crate) fn new(plan: &'a Plan, now: Micros) -> Self {
        Self { plan, now }
    }

    /// What a step leads to that changes the state, or that needs a spare to be right.
    ///
    /// `must` tells whether the step is one of those that must be placed; such a swap is counted among those who
    /// see its `from`.
    pub(crate) fn after(&self, held: Held, step: Step, must: bool) -> Results {
        let plan = self.plan;
        let may_go = held.open == 0;
        match step {
            Step::Swap { from, to } => {
                let last_to_see = held.open == u32::from(must);
                let right = held.state == State::Value(from) && last_to_see;
                one(right.then(|| held.holding(to, plan)))
            }
            _ if !may_go => NOWHERE,
            Step::Put(value) => one(Some(held.holding(value, plan))),
            Step::Create(value) => one(self.emptied(held).map(|held| held.holding(value, plan))),
            Step::Delete => one(self.filled(held).map(|held| held.with(State::Absent))),
            Step::Absent | Step::NotFound => one(self.emptied(held)),
            Step::Exists => one(self.filled(held)),
            Step::Changed(value) => self.replaced(held, value),
            Step::Gone(value) => self.taken_away(held, value),
            Step::Found(_) => NOWHERE,
        }
    }

    /// Makes sure that nothing is there, by a spare delete if something is.
    fn emptied(&self, held: Held) -> Option<Held> {
        if held.state == State::Absent {
            return Some(held);
        }
        let deletes = self.take(&self.plan.spares.deletes, held.used.deletes)?;
        Some(Held { used: Used { deletes, ..held.used }, ..held.with(State::Absent) })
    }

    /// Makes sure that something is there, by a spare create or else a spare put if nothing is. A put can do
    /// whatever a create can, at any time, so creates are used up first.
    fn filled(&self, held: Held) -> Option<Held> {
        if held.state != State::Absent {
            return Some(held);
        }
        let spares = &self.plan.spares;
        match self.take(&spares.creates, held.used.creates) {
            Some(creates) => Some(Held { used: Used { creates, ..held.used }, ..held.with(State::Some) }),
            None => self.overwritten(held),
        }
    }

    /// Puts something else in the place of whatever is there, by a spare put.
    fn overwritten(&self, held: Held) -> Option<Held> {
        let puts = self.take(&self.plan.spares.puts, held.used.puts)?;
        Some(Held { used: Used { puts, ..held.used }, ..held.with(State::Some) })
    }

    /// Makes sure that something other than this value is there. Called if nothing is, or this value.
    fn replaced(&self, held: Held, value: ValueIndex) -> Results {
        if held.state == State::Absent {
            return one(self.filled(held));
        }
        if let Some(swapped) = self.swapped(held, value) {
            return one(Some(swapped));
        }
        let recreated = self.emptied(held).and_then(|empty| {
            let creates = self.take(&self.plan.spares.creates, empty.used.creates)?;
            Some(Held { used: Used { creates, ..empty.used }, ..empty.with(State::Some) })
        });
        [self.overwritten(held), recreated]
    }

    /// Makes sure that this value, which is there, is not.
    fn taken_away(&self, held: Held, value: ValueIndex) -> Results {
        match self.swapped(held, value) {
            Some(swapped) => one(Some(swapped)),
            None => [self.overwritten(held), self.emptied(held)],
        }
    }

    /// Takes this value away by a spare swap. Nothing else has a use for that one, and whatever can be done from
    /// another value or from nothing can be done from here with the spares that it leaves unused: where it is
    /// available nothing else need be tried.
    fn swapped(&self, held: Held, value: ValueIndex) -> Option<Held> {
        let available = self.plan.spares.swaps.get(&value).is_some_and(|invoked| *invoked <= self.now);
        available.then(|| held.with(State::Some))
    }

    /// The number used after one more of these is used, if one more is available.
    fn take(&self, spares: &[Micros], used: u32) -> Option<u32> {
        let next = spares.get(usize::try_from(used).ok()?)?;
        (*next <= self.now).then_some(used + 1)
    }

    /// Why a step that leads nowhere cannot come next.
    pub(crate) fn objection(&self, held: Held, step: Step) -> String {
        let values = &self.plan.values;
        let holds = match held.state {
            State::Absent => "the session holds nothing".to_owned(),
            State::Some => "the session holds a value that nobody asks for later".to_owned(),
            State::Value(value) => format!("the session holds {}", values[value]),
        };
        let is_written = |value| {
            let every = self.plan.steps.iter().chain(&self.plan.optional);
            every.filter_map(|timed| timed.step.written()).any(|written| written == value)
        };
        match (step, held.state) {
            (Step::Found(value) | Step::Swap { from: value, .. }, _) if !is_written(value) => {
                format!("no write of {} can have taken effect", values[value])
            }
            (Step::Swap { .. } | Step::Put(_) | Step::Create(_) | Step::Delete, State::Value(_)) if held.open > 0 => {
                format!("{holds}, which others have to see first")
            }
            _ => holds,
        }
    }
}

fn one(held: Option<Held>) -> Results {
    [held, None]
}
