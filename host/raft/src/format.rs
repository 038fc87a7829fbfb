//! How votes, log positions, entries and memberships are written, on disk and between hosts.
//!
//! These types repeat openraft's on purpose. Its own encoding follows the order of its fields and variants,
//! which change between its releases; a log must outlive them, and two hosts may run different ones.
//!
//! On disk every value is *sealed*: a version byte, the CRC-32 of what follows, the body. A flipped bit is an
//! error there, never another vote.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bytes::Bytes;
use colony_core::group::CodecError;
use openraft::vote::leader_id_adv::LeaderId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::types::{self, Payload, Place, Proposal};

/// First byte of everything sealed.
const SEAL: u8 = 1;
/// The version byte and the CRC-32 before the body.
const SEAL_LEN: usize = 5;

/// Bytes that do not hold what they should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Fewer bytes than the shortest value takes.
    #[error("cut short")]
    Short,
    /// Another version wrote them.
    #[error("format version {0} is not known")]
    Version(u8),
    /// They are not what was written.
    #[error("checksum does not match")]
    Checksum,
    /// They do not decode.
    #[error("does not decode: {0}")]
    Body(#[from] postcard::Error),
    /// They go on after the value ended.
    #[error("{0} bytes too many")]
    Trailing(usize),
    /// They decode to a membership that cannot be.
    #[error("impossible membership: {0}")]
    Membership(String),
    /// They hold no group state of this version.
    #[error("group state: {0}")]
    State(#[from] CodecError),
}

impl From<FormatError> for std::io::Error {
    fn from(error: FormatError) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

/// The value's bytes, sealed.
pub(crate) fn seal<T: Serialize>(value: &T) -> Result<Vec<u8>, FormatError> {
    let mut sealed = postcard::to_extend(value, vec![SEAL, 0, 0, 0, 0])?;
    let checksum = crc32fast::hash(sealed.get(SEAL_LEN..).unwrap_or_default());
    if let Some(place) = sealed.get_mut(1..SEAL_LEN) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    Ok(sealed)
}

/// The value that [`seal`] wrote.
pub(crate) fn unseal<T: DeserializeOwned>(sealed: &[u8]) -> Result<T, FormatError> {
    let (version, rest) = sealed.split_first().ok_or(FormatError::Short)?;
    if *version != SEAL {
        return Err(FormatError::Version(*version));
    }
    let (checksum, body) = rest.split_first_chunk::<4>().ok_or(FormatError::Short)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return Err(FormatError::Checksum);
    }
    decode(body)
}

/// The one value that these bytes hold.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FormatError> {
    let (value, rest) = postcard::take_from_bytes(body)?;
    if rest.is_empty() { Ok(value) } else { Err(FormatError::Trailing(rest.len())) }
}

/// Who was voted for in which term, and whether a quorum did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Vote {
    term: u64,
    node: u64,
    granted: bool,
}

impl From<&types::Vote> for Vote {
    fn from(vote: &types::Vote) -> Self {
        Self { term: vote.leader_id.term, node: vote.leader_id.node_id, granted: vote.committed }
    }
}

impl From<Vote> for types::Vote {
    fn from(vote: Vote) -> Self {
        Self { leader_id: LeaderId { term: vote.term, node_id: vote.node }, committed: vote.granted }
    }
}

/// A position in the log and the leader that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogId {
    term: u64,
    node: u64,
    index: u64,
}

impl From<&types::LogId> for LogId {
    fn from(id: &types::LogId) -> Self {
        Self { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
    }
}

impl From<LogId> for types::LogId {
    fn from(id: LogId) -> Self {
        Self { leader_id: LeaderId { term: id.term, node_id: id.node }, index: id.index }
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    id: LogId,
    content: Content,
}

/// What an entry says. Variants are only ever appended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Content {
    Blank,
    Command(Bytes),
    Membership(Membership),
}

impl From<&types::Entry> for Entry {
    fn from(entry: &types::Entry) -> Self {
        let content = match &entry.payload {
            Payload::Blank => Content::Blank,
            Payload::Normal(proposal) => Content::Command(proposal.0.clone()),
            Payload::Membership(membership) => Content::Membership(membership.into()),
        };
        Self { id: (&entry.log_id).into(), content }
    }
}

impl Entry {
    /// What openraft knows it as.
    pub(crate) fn into_raft(self) -> Result<types::Entry, FormatError> {
        let payload = match self.content {
            Content::Blank => Payload::Blank,
            Content::Command(command) => Payload::Normal(Proposal(command)),
            Content::Membership(membership) => Payload::Membership(membership.into_raft()?),
        };
        Ok(types::Entry { log_id: self.id.into(), payload })
    }
}

/// Who votes (two sets while one gives way to the other) and where each node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Membership {
    voters: Vec<BTreeSet<u64>>,
    nodes: BTreeMap<u64, SocketAddr>,
}

impl From<&types::Membership> for Membership {
    fn from(membership: &types::Membership) -> Self {
        Self {
            voters: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, place)| (*id, place.address)).collect(),
        }
    }
}

impl Membership {
    fn into_raft(self) -> Result<types::Membership, FormatError> {
        let nodes: BTreeMap<u64, Place> = self.nodes.into_iter().map(|(id, address)| (id, Place { address })).collect();
        types::Membership::new(self.voters, nodes).map_err(|error| FormatError::Membership(error.to_string()))
    }
}

/// What a snapshot covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotMeta {
    last: Option<LogId>,
    membership_id: Option<LogId>,
    membership: Membership,
}

impl From<&types::SnapshotMeta> for SnapshotMeta {
    fn from(meta: &types::SnapshotMeta) -> Self {
        Self {
            last: meta.last_log_id.as_ref().map(LogId::from),
            membership_id: meta.last_membership.log_id().as_ref().map(LogId::from),
            membership: meta.last_membership.membership().into(),
        }
    }
}

impl SnapshotMeta {
    fn into_raft(self) -> Result<types::SnapshotMeta, FormatError> {
        let id = self.membership_id.map(types::LogId::from);
        Ok(types::SnapshotMeta {
            last_log_id: self.last.map(types::LogId::from),
            last_membership: types::StoredMembership::new(id, self.membership.into_raft()?),
        })
    }
}

/// A snapshot as it is stored and sent: what it covers, and the encoded state, sealed by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    meta: SnapshotMeta,
    state: Bytes,
}

impl From<&types::Snapshot> for Snapshot {
    fn from(snapshot: &types::Snapshot) -> Self {
        Self { meta: (&snapshot.meta).into(), state: snapshot.snapshot.clone() }
    }
}

impl Snapshot {
    /// What openraft knows it as.
    pub(crate) fn into_raft(self) -> Result<types::Snapshot, FormatError> {
        Ok(types::Snapshot { meta: self.meta.into_raft()?, snapshot: self.state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let nodes = BTreeMap::from([(7, SocketAddr::from(([127, 0, 0, 1], 7400)))]);
        let membership = Membership { voters: vec![BTreeSet::from([7])], nodes };
        Entry { id: LogId { term: 3, node: 7, index: 300 }, content: Content::Membership(membership) }
    }

    /// The log of an older build must stay readable: these bytes may only change with the version byte.
    #[test]
    fn the_bytes_of_a_sealed_entry_are_fixed() {
        let sealed = seal(&entry()).expect("seals");
        let expected = [1, 40, 245, 84, 242, 3, 7, 172, 2, 2, 1, 1, 7, 1, 7, 0, 127, 0, 0, 1, 232, 57];
        assert_eq!(sealed, expected);
    }

    #[test]
    fn an_entry_survives_both_ways() {
        let ours = entry();
        let theirs = ours.clone().into_raft().expect("a possible membership");
        assert_eq!(Entry::from(&theirs), ours);
        let sealed = seal(&ours).expect("seals");
        assert_eq!(unseal::<Entry>(&sealed), Ok(ours));
    }

    #[test]
    fn no_flipped_bit_goes_unseen() {
        let sealed = seal(&entry()).expect("seals");
        for byte in 0..sealed.len() {
            for bit in 0..8 {
                let mut damaged = sealed.clone();
                damaged[byte] ^= 1 << bit;
                assert!(unseal::<Entry>(&damaged).is_err(), "bit {bit} of byte {byte}");
            }
        }
    }

    #[test]
    fn no_cut_goes_unseen() {
        let sealed = seal(&entry()).expect("seals");
        for len in 0..sealed.len() {
            assert!(unseal::<Entry>(&sealed[..len]).is_err(), "cut to {len} bytes");
        }
    }

    #[test]
    fn a_voter_that_is_nowhere_is_refused() {
        let membership = Membership { voters: vec![BTreeSet::from([1])], nodes: BTreeMap::new() };
        assert!(matches!(membership.into_raft(), Err(FormatError::Membership(_))));
    }
}
