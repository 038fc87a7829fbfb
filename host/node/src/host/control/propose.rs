//! The way of a command to the group's leader.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use colony_core::group::{Command, Member, Outcome};
use colony_raft::{Leadership, ProposeError};
use colony_wire::control::{ControlReply, ControlRequest};
use colony_wire::limits::MAX_RELAYS;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{self, Instant};

use super::{Control, lock};

/// Proposals of this host's shards carried to the leader at a time.
const PROPOSING: usize = 256;
/// Longest wait for one commit. Beyond it the leader has no quorum or is gone.
pub(super) const COMMIT_WITHIN: Duration = Duration::from_secs(2);
/// So many hosts are asked one after the other to pass a command on.
const PASSED_ON_BY: usize = 3;
/// How often the leader is looked for in one proposal: the one that is known, the one it names, one more.
const HOPS: usize = 3;
/// Longest wait for another leader than the one that did not take a command. An election takes some round trips; the core
/// proposes again after as long.
const ELECTED_WITHIN: Duration = Duration::from_millis(500);

/// Why a command has no outcome. It may be committed yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotProposed {
    #[error("the group has no leader that this host knows of")]
    NoLeader,
    #[error("no other host answers this one, so it may be this one that is cut off")]
    Unanswered,
    #[error("{0}")]
    Failed(String),
}

/// Carries what this host's shards propose to the leader.
pub(super) async fn propose_for_shards(control: Arc<Control>, mut proposals: mpsc::Receiver<Command>) {
    let places = Arc::new(Semaphore::new(PROPOSING));
    while let Some(command) = proposals.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let control = control.clone();
        tokio::spawn(async move {
            if let Err(error) = control.propose_of_shard(&command).await {
                tracing::debug!(%error, "a proposal of a shard has no outcome; the core will propose again");
            }
            drop(place);
        });
    }
}

impl Control {
    /// Has what a shard proposes committed. That peers are silent is believed of a host that somebody answers
    /// (`PROTOCOL.md` 3.7): one that hears nobody and is heard would be left alone in each set that it leads.
    pub(super) async fn propose_of_shard(&self, command: &Command) -> Result<Outcome, NotProposed> {
        let removes = matches!(command, Command::ChangeInSync { remove, .. } if !remove.is_empty());
        if removes && !self.is_answered().await {
            return Err(NotProposed::Unanswered);
        }
        self.propose(command).await
    }

    /// Has the command committed, wherever the leader is. It may be proposed twice, to a leader and to its successor: it
    /// must be of those that the group carries out once.
    pub(super) async fn propose(&self, command: &Command) -> Result<Outcome, NotProposed> {
        let mut last = NotProposed::NoLeader;
        let mut leadership = self.group.leadership();
        let until = Instant::now() + ELECTED_WITHIN;
        let mut asked = None;
        for hop in 0..HOPS {
            // Who did not take it does not take it now. Who has no vote hears of another leader by asking.
            let votes = self.group.voters().contains(&self.group.id());
            if hop > 0 && votes && self.leader_address().is_none_or(|leader| asked == Some(leader)) {
                let leads = |now: &Leadership| now.leader.as_ref().map(|leader| leader.address);
                let another = leadership.wait_for(|now| leads(now).is_some_and(|leader| asked != Some(leader)));
                if time::timeout_at(until, another).await.is_err() {
                    break;
                }
            }
            if self.group.is_leader() {
                asked = Some(lock(&self.own).address);
                match self.group.propose(command, COMMIT_WITHIN).await {
                    Ok(outcome) => return Ok(outcome),
                    Err(ProposeError::NotLeader { leader }) => self.note_leader(leader.map(|peer| peer.address)),
                    Err(error @ ProposeError::Unavailable) => last = NotProposed::Failed(error.to_string()),
                    Err(error) => return Err(NotProposed::Failed(error.to_string())),
                }
                continue;
            }
            let reached = self.reached().await;
            let nearest = || reached.first().map(|member| member.address);
            let Some(leader) = self.leader_address().or_else(nearest).or_else(|| self.somebody()) else {
                return Err(last);
            };
            if self.is_cut_off(leader, &reached) {
                let relays = u8::try_from(MAX_RELAYS).unwrap_or(u8::MAX);
                let through = reached.iter().map(|member| member.address).collect();
                return match self.hand_on(command, through, relays).await {
                    Some(ControlReply::Proposed { outcome }) => {
                        Outcome::decode(&outcome).map_err(|error| NotProposed::Failed(error.to_string()))
                    }
                    Some(ControlReply::Refused { why, .. }) => Err(NotProposed::Failed(why)),
                    _ => Err(NotProposed::Failed(format!("the leader at {leader} is reached through nobody"))),
                };
            }
            asked = Some(leader);
            let request = ControlRequest::Propose { command: command.encode() };
            match self.calls.call(leader, &request, COMMIT_WITHIN + COMMIT_WITHIN / 2).await {
                Ok(ControlReply::Proposed { outcome }) => {
                    return Outcome::decode(&outcome).map_err(|error| NotProposed::Failed(error.to_string()));
                }
                Ok(ControlReply::NotLeader { leader }) => {
                    self.note_leader(leader.and_then(|address| address.parse().ok()));
                }
                Ok(ControlReply::Refused { why, retryable: true }) => last = NotProposed::Failed(why),
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

    /// Brings the command of a host that does not reach the leader before it, if this one does, or has others do it
    /// (`PROTOCOL.md` 13).
    pub(super) async fn pass_on(&self, asker: &str, command: &Command, relays: u8) -> ControlReply {
        if self.group.is_leader() {
            return self.commit(command).await;
        }
        let reached = self.reached().await;
        let next = match self.leader_address().filter(|leader| !self.is_cut_off(*leader, &reached)) {
            Some(leader) => vec![leader],
            None if relays == 0 => Vec::new(),
            None => reached.iter().filter(|member| member.name != asker).map(|member| member.address).collect(),
        };
        self.hand_on(command, next, relays.saturating_sub(1)).await.unwrap_or_else(|| self.not_leader())
    }

    /// Asks one host after the other to bring a command before the leader; the first outcome there is.
    async fn hand_on(&self, command: &Command, through: Vec<SocketAddr>, relays: u8) -> Option<ControlReply> {
        let request = ControlRequest::Forward { command: command.encode(), relays };
        let within = COMMIT_WITHIN * (u32::from(relays) + 2);
        for to in through.into_iter().take(PASSED_ON_BY) {
            match self.calls.call(to, &request, within).await {
                Ok(reply @ (ControlReply::Proposed { .. } | ControlReply::Refused { .. })) => return Some(reply),
                Ok(_) => {}
                Err(error) => tracing::debug!(%to, %error, "a command was not passed on"),
            }
        }
        None
    }

    /// Whether that host is one of the others and does not answer this one, while somebody does.
    pub(super) fn is_cut_off(&self, host: SocketAddr, reached: &[Member]) -> bool {
        let is_watched = self.state().up().any(|member| member.address == host);
        is_watched && !reached.is_empty() && !reached.iter().any(|member| member.address == host)
    }

    /// Where the leader is, as far as this host knows. None if it is held for dead here.
    pub(super) fn leader_address(&self) -> Option<SocketAddr> {
        let own = lock(&self.own).address;
        let by_raft = self.group.leader().filter(|_| self.group.is_told()).map(|peer| peer.address);
        let by_hint = *lock(&self.leader_hint);
        let is_of_use = |address: &SocketAddr| !self.is_gone(*address) && (*address != own || self.group.is_leader());
        by_raft.filter(is_of_use).or(by_hint.filter(is_of_use))
    }

    /// Whether the process that the table has at this address is held for dead here. Once the group has said so, another
    /// may be there.
    pub(super) fn is_gone(&self, address: SocketAddr) -> bool {
        let (gone, state) = (self.gone.borrow(), self.state());
        gone.iter()
            .filter_map(|start| state.members.get(start))
            .any(|gone| gone.state.is_up() && gone.address == address)
    }

    /// Resolves once that is so.
    pub(super) async fn until_gone(&self, address: SocketAddr) {
        let mut gone = self.gone.subscribe();
        while !self.is_gone(address) {
            if gone.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Any other host that is up: it may know the leader.
    pub(super) fn somebody(&self) -> Option<SocketAddr> {
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
