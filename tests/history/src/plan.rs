//! What a search has to place: the operations of one session, with everything taken out that cannot matter.
//!
//! An operation whose outcome is unknown stays open for ever, and a search that may place each of them anywhere or
//! nowhere takes time exponential in their number. Nearly all of them go away here. Below, an operation *names* a
//! value if its answer is about this value: a read that found it, a swap from it. Values are written once, so what
//! was named says which write was seen.
//!
//! 1. **No answer, no effect.** Reads without an answer and everything that was surely not done say nothing about
//!    the state and leave it alone: any order with them is one without them. They are left out.
//! 2. **Seen, so done.** If a read found a value, or an acknowledged swap was based on it, then the only write of
//!    this value took effect in every order that explains the history, and before whoever saw it. So an unknown
//!    write that was seen *must* be placed, and every write must be placed before the first return among those who
//!    saw it: its *deadline*. A swap that must be placed saw its `from`, so this goes on to the write of that.
//!    Nothing is lost: every order that explains the history obeys these deadlines already. Nothing is won: they
//!    only forbid.
//! 3. **Spare writes.** An unknown write whose value nobody names (and an unknown delete) is called spare. It can
//!    matter, because an answer may be about *some* value or about none: an acknowledged delete says that something
//!    was there. But it matters only to the operation that follows it. Take an order that explains the history, in
//!    it a spare `u`, and let `x` come next. If there is no `x`, or `x` sets the state whatever it was and would
//!    have been right without `u`, then the order without `u` explains the history too. If `x` leaves the state
//!    alone and would have been right without `u`, then `x` and `u` may change places: `u` stays open for ever, so
//!    it may always come later. So only those orders need to be searched in which every spare comes right before
//!    an operation that would be wrong without it (or before a spare that is there for this reason).
//!    There the spares of one kind do the same, because nobody can tell their values apart; and each may be used
//!    from its invocation on for ever, so that it does not matter which of those available is used. It is enough
//!    to *count* how many of a kind were used ([`Spares`]). The search does so; see `moves.rs`.
//!    A spare swap is of use only while its `from` is there, to an answer that denies it (`changed`, `gone`); if no
//!    such answer names `from`, the swap is left out. As `from` is written once and never comes back, one is enough.
//! 4. **Named, but by a denial only.** An unknown write whose value is named only by refused swaps may have happened
//!    or not, and it can be told apart. It is searched as it is: placed anywhere or nowhere. Refusals that were judged
//!    linearizably are rare, and of values nobody read rarer.

use std::collections::{BTreeMap, BTreeSet};

use crate::operation::{Action, Micros, Operation, Outcome, Value};

/// A value by the order in which this session's operations mention it.
pub(crate) type ValueIndex = usize;

/// What an operation does or claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Put(ValueIndex),
    Create(ValueIndex),
    Swap { from: ValueIndex, to: ValueIndex },
    Delete,
    Found(ValueIndex),
    Absent,
    Exists,
    NotFound,
    Changed(ValueIndex),
    Gone(ValueIndex),
}

/// A step with the time in which it must be placed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed {
    pub(crate) step: Step,
    /// The first moment at which it can take effect.
    pub(crate) from: Micros,
    /// The last one: no other step that begins after it may be placed before this one.
    pub(crate) until: Micros,
    /// Which operation of the session it is.
    pub(crate) operation: usize,
}

/// Unknown writes that nobody can tell apart: of each kind the times of invocation, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spares {
    pub(crate) puts: Vec<Micros>,
    pub(crate) creates: Vec<Micros>,
    pub(crate) deletes: Vec<Micros>,
    /// The earliest spare swap from a value.
    pub(crate) swaps: BTreeMap<ValueIndex, Micros>,
}

/// What must be true of a value for the search to keep it apart from all others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Witness {
    /// How many of the steps that must be placed see it: reads that found it and swaps from it.
    pub(crate) observers: u32,
    /// Whether a refused swap, or a swap that may be placed, names it.
    pub(crate) named: bool,
}

/// One session, ready to be searched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// What must be placed, by the time from which it can be.
    pub(crate) steps: Vec<Timed>,
    /// What may be placed: rule 4.
    pub(crate) optional: Vec<Timed>,
    /// Rule 3.
    pub(crate) spares: Spares,
    /// By value.
    pub(crate) witnesses: Vec<Witness>,
    /// By index.
    pub(crate) values: Vec<Value>,
}

impl Plan {
    /// What has to be found an order for.
    pub(crate) fn new(operations: &[Operation]) -> Self {
        let mut sorter = Sorter::new(operations);
        sorter.hand_deadlines_down();
        sorter.mark_denied();
        sorter.into_plan()
    }
}

/// A plan in the making.
struct Sorter<'a> {
    operations: &'a [Operation],
    steps: Vec<Option<Step>>,
    values: Values,
    /// By value: which operation writes it, unless it was surely not done.
    writers: Vec<Option<usize>>,
    /// By operation: the last moment at which it can have taken effect, if it did for sure.
    deadlines: Vec<Option<Micros>>,
    /// Values that refused swaps and optional swaps name.
    denied: BTreeSet<ValueIndex>,
    /// Unknown writes of denied values: rule 4.
    optional: BTreeSet<usize>,
}

/// The values of a session, by number.
#[derive(Default)]
struct Values {
    index: BTreeMap<Value, ValueIndex>,
    all: Vec<Value>,
}

impl Values {
    fn index(&mut self, value: Value) -> ValueIndex {
        *self.index.entry(value).or_insert_with(|| {
            self.all.push(value);
            self.all.len() - 1
        })
    }

    fn step(&mut self, operation: &Operation) -> Option<Step> {
        let may_have_effect = matches!(operation.outcome, Outcome::Done | Outcome::Unknown);
        Some(match (operation.action, operation.outcome) {
            (_, Outcome::NotDone) => return None,
            (Action::Put(value), _) => Step::Put(self.index(value)),
            (Action::Create(_), Outcome::Exists) => Step::Exists,
            (Action::Create(value), _) => Step::Create(self.index(value)),
            (Action::Swap { from, .. }, Outcome::Changed) => Step::Changed(self.index(from)),
            (Action::Swap { from, .. }, Outcome::Gone) => Step::Gone(self.index(from)),
            (Action::Swap { from, to }, _) => Step::Swap { from: self.index(from), to: self.index(to) },
            (Action::Delete, _) if may_have_effect => Step::Delete,
            (Action::Delete, _) => Step::NotFound,
            (Action::Read, Outcome::Found(value)) => Step::Found(self.index(value)),
            (Action::Read, Outcome::Absent) => Step::Absent,
            (Action::Read, _) => return None,
        })
    }
}

impl Step {
    /// The value that this writes.
    pub(crate) fn written(self) -> Option<ValueIndex> {
        match self {
            Self::Put(value) | Self::Create(value) | Self::Swap { to: value, .. } => Some(value),
            _ => None,
        }
    }

    /// The value that was there if this took place.
    pub(crate) fn seen(self) -> Option<ValueIndex> {
        match self {
            Self::Found(value) | Self::Swap { from: value, .. } => Some(value),
            _ => None,
        }
    }
}

impl<'a> Sorter<'a> {
    fn new(operations: &'a [Operation]) -> Self {
        let mut values = Values::default();
        let steps: Vec<_> = operations.iter().map(|operation| values.step(operation)).collect();
        let mut writers = vec![None; values.all.len()];
        for (operation, step) in steps.iter().enumerate() {
            if let Some(value) = step.and_then(Step::written) {
                writers[value] = Some(operation);
            }
        }
        let deadlines = operations.iter().map(|operation| operation.returned).collect();
        Self { operations, steps, values, writers, deadlines, denied: BTreeSet::new(), optional: BTreeSet::new() }
    }

    /// Rule 2. The earliest observer goes first, so that a chain of swaps is walked once.
    fn hand_deadlines_down(&mut self) {
        let mut observers: Vec<_> = (0..self.operations.len())
            .filter_map(|operation| Some((self.deadlines[operation]?, self.steps[operation]?.seen()?)))
            .collect();
        observers.sort_unstable();
        for (deadline, seen) in observers {
            let mut next = Some(seen);
            while let Some(writer) = next.and_then(|value| self.writers[value]) {
                if self.deadlines[writer].is_some_and(|known| known <= deadline) {
                    break;
                }
                self.deadlines[writer] = Some(deadline);
                next = self.steps[writer].and_then(Step::seen);
            }
        }
    }

    /// Rule 4.
    fn mark_denied(&mut self) {
        let denials = self.steps.iter().filter_map(|step| match step {
            Some(Step::Changed(value) | Step::Gone(value)) => Some(*value),
            _ => None,
        });
        let mut open: Vec<_> = denials.collect();
        while let Some(value) = open.pop() {
            if !self.denied.insert(value) {
                continue;
            }
            let writer = self.writers[value].filter(|writer| self.deadlines[*writer].is_none());
            if let Some(writer) = writer {
                self.optional.insert(writer);
                open.extend(self.steps[writer].and_then(Step::seen));
            }
        }
    }

    fn into_plan(self) -> Plan {
        let mut plan = Plan { witnesses: vec![Witness::default(); self.values.all.len()], ..Plan::default() };
        for (operation, step) in self.steps.iter().enumerate() {
            let Some(step) = *step else { continue };
            let from = self.operations[operation].invoked;
            match self.deadlines[operation] {
                Some(deadline) => {
                    // A deadline before the call: seen before it was written. It stays wrong if it may be placed at
                    // the moment of its call, because who saw it had returned by then.
                    plan.steps.push(Timed { step, from, until: deadline.max(from), operation });
                    if let Some(value) = step.seen() {
                        plan.witnesses[value].observers += 1;
                    }
                }
                None if self.optional.contains(&operation) => {
                    plan.optional.push(Timed { step, from, until: Micros::MAX, operation });
                }
                None => plan.spares.add(step, from, &self.denied),
            }
        }
        for value in self.denied {
            plan.witnesses[value].named = true;
        }
        plan.steps.sort_by_key(|timed| (timed.from, timed.until));
        plan.spares.sort();
        plan.values = self.values.all;
        plan
    }
}

impl Spares {
    fn add(&mut self, step: Step, invoked: Micros, denied: &BTreeSet<ValueIndex>) {
        match step {
            Step::Put(_) => self.puts.push(invoked),
            Step::Create(_) => self.creates.push(invoked),
            Step::Delete => self.deletes.push(invoked),
            Step::Swap { from, .. } if denied.contains(&from) => {
                let earliest = self.swaps.entry(from).or_insert(invoked);
                *earliest = invoked.min(*earliest);
            }
            _ => {}
        }
    }

    fn sort(&mut self) {
        self.puts.sort_unstable();
        self.creates.sort_unstable();
        self.deletes.sort_unstable();
    }
}
