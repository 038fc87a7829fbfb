//! What a failing disk and a power cut do to a store.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use colony_core::group::{Command, Member, MemberState};
use colony_wire::{ClusterId, LineageId, RaftId, StartId};
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::vote::leader_id_adv::LeaderId;
use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};

use crate::disk;
use crate::network::{BoxFuture, CallError, Dialer};
use crate::storage::Storage;
use crate::types::{Entry, LogId, Payload, Peer, Proposal, Types, Vote};
use crate::{Group, ProposeError, Timing};

/// Nobody can be reached.
struct Nowhere;

impl Dialer for Nowhere {
    fn call(&self, _to: Peer, _message: Bytes, _within: Duration) -> BoxFuture<'_, Result<Bytes, CallError>> {
        Box::pin(async { Err(CallError::Unreachable("nobody is there".into())) })
    }
}

/// A disk whose syncs fail from a moment on.
#[derive(Debug)]
struct Failing {
    disk: InMemoryBackend,
    fails: Arc<AtomicBool>,
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)
    }
}

#[tokio::test]
async fn a_failed_sync_is_fatal_and_nothing_is_acknowledged() {
    let fails = Arc::new(AtomicBool::new(false));
    let disk = Failing { disk: InMemoryBackend::new(), fails: fails.clone() };
    let db = Database::builder().create_with_backend(disk).expect("an empty disk opens");
    let storage = Storage::of(db, RaftId(1)).expect("an empty disk is read");
    let group = Group::start(storage, Arc::new(Nowhere), Timing::default()).await.expect("starts");
    let address = SocketAddr::from(([127, 0, 0, 1], 7001));
    let member = Member {
        start: StartId(1),
        name: "h1".into(),
        address,
        shards: 1,
        labels: Default::default(),
        raft: RaftId(1),
        earlier: Vec::new(),
        state: MemberState::Up,
    };
    let genesis = Command::Genesis { cluster: ClusterId(1), lineage: LineageId(1), member };
    let within = Duration::from_secs(30);
    group.found(&genesis, address, within).await.expect("founds");

    fails.store(true, Ordering::SeqCst);
    assert_eq!(group.propose(&genesis, within).await, Err(ProposeError::Stopped));
    let fatal = tokio::time::timeout(within, group.fatal()).await.expect("the group failed");
    assert!(fatal.to_string().contains("the disk is gone"), "{fatal}");
}

/// One thing that happened to a disk.
#[derive(Clone, Debug)]
enum Event {
    SetLen(u64),
    Write(u64, Vec<u8>),
    Sync,
    /// The first so many steps of the script were given to the store.
    Submitted(usize),
    /// The first so many were acknowledged by it.
    Acknowledged(usize),
}

/// A disk that remembers everything that happened to it.
#[derive(Clone, Debug, Default)]
struct Recorded {
    image: Arc<Mutex<Vec<u8>>>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Recorded {
    fn happened(&self, event: Event) {
        apply(&mut self.image.lock().unwrap(), &event);
        self.events.lock().unwrap().push(event);
    }
}

fn apply(image: &mut Vec<u8>, event: &Event) {
    match event {
        Event::SetLen(len) => image.resize(usize::try_from(*len).unwrap(), 0),
        Event::Write(offset, data) => {
            let start = usize::try_from(*offset).unwrap();
            if image.len() < start + data.len() {
                image.resize(start + data.len(), 0);
            }
            image[start..start + data.len()].copy_from_slice(data);
        }
        Event::Sync | Event::Submitted(_) | Event::Acknowledged(_) => {}
    }
}

impl StorageBackend for Recorded {
    fn len(&self) -> io::Result<u64> {
        Ok(self.image.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let image = self.image.lock().unwrap();
        let from = image.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(from);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.happened(Event::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.happened(Event::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.happened(Event::Write(offset, data.to_vec()));
        Ok(())
    }
}

/// One step of the script.
#[derive(Clone, Copy, Debug)]
enum Step {
    Vote(u64),
    /// So many entries at the end, in this term.
    Append(u64, u64),
    TruncateAfter(u64),
    Purge(u64),
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    vote: Option<Vote>,
    purged: Option<LogId>,
    entries: Vec<LogId>,
}

fn id(term: u64, index: u64) -> LogId {
    LogId { leader_id: LeaderId { term, node_id: 1 }, index }
}

impl Held {
    fn last(&self) -> u64 {
        self.entries.last().or(self.purged.as_ref()).map_or(0, |last| last.index)
    }

    fn at(&self, index: u64) -> LogId {
        *self.entries.iter().find(|id| id.index == index).expect("the script names what is there")
    }

    fn after(&self, step: Step) -> Self {
        let mut held = self.clone();
        match step {
            Step::Vote(term) => held.vote = Some(Vote::new(term, 1)),
            Step::Append(count, term) => {
                held.entries.extend((self.last() + 1..).take(count as usize).map(|index| id(term, index)));
            }
            Step::TruncateAfter(last) => held.entries.retain(|id| id.index <= last),
            Step::Purge(upto) => {
                held.purged = Some(self.at(upto));
                held.entries.retain(|id| id.index > upto);
            }
        }
        held
    }
}

/// Runs the script on the disk; returns what the store holds after each number of steps.
async fn run(disk: &Recorded, script: &[Step]) -> Vec<Held> {
    let db = Database::builder().create_with_backend(disk.clone()).expect("an empty disk opens");
    let mut storage = Storage::of(db, RaftId(1)).expect("an empty disk is read");
    let mut held = vec![Held::default()];
    let mut unanswered = Vec::new();
    for (done, step) in script.iter().enumerate() {
        let before = held.last().expect("at least the empty one").clone();
        disk.happened(Event::Submitted(done + 1));
        match *step {
            Step::Append(count, term) => {
                let ids = (before.last() + 1..).take(count as usize).map(|index| id(term, index));
                let payload = || Payload::Normal(Proposal(Bytes::from(vec![7; 900])));
                let entries = ids.map(|log_id| Entry { log_id, payload: payload() });
                let (flushed, on_flushed) = Types::oneshot();
                storage.log.append(entries, IOFlushed::signal(flushed)).await.expect("appends");
                // Appends are left unanswered, so that some share a transaction.
                unanswered.push(on_flushed);
            }
            Step::Vote(term) => storage.log.save_vote(&Vote::new(term, 1)).await.expect("votes"),
            Step::TruncateAfter(last) => {
                storage.log.truncate_after(Some(before.at(last))).await.expect("truncates");
            }
            Step::Purge(upto) => storage.log.purge(before.at(upto)).await.expect("purges"),
        }
        held.push(before.after(*step));
        if !matches!(step, Step::Append(..)) {
            for flushed in mem::take(&mut unanswered) {
                flushed.await.expect("answered").expect("flushed");
            }
            disk.happened(Event::Acknowledged(done + 1));
        }
    }
    drop(storage.log);
    drop(storage.disk);
    storage.closed.await.expect("closes");
    held
}

/// What a store on this image holds.
fn reopen(image: Vec<u8>) -> Held {
    let disk = Recorded { image: Arc::new(Mutex::new(image)), ..Recorded::default() };
    let db = Database::builder().create_with_backend(disk).expect("opens after a power cut");
    let (_disk, loaded, _closed) = disk::start(db, 2).expect("is whole after a power cut");
    Held {
        vote: loaded.vote,
        purged: loaded.purged,
        entries: loaded.entries.iter().map(|entry| entry.log_id).collect(),
    }
}

/// A power cut keeps what was synced and any part of what was not, torn where it likes. Whatever it keeps, the
/// store holds all that it acknowledged, nothing it was not given, and no step by halves.
#[tokio::test]
async fn no_power_cut_takes_what_was_acknowledged() {
    let script = [
        Step::Vote(1),
        Step::Append(3, 1),
        Step::Append(1, 1),
        Step::Append(4, 1),
        Step::Vote(2),
        Step::Append(20, 2),
        Step::TruncateAfter(12),
        Step::Append(2, 3),
        Step::Vote(4),
        Step::Purge(9),
        Step::Append(30, 4),
        Step::Append(1, 4),
        Step::Purge(40),
        Step::Vote(5),
        Step::TruncateAfter(42),
        Step::Append(5, 6),
        Step::Vote(7),
    ];
    let disk = Recorded::default();
    let held = run(&disk, &script).await;
    let events = disk.events.lock().unwrap().clone();

    let (mut synced, mut unsynced) = (Vec::new(), Vec::new());
    let (mut acknowledged, mut submitted, mut cuts) = (0, 0, 0);
    let mut dice: u64 = 0x9e37_79b9_7f4a_7c15;
    for (moment, event) in events.iter().enumerate() {
        match event {
            Event::Submitted(steps) => submitted = *steps,
            Event::Acknowledged(steps) => acknowledged = *steps,
            Event::Sync => unsynced.drain(..).for_each(|event| apply(&mut synced, &event)),
            Event::SetLen(_) | Event::Write(..) => unsynced.push(event.clone()),
        }
        // Before the first acknowledgement there may be no store at all yet.
        if acknowledged == 0 {
            continue;
        }
        let mut image = synced.clone();
        for event in &unsynced {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            match (event, dice % 3) {
                (_, 0) => {}
                (Event::Write(offset, data), 1) => {
                    apply(&mut image, &Event::Write(*offset, data[..data.len() / 2].to_vec()));
                }
                (event, _) => apply(&mut image, event),
            }
        }
        let found = reopen(image);
        let possible = &held[acknowledged..=submitted];
        assert!(possible.contains(&found), "cut at event {moment}: {found:?} is none of {possible:?}");
        cuts += 1;
    }
    assert!(cuts > 100, "only {cuts} cuts were tried");
}
