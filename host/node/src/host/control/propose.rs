//! The way of a command to the group's leader.

use std::net::SocketAddr;
use std::time::Duration;

use colony_core::group::{Command, Member, Outcome};
use colony_raft::ProposeError;
use colony_wire::control::{ControlReply, ControlRequest};

use super::{Control, lock};

/// Longest wait for one commit. Beyond it the leader has no quorum or is gone.
pub(super) const COMMIT_WITHIN: Duration = Duration::from_secs(2);
/// How often the leader is looked for in one proposal: the one that is known, the one it names, one more.
const HOPS: usize = 3;

/// Why a command has no outcome. It may be committed yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotProposed {
    #[error("the group has no leader that this host knows of")]
    NoLeader,
    #[error("{0}")]
    Failed(String),
}

impl Control {
    /// Has the command committed, wherever the leader is.
    pub(super) async fn propose(&self, command: &Command) -> Result<Outcome, NotProposed> {
        let mut last = NotProposed::NoLeader;
        for _ in 0..HOPS {
            if self.group.is_leader() {
                match self.group.propose(command, COMMIT_WITHIN).await {
                    Ok(outcome) => return Ok(outcome),
                    Err(ProposeError::NotLeader { leader }) => self.note_leader(leader.map(|peer| peer.address)),
                    Err(error) => return Err(NotProposed::Failed(error.to_string())),
                }
                continue;
            }
            let Some(leader) = self.leader_address().or_else(|| self.somebody()) else { return Err(last) };
            let request = ControlRequest::Propose { command: command.encode() };
            match self.calls.call(leader, &request, COMMIT_WITHIN + COMMIT_WITHIN / 2).await {
                Ok(ControlReply::Proposed { outcome }) => {
                    return Outcome::decode(&outcome).map_err(|error| NotProposed::Failed(error.to_string()));
                }
                Ok(ControlReply::NotLeader { leader }) => {
                    self.note_leader(leader.and_then(|address| address.parse().ok()));
                }
                Ok(ControlReply::Refused { why, .. }) => return Err(NotProposed::Failed(why)),
                Ok(_) => return Err(NotProposed::Failed("an answer to another question".into())),
                Err(error) => {
                    self.note_leader(None);
                    last = NotProposed::Failed(format!("the leader at {leader}: {error}"));
                }
            }
        }
        Err(last)
    }

    /// Where the leader is, as far as this host knows.
    pub(super) fn leader_address(&self) -> Option<SocketAddr> {
        let own = lock(&self.own).address;
        let votes = self.group.voters().contains(&self.group.id());
        let by_raft = self.group.leader().filter(|_| votes).map(|peer| peer.address);
        by_raft.or(*lock(&self.leader_hint)).filter(|address| *address != own || self.group.is_leader())
    }

    /// Any other host that is up: it may know the leader.
    fn somebody(&self) -> Option<SocketAddr> {
        let own = lock(&self.own).address;
        self.state().up().map(|member| member.address).find(|address| *address != own)
    }

    /// Whether this host takes that one for the group's leader.
    pub(super) fn leads(&self, member: &Member) -> bool {
        self.group.leader().is_some_and(|leader| leader.raft == member.raft)
    }

    /// Somebody said where the leader is, or that it is not where it was thought to be.
    pub(super) fn note_leader(&self, leader: Option<SocketAddr>) {
        *lock(&self.leader_hint) = leader;
    }
}
