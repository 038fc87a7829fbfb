//! A committed state as parts that are known by their content, and back (`PROTOCOL.md` 6.2).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use colony_wire::peer::PartName;
use colony_wire::session::Key;
use colony_wire::tag::Tags;
use colony_wire::{Position, Seq};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::clock::{Moment, SessionTime};
use super::ends::{self, Ends};
use super::history::History;
use super::images::{Absorbing, Images};
use super::quarantine::Quarantine;
use super::ranges::Ranges;
use super::records::{Portable, Records};
use super::session::{Session, Stored};
use super::settings::Settings;
use super::store::{Restored, Store};

/// A state cut into parts: the sessions of one range of keys each, and at the end all that does not go by key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Snapshot {
    /// The committed place it was taken at.
    pub(super) at: Seq,
    /// Its parts, in order.
    pub(super) parts: Vec<Bytes>,
}

/// A session as it is logged, the same in all copies: so are the bytes of a part.
#[derive(Serialize, Deserialize)]
struct PortableSession<'a> {
    key: Cow<'a, Key>,
    life: Position,
    version: Position,
    written_at: u64,
    stored: Cow<'a, Stored>,
    tags: Cow<'a, Tags>,
    ttl: Option<u64>,
}

/// Everything else a copy needs (`PROTOCOL.md` 6.2). Deadlines travel as time remaining (`PROTOCOL.md` 11):
/// they are not logged and differ at every cut, so they are here and not with their sessions.
#[derive(Serialize, Deserialize)]
struct Body {
    history: History,
    images: Images,
    absorbing: Absorbing,
    quarantine: Quarantine,
    frozen: Option<Position>,
    clock: u64,
    /// Milliseconds until each session ends, if it does, in the order of the sessions in the parts.
    remaining_ms: Vec<Option<u64>>,
    ends: ends::Portable,
    records: Vec<Portable>,
}

impl Snapshot {
    /// Its size.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }
}

/// The name of a part.
pub(super) fn name(part: &Bytes) -> PartName {
    PartName { hash: xxh3_128(part), bytes: u32::try_from(part.len()).unwrap_or(u32::MAX) }
}

/// The whole state.
pub(super) fn cut(store: &Store, settings: &Settings, now: SessionTime) -> Snapshot {
    let ranges = store.ranges();
    let sessions = in_order(store, ranges);
    let remaining =
        |session: &Session| session.expires_in(now).filter(|_| !mutant!(settings, SnapshotWithoutDeadlines));
    let body = Body {
        history: store.history.clone(),
        images: store.images.clone(),
        absorbing: store.absorbing.clone(),
        quarantine: store.quarantine().clone(),
        frozen: store.frozen(),
        clock: store.clock(),
        remaining_ms: sessions.iter().map(|(_, _, session)| remaining(session)).collect(),
        ends: store.ends().to_portable(),
        records: if mutant!(settings, SnapshotWithoutRecords) { Vec::new() } else { store.records.to_portable() },
    };
    let mut parts = encode(&sessions, ranges);
    parts.push(Bytes::from(postcard::to_stdvec(&body).expect("a state always encodes")));
    Snapshot { at: store.applied(), parts }
}

/// The parts that hold sessions, for a state cut by these ranges.
pub(super) fn session_parts(store: &Store, ranges: Ranges) -> Vec<Bytes> {
    encode(&in_order(store, ranges), ranges)
}

/// The sessions, each with its range, by range and key.
fn in_order(store: &Store, ranges: Ranges) -> Vec<(usize, &Key, &Session)> {
    let mut sessions: Vec<_> = store.sessions().map(|(key, session)| (ranges.of(key), key, session)).collect();
    // They come by key, and the sort is stable.
    sessions.sort_by_key(|(range, ..)| *range);
    sessions
}

fn encode(sessions: &[(usize, &Key, &Session)], ranges: Ranges) -> Vec<Bytes> {
    let mut sessions = sessions.iter().peekable();
    let part = |range: usize| {
        let mut bytes = Vec::new();
        while let Some((_, key, session)) = sessions.next_if(|(of, ..)| *of == range) {
            let portable = PortableSession {
                key: Cow::Borrowed(*key),
                life: session.life,
                version: session.version,
                written_at: session.written_at,
                stored: Cow::Borrowed(&session.stored),
                tags: Cow::Borrowed(&session.tags),
                ttl: session.ttl,
            };
            bytes = postcard::to_extend(&portable, bytes).expect("a state always encodes");
        }
        Bytes::from(bytes)
    };
    (0..ranges.count()).map(part).collect()
}

/// The state that these parts are, if they are one. `since` is when the time remaining began to count.
pub(super) fn join(parts: &[Bytes], since: SessionTime, now: Moment) -> Option<Store> {
    let (tail, parts) = parts.split_last()?;
    let ranges = Ranges::with_count(parts.len())?;
    let mut body: Body = whole(tail)?;
    let mut remaining = std::mem::take(&mut body.remaining_ms).into_iter();
    let mut sessions = BTreeMap::new();
    for (range, part) in parts.iter().enumerate() {
        let mut rest: &[u8] = part;
        while !rest.is_empty() {
            let (one, after) = postcard::take_from_bytes::<PortableSession<'_>>(rest).ok()?;
            rest = after;
            let PortableSession { key, life, version, written_at, stored, tags, ttl } = one;
            if ranges.of(&key) != range {
                return None;
            }
            let deadline = remaining.next()?.map(|ms| since + Duration::from_millis(ms));
            let (stored, tags) = (stored.into_owned(), tags.into_owned());
            let session = Session { life, version, written_at, stored, tags, ttl, deadline: None, logged: None };
            sessions.insert(key.into_owned(), session.revived(deadline));
        }
    }
    if remaining.next().is_some() {
        return None;
    }
    let ends = Ends::from_portable(std::mem::take(&mut body.ends))?;
    let records = Records::from_portable(std::mem::take(&mut body.records), now.mono);
    let Body { history, images, absorbing, quarantine, frozen, clock, .. } = body;
    Some(Store::restored(Restored {
        sessions,
        ranges,
        ends,
        records,
        history,
        images,
        absorbing,
        quarantine,
        frozen,
        clock,
    }))
}

fn whole<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}

#[cfg(test)]
mod tests {
    use colony_wire::op::{Change, Op};
    use colony_wire::session::Content;
    use colony_wire::{LineageId, Reign};

    use super::*;

    fn moment(at: u64) -> Moment {
        Moment { mono: crate::Time(at), sessions: SessionTime(at) }
    }

    /// Sessions of 20 KiB each, written one after the other.
    fn store(sessions: u64) -> Store {
        let mut store = Store::default();
        (1..=sessions).for_each(|seq| write(&mut store, seq, seq));
        store
    }

    fn write(store: &mut Store, seq: u64, session: u64) {
        let key = Key::new(format!("s{session}")).unwrap();
        let content = Content::Blob(vec![7; 20 << 10].into());
        let position = Position { lineage: LineageId(1), reign: Reign(1), seq: Seq(seq) };
        let change = Change::Put { key, content, tags: Vec::new(), ttl: Some(1_000) };
        store.apply(&Op { position, stamp: None, written_at: seq, change }, None, moment(0));
    }

    fn names(store: &Store, now: SessionTime) -> Vec<PartName> {
        cut(store, &Settings::default(), now).parts.iter().map(name).collect()
    }

    /// What lets a transfer be resumed: time and one more write leave nearly all names as they are.
    #[test]
    fn a_write_changes_its_own_part_and_the_last_one_only() {
        let mut store = store(64);
        let before = names(&store, SessionTime(0));
        assert!(before.len() > 8);
        write(&mut store, 65, 3);
        let after = names(&store, SessionTime(5_000));
        assert_eq!(before.iter().zip(&after).filter(|(old, new)| old != new).count(), 2);
        assert_ne!(before.last(), after.last());
    }

    #[test]
    fn a_state_joined_from_its_parts_is_the_same() {
        let store = store(20);
        let parts = cut(&store, &Settings::default(), SessionTime(0)).parts;
        let joined = join(&parts, SessionTime(0), moment(0)).unwrap();
        assert!(joined.is_copy_of(&store));
    }

    #[test]
    fn parts_that_are_no_state_are_refused() {
        let store = store(20);
        let parts = cut(&store, &Settings::default(), SessionTime(0)).parts;
        let refused = |parts: &[Bytes]| join(parts, SessionTime(0), moment(0)).is_none();
        let mut swapped = parts.clone();
        swapped.swap(0, 1);
        let mut short = parts.clone();
        short[0] = short[0].slice(..short[0].len() - 1);
        let mut without_one = parts.clone();
        without_one[0] = Bytes::new();
        assert!(refused(&swapped) && refused(&short) && refused(&without_one));
        assert!(refused(&parts[1..]) && refused(&[]));
    }
}
