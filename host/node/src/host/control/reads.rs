//! Linearizable reads of the table (`PROTOCOL.md` 4): one question to the group's leader answers everybody who
//! asked before it was sent.

use std::sync::Arc;
use std::time::Duration;

use colony_core::group::State;
use colony_wire::Revision;
use colony_wire::control::{ControlReply, ControlRequest};
use tokio::sync::mpsc;

use super::Control;
use crate::host::shard::{Order, Question};

/// Longest wait for a quorum's word, and for the state to get there.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// Questions answered by one read.
const TOGETHER: usize = 1024;

/// Answers the shards' questions. One that gets no answer is asked again by the core.
pub(super) async fn answer_shards(control: Arc<Control>, mut questions: mpsc::Receiver<Question>) {
    let mut together = Vec::new();
    while questions.recv_many(&mut together, TOGETHER).await > 0 {
        let asked = std::mem::take(&mut together);
        let state = match control.read_group().await {
            Ok(state) => state,
            Err(why) => {
                tracing::debug!(%why, "the table cannot be read linearizably now");
                continue;
            }
        };
        for Question { shard, colony, nonce } in asked {
            let entry = state.table.get(&colony).cloned();
            control.tell(usize::from(shard), Order::GroupRead { colony, nonce, entry }).await;
        }
    }
}

impl Control {
    /// The state, with everything in it that was decided before this was called.
    pub(super) async fn read_group(&self) -> Result<Arc<State>, String> {
        if self.group.is_leader() {
            return self.group.read(READ_WITHIN).await.map_err(|error| error.to_string());
        }
        let leader = self.leader_address().ok_or("the group has no leader that this host knows of")?;
        match self.calls.call(leader, &ControlRequest::ReadIndex, READ_WITHIN).await {
            Ok(ControlReply::ReadIndex { revision }) => self.wait_for(revision).await,
            Ok(ControlReply::NotLeader { leader }) => {
                self.note_leader(leader.and_then(|address| address.parse().ok()));
                Err("the leader has changed".to_owned())
            }
            Ok(ControlReply::Refused { why, .. }) => Err(why),
            Ok(_) => Err("an answer to another question".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The leader's answer to another host that wants to read the table.
    pub(super) async fn read_index(&self) -> ControlReply {
        if !self.group.is_leader() {
            return self.not_leader();
        }
        match self.group.read(READ_WITHIN).await {
            Ok(state) => ControlReply::ReadIndex { revision: state.revision },
            Err(error) => ControlReply::Refused { why: error.to_string(), retryable: true },
        }
    }

    async fn wait_for(&self, revision: Revision) -> Result<Arc<State>, String> {
        let mut view = self.view.subscribe();
        let arrived = tokio::time::timeout(READ_WITHIN, view.wait_for(|state| state.revision >= revision)).await;
        match arrived {
            Ok(Ok(state)) => Ok(state.clone()),
            Ok(Err(_)) | Err(_) => Err(format!("revision {revision} has not arrived here")),
        }
    }
}
