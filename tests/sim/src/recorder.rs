//! Histories for the judge: clients write, swap, delete and read with `confirm`, while hosts crash, stop, and are
//! cut off from each other; what each asked, when, and what it was told is written down, and `colony-history`
//! tells afterwards whether one store that does one thing at a time could have said so (I8).
//!
//! Every client repeats a call under its request id until it is answered or given up; what it gave up it does not
//! know the outcome of.

use std::collections::BTreeMap;

use bytes::Bytes;
use colony_history::{Action, Operation, Outcome, Value};
use colony_wire::client::{Refusal, ReplyBody};
use colony_wire::session::{Content, EndKind, Key, Mutation, Precondition, SessionView};

use crate::client::{Client, session_key};
use crate::clock::{Micros, SECOND};
use crate::counters;
use crate::event::{Event, Fault};
use crate::phase::Phase;
use crate::rng::Rng;
use crate::run::last_step;
use crate::swarm::{Load, Mix};
use crate::violation::Violation;
use crate::world::World;

/// How many operations one run records: few enough to spread over threads, many enough for long histories.
pub const OPERATIONS_OF_A_RUN: u64 = 20_000;
/// Sessions of one run.
const KEYS: usize = 60;
/// A call is given up after this time; its outcome is unknown then.
const PATIENCE: Micros = 4 * SECOND;

/// What is written down.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    quota: u64,
    begun: u64,
    /// Calls without an answer.
    open: BTreeMap<u64, Call>,
    done: Vec<(u64, Operation)>,
}

#[derive(Debug)]
struct Call {
    client: u64,
    session: u64,
    invoked: Micros,
    action: Action,
}

/// What came of one run.
#[derive(Debug)]
pub struct Recorded {
    /// Every operation with the number of its session, in the order in which they ended.
    pub operations: Vec<(u64, Operation)>,
    /// Processes killed between a change and the reply that says so.
    pub kills: u64,
    /// The rule of the oracle that was broken, if one was.
    pub violation: Option<Violation>,
}

/// Records so many operations in a cluster of this seed.
#[must_use]
pub fn record(seed: u64, operations: u64, print: bool) -> Recorded {
    let mut world = match World::of(mix(seed), seed, print) {
        Ok(world) => world,
        Err(violation) => return Recorded { operations: Vec::new(), kills: 0, violation: Some(violation) },
    };
    world.recorder = Some(Recorder { quota: operations, ..Recorder::default() });
    let violation = last_step(&mut world).1;
    let recorder = world.recorder.take().unwrap_or_default();
    let lost = recorder.open.into_values().map(|call| (call.session, call.ended(None, Outcome::Unknown)));
    Recorded { operations: recorder.done.into_iter().chain(lost).collect(), kills: world.kills, violation }
}

/// As for counters: no copy is lost for good, and almost everything else goes wrong.
fn mix(seed: u64) -> Mix {
    let mix = counters::mix(seed);
    Mix { load: Load { clients: 8, keys: KEYS, open: 2, patience: PATIENCE, ..mix.load }, ..mix }
}

impl Call {
    fn ended(&self, returned: Option<Micros>, outcome: Outcome) -> Operation {
        let Self { client, invoked, action, .. } = *self;
        Operation { client, invoked, returned, action, outcome }
    }
}

impl World {
    /// In a run that is recorded, a client asks for something, if that much is left to do.
    pub(crate) fn ask_on_record(&mut self, client: usize) -> Result<(), Violation> {
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        if recorder.begun >= recorder.quota || self.phase != Phase::Faulty {
            return Ok(());
        }
        recorder.begun += 1;
        let is_last = recorder.begun == recorder.quota;
        self.calls += 1;
        let number = self.calls;
        let session = self.dice.clients.below(self.mix.load.keys as u64);
        let now = self.clock.now();
        let asks = &mut self.clients[client];
        let action = asks.ask_on_record(&mut self.dice.clients, session, number, now);
        recorder.open.insert(number, Call { client: client as u64, session, invoked: now, action });
        if is_last {
            self.clock.after(2 * PATIENCE, Event::Fault(Fault::HealAll));
        }
        self.attempt(client, number)
    }

    /// A call on record has its answer.
    pub(crate) fn note_answer(&mut self, number: u64, answer: &ReplyBody) {
        let now = self.clock.now();
        let Some(recorder) = &mut self.recorder else { return };
        let Some(call) = recorder.open.remove(&number) else { return };
        let outcome = outcome_of(call.action, answer);
        let returned = (outcome != Outcome::Unknown).then_some(now);
        recorder.done.push((call.session, call.ended(returned, outcome)));
    }
}

impl Client {
    /// Draws what to ask of this session on record.
    fn ask_on_record(&mut self, rng: &mut Rng, session: u64, number: u64, now: Micros) -> Action {
        let key = session_key(session);
        let known = self.known(&key).and_then(|view| Some((view.version, value_of(view)?)));
        let value = Value(number);
        let put = |key: Key, precondition| {
            let content = Content::Blob(Bytes::from(number.to_string()));
            Mutation::Put { key, content, tags: Vec::new(), ttl: None, precondition }
        };
        let (action, mutation) = match (rng.below(100), known) {
            (0..15, _) => (Action::Put(value), put(key, Precondition::None)),
            (15..25, _) => (Action::Create(value), put(key, Precondition::Absent)),
            (25..33, _) => {
                let (precondition, kind) = (Precondition::None, EndKind::Logout);
                (Action::Delete, Mutation::Delete { key, precondition, kind })
            }
            (33..60, Some((version, from))) => {
                (Action::Swap { from, to: value }, put(key, Precondition::Version(version)))
            }
            _ => {
                self.confirm(number, key, now, PATIENCE);
                return Action::Read;
            }
        };
        self.mutate(number, mutation, now, PATIENCE);
        action
    }
}

/// What an answer is to the judge. A refusal is given by what is prepared at the primary, and an earlier attempt of the
/// same call may still be under way: only a swap that was refused is surely not done, for a version never returns.
fn outcome_of(action: Action, answer: &ReplyBody) -> Outcome {
    match (action, answer) {
        (Action::Read, ReplyBody::Found(view)) => value_of(view).map_or(Outcome::Unknown, Outcome::Found),
        (Action::Read, ReplyBody::Absent) => Outcome::Absent,
        (_, ReplyBody::Done(_)) => Outcome::Done,
        (Action::Swap { .. }, ReplyBody::Refused(Refusal::Changed { .. } | Refusal::NotFound)) => Outcome::NotDone,
        _ => Outcome::Unknown,
    }
}

fn value_of(view: &SessionView) -> Option<Value> {
    let Content::Blob(bytes) = &view.content else { return None };
    std::str::from_utf8(bytes).ok()?.parse().ok().map(Value)
}
