//! Identities and counters, one newtype each, so that a reign is never passed for a sequence number.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }
    };
}

id! {
    /// One life of a host process, drawn at random at its start. Every rule speaks of starts; the host's
    /// name is for people and for placement (`PROTOCOL.md` 1).
    StartId(u64), "{:016x}"
}
id! {
    /// Identity of a Raft log: lives and dies with it (`PROTOCOL.md` 1).
    RaftId(u64), "{:016x}"
}
id! {
    /// One line of group state; a side of a split that goes on gets a new one.
    LineageId(u128), "{:032x}"
}
id! {
    /// All hosts that share this id and a certificate authority.
    ClusterId(u128), "{:032x}"
}
id! {
    /// One client process, drawn at random when it connects first.
    ClientId(u128), "{:032x}"
}
id! {
    /// A named set of sessions, by the number it got when it was created.
    NamespaceId(u32), "n{}"
}
id! {
    /// Number of a primary's time in office in one colony; the fencing number.
    Reign(u64), "r{}"
}
id! {
    /// Place of an op in its colony's log, contiguous across reigns, beginning at 1.
    Seq(u64), "s{}"
}
id! {
    /// Number of a colony's table entry: every change is compare-and-set on it.
    Cfg(u64), "c{}"
}
id! {
    /// Number of committed commands in the group state.
    Revision(u64), "v{}"
}
id! {
    /// Revision of the last change of members.
    View(u64), "w{}"
}

impl Seq {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A bucket of one namespace's sessions: the unit of placement and replication.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColonyId {
    /// Whose sessions.
    pub namespace: NamespaceId,
    /// Which of the namespace's buckets, below its `buckets`.
    pub bucket: u32,
}

impl ColonyId {
    /// The colony that holds `key`: xxh3 of the key, or of its `{tag}`, modulo `buckets` (a power of two).
    ///
    /// A *tag* is what stands between the first `{` and the next `}`, if that is not empty; keys with the
    /// same tag share a colony. The function is part of the protocol (`PROTOCOL.md` 1).
    #[must_use]
    pub fn of(namespace: NamespaceId, key: &[u8], buckets: u32) -> Self {
        let bucket = xxh3_64(hashed_part(key)) % u64::from(buckets.max(1));
        Self { namespace, bucket: u32::try_from(bucket).unwrap_or_default() }
    }

    /// Which of a host's `shards` owns its copy of this colony.
    #[must_use]
    pub fn shard(self, shards: u16) -> u16 {
        let mut bytes = [0_u8; 8];
        bytes[..4].copy_from_slice(&self.namespace.0.to_le_bytes());
        bytes[4..].copy_from_slice(&self.bucket.to_le_bytes());
        u16::try_from(xxh3_64(&bytes) % u64::from(shards.max(1))).unwrap_or_default()
    }
}

fn hashed_part(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else {
        return key;
    };
    let rest = key.get(open + 1..).unwrap_or_default();
    match rest.iter().position(|byte| *byte == b'}') {
        Some(close) if close > 0 => rest.get(..close).unwrap_or(key),
        _ => key,
    }
}

impl fmt::Debug for ColonyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ColonyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.bucket)
    }
}

/// Where an op stands: which line of group state, whose reign, which place in the log.
///
/// The order is that of fields; between lineages it means nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Line of group state.
    pub lineage: LineageId,
    /// Time in office of the primary that assigned it.
    pub reign: Reign,
    /// Place in the colony's log.
    pub seq: Seq,
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}-{}", self.lineage.0 >> 96, self.reign.0, self.seq.0)
    }
}

/// Names one mutation of one client for ever; it takes effect at most once in a lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// Who asked.
    pub client: ClientId,
    /// The client's counter, beginning at 1, never used twice.
    pub number: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_one_tag_share_a_colony() {
        let of = |key: &str| ColonyId::of(NamespaceId(1), key.as_bytes(), 64);
        assert_eq!(of("{user7}.cart"), of("{user7}.prefs"));
        assert_eq!(of("{user7}.cart").bucket, of("user7").bucket);
    }

    #[test]
    fn an_empty_or_open_tag_is_no_tag() {
        assert_eq!(hashed_part(b"{}a"), b"{}a");
        assert_eq!(hashed_part(b"{a"), b"{a");
        assert_eq!(hashed_part(b"x{ab}c"), b"ab");
    }
}
