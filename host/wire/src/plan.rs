//! What a plan of the group's leader would change, or has changed, for people.

use serde::{Deserialize, Serialize};

use crate::frame::{DecodeError, within};
use crate::id::{Revision, View};
use crate::limits::{MAX_COPIES, MAX_PLAN_CHANGES, MAX_PLAN_PROBLEMS};
use crate::plugin::CanaryStatus;

/// What was planned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlanReport {
    /// Name of the host that leads the group and planned.
    pub planned_by: String,
    /// Whether it was carried out; if not, it was only looked at.
    pub committed: bool,
    /// Revision of the group state that was planned from.
    pub revision: Revision,
    /// Its view.
    pub view: View,
    /// Why; empty if nothing is to change.
    pub reason: String,
    /// Digest of what was considered; zero if nothing is to change.
    pub inputs: u64,
    /// Hosts whose load was known.
    pub measured: u32,
    /// What changes, by colony.
    pub changes: Vec<PlanChange>,
    /// Changes that are not in the list because it would be too long.
    pub more: u32,
    /// By level, the nearest first.
    pub levels: Vec<PlanLevel>,
    /// What the plan cannot mend, and what was wrong with the placement plugin's answers.
    pub problems: Vec<String>,
    /// The placement plugin that was asked about a share of the colonies, if one was. Only its colonies are moved then.
    pub canary: Option<CanaryStatus>,
}

/// What becomes of one colony.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlanChange {
    /// Name of its namespace.
    pub namespace: String,
    /// Its bucket.
    pub bucket: u32,
    /// Names of the hosts its copies are to live on without the plan, the primary's first.
    pub before: Vec<String>,
    /// With the plan.
    pub after: Vec<String>,
    /// Bytes to be copied, if that is known.
    pub bytes: Option<u64>,
}

/// How copies stand with regard to one level.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlanLevel {
    /// The label.
    pub label: String,
    /// Colonies of which two copies share it without the plan.
    pub before: u32,
    /// With the plan.
    pub after: u32,
}

impl PlanReport {
    /// Refuses a report with more parts than it may have.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] names the limit.
    pub fn check(&self) -> Result<(), DecodeError> {
        within("number of changes", self.changes.len(), MAX_PLAN_CHANGES)?;
        within("number of problems", self.problems.len(), MAX_PLAN_PROBLEMS)?;
        for change in &self.changes {
            within("number of copies", change.before.len().max(change.after.len()), MAX_COPIES.into())?;
        }
        Ok(())
    }
}
