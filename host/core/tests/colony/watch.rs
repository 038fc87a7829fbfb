//! A watch tells what is committed, all of it, in order, or that it cannot (requirements B8, E7).

use bytes::Bytes;
use colony_core::colony::{Caller, Input, Settings};
use colony_wire::Position;
use colony_wire::admin::Policy;
use colony_wire::client::{Refusal, ReplyBody, Request, RequestBody, Token};
use colony_wire::limits::MAX_EVENT_BYTES;
use colony_wire::session::{Content, EndKind, Mutation, Precondition, SessionView};
use colony_wire::watch::{WatchEvent, WatchedChange};

use crate::calls::{blob, delete, key, request};
use crate::tags::{revoke, tagged, user};
use crate::world::{A, B, C, COLONY, World, world, world_with};

/// How long a watcher waits in these stories.
const WAIT_MS: u32 = 1_000;

impl World {
    fn watch_key(&mut self, host: usize, name: &'static str, after: Option<Position>) -> Caller {
        let body = RequestBody::Watch { key: key(name), after };
        self.ask(host, Request { colony: COLONY, deadline_ms: WAIT_MS, token: Token::default(), body, attempt: None })
    }

    fn watch(&mut self, host: usize, after: Option<Position>) -> Caller {
        self.watch_key(host, "k", after)
    }

    fn events(&self, caller: Caller) -> (Vec<WatchEvent>, Position) {
        match self.answer(caller) {
            Some(ReplyBody::Events { events, cursor }) => (events.clone(), *cursor),
            other => panic!("expected events, got {other:?}"),
        }
    }

    /// What is told at once.
    fn told(&mut self, host: usize, after: Option<Position>) -> (Vec<WatchEvent>, Position) {
        let caller = self.watch(host, after);
        self.events(caller)
    }
}

/// The blob that a write set.
fn written(event: &WatchEvent) -> Bytes {
    match event {
        WatchEvent::Changed { change: WatchedChange::Content(Content::Blob(bytes)), .. } => bytes.clone(),
        other => panic!("expected a write, got {other:?}"),
    }
}

fn state(event: &WatchEvent) -> Option<Bytes> {
    match event {
        WatchEvent::Current(None) => None,
        WatchEvent::Current(Some(SessionView { content: Content::Blob(bytes), .. })) => Some(bytes.clone()),
        other => panic!("expected a state, got {other:?}"),
    }
}

#[test]
fn a_watch_begins_with_the_state_and_goes_on_with_what_happens() {
    let mut w = world(&[A, B]);
    let (events, cursor) = w.told(A, None);
    assert_eq!(events, [WatchEvent::Current(None)]);
    let waiting = w.watch(A, Some(cursor));
    w.done(A, request(1, blob("other", "v")));
    assert_eq!(w.answer(waiting), None, "nothing has happened to this session");
    w.ask(A, request(2, blob("k", "1")));
    assert_eq!(w.answer(waiting), None, "what is prepared is not told");
    w.quiet();
    let (events, cursor) = w.events(waiting);
    assert_eq!(events.iter().map(written).collect::<Vec<_>>(), ["1"]);
    w.done(A, request(3, tagged("k", vec![user("42")])));
    w.done(A, request(4, Mutation::Touch { key: key("k"), ttl: None }));
    w.done(A, request(5, delete("k")));
    let at = w.replica(A).position().expect("it has one");
    let (events, cursor) = w.told(A, Some(cursor));
    let [WatchEvent::Changed { tags, .. }, end] = events.as_slice() else { panic!("two events: {events:?}") };
    assert_eq!((tags, end), (&vec![user("42")], &WatchEvent::Ended { kind: EndKind::Logout, at }));
    assert_eq!(cursor, at);
}

/// Whoever waits is answered when the deadline passes, and goes on from there.
#[test]
fn a_watch_without_news_ends_with_a_fresh_cursor() {
    let mut w = world(&[A, B]);
    let (_, cursor) = w.told(A, None);
    let waiting = w.watch(A, Some(cursor));
    w.done(A, request(1, blob("other", "v")));
    w.run(900);
    assert_eq!(w.answer(waiting), None);
    w.run(200);
    let (events, fresh) = w.events(waiting);
    assert_eq!((events, Some(fresh)), (Vec::new(), w.replica(A).position()));
    assert!(fresh > cursor);
}

/// Bug: a watcher whose call arrived twice was told what happened, and later that nothing had, with a cursor
/// behind it. Cause: it waited twice, and only one of the two was woken. Fix: one call waits once.
#[test]
fn a_watch_that_arrives_twice_waits_once() {
    let mut w = world(&[A, B]);
    let (_, cursor) = w.told(A, None);
    let waiting = w.watch(A, Some(cursor));
    w.pass(5);
    let body = RequestBody::Watch { key: key("k"), after: Some(cursor) };
    let again = Request { colony: COLONY, deadline_ms: WAIT_MS, token: Token::default(), body, attempt: None };
    w.feed(A, Input::Request { from: waiting, request: again });
    w.done(A, request(1, blob("k", "1")));
    assert_eq!(w.events(waiting).0.len(), 1);
    w.run(1_200);
    assert_eq!(w.events(waiting).0.len(), 1, "the story's world takes one answer to a call");
}

/// B8, C38: what was told stays true, and what comes next is told by the next primary.
#[test]
fn no_event_is_skipped_across_a_promotion() {
    let mut w = world(&[A, B, C]);
    w.done(A, request(1, blob("k", "1")));
    let (events, cursor) = w.told(A, None);
    assert_eq!(state(&events[0]), Some(Bytes::from("1")));
    let waiting = w.watch(A, Some(cursor));
    // Acknowledged by both, and the primary dies before it tells anybody.
    w.ask(A, request(2, blob("k", "2")));
    w.deliver(B);
    w.deliver(C);
    w.bag.clear();
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    let early = w.watch(B, Some(cursor));
    assert_eq!(w.refusal(early), Some(&Refusal::NotReady), "the barrier is not committed");
    w.run(100);
    assert_eq!(w.answer(waiting), None);
    w.done(B, request(3, blob("k", "3")));
    let (events, cursor) = w.told(B, Some(cursor));
    assert_eq!(events.iter().map(written).collect::<Vec<_>>(), ["2", "3"]);
    assert_eq!(Some(cursor), w.replica(B).position());
}

/// I4's other side: an op that was never committed is never told, by nobody.
#[test]
fn a_truncated_op_is_never_told() {
    let mut w = world(&[A, B, C]);
    let (_, cursor) = w.told(A, None);
    let waiting = w.watch(A, Some(cursor));
    w.ask(A, request(1, blob("k", "only C has it")));
    w.lose_to(B);
    w.deliver(C);
    w.declare_dead(A);
    w.tell(B);
    w.tell(C);
    w.run(200);
    assert_eq!(w.told(B, None).0, [WatchEvent::Current(None)]);
    let at_b = w.watch(B, Some(cursor));
    w.done(B, request(2, blob("k", "new")));
    assert_eq!(w.events(at_b).0.iter().map(written).collect::<Vec<_>>(), ["new"]);
    assert_eq!(w.answer(waiting), None, "the old primary has nothing to tell");
    w.tell(A);
    assert!(matches!(w.refusal(waiting), Some(Refusal::NotPrimary { .. })), "{:?}", w.answer(waiting));
}

/// B8, E7: never a silent gap.
#[test]
fn a_forgotten_log_is_told_as_a_gap_and_the_state() {
    let settings = Settings { log_kept: 1, ..Settings::default() };
    let mut w = world_with(&[A, B], Policy::default(), settings);
    let (_, cursor) = w.told(A, None);
    for number in 1..=3 {
        w.done(A, request(number, blob("k", "v")));
    }
    let (events, fresh) = w.told(A, Some(cursor));
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0], state(&events[1])), (&WatchEvent::Gap, Some(Bytes::from("v"))));
    assert_eq!(Some(fresh), w.replica(A).position());
}

/// What the log forgets as it is committed is told to those who wait for it.
#[test]
fn a_watcher_that_waits_has_no_gap_however_short_the_log_is() {
    let settings = Settings { log_kept: 0, ..Settings::default() };
    let mut w = world_with(&[A, B], Policy::default(), settings);
    let (_, cursor) = w.told(A, None);
    let waiting = w.watch(A, Some(cursor));
    for (number, value) in (1..).zip(["1", "2", "3"]) {
        w.ask(A, request(number, blob("k", value)));
    }
    w.deliver(B);
    let to_a = w.start(A);
    let last = w.take(|envelope| envelope.message.to == to_a).pop().expect("B acknowledged");
    w.arrive(last);
    let (events, cursor) = w.events(waiting);
    assert_eq!(events.iter().map(written).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(Some(cursor), w.replica(A).position());
}

/// `PROTOCOL.md` 6.2: a copy made from a snapshot does not know what happened before it.
#[test]
fn a_primary_made_from_a_snapshot_tells_a_gap() {
    let settings = Settings { log_kept: 0, ..Settings::default() };
    let mut w = world_with(&[A], Policy::default(), settings);
    let (_, cursor) = w.told(A, None);
    w.done(A, request(1, blob("k", "1")));
    w.done(A, request(2, blob("k", "2")));
    w.want(&[A, B]);
    w.tell_all();
    w.run(100);
    assert!(w.entry().is_in_sync(w.start(B)));
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    w.run(100);
    let (events, _) = w.told(B, Some(cursor));
    assert_eq!((&events[0], state(&events[1])), (&WatchEvent::Gap, Some(Bytes::from("2"))));
}

/// C29: every end is told, with its kind.
#[test]
fn an_end_is_told_with_its_kind() {
    let mut w = world(&[A, B]);
    let short = |name| {
        let content = Content::Blob(Bytes::from("v"));
        Mutation::Put {
            key: key(name),
            content,
            tags: vec![user("42")],
            ttl: Some(500),
            precondition: Precondition::None,
        }
    };
    for (number, kind) in (0..).zip([EndKind::Logout, EndKind::Revoke, EndKind::Expiry]) {
        w.done(A, request(1 + 2 * number, short("k")));
        let (_, cursor) = w.told(A, None);
        let waiting = w.watch(A, Some(cursor));
        match kind {
            EndKind::Logout => drop(w.done(A, request(2, delete("k")))),
            EndKind::Revoke => drop(w.done(A, revoke(4, "42"))),
            _ => w.run(2_000),
        }
        let (events, _) = w.events(waiting);
        let [WatchEvent::Ended { kind: told, .. }] = events.as_slice() else { panic!("one end: {events:?}") };
        assert_eq!(*told, kind);
    }
}

/// `PROTOCOL.md` 4: a copy that lacks what the watcher has seen says so.
#[test]
fn a_position_that_is_not_covered_is_refused_as_behind() {
    let mut w = world(&[A, B]);
    let (_, cursor) = w.told(A, None);
    let ahead = w.watch(A, Some(Position { seq: cursor.seq.next(), ..cursor }));
    assert_eq!(w.refusal(ahead), Some(&Refusal::Behind));
    let elsewhere = w.watch(B, Some(cursor));
    assert!(matches!(w.refusal(elsewhere), Some(Refusal::NotPrimary { .. })));
}

/// I13: an answer is bounded, and says how far it reaches.
#[test]
fn an_answer_that_is_full_says_how_far_it_reaches() {
    let mut w = world(&[A, B]);
    let large = || {
        let content = Content::Blob(vec![7; MAX_EVENT_BYTES / 2].into());
        Mutation::Put { key: key("k"), content, tags: Vec::new(), ttl: None, precondition: Precondition::None }
    };
    let (_, mut cursor) = w.told(A, None);
    let mut versions = Vec::new();
    for number in 1..=4 {
        versions.push(w.done(A, request(number, large())).version);
    }
    let mut told = Vec::new();
    while Some(cursor) != w.replica(A).position() {
        let (events, reached) = w.told(A, Some(cursor));
        assert!((1..4).contains(&events.len()), "{} of them", events.len());
        told.extend(events.into_iter().map(|event| match event {
            WatchEvent::Changed { version, .. } => version,
            other => panic!("expected a write, got {other:?}"),
        }));
        cursor = reached;
    }
    assert_eq!(told, versions);
}

/// I13: who waits is bounded, and nobody waits for a primary that reigns no more.
#[test]
fn watchers_are_bounded_and_sent_away_at_the_end_of_a_reign() {
    let settings = Settings { max_watchers: 2, ..Settings::default() };
    let mut w = world_with(&[A, B], Policy::default(), settings);
    let (_, cursor) = w.told(A, None);
    let waiting = [w.watch(A, Some(cursor)), w.watch_key(A, "other", Some(cursor))];
    let refused = w.watch(A, Some(cursor));
    assert!(matches!(w.refusal(refused), Some(Refusal::Busy { .. })));
    w.declare_dead(A);
    w.tell_all();
    for caller in waiting {
        assert!(matches!(w.refusal(caller), Some(Refusal::NotPrimary { .. })));
    }
}
