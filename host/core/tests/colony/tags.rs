//! Sessions found by what they carry: listed, and ended all together (requirement C29; interfaces of tags).

use colony_core::colony::{Caller, Input, Settings};
use colony_core::merge::Resolution;
use colony_wire::admin::{MergeBy, Policy};
use colony_wire::client::{Done, Refusal, ReplyBody, Request, RequestBody, Token};
use colony_wire::limits::MAX_TAGS;
use colony_wire::op::{Change, Stamp};
use colony_wire::session::{Base, Changes, Content, EndKind, Key, Mutation, Precondition};
use colony_wire::tag::{Tag, TagChange};
use colony_wire::{ClientId, Position, RequestId, Seq};

use crate::calls::{attributes, change, key, request, request_of, save_with};
use crate::world::{A, B, C, COLONY, World, world, world_with};

/// A deadline far enough off that no story meets it.
const DEADLINE_MS: u32 = 5_000;

pub(crate) fn user(value: &str) -> TagChange {
    ("user".to_owned(), Some(value.to_owned()))
}

/// A session that carries these tags.
pub(crate) fn tagged(name: &'static str, tags: Vec<TagChange>) -> Mutation {
    let content = Content::Blob("v".into());
    Mutation::Put { key: key(name), content, tags, ttl: None, precondition: Precondition::None }
}

/// A save of tags alone.
fn retag(name: &'static str, base: Done, tags: Vec<TagChange>) -> Mutation {
    let base = Base { life: base.life, version: base.version };
    let changes = Changes::Attributes(Vec::new());
    Mutation::Save { key: key(name), base, changes, tags, ttl: None, base_values: None }
}

fn tag(value: &str) -> Tag {
    Tag { name: "user".to_owned(), value: value.to_owned() }
}

/// The end of all sessions of a user, as request `number` of client 1, which has had no answer yet.
pub(crate) fn revoke(number: u64, value: &str) -> Request {
    let stamp = Stamp { request: RequestId { client: ClientId(1), number }, lowest_unanswered: 1 };
    let body = RequestBody::Revoke { stamp, tag: tag(value) };
    Request { colony: COLONY, deadline_ms: DEADLINE_MS, token: Token::default(), body, attempt: None }
}

impl World {
    fn list(&mut self, host: usize, value: &str, after: Option<Key>, limit: u32, token: Option<Position>) -> ReplyBody {
        let body = RequestBody::Tagged { tag: tag(value), after, limit };
        let caller = self.ask(
            host,
            Request {
                colony: COLONY,
                deadline_ms: DEADLINE_MS,
                token: token.map(Token::from).unwrap_or_default(),
                body,
                attempt: None,
            },
        );
        self.answer(caller).expect("a list is answered at once").clone()
    }

    fn keys_of(&mut self, host: usize, value: &str) -> Vec<Key> {
        match self.list(host, value, None, 100, None) {
            ReplyBody::Sessions { found, more: false } => found.into_iter().map(|(key, _)| key).collect(),
            other => panic!("expected all of them, got {other:?}"),
        }
    }

    fn ended(&self, caller: Caller) -> Option<(u32, bool)> {
        match self.answer(caller) {
            Some(ReplyBody::Done(done)) => Some((done.ended, done.more)),
            _ => None,
        }
    }
}

/// Of two changes of one tag the later wins, by name, whatever they were based on and whatever the content is.
#[test]
fn tags_change_by_name_and_outside_of_conflicts() {
    let mut w = world(&[A, B]);
    let first = w.done(A, request(1, tagged("s", vec![user("1"), ("device".into(), Some("tv".into()))])));
    w.done(A, request(2, retag("s", first, vec![user("2")])));
    w.done(A, request(3, retag("s", first, vec![user("3"), ("device".into(), None)])));
    let view = w.found(A, "s");
    assert_eq!(view.tags, [("user".to_owned(), "3".to_owned())].into());
    assert_eq!(view.content, Content::Blob("v".into()), "tags are not content");
    assert_ne!(view.version, first.version, "a change of tags is a change");
    w.done(A, request(4, tagged("s", Vec::new())));
    assert_eq!(w.found(A, "s").tags, view.tags, "a write that names no tag takes none away");
}

#[test]
fn a_session_carries_no_more_tags_than_its_limit() {
    let mut w = world(&[A, B]);
    let many = |count: usize| (0..count).map(|i| (format!("t{i}"), Some(String::new()))).collect::<Vec<_>>();
    let full = w.done(A, request(1, tagged("s", many(MAX_TAGS))));
    for (number, change) in [(2, tagged("s", vec![user("1")])), (3, retag("s", full, vec![user("1")]))] {
        let refused = w.ask(A, request(number, change));
        assert!(matches!(w.refusal(refused), Some(Refusal::TooLarge { .. })), "{:?}", w.answer(refused));
    }
    w.done(A, request(4, retag("s", full, vec![("t0".into(), None), user("1")])));
    assert_eq!(w.keys_of(A, "1"), [key("s")], "one made room for the other");
}

#[test]
fn the_sessions_that_carry_a_tag_are_listed_in_parts_by_key() {
    let mut w = world(&[A, B]);
    for (number, name) in (1..).zip(["d", "a", "c", "b"]) {
        w.done(A, request(number, tagged(name, vec![user(if name == "c" { "7" } else { "42" })])));
    }
    let ReplyBody::Sessions { found, more } = w.list(A, "42", None, 2, None) else { panic!("it is a list") };
    let keys: Vec<Key> = found.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!((keys, more), (vec![key("a"), key("b")], true));
    assert_eq!(found[0].1.version, w.found(A, "a").version);
    let ReplyBody::Sessions { found, more } = w.list(A, "42", Some(key("b")), 2, None) else { panic!("a list") };
    assert_eq!((found.len(), &found[0].0, more), (1, &key("d"), false));
    assert_eq!(w.keys_of(A, "43"), []);
}

/// `PROTOCOL.md` 4: a list is a read: committed state of a settled primary that covers the token.
#[test]
fn a_list_shows_what_is_committed_and_nothing_from_the_past() {
    let mut w = world(&[A, B]);
    let caller = w.ask(A, request(1, tagged("s", vec![user("42")])));
    assert_eq!(w.keys_of(A, "42"), [], "prepared is not committed");
    w.quiet();
    assert!(w.is_done(caller));
    let seen = w.seen(caller);
    assert!(matches!(w.list(A, "42", None, 1, seen), ReplyBody::Sessions { more: false, .. }));
    let ahead = seen.map(|seen| Position { seq: seen.seq.next(), ..seen });
    assert_eq!(w.list(A, "42", None, 1, ahead), ReplyBody::Refused(Refusal::Behind));
    assert!(matches!(w.list(B, "42", None, 1, None), ReplyBody::Refused(Refusal::NotPrimary { .. })));
}

/// C29: each end is an op of its own, so that every copy, reader and watcher sees it; the answer comes after
/// them all.
#[test]
fn a_revoke_ends_every_session_that_carries_the_tag() {
    let mut w = world(&[A, B]);
    for (number, name) in (1..).zip(["a", "b", "c"]) {
        w.done(A, request(number, tagged(name, vec![user(if name == "c" { "7" } else { "42" })])));
    }
    let before = w.replica(A).committed();
    let done = w.done(A, revoke(4, "42"));
    assert_eq!((done.ended, done.more), (2, false));
    let changes: Vec<_> = (1..=3).map(|i| w.replica(A).op(Seq(before.0 + i)).expect("logged").change.clone()).collect();
    let end = |name| Change::End { key: key(name), kind: EndKind::Revoke };
    assert_eq!(changes, [end("a"), end("b"), Change::Revoked { ended: 2, more: false }]);
    assert_eq!(w.read(A, "a"), ReplyBody::Absent);
    assert_eq!(w.keys_of(A, "42"), []);
    assert_eq!(w.keys_of(A, "7"), [key("c")], "another user's session is left alone");
    w.run(2_000);
    assert_eq!(w.replica(B).position(), w.replica(A).position());
    assert_eq!(w.replica(B).store().digest(), w.replica(A).store().digest());
}

/// What is judged is the newest prepared state: a create under way is ended, a session about to end is not
/// ended twice, one that is about to lose the tag is spared.
#[test]
fn a_revoke_looks_at_what_is_prepared() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, tagged("ending", vec![user("42")])));
    w.done(A, request(2, tagged("leaving", vec![user("42")])));
    w.ask(A, request(3, tagged("coming", vec![user("42")])));
    w.ask(
        A,
        request(4, Mutation::Delete { key: key("ending"), precondition: Precondition::None, kind: EndKind::Logout }),
    );
    w.ask(A, request(5, tagged("leaving", vec![user("7")])));
    let revoked = w.ask(A, revoke(6, "42"));
    assert_eq!(w.answer(revoked), None, "nothing of it is committed");
    w.quiet();
    assert_eq!(w.ended(revoked), Some((1, false)));
    assert_eq!(w.read(A, "coming"), ReplyBody::Absent);
    assert!(matches!(w.read(A, "leaving"), ReplyBody::Found(_)));
}

/// `PROTOCOL.md` 12; I9: the same request again is answered with what it did, also by the next primary.
#[test]
fn a_revoke_is_done_once() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, tagged("a", vec![user("42")])));
    let first = w.done(A, revoke(2, "42"));
    w.done(A, request_of(1, 3, 1, tagged("b", vec![user("42")])));
    assert_eq!(w.done(A, revoke(2, "42")), first);
    w.run(40);
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    w.run(100);
    assert_eq!((w.done(B, revoke(2, "42")).ended, w.done(B, revoke(2, "42")).version), (1, first.version));
    assert_eq!(w.keys_of(B, "42"), [key("b")], "a session begun after it lives");
}

/// The reign ends in the middle of it: the copy that takes over has the ends and no answer. The repetition ends
/// the rest.
#[test]
fn a_revoke_that_lost_its_answer_is_finished_by_the_repetition() {
    let mut w = world(&[A, B, C]);
    for (number, name) in (1..).zip(["a", "b"]) {
        w.done(A, request(number, tagged(name, vec![user("42")])));
    }
    let cut = w.ask(A, revoke(3, "42"));
    // B gets the first of the three ops only.
    for mut envelope in w.take(|_| true) {
        if let colony_wire::peer::PeerBody::Append(append) = &mut envelope.message.body {
            append.ops.truncate(1);
        }
        if envelope.message.to == w.start(B) {
            w.arrive(envelope);
        }
    }
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    w.run(100);
    assert_eq!(w.answer(cut), None);
    assert_eq!(w.keys_of(B, "42"), [key("b")]);
    assert_eq!(w.done(B, revoke(3, "42")).ended, 1);
    assert_eq!(w.keys_of(B, "42"), []);
}

/// A bound is met before anything is logged, or the request is done up to it and says so.
#[test]
fn a_revoke_of_very_many_sessions_goes_on_in_parts() {
    let settings = Settings { max_revoke: 2, max_uncommitted: 4, ..Settings::default() };
    let mut w = world_with(&[A, B], Policy::default(), settings);
    for (number, name) in (1..).zip(["a", "b", "c"]) {
        w.done(A, request(number, tagged(name, vec![user("42")])));
    }
    let prepared = w.replica(A).prepared();
    w.ask(A, request(4, tagged("x", Vec::new())));
    w.ask(A, request(5, tagged("y", Vec::new())));
    let refused = w.ask(A, revoke(6, "42"));
    assert!(matches!(w.refusal(refused), Some(Refusal::Busy { .. })));
    assert_eq!(w.replica(A).prepared().0, prepared.0 + 2, "nothing of it is logged");
    w.quiet();
    let part = w.done(A, revoke(6, "42"));
    assert_eq!((part.ended, part.more), (2, true));
    let rest = w.done(A, revoke(7, "42"));
    assert_eq!((rest.ended, rest.more), (1, false));
}

/// A cart that two clients change at once, and whose merge is under way.
fn merging() -> (World, Caller) {
    let policy = Policy { merge: MergeBy::Plugin("cart".into()), ..Policy::default() };
    let mut w = world_with(&[A, B], policy, Settings::default());
    let Mutation::Put { key, content, ttl, precondition, .. } = attributes("cart", &[("n", "0")]) else {
        panic!("a put")
    };
    let put = Mutation::Put { key, content, tags: vec![user("42")], ttl, precondition };
    let base = w.done(A, request(1, put));
    w.done(A, request(2, save_with("cart", base, vec![change("n", "1")], None)));
    let values = Some(vec![change("n", "0")]);
    let parked = w.ask(A, request(3, save_with("cart", base, vec![change("n", "2")], values)));
    assert_eq!(w.answer(parked), None, "it waits for the merge");
    (w, parked)
}

/// Bug: a save that waited for a merge was logged and acknowledged although its session had ended meanwhile,
/// and changed nothing. Cause: only the session's size was looked at when the merge came back, and a session
/// that is gone has none. Fix: the save remembers the life it changes, and is gone with it.
#[test]
fn a_save_whose_session_ended_while_it_was_merged_is_gone() {
    let (mut w, parked) = merging();
    w.done(A, revoke(4, "42"));
    let ticket = w.merges.last().expect("it was asked").1;
    let answer = Ok(Resolution::Attributes(vec![change("n", "3")]));
    w.feed(A, Input::Merged { ticket, answer });
    w.quiet();
    assert_eq!(w.refusal(parked), Some(&Refusal::Gone { ended: Some(EndKind::Revoke) }));
    assert_eq!(w.read(A, "cart"), ReplyBody::Absent);
}

/// The same while the end is not committed: nothing is said of it before it is.
#[test]
fn a_save_is_gone_only_once_the_end_of_its_session_is_committed() {
    let (mut w, parked) = merging();
    let revoked = w.ask(A, revoke(4, "42"));
    let ticket = w.merges.last().expect("it was asked").1;
    let answer = Ok(Resolution::Attributes(vec![change("n", "3")]));
    w.feed(A, Input::Merged { ticket, answer });
    assert_eq!((w.answer(parked), w.answer(revoked)), (None, None));
    w.quiet();
    assert_eq!(w.refusal(parked), Some(&Refusal::Gone { ended: Some(EndKind::Revoke) }));
    assert_eq!(w.ended(revoked), Some((1, false)));
}

/// `PROTOCOL.md` 6.2; I12: a copy made from a snapshot knows the tags.
#[test]
fn tags_travel_in_snapshots() {
    let settings = Settings { log_kept: 0, ..Settings::default() };
    let mut w = world_with(&[A], Policy::default(), settings);
    w.done(A, request(1, tagged("a", vec![user("42")])));
    w.done(A, request(2, tagged("b", Vec::new())));
    w.want(&[A, B]);
    w.tell_all();
    w.run(100);
    assert!(w.entry().is_in_sync(w.start(B)));
    w.kill(A);
    w.declare_dead(A);
    w.tell_all();
    w.run(100);
    assert_eq!(w.keys_of(B, "42"), [key("a")]);
}
