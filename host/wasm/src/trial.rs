//! Plugins put to the test: `colony plugin check` asks them what a host may ask one day, and counts what it takes.

use std::collections::BTreeMap;

use colony_guest::merge::{Choice, Occasion, Outcome, SessionConflict, Snapshot, State};
use colony_guest::placement::{Candidate, Request, Role, Score};
use colony_laws::placement::Ranker;
use colony_laws::{Reply, Subject};

use crate::bindings::merge::exports::colony::plugin::merger as wit;
use crate::bindings::placement::exports::colony::plugin::ranker;
use crate::merge::{MergePlugin, answer_bytes};
use crate::placement::PlacementPlugin;
use crate::text;

/// A merge plugin, asked by the laws. Everything of the contract reaches it, also what hosts do not send yet; the
/// limits are those of its runtime.
pub struct MergeTrial<'a>(pub &'a MergePlugin);

impl Subject for MergeTrial<'_> {
    fn ask(&mut self, question: &SessionConflict) -> Reply {
        let asked = conflict(question);
        let (answer, fuel) = self.0.pool().call(
            &question.namespace,
            |merge, store| merge.colony_plugin_merger().call_merge(store, &asked),
            Ok,
        );
        let limit = self.0.pool().limits().answer_bytes;
        let answer = match answer {
            Ok(Ok(answer)) if answer_bytes(&answer) > limit => Err(format!("gave more than {limit} bytes")),
            Ok(Ok(answer)) => outcome(answer),
            Ok(Err(words)) => Err(format!("refused: {}", text::reason(&words))),
            Err(error) => Err(error.to_string()),
        };
        Reply { answer, fuel: Some(fuel.call) }
    }

    fn restart(&mut self) {
        self.0.pool().forget();
    }
}

fn conflict(question: &SessionConflict) -> wit::Conflict {
    wit::Conflict {
        namespace: question.namespace.clone(),
        occasion: match question.occasion {
            Occasion::Heal => wit::Occasion::Heal,
            Occasion::ConcurrentSave => wit::Occasion::ConcurrentSave,
        },
        base: question.base.as_ref().map(side),
        ours: side(&question.ours),
        theirs: side(&question.theirs),
        conflicting: question.conflicting.clone(),
    }
}

fn side(side: &Snapshot) -> wit::Side {
    let lineage = side.version.lineage;
    wit::Side {
        state: match &side.state {
            State::Blob(bytes) => wit::State::Blob(bytes.clone()),
            State::Attributes(attributes) => {
                let attribute =
                    |(name, value): (&String, &Vec<u8>)| wit::Attribute { name: name.clone(), value: value.clone() };
                wit::State::Attributes(attributes.iter().map(attribute).collect())
            }
            State::Deleted => wit::State::Deleted,
        },
        version: wit::Version {
            // The halves of the 128 bits.
            lineage: ((lineage >> 64) as u64, lineage as u64),
            reign: side.version.reign,
            seq: side.version.seq,
        },
        written_at_ms: side.written_at_ms,
        expires_in_ms: side.expires_in_ms,
    }
}

fn outcome(answer: wit::Resolution) -> Result<Outcome, String> {
    Ok(match answer {
        wit::Resolution::Keep(wit::Choice::Ours) => Outcome::Keep(Choice::Ours),
        wit::Resolution::Keep(wit::Choice::Theirs) => Outcome::Keep(Choice::Theirs),
        wit::Resolution::Attributes(changes) => {
            let mut named = BTreeMap::new();
            for change in changes {
                let name = change.name.clone();
                if named.insert(change.name, change.value).is_some() {
                    return Err(format!("attribute {name:?} is named twice"));
                }
            }
            Outcome::Attributes(named)
        }
        wit::Resolution::Blob(bytes) => Outcome::Blob(bytes),
        wit::Resolution::Delete => Outcome::Delete,
        wit::Resolution::Quarantine(words) => Outcome::Quarantine(text::reason(&words)),
    })
}

/// A placement plugin, asked by the laws, with measurements that hosts do not send yet.
pub struct PlacementTrial<'a> {
    plugin: &'a PlacementPlugin,
    fuel: Option<u64>,
}

impl<'a> PlacementTrial<'a> {
    /// A trial of this plugin.
    #[must_use]
    pub fn new(plugin: &'a PlacementPlugin) -> Self {
        Self { plugin, fuel: None }
    }
}

impl Ranker for PlacementTrial<'_> {
    fn ask(&mut self, request: &Request) -> Result<Vec<Score>, String> {
        let asked = ranker::Request {
            namespace: request.namespace.clone(),
            bucket: request.bucket,
            role: match request.role {
                Role::Primary => ranker::Role::Primary,
                Role::Secondary => ranker::Role::Secondary,
            },
            candidates: request.candidates.iter().map(candidate).collect(),
        };
        let (answer, fuel) = self.plugin.pool().call(
            &request.namespace,
            |placement, store| placement.colony_plugin_ranker().call_rank(store, &asked),
            Ok,
        );
        self.fuel = Some(fuel.call);
        match answer {
            Ok(Ok(scores)) => Ok(scores.into_iter().map(score).collect()),
            Ok(Err(words)) => Err(format!("refused: {}", text::reason(&words))),
            Err(error) => Err(error.to_string()),
        }
    }

    fn fuel(&self) -> Option<u64> {
        self.fuel
    }
}

fn candidate(host: &Candidate) -> ranker::Candidate {
    let label = |(key, value): (&String, &String)| ranker::Label { key: key.clone(), value: value.clone() };
    ranker::Candidate {
        name: host.name.clone(),
        labels: host.labels.iter().map(label).collect(),
        load: ranker::Load {
            colonies: host.load.colonies,
            primaries: host.load.primaries,
            sessions: host.load.sessions,
            bytes: host.load.bytes,
            cpu_percent: host.load.cpu_percent,
            memory_percent: host.load.memory_percent,
        },
    }
}

fn score(score: ranker::Score) -> Score {
    match score {
        ranker::Score::Score(points) => Score::Points(points),
        ranker::Score::Veto(words) => Score::Veto(text::reason(&words)),
    }
}
