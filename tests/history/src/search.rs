//! The search for an order of one session's operations (Wing and Gong, 1993), which never goes on twice from the
//! same point (Lowe, 2017).
//!
//! A point is reached by having placed some of the steps, one after the other; it is determined by *which* they
//! are, by what the session holds, and by how many spares were used. A step may be placed next if it was invoked
//! before the deadline of every step that is still to be placed. A point from which all is placed proves the
//! history linearizable; if no point is left to try, there is no such order.

use std::collections::HashMap;

use crate::moves::{Held, Moment, State, Used};
use crate::operation::Micros;
use crate::plan::{Plan, Timed};

/// How a search ended.
pub(crate) enum Found {
    Order,
    NoOrder(DeadEnd),
    /// Too many points were visited.
    GaveUp,
}

/// The point that got furthest in time before nothing could be placed any more.
pub(crate) struct DeadEnd {
    /// Everything with an earlier deadline is placed; one with this deadline cannot be.
    pub(crate) deadline: Micros,
    /// How many steps are placed.
    pub(crate) placed: usize,
    /// The last steps that changed something, oldest first, by operation.
    pub(crate) last: Vec<usize>,
    /// What still has to see the value that is held then, by operation: why that value cannot go.
    pub(crate) waiting: Vec<usize>,
    /// What could have come next, by operation, and why it could not.
    pub(crate) stuck: Vec<(usize, String)>,
}

/// How many of the last changes a dead end names.
const LAST_SHOWN: usize = 6;
/// How many of those that could not come next it names, the most urgent first; and of those that wait.
const STUCK_SHOWN: usize = 8;

/// Which steps are placed, and what the session holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    /// The first step that is not placed.
    low: usize,
    /// A bit for each step from `low / 64 * 64` on, up to the last word with a bit set.
    placed: Vec<u64>,
    /// The optional steps that are placed, in order.
    optional: Vec<usize>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Step(usize),
    Optional(usize),
}

#[derive(Clone, Copy, Debug)]
struct Move {
    which: Which,
    held: Held,
}

/// A point, and what has not been tried from it.
struct Frame {
    place: Place,
    moves: Vec<Move>,
    tried: usize,
}

/// Searches for an order.
///
/// It gives up after one point for each step and `visited_max` more.
pub(crate) fn search(plan: &Plan, visited_max: usize) -> Found {
    let mut search = Search { plan, seen: HashMap::new(), path: Vec::new(), furthest: None };
    let visited_max = plan.steps.len().saturating_add(visited_max);
    let mut next = Some((Place::start(), Held::nothing()));
    let mut visited = 0;
    loop {
        if let Some((mut place, held)) = next.take() {
            let held = search.look(&mut place, held);
            if place.low == plan.steps.len() {
                return Found::Order;
            }
            if search.is_new(&place, held.used) {
                visited += 1;
                if visited > visited_max {
                    return Found::GaveUp;
                }
                search.visit(place, held);
            }
        }
        let Some(frame) = search.path.last_mut() else { break };
        match frame.moves.get(frame.tried) {
            Some(chosen) => {
                frame.tried += 1;
                next = Some((frame.place.after(chosen), chosen.held));
            }
            None => drop(search.path.pop()),
        }
    }
    search.furthest.map_or(Found::Order, Found::NoOrder)
}

struct Search<'a> {
    plan: &'a Plan,
    /// Every place that was visited, with what was used to get there. Who comes again having used no less of
    /// everything can do nothing that was not tried.
    seen: HashMap<Place, Vec<Used>>,
    path: Vec<Frame>,
    furthest: Option<DeadEnd>,
}

impl Search<'_> {
    /// Places whatever is right as things are and changes nothing, until there is no more of it.
    fn look(&self, place: &mut Place, mut held: Held) -> Held {
        let mut is_settled = false;
        while !is_settled {
            is_settled = true;
            let (_, candidates) = place.candidates(&self.plan.steps);
            for index in candidates {
                if let Some(after) = held.after_looking(self.plan.steps[index].step, self.plan) {
                    held = after;
                    place.put(index);
                    is_settled = false;
                }
            }
        }
        place.state = held.state;
        held
    }

    fn is_new(&mut self, place: &Place, used: Used) -> bool {
        match self.seen.get_mut(place) {
            None => {
                self.seen.insert(place.clone(), vec![used]);
                true
            }
            Some(all) if all.iter().any(|earlier| earlier.is_within(used)) => false,
            Some(all) => {
                all.retain(|earlier| !used.is_within(*earlier));
                all.push(used);
                true
            }
        }
    }

    /// Finds out what can come next.
    fn visit(&mut self, place: Place, held: Held) {
        let (now, mut candidates) = place.candidates(&self.plan.steps);
        // The most urgent first: this is the order in which most histories happened.
        candidates.sort_by_key(|index| self.plan.steps[*index].until);
        let moment = Moment::new(self.plan, now);
        let mut moves = Vec::with_capacity(candidates.len());
        for &index in &candidates {
            let results = moment.after(held, self.plan.steps[index].step, true);
            moves.extend(results.into_iter().flatten().map(|held| Move { which: Which::Step(index), held }));
        }
        for (index, optional) in self.plan.optional.iter().enumerate() {
            if optional.from <= now && !place.optional.contains(&index) {
                let results = moment.after(held, optional.step, false);
                moves.extend(results.into_iter().flatten().map(|held| Move { which: Which::Optional(index), held }));
            }
        }
        if moves.is_empty() {
            self.note_dead_end(&place, held, &moment, now, &candidates);
        }
        self.path.push(Frame { place, moves, tried: 0 });
    }

    /// The later the deadline, the further the search got: placing steps never makes it earlier.
    fn note_dead_end(&mut self, place: &Place, held: Held, moment: &Moment<'_>, deadline: Micros, stuck: &[usize]) {
        let placed = place.count();
        let is_further = |known: &DeadEnd| (deadline, placed) > (known.deadline, known.placed);
        if !self.furthest.as_ref().is_none_or(is_further) {
            return;
        }
        let path = self.path.iter().filter_map(|frame| frame.moves.get(frame.tried.checked_sub(1)?));
        let mut last: Vec<_> = path.rev().take(LAST_SHOWN).map(|chosen| self.timed(chosen.which).operation).collect();
        last.reverse();
        let waiting = self.waiting(place).take(STUCK_SHOWN).collect();
        let stuck = stuck.iter().take(STUCK_SHOWN).map(|&index| {
            let timed = self.plan.steps[index];
            (timed.operation, moment.objection(held, timed.step))
        });
        self.furthest = Some(DeadEnd { deadline, placed, last, waiting, stuck: stuck.collect() });
    }

    /// The operations that still have to see the value that is held.
    fn waiting(&self, place: &Place) -> impl Iterator<Item = usize> {
        let left = self.plan.steps.iter().enumerate().filter(|(index, _)| !place.has(*index));
        left.filter_map(|(_, timed)| {
            let sees = matches!(place.state, State::Value(value) if timed.step.seen() == Some(value));
            sees.then_some(timed.operation)
        })
    }

    fn timed(&self, which: Which) -> Timed {
        match which {
            Which::Step(index) => self.plan.steps[index],
            Which::Optional(index) => self.plan.optional[index],
        }
    }
}

impl Place {
    fn start() -> Self {
        Self { low: 0, placed: Vec::new(), optional: Vec::new(), state: State::Absent }
    }

    /// The steps that may come next, and the first deadline of all that are not placed.
    ///
    /// Steps are in the order of the times from which they can be placed, so nothing after the first one that
    /// begins after a deadline matters; and no step's deadline is before its own beginning, so none that comes later
    /// rules out one that came before.
    fn candidates(&self, steps: &[Timed]) -> (Micros, Vec<usize>) {
        let mut deadline = Micros::MAX;
        let mut candidates = Vec::new();
        let base = self.low / 64 * 64;
        let mut index = self.low;
        while let Some(timed) = steps.get(index) {
            let word = self.placed.get((index - base) / 64).copied().unwrap_or(0);
            let placed_from_here = (word >> (index % 64)).trailing_ones();
            if placed_from_here > 0 {
                index += placed_from_here as usize;
                continue;
            }
            if timed.from > deadline {
                break;
            }
            deadline = deadline.min(timed.until);
            candidates.push(index);
            index += 1;
        }
        (deadline, candidates)
    }

    fn after(&self, chosen: &Move) -> Self {
        let mut place = self.clone();
        place.state = chosen.held.state;
        match chosen.which {
            Which::Step(index) => place.put(index),
            Which::Optional(index) => {
                let at = place.optional.partition_point(|earlier| *earlier < index);
                place.optional.insert(at, index);
            }
        }
        place
    }

    fn put(&mut self, index: usize) {
        let base = self.low / 64;
        let word = index / 64 - base;
        if self.placed.len() <= word {
            self.placed.resize(word + 1, 0);
        }
        self.placed[word] |= 1 << (index % 64);
        if index == self.low {
            let full = self.placed.iter().take_while(|word| **word == u64::MAX).count();
            self.placed.drain(..full);
            let ones = self.placed.first().map_or(0, |word| word.trailing_ones());
            self.low = (base + full) * 64 + ones as usize;
        }
    }

    fn has(&self, index: usize) -> bool {
        let word = (index / 64).checked_sub(self.low / 64).and_then(|word| self.placed.get(word));
        index < self.low || word.is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    fn count(&self) -> usize {
        let ones: u32 = self.placed.iter().map(|word| word.count_ones()).sum();
        self.low / 64 * 64 + ones as usize
    }
}
