//! Where the copies of colonies live (`PROTOCOL.md` 14).
//!
//! The user's plugin answers one question through [`Placement`]: how good is each host for this colony and
//! role? Hard rules are not its business: the planner and the referee keep them, whatever it says.
//!
//! Reading order: `referee` (what is believed), `slate` (opinions), `levels` (anti-affinity), `survey` (what
//! there is), `draft` and `balance` (the algorithm), `load`, `burden` and `relief` (hosts that carry too much),
//! `vacate` (hosts that leave), `rest` (what is left alone for a while), `problems`, `reason` and `preview` (what is
//! told), [`Planner`].

mod balance;
mod burden;
mod draft;
mod haste;
mod levels;
mod load;
mod planner;
mod preview;
mod problems;
mod reason;
mod referee;
mod relief;
mod rest;
mod slate;
mod survey;
mod vacate;

use std::collections::BTreeMap;

pub use load::{CopyLoad, HostLoad, Loads};
pub use planner::{Planner, Proposal, Unplaceable};
pub use preview::{Change, Preview};
pub use reason::{Seen, reason};
pub use referee::judge;
pub use relief::MAX_MOVES_FOR_LOAD;
pub use rest::{COOL_DOWN, LONGEST_REST, Rest};

use crate::group::Move;

/// How good hosts are for one colony and role. The group's leader asks before it proposes; the answer is
/// checked by the referee.
pub trait Placement {
    /// One [`Score`] for each of the request's hosts, in their order.
    ///
    /// # Errors
    /// [`Silent`] if there is no answer; the planner goes on as if every host scored alike.
    fn rank(&self, request: &Request<'_>) -> Result<Vec<Score>, Silent>;
}

/// A placement that gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("placement gave no answer: {why}")]
pub struct Silent {
    /// What happened.
    pub why: String,
}

/// The question.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Name of the colony's namespace.
    pub namespace: &'a str,
    /// Its bucket.
    pub bucket: u32,
    /// For which role.
    pub role: Role,
    /// The hosts that are up.
    pub hosts: &'a [Candidate],
}

/// What a copy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// To serve.
    Primary,
    /// To hold a copy.
    Secondary,
}

/// A host that could hold a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it carries.
    pub load: Load,
}

/// What a host carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Copies, the primaries included.
    pub colonies: u32,
    /// Primaries.
    pub primaries: u32,
    /// Sessions in its copies; none if it was not measured, here and below.
    pub sessions: Option<u64>,
    /// Memory that they take, in bytes.
    pub bytes: Option<u64>,
    /// Memory used, of what the host may use.
    pub memory_percent: Option<u32>,
}

/// An opinion of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Score {
    /// The higher, the better; -1000 to 1000, beyond that it is clamped.
    Weight(i32),
    /// Not this host in this role, and why.
    Veto(String),
}

/// Every host is as good as any other: balance and labels alone decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Even;

impl Placement for Even {
    fn rank(&self, request: &Request<'_>) -> Result<Vec<Score>, Silent> {
        Ok(vec![Score::Weight(0); request.hosts.len()])
    }
}
