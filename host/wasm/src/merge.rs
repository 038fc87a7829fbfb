//! Merge plugins: the core's questions in the contract's types, and back.

use bytes::Bytes;
use colony_core::merge::{Conflict, Occasion, Resolution, Side};
use colony_wire::Position;
use colony_wire::session::Content;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::bindings::merge::exports::colony::plugin::merger as wit;
use crate::bindings::merge::{Merge, MergePre};
use crate::error::PluginError;
use crate::identity::Identity;
use crate::pool::{Pool, World};
use crate::sandbox::Sandbox;
use crate::text;

/// A loaded merge plugin.
pub struct MergePlugin {
    pool: Pool<Merge>,
}

impl MergePlugin {
    pub(crate) fn new(pool: Pool<Merge>) -> Self {
        Self { pool }
    }

    pub(crate) fn pool(&self) -> &Pool<Merge> {
        &self.pool
    }

    /// Which plugin this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.pool.identity()
    }

    /// Instances of it there are, those that answer now included. Each holds up to
    /// [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    #[must_use]
    pub fn instances(&self) -> usize {
        self.pool.instances()
    }

    /// Drops the instances that it keeps between calls: the next call gets a fresh one.
    pub fn forget_instances(&self) {
        self.pool.forget();
    }

    /// Asks the plugin what becomes of a session. The size of the answer is checked here, its meaning by
    /// [`colony_core::merge::settle`].
    ///
    /// # Errors
    /// Why there is no answer; the built-in rule decides then.
    pub fn merge(&self, conflict: &Conflict) -> Result<Resolution, PluginError> {
        self.ask(conflict).answer
    }

    /// The same, and what it cost.
    #[must_use]
    pub fn ask(&self, conflict: &Conflict) -> Asked {
        let limits = self.pool.limits();
        let bytes = question_bytes(conflict);
        if bytes > limits.question_bytes {
            let answer = Err(PluginError::QuestionTooLarge { bytes, limit: limits.question_bytes });
            return Asked { answer, fuel: 0 };
        }
        let question = question(conflict);
        let (answer, fuel) = self.pool.call(
            &conflict.namespace,
            |merge, store| merge.colony_plugin_merger().call_merge(store, &question),
            |answer| believe(answer, limits.answer_bytes),
        );
        Asked { answer, fuel: fuel.start.saturating_add(fuel.call) }
    }
}

/// The answer in the core's types, if its size is what it may be.
fn believe(answer: Result<wit::Resolution, String>, limit: usize) -> Result<Resolution, PluginError> {
    let answer = answer.map_err(|words| PluginError::Refused { reason: text::reason(&words) })?;
    if answer_bytes(&answer) > limit {
        return Err(PluginError::AnswerTooLarge { limit });
    }
    resolution(answer)
}

/// What became of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The answer, or why there is none.
    pub answer: Result<Resolution, PluginError>,
    /// Fuel that it took, the start of a fresh instance included.
    pub fuel: u64,
}

impl World for Merge {
    const KIND: &'static str = "merge";
    const EXPORT: &'static str = "colony:plugin/merger@0.1.0";
    type Checked = MergePre<Sandbox>;

    fn check(component: InstancePre<Sandbox>) -> wasmtime::Result<Self::Checked> {
        MergePre::new(component)
    }

    fn start(checked: &Self::Checked, store: &mut Store<Sandbox>) -> wasmtime::Result<Self> {
        checked.instantiate(store)
    }
}

fn question_bytes(conflict: &Conflict) -> usize {
    let sides = [Some(&conflict.ours), Some(&conflict.theirs), conflict.base.as_ref()];
    let content: usize = sides.into_iter().flatten().map(|side| side.content.size()).sum();
    let names: usize = conflict.attributes.iter().map(String::len).sum();
    conflict.namespace.len() + names + content
}

fn question(conflict: &Conflict) -> wit::Conflict {
    wit::Conflict {
        namespace: conflict.namespace.clone(),
        occasion: match conflict.occasion {
            Occasion::ConcurrentSave => wit::Occasion::ConcurrentSave,
            Occasion::Heal => wit::Occasion::Heal,
        },
        base: conflict.base.as_ref().map(side),
        ours: side(&conflict.ours),
        theirs: side(&conflict.theirs),
        conflicting: conflict.attributes.clone(),
    }
}

fn side(side: &Side) -> wit::Side {
    wit::Side {
        state: match &side.content {
            Content::Blob(bytes) => wit::State::Blob(bytes.to_vec()),
            Content::Attributes(attributes) => wit::State::Attributes(
                attributes
                    .iter()
                    .map(|(name, value)| wit::Attribute { name: name.clone(), value: value.to_vec() })
                    .collect(),
            ),
        },
        version: version(side.version),
        written_at_ms: side.written_at,
        expires_in_ms: side.expires_in,
    }
}

fn version(position: Position) -> wit::Version {
    let lineage = position.lineage.0;
    wit::Version {
        // The halves of the 128 bits.
        lineage: ((lineage >> 64) as u64, lineage as u64),
        reign: position.reign.0,
        seq: position.seq.0,
    }
}

pub(crate) fn answer_bytes(answer: &wit::Resolution) -> usize {
    match answer {
        wit::Resolution::Attributes(changes) => {
            changes.iter().map(|change| change.name.len() + change.value.as_ref().map_or(0, Vec::len)).sum()
        }
        wit::Resolution::Blob(bytes) => bytes.len(),
        wit::Resolution::Keep(_) | wit::Resolution::Delete | wit::Resolution::Quarantine(_) => 0,
    }
}

fn resolution(answer: wit::Resolution) -> Result<Resolution, PluginError> {
    Ok(match answer {
        wit::Resolution::Keep(wit::Choice::Ours) => Resolution::KeepOurs,
        wit::Resolution::Keep(wit::Choice::Theirs) => Resolution::KeepTheirs,
        wit::Resolution::Attributes(changes) => Resolution::Attributes(
            changes.into_iter().map(|change| (change.name, change.value.map(Bytes::from))).collect(),
        ),
        wit::Resolution::Blob(bytes) => Resolution::Blob(bytes.into()),
        wit::Resolution::Delete => Resolution::Delete,
        wit::Resolution::Quarantine(words) => {
            return Err(PluginError::Quarantine { reason: text::reason(&words) });
        }
    })
}
