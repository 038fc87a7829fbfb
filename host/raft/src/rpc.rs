//! What two Raft nodes say to each other, as bytes: a version byte and one postcard value.
//!
//! openraft's answers and errors are translated to our own, so that the wire does not change with its
//! releases. The node that carries the messages checks lineage and log id around them
//! (`colony_wire::control::ControlRequest::Raft`).

use bytes::Bytes;
use colony_wire::limits::MAX_FRAME;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::format::{self, Entry, FormatError, LogId, Snapshot, Vote};
use crate::types::{self, Types};

/// First byte of every message.
const VERSION: u8 = 1;
/// What a frame and the envelope take of [`MAX_FRAME`], generously.
const ENVELOPE: usize = 1024;
/// Largest message in bytes. Appends stay far below it; a snapshot, which is the whole group state, may not.
pub const MAX_MESSAGE: usize = MAX_FRAME - ENVELOPE;

/// A message that cannot be sent or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It would not fit a frame.
    #[error("a message of {len} bytes, at most {MAX_MESSAGE} fit a frame")]
    TooLarge {
        /// Its length.
        len: usize,
    },
    /// Another version wrote it.
    #[error("message version {0} is not known")]
    Version(u8),
    /// It does not hold what it should.
    #[error("malformed message: {0}")]
    Malformed(#[from] FormatError),
    /// Its entries do not follow each other.
    #[error("entries with a gap")]
    Gap,
    /// It covers entries of a later leader than the one that sends it.
    #[error("a snapshot beyond its sender")]
    BeyondSender,
    /// It answers something else.
    #[error("an answer to another question")]
    OtherAnswer,
}

/// A node asks a node. Variants are only ever appended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Append(Append),
    Vote(Ballot),
    PreVote(Ballot),
    Snapshot { vote: Vote, snapshot: Snapshot },
    TransferLeader { from: Vote, to: u64, last: Option<LogId> },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Append {
    vote: Vote,
    previous: Option<LogId>,
    entries: Vec<Entry>,
    committed: Option<LogId>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ballot {
    vote: Vote,
    last: Option<LogId>,
    is_transfer: bool,
}

/// A node answers a node. Variants are only ever appended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Append(Appended),
    Vote(Voted),
    Snapshot {
        vote: Vote,
    },
    TransferLeader {
        is_accepted: bool,
    },
    /// The node has ended.
    Ended,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Appended {
    All,
    UpTo(Option<LogId>),
    Conflict,
    HigherVote(Vote),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Voted {
    vote: Vote,
    is_granted: bool,
    last: Option<LogId>,
}

/// The message's bytes.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Bytes, MessageError> {
    let encoded = postcard::to_extend(message, vec![VERSION]).map_err(FormatError::Body)?;
    if encoded.len() > MAX_MESSAGE {
        return Err(MessageError::TooLarge { len: encoded.len() });
    }
    Ok(encoded.into())
}

/// The message that [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(message: &[u8]) -> Result<T, MessageError> {
    if message.len() > MAX_MESSAGE {
        return Err(MessageError::TooLarge { len: message.len() });
    }
    let (version, body) = message.split_first().ok_or(FormatError::Short)?;
    if *version != VERSION {
        return Err(MessageError::Version(*version));
    }
    Ok(format::decode(body)?)
}

impl From<&AppendEntriesRequest<Types>> for Append {
    fn from(append: &AppendEntriesRequest<Types>) -> Self {
        Self {
            vote: (&append.vote).into(),
            previous: append.prev_log_id.as_ref().map(LogId::from),
            entries: append.entries.iter().map(Entry::from).collect(),
            committed: append.leader_commit.as_ref().map(LogId::from),
        }
    }
}

impl TryFrom<Append> for AppendEntriesRequest<Types> {
    type Error = MessageError;

    fn try_from(append: Append) -> Result<Self, MessageError> {
        let prev_log_id = append.previous.map(types::LogId::from);
        let entries = append.entries.into_iter().map(Entry::into_raft);
        let entries = entries.collect::<Result<Vec<_>, FormatError>>()?;
        let first = prev_log_id.map_or(0, |previous| previous.index.saturating_add(1));
        if (first..).zip(&entries).any(|(index, entry)| entry.log_id.index != index) {
            return Err(MessageError::Gap);
        }
        Ok(Self {
            vote: append.vote.into(),
            prev_log_id,
            entries,
            leader_commit: append.committed.map(types::LogId::from),
        })
    }
}

impl From<&VoteRequest<Types>> for Ballot {
    fn from(request: &VoteRequest<Types>) -> Self {
        Self {
            vote: (&request.vote).into(),
            last: request.last_log_id.as_ref().map(LogId::from),
            is_transfer: request.leadership_transfer,
        }
    }
}

impl From<Ballot> for VoteRequest<Types> {
    fn from(ballot: Ballot) -> Self {
        let mut request = Self::new(ballot.vote.into(), ballot.last.map(types::LogId::from));
        request.leadership_transfer = ballot.is_transfer;
        request
    }
}

impl From<&TransferLeaderRequest<Types>> for Request {
    fn from(request: &TransferLeaderRequest<Types>) -> Self {
        Self::TransferLeader {
            from: request.from_leader().into(),
            to: *request.to_node_id(),
            last: request.last_log_id().map(LogId::from),
        }
    }
}

/// The snapshot a leader with this vote sent, if such a leader can have it. openraft takes for granted that a
/// snapshot ends no later than its sender's term.
pub(crate) fn snapshot_from(vote: Vote, snapshot: Snapshot) -> Result<(types::Vote, types::Snapshot), MessageError> {
    let vote = types::Vote::from(vote);
    let snapshot = snapshot.into_raft()?;
    if snapshot.meta.last_log_id.is_some_and(|last| last.leader_id > vote.leader_id) {
        return Err(MessageError::BeyondSender);
    }
    Ok((vote, snapshot))
}

impl From<AppendEntriesResponse<Types>> for Reply {
    fn from(response: AppendEntriesResponse<Types>) -> Self {
        Self::Append(match response {
            AppendEntriesResponse::Success => Appended::All,
            AppendEntriesResponse::PartialSuccess(last) => Appended::UpTo(last.as_ref().map(LogId::from)),
            AppendEntriesResponse::Conflict => Appended::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Appended::HigherVote((&vote).into()),
        })
    }
}

impl From<Appended> for AppendEntriesResponse<Types> {
    fn from(appended: Appended) -> Self {
        match appended {
            Appended::All => Self::Success,
            Appended::UpTo(last) => Self::PartialSuccess(last.map(types::LogId::from)),
            Appended::Conflict => Self::Conflict,
            Appended::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<VoteResponse<Types>> for Reply {
    fn from(response: VoteResponse<Types>) -> Self {
        Self::Vote(Voted {
            vote: (&response.vote).into(),
            is_granted: response.vote_granted,
            last: response.last_log_id.as_ref().map(LogId::from),
        })
    }
}

impl From<Voted> for VoteResponse<Types> {
    fn from(voted: Voted) -> Self {
        let vote = types::Vote::from(voted.vote);
        Self::new(vote, voted.last.map(types::LogId::from), voted.is_granted)
    }
}

impl From<SnapshotResponse<Types>> for Reply {
    fn from(response: SnapshotResponse<Types>) -> Self {
        Self::Snapshot { vote: (&response.vote).into() }
    }
}
