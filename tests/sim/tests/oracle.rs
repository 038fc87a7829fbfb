//! Histories that never happened: an oracle that takes them proves nothing.

use bytes::Bytes;
use colony_core::group::{Command, Entry, State};
use colony_sim::group::Change as TableChange;
use colony_sim::host::{Host, Process};
use colony_sim::oracle::{Asked, Oracle, Truth};
use colony_sim::swarm::Mix;
use colony_sim::timepiece::Timepiece;
use colony_sim::violation::{Rule, Violation};
use colony_wire::admin::OnConflict;
use colony_wire::client::{Ack, Done, Read, Reply, ReplyBody, Request, RequestBody, Token};
use colony_wire::op::{Change, Op, Stamp};
use colony_wire::session::{Content, EndKind, Key, Mutation, Precondition};
use colony_wire::{Cfg, ClientId, ColonyId, LineageId, NamespaceId, Position, Reign, RequestId, Seq, StartId};

const COLONY: ColonyId = ColonyId { namespace: NamespaceId(1), bucket: 0 };

fn at(reign: u64, seq: u64) -> Position {
    Position { lineage: LineageId(1), reign: Reign(reign), seq: Seq(seq) }
}

fn key() -> Key {
    Key::new("k").expect("a key")
}

fn request(number: u64) -> RequestId {
    RequestId { client: ClientId(1), number }
}

fn barrier(reign: u64, seq: u64) -> Op {
    Op { position: at(reign, seq), stamp: None, written_at: 0, change: Change::Barrier }
}

fn put(reign: u64, seq: u64, number: u64, text: &'static str) -> Op {
    let content = Content::Blob(Bytes::from_static(text.as_bytes()));
    let stamp = Some(Stamp { request: request(number), lowest_unanswered: number });
    let change = Change::Put { key: key(), content, tags: Vec::new(), ttl: None };
    Op { position: at(reign, seq), stamp, written_at: 0, change }
}

fn asks(number: u64, text: &'static str) -> (RequestId, Mutation) {
    let content = Content::Blob(Bytes::from_static(text.as_bytes()));
    (
        request(number),
        Mutation::Put { key: key(), content, tags: Vec::new(), ttl: None, precondition: Precondition::None },
    )
}

/// Commits a history of which only the last op may be refused.
fn commit(ops: &[Op]) -> Result<(), Violation> {
    let mut asked = Asked::new(true, OnConflict::Reject);
    for (request, mutation) in [asks(1, "a"), asks(2, "b")] {
        asked.note(request, &mutation);
    }
    let mut truth = Truth::default();
    for op in ops {
        truth.note_prepared(op)?;
        truth.note_committed(op, &asked, 0)?;
    }
    Ok(())
}

fn broken(result: Result<(), Violation>) -> Option<Rule> {
    result.err().map(|violation| violation.rule)
}

#[test]
fn a_true_history_is_taken() {
    assert_eq!(commit(&[barrier(1, 1), put(1, 2, 1, "a"), barrier(2, 3), put(2, 4, 2, "b")]), Ok(()));
}

#[test]
fn one_position_with_two_contents_is_refused() {
    let history = [barrier(1, 1), put(1, 2, 1, "a"), put(1, 2, 2, "b")];
    assert_eq!(broken(commit(&history)), Some(Rule::SamePosition));
}

#[test]
fn one_place_committed_in_two_reigns_is_refused() {
    let history = [barrier(1, 1), put(1, 2, 1, "a"), put(2, 2, 1, "a")];
    assert_eq!(broken(commit(&history)), Some(Rule::SamePosition));
}

#[test]
fn an_earlier_reign_after_a_later_one_is_refused() {
    let history = [barrier(2, 1), put(1, 2, 1, "a")];
    assert_eq!(broken(commit(&history)), Some(Rule::NothingLost));
}

#[test]
fn a_request_done_twice_is_refused() {
    let history = [barrier(1, 1), put(1, 2, 1, "a"), put(1, 3, 1, "a")];
    assert_eq!(broken(commit(&history)), Some(Rule::AtMostOnce));
}

#[test]
fn a_change_that_nobody_asked_for_is_refused() {
    assert_eq!(broken(commit(&[put(1, 1, 1, "forged")])), Some(Rule::AtMostOnce));
    let logout = Change::End { key: key(), kind: EndKind::Logout };
    let op = Op { position: at(1, 1), stamp: None, written_at: 0, change: logout };
    assert_eq!(broken(commit(&[op])), Some(Rule::AtMostOnce));
}

/// C28: in every run the copies at one place are compared; this is what tells them apart.
#[test]
fn two_digests_at_one_place_are_refused() {
    let mut truth = Truth::default();
    assert_eq!(truth.note_digest(Seq(3), 7), Ok(()));
    assert_eq!(broken(truth.note_digest(Seq(3), 8)), Some(Rule::EqualDigests));
}

#[test]
fn two_writers_in_a_reign_are_refused() {
    let mut truth = Truth::default();
    assert_eq!(truth.wrote(Reign(1), StartId(1)), Ok(()));
    assert_eq!(truth.wrote(Reign(2), StartId(2)), Ok(()));
    assert_eq!(broken(truth.wrote(Reign(1), StartId(2))), Some(Rule::OneWriter));
}

fn entry(reign: u64, cfg: u64, primary: u64, in_sync: &[u64]) -> Entry {
    let in_sync: Vec<StartId> = in_sync.iter().copied().map(StartId).collect();
    Entry {
        lineage: LineageId(1),
        reign: Reign(reign),
        cfg: Cfg(cfg),
        primary: Some(StartId(primary)),
        want: in_sync.clone(),
        in_sync,
        dead: Vec::new(),
        unaccounted: Vec::new(),
        absorbed: Vec::new(),
    }
}

fn decided(before: Entry, after: Entry) -> Result<(), Violation> {
    let mut oracle = Oracle::new(&Mix::draw(0, None));
    let command = Command::Dead { start: StartId(9), deviations: Vec::new() };
    let mut state = State::default();
    state.table.insert(COLONY, after.clone());
    let change = TableChange { colony: COLONY, before: Some(before), after };
    oracle.table(&state, &[], &command, &[change])
}

#[test]
fn a_primary_that_was_not_in_sync_is_refused() {
    assert_eq!(broken(decided(entry(1, 1, 1, &[1]), entry(2, 2, 2, &[2]))), Some(Rule::Entitled));
}

#[test]
fn a_new_primary_in_the_old_reign_is_refused() {
    assert_eq!(broken(decided(entry(1, 1, 1, &[1]), entry(1, 2, 2, &[1]))), Some(Rule::Entitled));
}

/// What an oracle that has seen nothing says to an answer.
fn answered(body: RequestBody, answer: ReplyBody, seen: Option<Position>) -> Option<Rule> {
    let mix = Mix::draw(0, None);
    let mut host = Host::new(0, 1, Timepiece::new(0, 1000));
    host.process = Some(Process::new(1, StartId(1), LineageId(1), 1, &mix.settings));
    let request = Request { colony: COLONY, deadline_ms: 1, token: Token::default(), body, attempt: None };
    let reply = Reply { served_by: StartId(1), seen, body: answer };
    broken(Oracle::new(&mix).replied(&host, &request, None, &reply))
}

#[test]
fn an_acknowledgement_of_what_was_not_committed_is_refused() {
    let (request, mutation) = asks(1, "a");
    let stamp = Stamp { request, lowest_unanswered: 1 };
    let done =
        Done { version: at(1, 1), life: at(1, 1), copies: 2, merged: false, ack: Ack::InSync, ended: 0, more: false };
    let rule = answered(RequestBody::Mutate { stamp, mutation, ack: Ack::InSync }, ReplyBody::Done(done), None);
    assert_eq!(rule, Some(Rule::NothingLost));
}

#[test]
fn a_position_that_was_never_committed_is_refused() {
    let get = RequestBody::Get { key: key(), read: Read::Token };
    assert_eq!(answered(get, ReplyBody::Absent, Some(at(1, 1))), Some(Rule::NothingLost));
}

#[test]
fn a_read_without_a_copy_is_refused() {
    assert_eq!(
        answered(RequestBody::Get { key: key(), read: Read::Token }, ReplyBody::Absent, None),
        Some(Rule::TrueReads)
    );
}

/// A session with a time to live is put, and ended by expiry when the fastest clock has counted `lived` seconds;
/// its primary had `padded` the deadline when it took office.
fn ends_after(lived: u64, padded: bool) -> Option<Rule> {
    let content = Content::Blob(Bytes::new());
    let put = Change::Put { key: key(), content: content.clone(), tags: Vec::new(), ttl: Some(10_000) };
    let stamp = Some(Stamp { request: request(1), lowest_unanswered: 1 });
    let mutation =
        Mutation::Put { key: key(), content, tags: Vec::new(), ttl: Some(10_000), precondition: Precondition::None };
    let mut asked = Asked::new(true, OnConflict::Reject);
    asked.note(request(1), &mutation);
    let mut truth = Truth::default();
    let mut commit = |op: Op, seconds: u64| {
        truth.counts(seconds * 1_000_000);
        truth.note_prepared(&op)?;
        if padded && op.stamp.is_none() {
            truth.takes_office(Reign(2), Seq(1));
        }
        truth.note_committed(&op, &asked, 2_000_000)
    };
    commit(Op { position: at(1, 1), stamp, written_at: 0, change: put }, 1).expect("it was asked for");
    let end = Change::End { key: key(), kind: EndKind::Expiry };
    broken(commit(Op { position: at(2, 2), stamp: None, written_at: 0, change: end }, 1 + lived).map(|_| ()))
}

#[test]
fn a_session_that_ends_early_is_refused() {
    assert_eq!((ends_after(9, false), ends_after(10, false)), (Some(Rule::Lifetime), None));
    assert_eq!((ends_after(11, true), ends_after(12, true)), (Some(Rule::Lifetime), None));
}

#[test]
fn a_condition_that_does_not_hold_is_refused() {
    let content = Content::Blob(Bytes::from_static(b"a"));
    let mut asked = Asked::new(true, OnConflict::Reject);
    for number in [1, 2] {
        let mutation = Mutation::Put {
            key: key(),
            content: content.clone(),
            tags: Vec::new(),
            ttl: None,
            precondition: Precondition::Absent,
        };
        asked.note(request(number), &mutation);
    }
    let mut truth = Truth::default();
    assert_eq!(truth.note_committed(&put(1, 1, 1, "a"), &asked, 0), Ok(true));
    let again = truth.note_committed(&put(1, 2, 2, "a"), &asked, 0).map(|_| ());
    assert_eq!(broken(again), Some(Rule::Conditions));
}

#[test]
fn hybrid_time_that_goes_back_is_refused() {
    let later = Op { written_at: 5, ..barrier(1, 1) };
    assert_eq!(broken(commit(&[later, barrier(2, 2)])), Some(Rule::HybridTime));
}
