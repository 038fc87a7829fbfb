//! What is wrong on hosts that the group's state does not show: plugins that are switched off. Each host knows its own,
//! and whoever answers `colony status` asks the others.

use std::time::Duration;

use colony_core::group::State;
use colony_wire::admin::{MergeBy, Problem, Severity};
use colony_wire::control::{ControlReply, ControlRequest};
use colony_wire::limits::MAX_TROUBLES;
use tokio::time::timeout;

use super::Control;

/// Longest wait for one host's word, and for the words of all. A host that asks the leader for the status waits half a
/// second for it: who does not answer in time is left out, for its links are what the status tells of then.
const HOST_WITHIN: Duration = Duration::from_millis(100);
const ALL_WITHIN: Duration = Duration::from_millis(300);

impl Control {
    /// This host's own.
    pub(super) fn own_troubles(&self) -> Vec<String> {
        let mut lines = self.host.plugins.troubles(&self.state());
        lines.truncate(MAX_TROUBLES);
        lines
    }

    /// Those of every host that is up and answers, each with the host's name.
    pub(super) async fn troubles(&self, state: &State) -> Vec<Problem> {
        let mut found: Vec<(String, String)> = Vec::new();
        // Where nobody uses plugins, nobody has this trouble.
        if state.namespaces.values().any(|namespace| matches!(namespace.policy.merge, MergeBy::Plugin(_))) {
            // What was found when the time is up stays found.
            let _ = timeout(ALL_WITHIN, self.ask_for_troubles(state, &mut found)).await;
        }
        let problem = |(host, line)| Problem {
            severity: Severity::Degraded,
            namespace: None,
            buckets: Vec::new(),
            text: format!("host {host}: {line}"),
        };
        found.into_iter().map(problem).collect()
    }

    async fn ask_for_troubles(&self, state: &State, found: &mut Vec<(String, String)>) {
        for member in state.up() {
            let lines = if member.start == self.start() {
                self.own_troubles()
            } else {
                match self.calls.call(member.address, &ControlRequest::Troubles, HOST_WITHIN).await {
                    Ok(ControlReply::Troubles { lines }) => lines,
                    _ => Vec::new(),
                }
            };
            found.extend(lines.into_iter().map(|line| (member.name.clone(), line)));
        }
    }
}
