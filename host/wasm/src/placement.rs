//! Placement plugins: the planner's questions in the contract's types, and back.

use colony_core::placement::{Candidate, Placement as Rank, Request, Role, Score, Silent};
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::bindings::placement::exports::colony::plugin::ranker as wit;
use crate::bindings::placement::{Placement, PlacementPre};
use crate::error::PluginError;
use crate::identity::Identity;
use crate::pool::{Pool, World};
use crate::sandbox::Sandbox;
use crate::text;

/// A loaded placement plugin.
pub struct PlacementPlugin {
    pool: Pool<Placement>,
}

impl PlacementPlugin {
    pub(crate) fn new(pool: Pool<Placement>) -> Self {
        Self { pool }
    }

    pub(crate) fn pool(&self) -> &Pool<Placement> {
        &self.pool
    }

    /// Which plugin this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.pool.identity()
    }

    /// Asks the plugin for one score for each host of the request, in their order. The number of scores is
    /// checked here, their meaning by the planner and the referee.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn scores(&self, request: &Request<'_>) -> Result<Vec<Score>, PluginError> {
        let limits = self.pool.limits();
        let bytes = question_bytes(request);
        if bytes > limits.question_bytes {
            return Err(PluginError::QuestionTooLarge { bytes, limit: limits.question_bytes });
        }
        let question = question(request);
        let (answer, _) = self.pool.call(
            request.namespace,
            |placement, store| placement.colony_plugin_ranker().call_rank(store, &question),
            |answer| believe(answer, request.hosts.len()),
        );
        answer
    }
}

/// The scores in the core's types, if there is one for each host.
fn believe(answer: Result<Vec<wit::Score>, String>, hosts: usize) -> Result<Vec<Score>, PluginError> {
    let scores = answer.map_err(|words| PluginError::Refused { reason: text::reason(&words) })?;
    if scores.len() != hosts {
        return Err(PluginError::Malformed { reason: format!("{} scores for {hosts} hosts", scores.len()) });
    }
    Ok(scores.into_iter().map(score).collect())
}

impl Rank for PlacementPlugin {
    fn rank(&self, request: &Request<'_>) -> Result<Vec<Score>, Silent> {
        self.scores(request).map_err(|error| Silent { why: format!("{} {error}", self.identity()) })
    }
}

impl World for Placement {
    const KIND: &'static str = "placement";
    const EXPORT: &'static str = "colony:plugin/ranker@0.1.0";
    type Checked = PlacementPre<Sandbox>;

    fn check(component: InstancePre<Sandbox>) -> wasmtime::Result<Self::Checked> {
        PlacementPre::new(component)
    }

    fn start(checked: &Self::Checked, store: &mut Store<Sandbox>) -> wasmtime::Result<Self> {
        checked.instantiate(store)
    }
}

fn question_bytes(request: &Request<'_>) -> usize {
    let labels = |host: &Candidate| -> usize { host.labels.iter().map(|(key, value)| key.len() + value.len()).sum() };
    let hosts: usize =
        request.hosts.iter().map(|host| size_of::<wit::Candidate>() + host.name.len() + labels(host)).sum();
    request.namespace.len() + hosts
}

fn question(request: &Request<'_>) -> wit::Request {
    wit::Request {
        namespace: request.namespace.to_owned(),
        bucket: request.bucket,
        role: match request.role {
            Role::Primary => wit::Role::Primary,
            Role::Secondary => wit::Role::Secondary,
        },
        candidates: request.hosts.iter().map(candidate).collect(),
    }
}

fn candidate(host: &Candidate) -> wit::Candidate {
    let label = |(key, value): (&String, &String)| wit::Label { key: key.clone(), value: value.clone() };
    wit::Candidate {
        name: host.name.clone(),
        labels: host.labels.iter().map(label).collect(),
        load: wit::Load {
            colonies: host.load.colonies,
            primaries: host.load.primaries,
            sessions: host.load.sessions,
            bytes: host.load.bytes,
            // It follows where colonies are: whoever places by it alone chases them round the cluster.
            cpu_percent: None,
            memory_percent: host.load.memory_percent,
        },
    }
}

fn score(score: wit::Score) -> Score {
    match score {
        wit::Score::Score(weight) => Score::Weight(weight),
        wit::Score::Veto(words) => Score::Veto(text::reason(&words)),
    }
}
