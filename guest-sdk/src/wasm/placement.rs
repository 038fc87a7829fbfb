//! World `placement`: between the generated types and [`crate::placement`].

use crate::placement::{Candidate, Load, Placement, Request, Role, Score};

#[allow(unsafe_code, missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "placement",
        pub_export_macro: true,
        export_macro_name: "export_placement_world",
        default_bindings_module: "colony_guest::wasm::placement::bindings",
    });
}

/// The generated types.
pub use bindings::exports::colony::plugin::ranker as wit;

/// Puts the host's question to the plugin.
pub fn answer(plugin: &impl Placement, request: wit::Request) -> Result<Vec<wit::Score>, String> {
    Ok(plugin.rank(&question(request)).into_iter().map(score).collect())
}

fn question(request: wit::Request) -> Request {
    Request {
        namespace: request.namespace,
        bucket: request.bucket,
        role: match request.role {
            wit::Role::Primary => Role::Primary,
            wit::Role::Secondary => Role::Secondary,
        },
        candidates: request.candidates.into_iter().map(candidate).collect(),
    }
}

fn candidate(candidate: wit::Candidate) -> Candidate {
    Candidate {
        name: candidate.name,
        labels: candidate.labels.into_iter().map(|label| (label.key, label.value)).collect(),
        load: Load {
            colonies: candidate.load.colonies,
            primaries: candidate.load.primaries,
            sessions: candidate.load.sessions,
            bytes: candidate.load.bytes,
            cpu_percent: candidate.load.cpu_percent,
            memory_percent: candidate.load.memory_percent,
        },
    }
}

fn score(score: Score) -> wit::Score {
    match score {
        Score::Points(points) => wit::Score::Score(points),
        Score::Veto(reason) => wit::Score::Veto(reason),
    }
}
