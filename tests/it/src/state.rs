//! What the group has decided, before something happens to a cluster and afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{Cluster, until};

/// Longest until a host tells, after an overload.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// Sums over a namespace's colonies, and the processes that run.
#[derive(Clone, Debug)]
pub struct State {
    reigns: u64,
    entries: u64,
    starts: BTreeSet<String>,
}

/// How often the group decided meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Changes {
    /// New primaries.
    pub reigns: u64,
    /// New table entries: a copy that came or went, or a new primary.
    pub entries: u64,
    /// Processes that are no longer up.
    pub deaths: usize,
}

impl State {
    /// As it is now.
    ///
    /// # Panics
    /// If no host tells within a while.
    pub async fn of(cluster: &Cluster, namespace: &str) -> Self {
        until("the cluster tells how it is", TOLD_WITHIN, async || {
            let colonies = cluster.colonies(namespace).await?;
            let status = cluster.status().await?;
            let number = |name: &str| colonies.iter().filter_map(|colony| colony[name].as_u64()).sum();
            let hosts = status["hosts"].as_array().ok_or("no hosts")?;
            let up = hosts.iter().filter(|host| host["state"] == "up").filter_map(|host| host["start"].as_str());
            Ok(Self { reigns: number("reign"), entries: number("cfg"), starts: up.map(str::to_owned).collect() })
        })
        .await
    }

    /// What has changed since an earlier look.
    #[must_use]
    pub fn since(&self, before: &Self) -> Changes {
        Changes {
            reigns: self.reigns.saturating_sub(before.reigns),
            entries: self.entries.saturating_sub(before.entries),
            deaths: before.starts.difference(&self.starts).count(),
        }
    }
}
