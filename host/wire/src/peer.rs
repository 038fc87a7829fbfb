//! What the copies of one colony say to each other, shard to shard.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::frame::{DecodeError, Kind, Message, within};
use crate::id::{Cfg, ColonyId, LineageId, Reign, Seq, StartId};
use crate::limits::{
    MAX_BATCH_OPS, MAX_EPOCHS, MAX_SNAPSHOT_BYTES, MAX_SNAPSHOT_CHUNKS, MAX_SNAPSHOT_PARTS, SNAPSHOT_CHUNK,
};
use crate::op::Op;

/// One message from one copy of a colony to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerMessage {
    /// Which colony.
    pub colony: ColonyId,
    /// The sender's line of group state.
    pub lineage: LineageId,
    /// The sending process.
    pub from: StartId,
    /// The process it is meant for; a later one at the same address must not take it.
    pub to: StartId,
    /// What is said.
    pub body: PeerBody,
}

/// What a copy says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PeerBody {
    /// Primary to peer: ops, or only the commit position.
    Append(Append),
    /// Peer to primary: holds the log up to here, contiguously, of this reign.
    Appended {
        /// The reign of the batch that is acknowledged.
        reign: Reign,
        /// The newest table entry that this copy knows to exist: it is not dropped for an older one.
        cfg: Cfg,
        /// The table entry on which this copy was begun: tells it from an earlier one that the same process
        /// dropped.
        begun: Cfg,
        /// Last place held.
        prepared: Seq,
        /// Last place known to be committed.
        committed: Seq,
    },
    /// Peer to primary: the batch does not follow on what this peer holds.
    Mismatch {
        /// The reign of the batch.
        reign: Reign,
        /// The table entry on which this copy was begun.
        begun: Cfg,
        /// Last place held.
        prepared: Seq,
        /// The newest reigns of its log, each with its last place, oldest first.
        epochs: Vec<(Reign, Seq)>,
    },
    /// Primary to an in-sync peer: do you know of no higher reign? (`PROTOCOL.md` 4)
    Confirm {
        /// The sender's reign.
        reign: Reign,
        /// Names the question; never used twice by one process.
        nonce: u64,
    },
    /// Peer to primary: no higher reign is known here.
    Confirmed {
        /// The reign that was asked about.
        reign: Reign,
        /// The question's.
        nonce: u64,
    },
    /// Peer to a sender whose reign is over: a higher one is known here.
    Deposed {
        /// The higher reign.
        reign: Reign,
    },
    /// Primary to a peer that is too far behind for the log: what the state consists of.
    Offer(Offer),
    /// Peer to primary: which parts of the offered state it does not hold.
    Wanted {
        /// The reign of the transfer.
        reign: Reign,
        /// Which transfer.
        transfer: u64,
        /// One bit for each part of the offer, the first in the lowest bit of the first byte. What is
        /// missing at the end is not wanted.
        parts: Bytes,
    },
    /// Primary to the same peer: a piece of a wanted part.
    Chunk(Chunk),
    /// Peer to primary: the chunks of this transfer up to `index` have arrived whole.
    ChunkTaken {
        /// The reign of the transfer.
        reign: Reign,
        /// Which transfer.
        transfer: u64,
        /// Last chunk taken.
        index: u32,
    },
    /// Peer to primary: this transfer is of no use, begin anew.
    ChunkRefused {
        /// The reign of the transfer.
        reign: Reign,
        /// Which transfer.
        transfer: u64,
    },
}

/// A batch of ops from the primary; the header once for all of them (`PROTOCOL.md` 3.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Append {
    /// The sender's reign.
    pub reign: Reign,
    /// The sender's table entry.
    pub cfg: Cfg,
    /// Place of the first op; with no ops, the place the next one will take.
    pub first: Seq,
    /// Reign of the op before the first: the receiver's log must hold the same there.
    pub prev_reign: Reign,
    /// Everything up to here is committed.
    pub commit: Seq,
    /// Consecutive ops.
    pub ops: Vec<Op>,
}

/// The state at a committed position, named part by part (`PROTOCOL.md` 6.2).
///
/// Every part but the last holds the sessions of one range of the keys' hashes, of ranges that are equal in
/// size and a power of two in number; the last holds all that does not go by key. Whoever has a part from
/// elsewhere, be it of another transfer or of another primary, has this one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// The sender's reign.
    pub reign: Reign,
    /// The sender's table entry.
    pub cfg: Cfg,
    /// Which transfer; new for every attempt, and higher than any before it in this reign.
    pub transfer: u64,
    /// The committed place at which the state was taken.
    pub at: Seq,
    /// Its parts, in order.
    pub parts: Vec<PartName>,
}

/// A part of a state, by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartName {
    /// XXH3 of its bytes.
    pub hash: u128,
    /// How many bytes it has.
    pub bytes: u32,
}

/// A piece of the wanted parts of an offer. They are sent in order, each cut into pieces of
/// [`SNAPSHOT_CHUNK`] bytes, the last one of a part being shorter; no piece holds bytes of two parts.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chunk {
    /// The sender's reign.
    pub reign: Reign,
    /// The sender's table entry.
    pub cfg: Cfg,
    /// Which transfer.
    pub transfer: u64,
    /// Which piece, counted over all wanted parts, beginning at 0.
    pub index: u32,
    /// CRC-32 of `bytes`.
    pub crc: u32,
    /// The piece.
    pub bytes: Bytes,
}

impl PeerBody {
    /// Whether it travels on the connection for bulk, which it may fill: what a state consists of, and the
    /// pieces. Everything else is small and must not wait behind them (`PROTOCOL.md` 6.2).
    #[must_use]
    pub fn is_bulk(&self) -> bool {
        matches!(self, Self::Offer(_) | Self::Chunk(_))
    }
}

/// Sessions are in the bytes, keys and all: they are for no log.
impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("reign", &self.reign)
            .field("cfg", &self.cfg)
            .field("transfer", &self.transfer)
            .field("index", &self.index)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Message for PeerMessage {
    const KIND: Kind = Kind(0x0201);

    fn check(&self) -> Result<(), DecodeError> {
        match &self.body {
            PeerBody::Append(append) => within("number of ops", append.ops.len(), MAX_BATCH_OPS),
            PeerBody::Mismatch { epochs, .. } => within("number of epochs", epochs.len(), MAX_EPOCHS),
            PeerBody::Offer(offer) => {
                within("number of snapshot parts", offer.parts.len(), MAX_SNAPSHOT_PARTS)?;
                let bytes: u64 = offer.parts.iter().map(|part| u64::from(part.bytes)).sum();
                let len = usize::try_from(bytes).unwrap_or(usize::MAX);
                within("size of a snapshot", len, usize::try_from(MAX_SNAPSHOT_BYTES).unwrap_or(usize::MAX))
            }
            PeerBody::Wanted { parts, .. } => {
                within("bits of wanted snapshot parts", parts.len(), MAX_SNAPSHOT_PARTS.div_ceil(8))
            }
            PeerBody::Chunk(chunk) => {
                within("size of a snapshot chunk", chunk.bytes.len(), SNAPSHOT_CHUNK)?;
                within("index of a snapshot chunk", chunk.index as usize, MAX_SNAPSHOT_CHUNKS - 1)
            }
            _ => Ok(()),
        }
    }
}
