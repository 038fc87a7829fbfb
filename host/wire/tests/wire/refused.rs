//! Bytes that are no message of ours get an error with a name, never a panic.

use std::collections::BTreeMap;

use bytes::Bytes;
use colony_wire::admin::{AdminReply, AdminRequest, AttributeNames, BuiltIn, MergeBy, MergeRule, OnPartition, Policy};
use colony_wire::client::{Ack, Read, Reply, ReplyBody, Request, RequestBody, Routes, RoutesRequest, Token};
use colony_wire::control::{Beacon, ControlReply, ControlRequest, Electorate, Introduction, IslandRequest};
use colony_wire::heal::{Overridden, Portrait, Winner};
use colony_wire::island::{Consent, CopyEnd};
use colony_wire::limits::{
    MAX_ADDRESS, MAX_ATTRIBUTE_NAME, MAX_ATTRIBUTES, MAX_BATCH_OPS, MAX_BUCKETS, MAX_COLONIES, MAX_COPIES,
    MAX_DEADLINE, MAX_EARLIER_STARTS, MAX_EPOCHS, MAX_EVENTS, MAX_FEED_COMMANDS, MAX_FRAME, MAX_KEY, MAX_MERGE_RULES,
    MAX_NAME, MAX_NAMESPACES, MAX_OVERRIDDEN, MAX_PLAN_CHANGES, MAX_PLAN_PLUGIN, MAX_PLAN_PROBLEMS, MAX_REALMS,
    MAX_RELAYS, MAX_SESSION, MAX_SNAPSHOT_BYTES, MAX_SNAPSHOT_CHUNKS, MAX_SNAPSHOT_PARTS, MAX_TAG_CHANGES,
    MAX_TAG_VALUE, MAX_TAGGED, MAX_TOKEN_LINES, MAX_TTL, MAX_VOTERS, SNAPSHOT_CHUNK,
};
use colony_wire::load::{CopyCounts, LoadCounts};
use colony_wire::op::{Change, Op, Stamp};
use colony_wire::peer::{Append, Chunk, Offer, PartName, PeerBody, PeerMessage};
use colony_wire::plan::{PlanChange, PlanReport};
use colony_wire::session::{Changes, Content, EndKind, Key, Mutation, Precondition, SessionSummary};
use colony_wire::tag::Tag;
use colony_wire::watch::WatchEvent;
use colony_wire::{
    ColonyId, DecodeError, EncodeError, Frame, HEADER_LEN, Kind, LineageId, Message, NamespaceId, Position, RaftId,
    Reign, Revision, Seq, StartId, View,
};
use proptest::prelude::*;

use crate::{examples, for_every_message};

/// Decodes a frame as whatever its header says; an unknown kind is nobody's.
fn decode_as_named(frame: &Frame) -> Result<(), DecodeError> {
    macro_rules! by_kind {
        ($($name:ident: $message:ty,)*) => {
            match frame.kind {
                $(<$message>::KIND => frame.decode::<$message>().map(drop),)*
                theirs => Err(DecodeError::Kind { theirs, wanted: Kind(0) }),
            }
        };
    }
    for_every_message!(by_kind)
}

fn refused(bytes: impl Into<Bytes>) -> DecodeError {
    Frame::parse(bytes.into()).and_then(|frame| decode_as_named(&frame)).expect_err("no message")
}

fn with_byte(index: usize, value: u8) -> Vec<u8> {
    let (_, frame) = examples::all().remove(0);
    let mut bytes = frame.to_vec();
    bytes[index] = value;
    bytes
}

#[test]
fn a_frame_shorter_than_its_header_is_refused() {
    let (_, frame) = examples::all().remove(0);
    for len in 0..HEADER_LEN {
        assert_eq!(refused(frame.slice(..len)), DecodeError::TooShort { len });
    }
}

#[test]
fn an_oversized_frame_is_refused_before_it_is_read() {
    let (_, frame) = examples::all().remove(0);
    let mut bytes = frame.to_vec();
    bytes.resize(MAX_FRAME + 1, 0);
    let expected = DecodeError::TooLarge { len: MAX_FRAME + 1, limit: MAX_FRAME };
    assert_eq!(refused(bytes), expected);
}

#[test]
fn another_magic_version_or_flag_is_refused_by_its_name() {
    assert_eq!(refused(with_byte(0, 0)), DecodeError::NotColony);
    assert_eq!(refused(with_byte(1, 0)), DecodeError::NotColony);
    assert_eq!(refused(with_byte(2, 9)), DecodeError::Version { theirs: 9, ours: 1 });
    assert_eq!(refused(with_byte(6, 1)), DecodeError::Flags { flags: 1 });
    assert_eq!(refused(with_byte(7, 1)), DecodeError::Flags { flags: 0x0100 });
}

#[test]
fn a_message_is_not_taken_for_another() {
    let (_, frame) = examples::all().remove(0);
    let frame = Frame::parse(frame).expect("an example parses");
    assert_eq!(frame.decode::<Routes>(), Err(DecodeError::Kind { theirs: Request::KIND, wanted: Routes::KIND }));
}

#[test]
fn bytes_after_the_body_are_refused() {
    for (name, frame) in examples::all() {
        let mut bytes = frame.to_vec();
        bytes.push(0);
        assert!(matches!(refused(bytes), DecodeError::Trailing { len: 1, .. }), "{name}");
    }
}

#[test]
fn a_body_cut_at_any_byte_is_refused() {
    for (name, frame) in examples::all() {
        for len in HEADER_LEN..frame.len() {
            let error = refused(frame.slice(..len));
            assert!(matches!(error, DecodeError::Body { .. }), "{name} cut at {len}: {error}");
        }
    }
}

#[test]
fn a_body_over_the_bound_of_its_kind_is_neither_sent_nor_taken() {
    let beacon = Beacon {
        from: StartId(1),
        lineage: LineageId(1),
        view: View(1),
        nonce: 1,
        answers: None,
        quorum_age_ms: None,
        electorate: None,
    };
    let mut bytes = beacon.to_frame(0).expect("a beacon is small").to_vec();
    bytes.resize(HEADER_LEN + Beacon::MAX_BODY + 1, 0);
    let expected = DecodeError::TooLarge { len: Beacon::MAX_BODY + 1, limit: Beacon::MAX_BODY };
    assert_eq!(refused(bytes), expected);

    let command = Bytes::from(vec![0; MAX_FRAME]);
    assert!(matches!(
        ControlRequest::Propose { command }.to_frame(1),
        Err(EncodeError::TooLarge { kind: ControlRequest::KIND, limit, .. })
            if limit == ControlRequest::MAX_BODY
    ));
}

fn key() -> Key {
    Key::new(&b"k"[..]).expect("a short key")
}

/// Asserts that a message is taken exactly up to a limit.
fn limit<M: Message>(what: &str, limit: usize, with: impl Fn(usize) -> M) {
    let decode = |len| {
        let frame = with(len).to_frame(1).expect("it encodes");
        Frame::parse(frame).expect("it parses").decode::<M>()
    };
    assert!(decode(limit).is_ok(), "{what} at its limit");
    let beyond = decode(limit + 1);
    assert!(
        matches!(&beyond, Err(DecodeError::Limit { len, limit: named, .. })
            if *len == limit + 1 && *named == limit),
        "{what} beyond its limit: {:?}",
        beyond.map(drop)
    );
}

fn mutate(mutation: Mutation) -> Request {
    Request {
        colony: ColonyId { namespace: NamespaceId(1), bucket: 1 },
        deadline_ms: 1,
        token: Token::default(),
        attempt: None,
        body: RequestBody::Mutate {
            stamp: Stamp {
                request: colony_wire::RequestId { client: colony_wire::ClientId(1), number: 1 },
                lowest_unanswered: 1,
            },
            mutation,
            ack: Ack::Primary,
        },
    }
}

fn put(content: Content) -> Request {
    mutate(Mutation::Put { key: key(), content, tags: Vec::new(), ttl: None, precondition: Precondition::None })
}

#[test]
fn the_parts_of_a_request_are_taken_up_to_their_limits() {
    let millis = |duration: std::time::Duration| usize::try_from(duration.as_millis()).unwrap();
    let value = |len| Bytes::from(vec![0; len]);
    let get = |deadline| Request {
        colony: ColonyId { namespace: NamespaceId(1), bucket: 1 },
        deadline_ms: u32::try_from(deadline).unwrap(),
        token: Token::default(),
        body: RequestBody::Get { key: key(), read: Read::Confirm },
        attempt: None,
    };
    limit("deadline", millis(MAX_DEADLINE), get);
    limit("token", MAX_TOKEN_LINES, |lines| {
        let elsewhere = vec![Position::default(); lines];
        Request { token: Token { newest: None, elsewhere }, ..get(1) }
    });
    limit("ttl", millis(MAX_TTL), |len| mutate(Mutation::Touch { key: key(), ttl: Some(len as u64) }));
    limit("blob", MAX_SESSION, |len| put(Content::Blob(value(len))));
    limit("attributes' size", MAX_SESSION, |len| {
        put(Content::Attributes(BTreeMap::from([("n".to_owned(), value(len - 1))])))
    });
    limit("attributes", MAX_ATTRIBUTES, |len| {
        put(Content::Attributes((0..len).map(|i| (i.to_string(), Bytes::new())).collect()))
    });
    limit("attribute name", MAX_ATTRIBUTE_NAME, |len| {
        put(Content::Attributes(BTreeMap::from([("n".repeat(len), Bytes::new())])))
    });
    let save = |changes, base_values| {
        let position = Position::default();
        mutate(Mutation::Save {
            key: key(),
            base: colony_wire::session::Base { life: position, version: position },
            changes,
            tags: Vec::new(),
            ttl: None,
            base_values,
        })
    };
    limit("changed blob", MAX_SESSION, |len| save(Changes::Blob(value(len)), None));
    limit("changes", MAX_ATTRIBUTES, |len| {
        save(Changes::Attributes((0..len).map(|i| (i.to_string(), None)).collect()), None)
    });
    limit("base values", MAX_ATTRIBUTES, |len| {
        let values = (0..len).map(|i| (i.to_string(), None)).collect();
        save(Changes::Attributes(vec![]), Some(values))
    });
}

/// `PROTOCOL.md` 11: whether a session has expired is the primary's to decide.
#[test]
fn a_client_may_log_out_and_revoke_and_not_expire() {
    let delete = |kind| {
        let request = mutate(Mutation::Delete { key: key(), precondition: Precondition::None, kind });
        let frame = request.to_frame(1).expect("it encodes");
        Frame::parse(frame).expect("it parses").decode::<Request>().map(drop)
    };
    assert_eq!(delete(EndKind::Logout), Ok(()));
    assert_eq!(delete(EndKind::Revoke), Ok(()));
    assert_eq!(delete(EndKind::Expiry), Err(DecodeError::NotYours { what: "the expiry of a session" }));
}

#[test]
fn tags_are_taken_up_to_their_limits() {
    let put = |tags| {
        let content = Content::Blob(Bytes::new());
        mutate(Mutation::Put { key: key(), content, tags, ttl: None, precondition: Precondition::None })
    };
    limit("tag changes", MAX_TAG_CHANGES, |len| put((0..len).map(|i| (i.to_string(), None)).collect()));
    limit("tag name", MAX_NAME, |len| put(vec![("n".repeat(len), None)]));
    limit("tag value", MAX_TAG_VALUE, |len| put(vec![("n".to_owned(), Some("v".repeat(len)))]));
    let ask = |body| Request { body, ..put(Vec::new()) };
    let tag = |name: usize, value: usize| Tag { name: "n".repeat(name), value: "v".repeat(value) };
    let tagged = |tag, limit| ask(RequestBody::Tagged { tag, after: Some(key()), limit });
    limit("name asked for", MAX_NAME, |len| tagged(tag(len, 1), 1));
    limit("value asked for", MAX_TAG_VALUE, |len| tagged(tag(1, len), 1));
    limit("sessions asked for", MAX_TAGGED, |len| tagged(tag(1, 1), u32::try_from(len).unwrap()));
    let stamp =
        Stamp { request: colony_wire::RequestId { client: colony_wire::ClientId(1), number: 1 }, lowest_unanswered: 1 };
    limit("value to revoke", MAX_TAG_VALUE, |len| ask(RequestBody::Revoke { stamp, tag: tag(1, len) }));
    let nameless = ask(RequestBody::Revoke { stamp, tag: tag(0, 1) }).to_frame(1).expect("it encodes");
    let decoded = Frame::parse(nameless).expect("it parses").decode::<Request>();
    assert!(matches!(decoded, Err(DecodeError::Limit { len: 0, .. })), "{decoded:?}");
}

#[test]
fn an_answer_is_taken_up_to_its_limits() {
    let reply = |body| Reply { served_by: StartId(1), seen: None, body };
    let at = Position::default();
    let summary = SessionSummary { version: at, life: at, expires_in: None, written_at: 0 };
    limit("sessions", MAX_TAGGED, |len| reply(ReplyBody::Sessions { found: vec![(key(), summary); len], more: false }));
    limit("overridden values", MAX_OVERRIDDEN, |len| {
        let value = Portrait {
            life: at,
            content: Content::Blob(Bytes::new()),
            tags: BTreeMap::new(),
            ttl: None,
            expires_in: None,
            written_at: 0,
        };
        let one = Overridden { at, healed_at: 0, key: key(), value: Box::new(value), winner: Winner::Joined };
        reply(ReplyBody::Overridden { found: vec![one; len], more: false, dropped: 0 })
    });
    limit("events", MAX_EVENTS, |len| reply(ReplyBody::Events { events: vec![WatchEvent::Gap; len], cursor: at }));
}

/// `Key::new` refuses such keys, so the bytes are made by hand: no value of the type can hold them.
#[test]
fn a_key_from_the_network_is_neither_empty_nor_too_long() {
    let request = mutate(Mutation::Touch { key: key(), ttl: None });
    let frame = request.to_frame(1).expect("it encodes");
    // The key, one byte for its length and one for itself, stands before the time to live, the level and the attempt.
    let (before, after) = (&frame[..frame.len() - 5], &frame[frame.len() - 3..]);
    let with_key = |len: usize| {
        let mut bytes = before.to_vec();
        bytes.extend(postcard::to_stdvec(&vec![b'k'; len]).expect("it encodes"));
        bytes.extend(after);
        Frame::parse(bytes.into()).expect("it parses").decode::<Request>()
    };
    assert_eq!(with_key(1), Ok(request));
    assert!(with_key(MAX_KEY).is_ok());
    for len in [0, MAX_KEY + 1] {
        assert!(matches!(with_key(len), Err(DecodeError::Limit { len: got, .. }) if got == len));
        assert!(Key::new(vec![b'k'; len]).is_err());
    }
}

#[test]
fn the_parts_of_a_peers_message_are_taken_up_to_their_limits() {
    let say = |body| PeerMessage {
        colony: ColonyId { namespace: NamespaceId(1), bucket: 1 },
        lineage: LineageId(1),
        from: StartId(1),
        to: StartId(2),
        body,
    };
    let barrier = Op { position: Position::default(), stamp: None, written_at: 0, change: Change::Barrier };
    limit("ops", MAX_BATCH_OPS, |len| {
        say(PeerBody::Append(Append {
            reign: Reign(1),
            cfg: colony_wire::Cfg(1),
            first: Seq(1),
            prev_reign: Reign(1),
            commit: Seq(0),
            ops: vec![barrier.clone(); len],
        }))
    });
    limit("epochs", MAX_EPOCHS, |len| {
        say(PeerBody::Mismatch {
            reign: Reign(1),
            begun: colony_wire::Cfg(1),
            prepared: Seq(1),
            epochs: vec![Default::default(); len],
        })
    });
    let offer = |bytes: Vec<u32>| {
        let name = |bytes| PartName { hash: u128::MAX, bytes };
        say(PeerBody::Offer(Offer {
            reign: Reign(1),
            cfg: colony_wire::Cfg(1),
            transfer: 1,
            at: Seq(1),
            parts: bytes.into_iter().map(name).collect(),
        }))
    };
    limit("parts", MAX_SNAPSHOT_PARTS, |len| offer(vec![0; len]));
    // Also where the frame is as large as it gets.
    assert!(offer(vec![65_535; MAX_SNAPSHOT_PARTS]).to_frame(1).is_ok());
    limit("bytes", usize::try_from(MAX_SNAPSHOT_BYTES).unwrap(), |len| {
        offer(vec![1 << 30, u32::try_from(len - (1 << 30)).unwrap()])
    });
    limit("bits", MAX_SNAPSHOT_PARTS.div_ceil(8), |len| {
        say(PeerBody::Wanted { reign: Reign(1), transfer: 1, parts: vec![1; len].into() })
    });
    let chunk = |index: usize, len: usize| {
        say(PeerBody::Chunk(Chunk {
            reign: Reign(1),
            cfg: colony_wire::Cfg(1),
            transfer: 1,
            index: u32::try_from(index).unwrap(),
            crc: 0,
            bytes: vec![0; len].into(),
        }))
    };
    limit("chunk", SNAPSHOT_CHUNK, |len| chunk(0, len));
    limit("chunks", MAX_SNAPSHOT_CHUNKS - 1, |index| chunk(index, 1));
}

#[test]
fn the_parts_of_the_groups_messages_are_taken_up_to_their_limits() {
    limit("commands", MAX_FEED_COMMANDS, |len| ControlReply::FeedCommands { commands: vec![Bytes::new(); len] });
    limit("relays", MAX_RELAYS, |len| ControlRequest::Forward {
        command: Bytes::new(),
        relays: u8::try_from(len).expect("a few"),
    });
    limit("relays in an island", MAX_RELAYS, |len| IslandRequest {
        lineage: LineageId(1),
        request: ControlRequest::Forward { command: Bytes::new(), relays: u8::try_from(len).expect("a few") },
    });
    limit("lineages", MAX_REALMS, |len| ControlReply::NotHere { lineages: vec![LineageId(1); len] });
    limit("fates", MAX_COLONIES, |len| ControlReply::Fates { fates: vec![colony_wire::control::Fate::Wait; len] });
    limit("colonies", MAX_COLONIES, |len| ControlRequest::Fates {
        earlier: Vec::new(),
        now: StartId(2),
        colonies: vec![ColonyId { namespace: NamespaceId(1), bucket: 1 }; len],
    });
    limit("earlier starts", MAX_EARLIER_STARTS, |len| ControlRequest::Fates {
        earlier: vec![StartId(1); len],
        now: StartId(2),
        colonies: Vec::new(),
    });
    let copy = CopyCounts {
        colony: ColonyId { namespace: NamespaceId(1), bucket: 1 },
        sessions: u64::MAX,
        bytes: u64::MAX,
        committed: Seq(u64::MAX),
    };
    let counts =
        |len: usize| ControlReply::Load { counts: LoadCounts { copies: vec![copy; len], ..Default::default() } };
    limit("copies of a host", MAX_COLONIES, counts);
    // Also where every number is as large as it gets, and a state of half a frame is beside them.
    let end = CopyEnd {
        colony: ColonyId { namespace: NamespaceId(u32::MAX), bucket: u32::MAX },
        reign: Reign(u64::MAX),
        end: Seq(u64::MAX),
        committed: Seq(u64::MAX),
        led: true,
    };
    limit("copies that a host brings", MAX_COLONIES, |len| {
        let state = Bytes::from(vec![0; MAX_FRAME / 2]);
        let (start, member) = (StartId(u64::MAX), Bytes::new());
        ControlReply::Consented(Consent { nonce: u64::MAX, start, member, state, copies: vec![end; len] })
    });
    limit("voters", MAX_VOTERS, |len| Beacon {
        from: StartId(u64::MAX),
        lineage: LineageId(u128::MAX),
        view: View(u64::MAX),
        nonce: u64::MAX,
        answers: Some(u64::MAX),
        quorum_age_ms: Some(u32::MAX),
        electorate: Some(Electorate { at: u64::MAX, voters: vec![RaftId(u64::MAX); len] }),
    });
    limit("founder's address", MAX_ADDRESS, |len| ControlRequest::OpenIsland {
        nonce: 1,
        lineage: LineageId(1),
        founder_address: "1".repeat(len),
        state: Bytes::new(),
    });
    let report = |changes: usize, copies: usize, problems: usize| {
        let names = vec!["h".repeat(MAX_NAME); copies];
        let change = PlanChange {
            namespace: "n".repeat(MAX_NAME),
            bucket: u32::MAX,
            before: names.clone(),
            after: names,
            bytes: Some(u64::MAX),
        };
        AdminReply::Plan(PlanReport {
            planned_by: "h".repeat(MAX_NAME),
            committed: true,
            revision: Revision(1),
            view: View(1),
            reason: "r".repeat(200),
            inputs: u64::MAX,
            measured: 1,
            changes: vec![change; changes],
            more: 0,
            levels: Vec::new(),
            problems: vec!["p".repeat(200); problems],
            canary: None,
        })
    };
    // Also where the frame is as large as it gets.
    let copies = usize::from(MAX_COPIES);
    limit("changes of a plan", MAX_PLAN_CHANGES, |len| report(len, copies, MAX_PLAN_PROBLEMS));
    limit("copies in a plan", copies, |len| report(1, len, 0));
    limit("problems of a plan", MAX_PLAN_PROBLEMS, |len| report(0, 0, len));
    limit("plugin of a plan", MAX_PLAN_PLUGIN, |len| AdminRequest::Plan {
        dry_run: true,
        plugin: Some(vec![0; len].into()),
    });
    limit("name in an introduction", MAX_NAME, |len| {
        ControlReply::Introduction(Introduction {
            start: StartId(1),
            name: "h".repeat(len),
            cluster: None,
            lineage: None,
            leader: None,
            in_use: false,
        })
    });
    limit("namespaces", MAX_NAMESPACES, |len| {
        AdminReply::Namespaces(vec![
            colony_wire::admin::NamespaceStatus {
                id: NamespaceId(1),
                name: "n".to_owned(),
                policy: Policy::default(),
            };
            len
        ])
    });
    limit("host name", MAX_NAME, |len| AdminRequest::Colonies { of: Some("h".repeat(len)) });
}

#[test]
fn a_policy_outside_its_bounds_is_refused() {
    let create = |change: &dyn Fn(&mut Policy)| {
        let mut policy = Policy::default();
        change(&mut policy);
        let request = AdminRequest::CreateNamespace { name: "n".to_owned(), policy };
        let frame = request.to_frame(1).expect("it encodes");
        Frame::parse(frame).expect("it parses").decode::<AdminRequest>().map(drop)
    };
    assert_eq!(create(&|_| ()), Ok(()));
    let strict = |policy: &mut Policy| (policy.min_in_sync, policy.on_partition) = (2, OnPartition::Strict);
    assert_eq!(create(&strict), Ok(()));
    let rule = |name: String| MergeRule { of: AttributeNames::One(name), rule: BuiltIn::Max };
    let outside: [&dyn Fn(&mut Policy); 10] = [
        &|policy| policy.copies = 0,
        &|policy| policy.copies = MAX_COPIES + 1,
        // It would have a least that its islands do not keep.
        &|policy| policy.min_in_sync = 2,
        &|policy| policy.buckets = 0,
        &|policy| policy.buckets = 63,
        &|policy| policy.buckets = MAX_BUCKETS * 2,
        &|policy| policy.merge = MergeBy::Plugin("p".repeat(MAX_NAME + 1)),
        &|policy| policy.merge = MergeBy::Rules(vec![rule("a".repeat(MAX_ATTRIBUTE_NAME + 1))]),
        &|policy| policy.merge = MergeBy::Rules((0..=MAX_MERGE_RULES).map(|it| rule(it.to_string())).collect()),
        &|policy| policy.merge = MergeBy::Rules(vec![rule("a".to_owned()), rule("a".to_owned())]),
    ];
    for change in outside {
        assert!(matches!(create(change), Err(DecodeError::Limit { .. })));
    }
}

#[test]
fn a_length_that_no_body_can_hold_costs_no_memory() {
    // The largest varint stands where the number of hosts is expected.
    let frame = RoutesRequest { have: Revision(0) }.to_frame(1).expect("it encodes");
    let mut bytes = frame[..HEADER_LEN].to_vec();
    bytes[4..6].copy_from_slice(&Routes::KIND.0.to_le_bytes());
    bytes.extend([0, 0, 0]);
    bytes.extend([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]);
    assert!(matches!(refused(bytes), DecodeError::Body { kind: Routes::KIND, .. }));
}

proptest! {
    /// Whatever comes, in whatever role: an answer, never a panic.
    #[test]
    fn random_bodies_never_panic(body in proptest::collection::vec(any::<u8>(), 0..512)) {
        let head = RoutesRequest { have: Revision(0) }.to_frame(1).expect("it encodes");
        macro_rules! each {
            ($($name:ident: $message:ty,)*) => {$(
                let mut bytes = head[..HEADER_LEN].to_vec();
                bytes[4..6].copy_from_slice(&<$message>::KIND.0.to_le_bytes());
                bytes.extend(&body);
                let frame = Frame::parse(bytes.into()).expect("the header is sound");
                let _ = frame.decode::<$message>();
            )*};
        }
        for_every_message!(each);
    }

    #[test]
    fn random_frames_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Frame::parse(bytes.into()).and_then(|frame| decode_as_named(&frame));
    }

    /// Closer to the mark than noise: a true frame with one byte changed.
    #[test]
    fn a_damaged_frame_never_panics(pick in any::<prop::sample::Index>(),
                                    place in any::<prop::sample::Index>(), value in any::<u8>()) {
        let examples = examples::all();
        let (_, frame) = pick.get(&examples);
        let mut bytes = frame.to_vec();
        let at = place.index(bytes.len());
        bytes[at] = value;
        let _ = Frame::parse(bytes.into()).and_then(|frame| decode_as_named(&frame));
    }
}
