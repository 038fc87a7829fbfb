//! Placement plugins: how good is each of these hosts for this copy of a colony?
//!
//! The hard rules stay with the host: one copy of a colony per host; copies on different machines, racks and
//! zones where a plan allows it. A plugin chooses among what they leave. The host that leads the cluster
//! asks when it makes a plan, never while it serves a session.

use std::collections::BTreeMap;

/// A placement plugin. Export it with [`export_placement!`](crate::export_placement!).
pub trait Placement {
    /// How good this candidate is for the copy that `request` asks about.
    fn score(&self, request: &Request, candidate: &Candidate) -> Score;

    /// One score for each candidate, in the order of the request. Unless implemented, [`score`](Self::score)
    /// is asked for each.
    fn rank(&self, request: &Request) -> Vec<Score> {
        request.candidates.iter().map(|candidate| self.score(request, candidate)).collect()
    }
}

/// One copy of one colony looks for a host. Built by the host; by [`Request::new`] in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The namespace whose sessions the colony holds.
    pub namespace: String,
    /// Which colony of the namespace.
    pub bucket: u32,
    /// What the copy is to be.
    pub role: Role,
    /// The hosts to choose from.
    pub candidates: Vec<Candidate>,
}

impl Request {
    /// A request for bucket 0 of namespace `test`.
    pub fn new(role: Role, candidates: Vec<Candidate>) -> Self {
        Self { namespace: "test".into(), bucket: 0, role, candidates }
    }
}

/// What a copy of a colony is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The copy that serves writes.
    Primary,
    /// A copy that follows it.
    Secondary,
}

/// A host that the copy could live on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// The host's name.
    pub name: String,
    /// Its labels: `machine`, `rack`, `zone`, `region` and whatever its operator added.
    pub labels: BTreeMap<String, String>,
    /// What it carries now.
    pub load: Load,
}

impl Candidate {
    /// A host without labels, for tests.
    pub fn new(name: impl Into<String>, load: Load) -> Self {
        Self { name: name.into(), labels: BTreeMap::new(), load }
    }

    /// The same host with one more label.
    pub fn labelled(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// The value of a label, if the host has it.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }
}

/// What a host carries now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Copies of colonies, primaries included.
    pub colonies: u32,
    /// Primaries.
    pub primaries: u32,
    /// Sessions in all its copies, if measured.
    pub sessions: Option<u64>,
    /// Memory that the sessions take, in bytes, if measured.
    pub bytes: Option<u64>,
    /// Processor time in use, all cores together, 0 to 100, if measured.
    pub cpu_percent: Option<u32>,
    /// Share in use of the memory that the host may use, 0 to 100, if measured.
    pub memory_percent: Option<u32>,
}

/// What a plugin says about one candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Score {
    /// The higher the better, -1000 to 1000; beyond that it is clamped. Compared within one request only.
    Points(i32),
    /// Not here, for this reason.
    Veto(String),
}
