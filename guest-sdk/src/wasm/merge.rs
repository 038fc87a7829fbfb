//! World `merge`: between the generated types and [`crate::merge`].

use crate::merge::{Choice, Merge, Occasion, Outcome, SessionConflict, Snapshot, State, Version};

#[allow(unsafe_code, missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "merge",
        pub_export_macro: true,
        export_macro_name: "export_merge_world",
        default_bindings_module: "colony_guest::wasm::merge::bindings",
    });
}

/// The generated types.
pub use bindings::exports::colony::plugin::merger as wit;

/// Puts the host's question to the plugin.
pub fn answer(plugin: &impl Merge, conflict: wit::Conflict) -> Result<wit::Resolution, String> {
    plugin.session(question(conflict)).map(resolution)
}

fn question(conflict: wit::Conflict) -> SessionConflict {
    SessionConflict {
        namespace: conflict.namespace,
        occasion: match conflict.occasion {
            wit::Occasion::Heal => Occasion::Heal,
            wit::Occasion::ConcurrentSave => Occasion::ConcurrentSave,
        },
        base: conflict.base.map(snapshot),
        ours: snapshot(conflict.ours),
        theirs: snapshot(conflict.theirs),
        conflicting: conflict.conflicting,
    }
}

fn snapshot(side: wit::Side) -> Snapshot {
    let (high, low) = side.version.lineage;
    Snapshot {
        state: match side.state {
            wit::State::Blob(bytes) => State::Blob(bytes),
            wit::State::Attributes(attributes) => {
                State::Attributes(attributes.into_iter().map(|attribute| (attribute.name, attribute.value)).collect())
            }
            wit::State::Deleted => State::Deleted,
        },
        version: Version {
            lineage: u128::from(high) << 64 | u128::from(low),
            reign: side.version.reign,
            seq: side.version.seq,
        },
        written_at_ms: side.written_at_ms,
        expires_in_ms: side.expires_in_ms,
    }
}

fn resolution(outcome: Outcome) -> wit::Resolution {
    match outcome {
        Outcome::Keep(Choice::Ours) => wit::Resolution::Keep(wit::Choice::Ours),
        Outcome::Keep(Choice::Theirs) => wit::Resolution::Keep(wit::Choice::Theirs),
        Outcome::Attributes(changes) => {
            wit::Resolution::Attributes(changes.into_iter().map(|(name, value)| wit::Change { name, value }).collect())
        }
        Outcome::Blob(bytes) => wit::Resolution::Blob(bytes),
        Outcome::Delete => wit::Resolution::Delete,
        Outcome::Quarantine(reason) => wit::Resolution::Quarantine(reason),
    }
}
