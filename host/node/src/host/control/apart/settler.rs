//! What this host brings into an island.

use colony_core::group::{Member, MemberState};
use colony_raft::Storage;
use colony_wire::island::{Consent, CopyEnd};
use colony_wire::{RaftId, StartId};

use super::super::Control;
use crate::host::HostError;
use crate::host::shard::Order;

/// This host's part in one attempt to open an island.
pub(super) struct Own {
    /// The attempt's.
    pub(super) nonce: u64,
    /// Its record in the island.
    pub(super) member: Member,
    /// The island's log. In memory: an island lives no longer than its processes.
    pub(super) storage: Storage,
    /// Where its copies end. True for as long as they are fenced.
    pub(super) copies: Vec<CopyEnd>,
}

impl Own {
    /// Draws the start and the log of the island, and asks the shards, which are fenced by now.
    pub(super) async fn draw(root: &Control, nonce: u64) -> Result<Self, HostError> {
        let surroundings = &root.host.surroundings;
        let storage = Storage::memory(RaftId(surroundings.random()?))?;
        let member = Member {
            start: StartId(surroundings.random()?),
            raft: storage.raft_id(),
            earlier: Vec::new(),
            state: MemberState::Up,
            ..root.own()
        };
        let mut copies = Vec::new();
        for shard in root.shards() {
            copies.extend(root.ask(shard, Order::Ends).await.unwrap_or_default());
        }
        Ok(Self { nonce, member, storage, copies })
    }

    /// The same for the founder.
    pub(super) fn consent(&self, root: &Control) -> Consent {
        Consent {
            nonce: self.nonce,
            start: self.member.start,
            member: self.member.encode(),
            state: root.state().encode(),
            copies: self.copies.clone(),
        }
    }
}
