//! One example of every variant of every message. The values are small, distinct where order matters, and
//! never change: their bytes are pinned in `golden.txt`.

use std::collections::BTreeMap;

use bytes::Bytes;
use colony_wire::admin::{
    AdminReply, AdminRequest, AttributeNames, BuiltIn, ClusterStatus, ColonyStatus, Departure, DepartureStage,
    HostStatus, MergeBy, MergeRule, NamespaceStatus, OnConflict, OnPartition, OnPluginFailure, Policy, Problem,
    Severity, StaleCopies, StaleCopy,
};
use colony_wire::client::{
    Ack, Attempt, Done, Read, Refusal, Reply, ReplyBody, Request, RequestBody, RouteHost, RouteNamespace, Routes,
    RoutesRequest, Token,
};
use colony_wire::control::{
    Beacon, ControlReply, ControlRequest, Electorate, Fate, HeldCopy, Introduction, IslandRequest,
};
use colony_wire::cut::{ColonyOutlook, CutReport, SideOutlook};
use colony_wire::heal::{Answers, HealBody, HealMessage, Item, Overridden, Path, Portrait, Value, Version, Winner};
use colony_wire::island::{Consent, CopyEnd};
use colony_wire::load::{CopyCounts, LoadCounts};
use colony_wire::op::{Absorption, Change, Op, Stamp};
use colony_wire::peer::{Append, Chunk, Offer, PartName, PeerBody, PeerMessage};
use colony_wire::plan::{PlanChange, PlanLevel, PlanReport};
use colony_wire::plugin::{
    ActivePlugin, CanaryStatus, ContentId, PluginKind, PluginPart, PluginReport, PluginStatus, PluginVersionStatus,
    Readiness,
};
use colony_wire::session::{Base, Changes, Content, EndKind, Key, Mutation, Precondition, SessionSummary, SessionView};
use colony_wire::tag::{Tag, TagChange, Tags};
use colony_wire::watch::{WatchEvent, WatchedChange};
use colony_wire::{
    Cfg, ClientId, ClusterId, ColonyId, LineageId, Message, NamespaceId, Position, RaftId, Reign, RequestId, Revision,
    Seq, StartId, View,
};

/// A name for people, and the frame.
pub(crate) type Example = (&'static str, Bytes);

const COLONY: ColonyId = ColonyId { namespace: NamespaceId(3), bucket: 17 };
const LINEAGE: LineageId = LineageId(0xABCD << 112 | 1);
const CONTENT: ContentId = ContentId([1; 32]);
const STAMP: Stamp = Stamp { request: RequestId { client: ClientId(0x0102), number: 7 }, lowest_unanswered: 5 };

fn at(reign: u64, seq: u64) -> Position {
    Position { lineage: LINEAGE, reign: Reign(reign), seq: Seq(seq) }
}

fn key() -> Key {
    Key::new(&b"alice"[..]).expect("a short key")
}

fn attributes() -> Content {
    Content::Attributes(BTreeMap::from([
        ("cart".to_owned(), Bytes::from_static(b"\x01\x02")),
        ("user".to_owned(), Bytes::from_static(b"*")),
    ]))
}

fn changes() -> Changes {
    Changes::Attributes(vec![("cart".to_owned(), Some(Bytes::from_static(b"\x03"))), ("old".to_owned(), None)])
}

fn tag() -> Tag {
    Tag { name: "user".to_owned(), value: "42".to_owned() }
}

fn tags() -> Tags {
    Tags::from([("user".to_owned(), "42".to_owned())])
}

fn tag_changes() -> Vec<TagChange> {
    vec![("device".to_owned(), None), ("user".to_owned(), Some("42".to_owned()))]
}

fn frame(message: &impl Message) -> Bytes {
    message.to_frame(0x1122_3344).expect("an example is within the limits")
}

/// All of them.
pub(crate) fn all() -> Vec<Example> {
    [requests(), replies(), routes(), peers(), heals(), control(), admin()].concat()
}

fn requests() -> Vec<Example> {
    let attempt = Some(Attempt { lineage: LINEAGE, is_first: true });
    let request = |body| {
        frame(&Request {
            colony: COLONY,
            deadline_ms: 5000,
            token: Token { newest: Some(at(2, 9)), elsewhere: Vec::new() },
            body,
            attempt,
        })
    };
    let mutate = |mutation| request(RequestBody::Mutate { stamp: STAMP, mutation, ack: Ack::InSync });
    let delete = |kind| mutate(Mutation::Delete { key: key(), precondition: Precondition::Version(at(2, 9)), kind });
    vec![
        ("request-get", request(RequestBody::Get { key: key(), read: Read::Token })),
        ("request-get-confirm", request(RequestBody::Get { key: key(), read: Read::Confirm })),
        ("request-get-any", request(RequestBody::Get { key: key(), read: Read::Any })),
        (
            "request-put",
            mutate(Mutation::Put {
                key: key(),
                content: attributes(),
                tags: tag_changes(),
                ttl: Some(1_800_000),
                precondition: Precondition::Absent,
            }),
        ),
        (
            "request-save",
            mutate(Mutation::Save {
                key: key(),
                base: Base { life: at(1, 4), version: at(2, 8) },
                changes: changes(),
                tags: tag_changes(),
                ttl: Some(None),
                base_values: Some(vec![("cart".to_owned(), None)]),
            }),
        ),
        ("request-touch", mutate(Mutation::Touch { key: key(), ttl: None })),
        ("request-delete", delete(EndKind::Logout)),
        ("request-delete-revoke", delete(EndKind::Revoke)),
        ("request-tagged", request(RequestBody::Tagged { tag: tag(), after: Some(key()), limit: 100 })),
        ("request-revoke", request(RequestBody::Revoke { stamp: STAMP, tag: tag() })),
        ("request-watch", request(RequestBody::Watch { key: key(), after: Some(at(2, 8)) })),
        ("request-watch-anew", request(RequestBody::Watch { key: key(), after: None })),
        ("request-overridden", request(RequestBody::Overridden { after: Some(at(2, 8)), limit: 100 })),
    ]
}

fn replies() -> Vec<Example> {
    let reply = |body| frame(&Reply { served_by: StartId(0x51), seen: Some(at(2, 10)), body });
    let refused = |refusal| reply(ReplyBody::Refused(refusal));
    vec![
        (
            "reply-found",
            reply(ReplyBody::Found(SessionView {
                content: attributes(),
                tags: tags(),
                version: at(2, 9),
                life: at(1, 4),
                expires_in: Some(60_000),
                written_at: 1_700_000_000_000,
            })),
        ),
        (
            "reply-found-blob",
            reply(ReplyBody::Found(SessionView {
                content: Content::Blob(Bytes::from_static(b"blob")),
                tags: Tags::new(),
                version: at(2, 9),
                life: at(1, 4),
                expires_in: None,
                written_at: 1_700_000_000_000,
            })),
        ),
        ("reply-absent", reply(ReplyBody::Absent)),
        (
            "reply-done",
            reply(ReplyBody::Done(Done {
                version: at(2, 10),
                life: at(1, 4),
                copies: 2,
                merged: true,
                ack: Ack::InSync,
                ended: 0,
                more: false,
            })),
        ),
        (
            "reply-done-revoked",
            reply(ReplyBody::Done(Done {
                version: at(2, 10),
                life: at(2, 10),
                copies: 2,
                merged: false,
                ack: Ack::InSync,
                ended: 1024,
                more: true,
            })),
        ),
        (
            "reply-sessions",
            reply(ReplyBody::Sessions {
                found: vec![(
                    key(),
                    SessionSummary {
                        version: at(2, 9),
                        life: at(1, 4),
                        expires_in: Some(60_000),
                        written_at: 1_700_000_000_000,
                    },
                )],
                more: true,
            }),
        ),
        ("reply-overridden", reply(ReplyBody::Overridden { found: vec![overridden()], more: true, dropped: 2 })),
        ("reply-events", reply(ReplyBody::Events { events: events(), cursor: at(2, 10) })),
        ("reply-need-base", reply(ReplyBody::NeedBase { attributes: vec!["cart".to_owned()] })),
        ("refused-not-primary", refused(Refusal::NotPrimary { reign: Reign(3) })),
        ("refused-deposed", refused(Refusal::Deposed)),
        ("refused-not-ready", refused(Refusal::NotReady)),
        ("refused-offline", refused(Refusal::Offline)),
        ("refused-too-few-copies", refused(Refusal::TooFewCopies { have: 1, min: 2 })),
        ("refused-lineage-lost", refused(Refusal::LineageLost)),
        ("refused-not-durable", refused(Refusal::NotDurable)),
        ("refused-behind", refused(Refusal::Behind)),
        ("refused-exists", refused(Refusal::Exists { version: at(1, 4) })),
        ("refused-changed", refused(Refusal::Changed { version: at(2, 9) })),
        ("refused-gone", refused(Refusal::Gone { ended: None })),
        ("refused-logged-out", refused(Refusal::Gone { ended: Some(EndKind::Logout) })),
        ("refused-revoked", refused(Refusal::Gone { ended: Some(EndKind::Revoke) })),
        ("refused-expired", refused(Refusal::Gone { ended: Some(EndKind::Expiry) })),
        ("refused-not-found", refused(Refusal::NotFound)),
        ("refused-late", refused(Refusal::Late)),
        ("refused-busy", refused(Refusal::Busy { what: "queue".to_owned() })),
        ("refused-too-large", refused(Refusal::TooLarge { what: "size".to_owned(), len: 300_000, limit: 262_144 })),
        ("refused-wrong-content", refused(Refusal::WrongContent)),
        ("refused-unknown", refused(Refusal::Unknown)),
        ("refused-no-colony", refused(Refusal::NoColony)),
        ("refused-forbidden", refused(Refusal::Forbidden { right: "write".to_owned() })),
        ("refused-malformed", refused(Refusal::Malformed { what: "key".to_owned() })),
        ("refused-not-merged", refused(Refusal::NotMerged { why: "it trapped".to_owned() })),
    ]
}

fn routes() -> Vec<Example> {
    vec![
        ("routes-request", frame(&RoutesRequest { have: Revision(12) })),
        (
            "routes",
            frame(&Routes {
                cluster: ClusterId(0xC1),
                lineage: LINEAGE,
                revision: Revision(13),
                hosts: vec![RouteHost {
                    start: StartId(0x51),
                    name: "h1".to_owned(),
                    address: "127.0.0.1:7400".to_owned(),
                    shards: 4,
                    lineage: LINEAGE,
                }],
                namespaces: vec![RouteNamespace {
                    id: NamespaceId(3),
                    name: "cart".to_owned(),
                    ttl: Some(1_800_000),
                    primaries: vec![Some(0), None],
                }],
            }),
        ),
    ]
}

fn events() -> Vec<WatchEvent> {
    let changed = |seq, change| WatchEvent::Changed {
        version: at(2, seq),
        written_at: 1_700_000_000_000,
        change,
        tags: tag_changes(),
    };
    vec![
        WatchEvent::Gap,
        WatchEvent::Current(None),
        WatchEvent::Current(Some(SessionView {
            content: attributes(),
            tags: tags(),
            version: at(2, 6),
            life: at(1, 4),
            expires_in: None,
            written_at: 1_700_000_000_000,
        })),
        changed(7, WatchedChange::Content(attributes())),
        changed(8, WatchedChange::Changes(changes())),
        WatchEvent::Ended { kind: EndKind::Revoke, at: at(2, 9) },
    ]
}

fn overridden() -> Overridden {
    let (at, key, value) = (at(2, 10), key(), Box::new(portrait()));
    Overridden { at, healed_at: 7, key, value, winner: Winner::End(EndKind::Logout) }
}

fn portrait() -> Portrait {
    Portrait {
        life: at(1, 4),
        content: attributes(),
        tags: tags(),
        ttl: Some(1000),
        expires_in: Some(900),
        written_at: 1_700_000_000_000,
    }
}

fn absorb(into: Absorption) -> Change {
    Change::Absorb { key: key(), mark: at(3, 4), into, overridden: Some(Box::new(portrait())) }
}

fn path() -> Path {
    let stretch = (LINEAGE, Reign(2), Seq(9));
    Path { own: vec![stretch], absorbed: vec![((LINEAGE, Reign(2)), (LineageId(7), Reign(3), Seq(4)))] }
}

fn answers() -> Vec<Answers> {
    let done =
        Done { version: at(2, 10), life: at(1, 4), copies: 2, merged: false, ack: Ack::InSync, ended: 0, more: false };
    vec![Answers { client: STAMP.request.client, below: 4, kept: vec![(5, done)] }]
}

fn heals() -> Vec<Example> {
    let say = |body| {
        frame(&HealMessage {
            colony: COLONY,
            from: StartId(0x51),
            to: StartId(0x52),
            from_lineage: LineageId(7),
            to_lineage: LINEAGE,
            body,
        })
    };
    let versions = vec![
        Version { at: at(2, 5), value: Value::Lost },
        Version { at: at(2, 6), value: Value::Ended { life: Some(at(1, 4)), kind: Some(EndKind::Expiry) } },
        Version { at: at(2, 7), value: Value::Alive(Box::new(portrait())) },
    ];
    let items = vec![Item { key: key(), versions }];
    vec![
        ("heal-ask", say(HealBody::Ask { round: 5, path: path() })),
        ("heal-ready", say(HealBody::Ready { round: 5, path: path() })),
        ("heal-part", say(HealBody::Part { round: 5, index: 0, at: at(3, 4), items, answers: answers() })),
        ("heal-taken", say(HealBody::Taken { round: 5, index: 0 })),
        ("heal-end", say(HealBody::End { round: 5, index: 1, at: at(3, 4), path: path() })),
    ]
}

fn peers() -> Vec<Example> {
    let say =
        |body| frame(&PeerMessage { colony: COLONY, lineage: LINEAGE, from: StartId(0x51), to: StartId(0x52), body });
    let op = |seq, stamp, change| Op { position: at(2, seq), stamp, written_at: 1_700_000_000_000, change };
    let ops = vec![
        op(8, None, Change::Barrier),
        op(9, Some(STAMP), Change::Put { key: key(), content: attributes(), tags: tag_changes(), ttl: Some(1000) }),
        op(
            10,
            Some(STAMP),
            Change::Update { key: key(), changes: changes(), tags: tag_changes(), ttl: Some(None), merged: true },
        ),
        op(11, None, Change::Touch { key: key(), ttl: None }),
        op(12, Some(STAMP), Change::End { key: key(), kind: EndKind::Logout }),
        op(13, None, Change::End { key: key(), kind: EndKind::Expiry }),
        op(
            14,
            None,
            Change::Update {
                key: key(),
                changes: Changes::Blob(Bytes::from_static(b"b")),
                tags: Vec::new(),
                ttl: None,
                merged: false,
            },
        ),
        op(15, None, Change::Forget { upto: Seq(13) }),
        op(16, None, Change::End { key: key(), kind: EndKind::Revoke }),
        op(17, Some(STAMP), Change::Revoked { ended: 1, more: false }),
        op(18, None, Change::Open { pins: true, unites: vec![at(2, 17)] }),
        op(19, None, Change::Freeze),
        op(20, None, Change::Unfreeze),
        op(21, None, absorb(Absorption::Keep)),
        op(22, None, absorb(Absorption::Become(Box::new(portrait())))),
        op(23, None, absorb(Absorption::End(EndKind::Logout))),
        op(24, None, Change::Absorbed { end: at(3, 4), covers: path().own }),
        op(25, None, Change::Recall { answers: answers() }),
        op(26, None, absorb(Absorption::Over { life: at(1, 2), kind: EndKind::Logout })),
    ];
    vec![
        (
            "peer-append",
            say(PeerBody::Append(Append {
                reign: Reign(2),
                cfg: Cfg(6),
                first: Seq(8),
                prev_reign: Reign(1),
                commit: Seq(7),
                ops,
            })),
        ),
        (
            "peer-appended",
            say(PeerBody::Appended {
                reign: Reign(2),
                cfg: Cfg(6),
                begun: Cfg(4),
                prepared: Seq(14),
                committed: Seq(7),
            }),
        ),
        (
            "peer-mismatch",
            say(PeerBody::Mismatch {
                reign: Reign(2),
                begun: Cfg(4),
                prepared: Seq(5),
                epochs: vec![(Reign(1), Seq(5))],
            }),
        ),
        ("peer-confirm", say(PeerBody::Confirm { reign: Reign(3), nonce: 99 })),
        ("peer-confirmed", say(PeerBody::Confirmed { reign: Reign(3), nonce: 99 })),
        ("peer-deposed", say(PeerBody::Deposed { reign: Reign(3) })),
        (
            "peer-offer",
            say(PeerBody::Offer(Offer {
                reign: Reign(2),
                cfg: Cfg(6),
                transfer: 0xF00D,
                at: Seq(40),
                parts: vec![PartName { hash: 0xAB << 120, bytes: 65_536 }, PartName { hash: 7, bytes: 12 }],
            })),
        ),
        (
            "peer-wanted",
            say(PeerBody::Wanted { reign: Reign(2), transfer: 0xF00D, parts: Bytes::from_static(&[0b10]) }),
        ),
        (
            "peer-chunk",
            say(PeerBody::Chunk(Chunk {
                reign: Reign(2),
                cfg: Cfg(6),
                transfer: 0xF00D,
                index: 1,
                crc: 0xDEAD_BEEF,
                bytes: Bytes::from_static(b"part"),
            })),
        ),
        ("peer-chunk-taken", say(PeerBody::ChunkTaken { reign: Reign(2), transfer: 0xF00D, index: 1 })),
        ("peer-chunk-refused", say(PeerBody::ChunkRefused { reign: Reign(2), transfer: 0xF00D })),
    ]
}

fn control() -> Vec<Example> {
    let bytes = || Bytes::from_static(b"opaque");
    vec![
        (
            "beacon",
            frame(&Beacon {
                from: StartId(0x51),
                lineage: LINEAGE,
                view: View(4),
                nonce: 99,
                answers: Some(98),
                quorum_age_ms: Some(150),
                electorate: Some(Electorate { at: 7, voters: vec![RaftId(0x61), RaftId(0x62)] }),
            }),
        ),
        ("ask-introduce", frame(&ControlRequest::Introduce { start: StartId(0x51) })),
        ("ask-join", frame(&ControlRequest::Join { cluster: Some(ClusterId(0xC1)), member: bytes() })),
        ("ask-propose", frame(&ControlRequest::Propose { command: bytes() })),
        ("ask-raft", frame(&ControlRequest::Raft { lineage: LINEAGE, to: RaftId(0x61), message: bytes() })),
        ("ask-feed", frame(&ControlRequest::Feed { lineage: LINEAGE, have: Revision(12) })),
        ("ask-read-index", frame(&ControlRequest::ReadIndex)),
        ("ask-copies", frame(&ControlRequest::Copies { colony: COLONY })),
        ("ask-accuse", frame(&ControlRequest::Accuse { observer: StartId(0x51), accused: StartId(0x52) })),
        (
            "ask-fates",
            frame(&ControlRequest::Fates { earlier: vec![StartId(0x52)], now: StartId(0x53), colonies: vec![COLONY] }),
        ),
        ("ask-reach", frame(&ControlRequest::Reach { target: StartId(0x52) })),
        ("ask-forward", frame(&ControlRequest::Forward { command: bytes(), relays: 1 })),
        ("ask-leave", frame(&ControlRequest::Leave { start: StartId(0x51), anyway: true })),
        ("ask-load", frame(&ControlRequest::Load)),
        ("ask-plugins", frame(&ControlRequest::Plugins)),
        ("ask-plugin-part", frame(&ControlRequest::PluginPart { content: CONTENT, offset: 3 })),
        (
            "ask-hold-plugin",
            frame(&ControlRequest::HoldPlugin { content: CONTENT, size: 50_000, from: "127.0.0.1:7400".to_owned() }),
        ),
        ("ask-consent", frame(&ControlRequest::Consent { nonce: 97, founder: StartId(0x51) })),
        (
            "ask-open-island",
            frame(&ControlRequest::OpenIsland {
                nonce: 97,
                lineage: LINEAGE,
                founder_address: "127.0.0.1:7400".to_owned(),
                state: bytes(),
            }),
        ),
        ("ask-cancel-island", frame(&ControlRequest::CancelIsland { nonce: 97 })),
        ("ask-troubles", frame(&ControlRequest::Troubles)),
        ("ask-is-over", frame(&ControlRequest::IsOver)),
        (
            "tell-introduction",
            frame(&ControlReply::Introduction(Introduction {
                start: StartId(0x51),
                name: "h1".to_owned(),
                cluster: Some(ClusterId(0xC1)),
                lineage: Some(LINEAGE),
                leader: Some("127.0.0.1:7400".to_owned()),
                in_use: true,
            })),
        ),
        ("tell-joined", frame(&ControlReply::Joined { revision: Revision(13) })),
        ("tell-proposed", frame(&ControlReply::Proposed { outcome: bytes() })),
        ("tell-raft", frame(&ControlReply::Raft { message: bytes() })),
        ("tell-feed-snapshot", frame(&ControlReply::FeedSnapshot { revision: Revision(13), state: bytes() })),
        ("tell-read-index", frame(&ControlReply::ReadIndex { revision: Revision(77) })),
        (
            "tell-copies",
            frame(&ControlReply::Copies {
                copies: vec![HeldCopy { held_as: StartId(0x51), position: Some(at(2, 9)), sessions: 40 }],
            }),
        ),
        ("tell-feed-commands", frame(&ControlReply::FeedCommands { commands: vec![bytes(), Bytes::new()] })),
        ("tell-noted", frame(&ControlReply::Noted)),
        ("tell-fates", frame(&ControlReply::Fates { fates: vec![Fate::Discard, Fate::Restore, Fate::Wait] })),
        ("tell-not-leader", frame(&ControlReply::NotLeader { leader: Some("127.0.0.1:7400".to_owned()) })),
        ("tell-refused", frame(&ControlReply::Refused { why: "full".to_owned(), retryable: true })),
        ("tell-reached", frame(&ControlReply::Reached { answered: true })),
        ("tell-over", frame(&ControlReply::Over)),
        ("tell-load", frame(&ControlReply::Load { counts: load_counts() })),
        (
            "tell-plugins",
            frame(&ControlReply::Plugins(PluginReport {
                configured: vec!["cart".to_owned()],
                placement: Some("spread".to_owned()),
                active: vec![ActivePlugin {
                    name: "stock".to_owned(),
                    kind: PluginKind::Merge,
                    content: CONTENT,
                    size: 50_000,
                }],
                versions: vec![
                    (CONTENT, Readiness::Ready),
                    (ContentId([2; 32]), Readiness::Missing),
                    (ContentId([3; 32]), Readiness::Compiling),
                    (ContentId([4; 32]), Readiness::Failed { why: "not WebAssembly".to_owned() }),
                ],
            })),
        ),
        ("tell-plugin-part", frame(&ControlReply::PluginPart { size: 50_000, bytes: Bytes::from_static(b"asm") })),
        ("tell-no-plugin", frame(&ControlReply::NoPlugin)),
        (
            "tell-consented",
            frame(&ControlReply::Consented(Consent {
                nonce: 97,
                start: StartId(0x54),
                member: bytes(),
                state: Bytes::from_static(b"state"),
                copies: vec![CopyEnd {
                    colony: COLONY,
                    reign: Reign(5),
                    end: Seq(301),
                    committed: Seq(300),
                    led: true,
                }],
            })),
        ),
        ("ask-in-island", frame(&IslandRequest { lineage: LINEAGE, request: ControlRequest::ReadIndex })),
        ("tell-not-here", frame(&ControlReply::NotHere { lineages: vec![LINEAGE] })),
        ("tell-troubles", frame(&ControlReply::Troubles { lines: vec!["merge plugin cart is off".to_owned()] })),
        ("tell-is-over", frame(&ControlReply::IsOver { is_over: true })),
    ]
}

fn admin() -> Vec<Example> {
    let policy = || Policy {
        copies: 3,
        min_in_sync: 2,
        buckets: 128,
        ttl_ms: Some(60_000),
        on_conflict: OnConflict::Reject,
        merge: MergeBy::Plugin("cart-merge".to_owned()),
        on_partition: OnPartition::Strict,
        on_plugin_failure: OnPluginFailure::Refuse,
    };
    let rule = |of, rule| MergeRule { of, rule };
    let (one, prefix) =
        (|name: &str| AttributeNames::One(name.to_owned()), |name: &str| AttributeNames::Prefix(name.to_owned()));
    // Each rule once: its number is fixed.
    let rules = vec![
        rule(prefix(""), BuiltIn::LastWrite),
        rule(one("a"), BuiltIn::Max),
        rule(one("b"), BuiltIn::Min),
        rule(one("count"), BuiltIn::Counter),
        rule(prefix("item:"), BuiltIn::Quantity),
        rule(one("c"), BuiltIn::SetUnion),
        rule(one("d"), BuiltIn::Json),
        rule(one("e"), BuiltIn::Reject),
    ];
    let by_rules = Policy { merge: MergeBy::Rules(rules), ..Policy::default() };
    vec![
        ("admin-status", frame(&AdminRequest::Status)),
        ("admin-colonies", frame(&AdminRequest::Colonies { of: Some("h1".to_owned()) })),
        ("admin-namespaces", frame(&AdminRequest::Namespaces)),
        ("admin-stale-copies", frame(&AdminRequest::StaleCopies { namespace: "cart".to_owned(), bucket: 17 })),
        (
            "admin-accept-stale",
            frame(&AdminRequest::AcceptStale { namespace: "cart".to_owned(), bucket: 17, host: "h2".to_owned() }),
        ),
        ("admin-plan", frame(&AdminRequest::Plan { dry_run: true, plugin: Some(Bytes::from_static(b"wasm")) })),
        ("admin-create-namespace", frame(&AdminRequest::CreateNamespace { name: "cart".to_owned(), policy: policy() })),
        ("admin-create-by-rules", frame(&AdminRequest::CreateNamespace { name: "cart".to_owned(), policy: by_rules })),
        ("admin-drain", frame(&AdminRequest::Drain { hosts: vec!["h1".to_owned(), "h2".to_owned()], cancel: true })),
        ("admin-departures", frame(&AdminRequest::Departures { starts: vec![StartId(0x51)] })),
        ("admin-what-if", frame(&AdminRequest::WhatIf { label: "zone".to_owned(), value: "a".to_owned() })),
        ("admin-safe-to-stop", frame(&AdminRequest::SafeToStop { host: "h1".to_owned() })),
        ("admin-plugins", frame(&AdminRequest::Plugins)),
        (
            "admin-install-plugin",
            frame(&AdminRequest::InstallPlugin {
                name: "cart".to_owned(),
                kind: PluginKind::Placement,
                content: CONTENT,
                size: 50_000,
                forced: true,
            }),
        ),
        (
            "admin-use-plugin",
            frame(&AdminRequest::UsePlugin { name: "cart".to_owned(), content: Some("0102".to_owned()) }),
        ),
        ("admin-roll-back-plugin", frame(&AdminRequest::RollBackPlugin { name: "cart".to_owned(), from: CONTENT })),
        ("admin-uninstall-plugin", frame(&AdminRequest::UninstallPlugin { name: "cart".to_owned() })),
        (
            "admin-begin-canary",
            frame(&AdminRequest::BeginCanary { name: "zones".to_owned(), content: None, percent: 10 }),
        ),
        ("admin-end-canary", frame(&AdminRequest::EndCanary { name: "zones".to_owned(), content: CONTENT })),
        (
            "plugin-part",
            frame(&PluginPart { content: CONTENT, size: 50_000, offset: 3, bytes: Bytes::from_static(b"asm") }),
        ),
        ("admin-is-status", frame(&AdminReply::Status(cluster_status()))),
        (
            "admin-is-colonies",
            frame(&AdminReply::Colonies(vec![ColonyStatus {
                namespace: "cart".to_owned(),
                bucket: 17,
                primary: Some("h1".to_owned()),
                in_sync: vec!["h1".to_owned(), "h2".to_owned()],
                want: vec!["h1".to_owned(), "h3".to_owned()],
                reign: Reign(2),
                cfg: Cfg(6),
                problem: Some("h3 is catching up".to_owned()),
            }])),
        ),
        (
            "admin-is-namespaces",
            frame(&AdminReply::Namespaces(vec![NamespaceStatus {
                id: NamespaceId(3),
                name: "cart".to_owned(),
                policy: policy(),
            }])),
        ),
        ("admin-told-stale-copies", frame(&AdminReply::StaleCopies(stale_copies()))),
        ("admin-accepted", frame(&AdminReply::Accepted(stale_copies()))),
        (
            "admin-told-departures",
            frame(&AdminReply::Departures(vec![Departure {
                host: "h1".to_owned(),
                start: StartId(0x51),
                stage: DepartureStage::Draining,
                colonies: 5,
                primaries: 2,
                stuck: vec!["cart/17 has no other place".to_owned()],
                votes: true,
            }])),
        ),
        ("admin-told-safe-to-stop", frame(&AdminReply::SafeToStop { why_not: vec!["cart/17 is here".to_owned()] })),
        ("admin-created", frame(&AdminReply::Created { id: NamespaceId(3) })),
        ("admin-refused", frame(&AdminReply::Refused { why: "exists".to_owned(), retryable: false })),
        (
            "admin-cut",
            frame(&AdminReply::Cut(CutReport {
                cut_off: vec!["h1".to_owned()],
                others: 2,
                colonies: vec![ColonyOutlook {
                    namespace: "cart".to_owned(),
                    bucket: 17,
                    cut_off: SideOutlook::Stopped(1),
                    rest: SideOutlook::Served(2),
                }],
            })),
        ),
        ("admin-planned", frame(&AdminReply::Plan(plan_report()))),
        (
            "admin-is-plugins",
            frame(&AdminReply::Plugins(vec![PluginStatus {
                name: "cart".to_owned(),
                kind: PluginKind::Merge,
                active: Some(CONTENT),
                before: None,
                versions: vec![PluginVersionStatus {
                    content: CONTENT,
                    size: 50_000,
                    forced: true,
                    ready: vec!["h1".to_owned()],
                    waiting: vec!["h2".to_owned()],
                    failed: vec![("h3".to_owned(), "not WebAssembly".to_owned())],
                }],
                by_file: vec!["h4".to_owned()],
                canary: Some(canary()),
            }])),
        ),
        ("admin-plugin-held", frame(&AdminReply::PluginHeld { have: 3 })),
        ("admin-plugin-installed", frame(&AdminReply::PluginInstalled { active: None })),
        ("admin-plugin-used", frame(&AdminReply::PluginUsed { content: CONTENT, before: Some(ContentId([2; 32])) })),
        ("admin-plugin-pending", frame(&AdminReply::PluginPending { hosts: vec!["h2".to_owned()] })),
        ("admin-plugin-uninstalled", frame(&AdminReply::PluginUninstalled)),
        ("admin-canary-begun", frame(&AdminReply::CanaryBegun(canary()))),
        ("admin-canary-ended", frame(&AdminReply::CanaryEnded)),
    ]
}

fn load_counts() -> LoadCounts {
    LoadCounts {
        start: StartId(0x51),
        at_us: 5_000_000,
        cpu_us: 1_250_000,
        cores: 4000,
        memory: 1 << 26,
        memory_limit: 1 << 31,
        copies: vec![CopyCounts { colony: COLONY, sessions: 12, bytes: 3400, committed: Seq(567) }],
    }
}

fn plan_report() -> PlanReport {
    PlanReport {
        planned_by: "h1".to_owned(),
        committed: true,
        revision: Revision(12),
        view: View(9),
        reason: "h4 joined, load of h1".to_owned(),
        inputs: 0x0123_4567_89ab_cdef,
        measured: 3,
        changes: vec![PlanChange {
            namespace: "cart".to_owned(),
            bucket: 17,
            before: vec!["h1".to_owned(), "h2".to_owned()],
            after: vec!["h1".to_owned(), "h4".to_owned()],
            bytes: Some(3400),
        }],
        more: 0,
        levels: vec![PlanLevel { label: "rack".to_owned(), before: 2, after: 1 }],
        problems: vec!["cart/3: degraded: want 3 copies, have 2".to_owned()],
        canary: Some(canary()),
    }
}

fn canary() -> CanaryStatus {
    CanaryStatus { plugin: "zones".to_owned(), content: CONTENT, percent: 10, colonies: 7, of: 64 }
}

fn cluster_status() -> ClusterStatus {
    ClusterStatus {
        cluster: ClusterId(0xC1),
        lineage: LINEAGE,
        revision: Revision(13),
        answered_by: "h1".to_owned(),
        leader: Some("h2".to_owned()),
        leaderless_ms: 0,
        hosts: vec![HostStatus {
            name: "h1".to_owned(),
            start: StartId(0x51),
            address: "127.0.0.1:7400".to_owned(),
            state: "up".to_owned(),
            labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
            shards: 4,
            voter: true,
            primaries: 32,
            copies: 64,
        }],
        colonies: 128,
        served: 127,
        problems: vec![Problem {
            severity: Severity::Failing,
            namespace: Some("cart".to_owned()),
            buckets: vec![17],
            text: "offline".to_owned(),
        }],
        under_way: vec!["h3 catches up".to_owned()],
        parent: Some(LineageId(1)),
    }
}

fn stale_copies() -> StaleCopies {
    StaleCopies {
        lost: vec!["h1".to_owned()],
        reign: Reign(2),
        copies: vec![StaleCopy { host: "h2".to_owned(), position: Some(at(2, 9)), sessions: 40 }],
    }
}

/// A variant that is not listed stops the build here: it wants an example above, and its number is then fixed.
macro_rules! every_variant {
    ($($message:ident: $($variant:ident)*;)*) => {$(
        const _: fn(&$message) = |message| match message {
            $($message::$variant { .. } => (),)*
        };
    )*};
}

every_variant! {
    RequestBody: Get Mutate Tagged Revoke Watch Overridden;
    Mutation: Put Save Touch Delete;
    Read: Token Confirm Any;
    Ack: InSync Primary Durable;
    Precondition: None Absent Version;
    Content: Blob Attributes;
    Changes: Blob Attributes;
    ReplyBody: Found Absent Done NeedBase Refused Sessions Events Overridden;
    WatchEvent: Current Changed Ended Gap;
    WatchedChange: Content Changes;
    Refusal: NotPrimary Deposed NotReady Offline TooFewCopies LineageLost NotDurable Behind Exists Changed Gone NotFound Late Busy TooLarge
        WrongContent Unknown NoColony Forbidden Malformed NotMerged OtherLineage;
    Change: Barrier Put Update Touch End Forget Revoked Open Freeze Unfreeze Absorb Absorbed Recall;
    Absorption: Keep Become End Over;
    HealBody: Ask Ready Part Taken End;
    Value: Alive Ended Lost;
    EndKind: Logout Revoke Expiry;
    PeerBody: Append Appended Mismatch Confirm Confirmed Deposed Offer Wanted Chunk ChunkTaken ChunkRefused;
    ControlRequest: Introduce Join Propose Raft Feed ReadIndex Copies Accuse Fates Reach Forward Leave Load
        Plugins PluginPart HoldPlugin Consent OpenIsland CancelIsland Troubles IsOver;
    ControlReply: Introduction Joined Proposed Raft FeedSnapshot FeedCommands ReadIndex Copies Noted Fates NotLeader
        Refused Reached Over Load Plugins PluginPart NoPlugin Consented NotHere Troubles IsOver;
    Fate: Discard Restore Wait;
    AdminRequest: Status Colonies Namespaces CreateNamespace StaleCopies AcceptStale Drain Departures
        SafeToStop Plan Plugins InstallPlugin UsePlugin RollBackPlugin UninstallPlugin BeginCanary EndCanary WhatIf;
    AdminReply: Status Colonies Namespaces Created StaleCopies Accepted Departures SafeToStop Refused Plan Plugins
        PluginHeld PluginInstalled PluginUsed PluginPending PluginUninstalled CanaryBegun CanaryEnded Cut;
    Readiness: Missing Compiling Ready Failed;
    PluginKind: Merge Placement;
    DepartureStage: Staying Draining Left Dead;
    OnConflict: Merge Reject Overwrite;
    OnPartition: Island Strict;
    OnPluginFailure: BuiltIn Refuse;
    MergeBy: LastWrite Plugin Rules;
    AttributeNames: One Prefix;
    BuiltIn: LastWrite Max Min Counter Quantity SetUnion Json Reject;
}
