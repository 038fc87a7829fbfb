//! A committed state as a sequence of chunks, and back.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use colony_wire::limits::{MAX_SNAPSHOT_CHUNKS, SNAPSHOT_CHUNK};
use colony_wire::peer::Chunk;
use colony_wire::session::Key;
use colony_wire::{Position, Reign};
use serde::{Deserialize, Serialize};

use super::history::History;
use super::records::{Portable, Records};
use super::session::{Session, Stored};
use super::settings::Settings;
use super::store::Store;
use crate::Time;

/// Everything a copy needs (`PROTOCOL.md` 6.2). Deadlines travel as time remaining (`PROTOCOL.md` 11).
#[derive(Serialize, Deserialize)]
struct Body {
    history: History,
    clock: u64,
    sessions: Vec<PortableSession>,
    records: Vec<Portable>,
}

#[derive(Serialize, Deserialize)]
struct PortableSession {
    key: Key,
    life: Position,
    version: Position,
    written_at: u64,
    stored: Stored,
    ttl: Option<u64>,
    remaining_ms: Option<u64>,
}

/// The state in chunks; none if it is larger than a transfer may be.
pub(super) fn cut(store: &Store, settings: &Settings, now: Time) -> Option<Vec<Bytes>> {
    let portable = |(key, session): (&Key, &Session)| PortableSession {
        key: key.clone(),
        life: session.life,
        version: session.version,
        written_at: session.written_at,
        stored: session.stored.clone(),
        ttl: session.ttl,
        remaining_ms: session.expires_in(now).filter(|_| !mutant!(settings, SnapshotWithoutDeadlines)),
    };
    let body = Body {
        history: store.history.clone(),
        clock: store.clock(),
        sessions: store.sessions().map(portable).collect(),
        records: if mutant!(settings, SnapshotWithoutRecords) { Vec::new() } else { store.records.to_portable() },
    };
    let whole = Bytes::from(postcard::to_stdvec(&body).expect("a state always encodes"));
    let count = whole.len().div_ceil(SNAPSHOT_CHUNK);
    let chunk = |index: usize| whole.slice(index * SNAPSHOT_CHUNK..whole.len().min((index + 1) * SNAPSHOT_CHUNK));
    (count <= MAX_SNAPSHOT_CHUNKS as usize).then(|| (0..count).map(chunk).collect())
}

/// A snapshot on its way in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Assembly {
    reign: Reign,
    transfer: u64,
    count: u32,
    parts: Vec<Bytes>,
}

/// What a chunk did to an assembly.
pub(super) enum Taken {
    /// All chunks up to this one are there.
    UpTo(u32),
    /// It is not the next one; the sender will send again.
    OutOfTurn,
    /// It is damaged or of another transfer.
    Unusable,
    /// The last one: the state.
    Whole(Box<Store>),
}

impl Assembly {
    pub(super) fn begin(chunk: &Chunk) -> Self {
        Self { reign: chunk.reign, transfer: chunk.transfer, count: chunk.count, parts: Vec::new() }
    }

    pub(super) fn is_of(&self, chunk: &Chunk) -> bool {
        self.reign == chunk.reign && self.transfer == chunk.transfer && self.count == chunk.count
    }

    /// How many chunks are there.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(super) fn take(&mut self, chunk: &Chunk, now: Time) -> Taken {
        let next = self.parts.len() as u32;
        if chunk.index < next {
            return Taken::UpTo(next - 1);
        }
        if chunk.index > next {
            return Taken::OutOfTurn;
        }
        if chunk.index >= self.count || crc32fast::hash(&chunk.bytes) != chunk.crc {
            return Taken::Unusable;
        }
        self.parts.push(chunk.bytes.clone());
        if next + 1 < self.count {
            return Taken::UpTo(next);
        }
        match join(&self.parts, now) {
            Some(store) => Taken::Whole(Box::new(store)),
            None => Taken::Unusable,
        }
    }
}

fn join(parts: &[Bytes], now: Time) -> Option<Store> {
    let (body, rest) =
        postcard::take_from_bytes::<Body>(&parts.concat()).map(|(body, rest)| (body, rest.len())).ok()?;
    if rest != 0 {
        return None;
    }
    let session = |one: PortableSession| {
        let deadline = one.remaining_ms.map(|ms| now + Duration::from_millis(ms));
        let PortableSession { key, life, version, written_at, stored, ttl, .. } = one;
        (key, Session { life, version, written_at, stored, ttl, deadline })
    };
    let sessions: BTreeMap<Key, Session> = body.sessions.into_iter().map(session).collect();
    Some(Store::restored(sessions, Records::from_portable(body.records, now), body.history, body.clock))
}
