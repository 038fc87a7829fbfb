//! Any message within its limits, small enough that a thousand of them are made in a moment.

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
use colony_wire::heal::{HealBody, HealMessage, Item, Overridden, Path, Portrait, Value, Version, Winner};
use colony_wire::island::{Consent, CopyEnd};
use colony_wire::limits::{MAX_TOKEN_LINES, MAX_VOTERS};
use colony_wire::load::{CopyCounts, LoadCounts};
use colony_wire::op::{Absorption, Change, Op, Stamp};
use colony_wire::peer::{Append, Chunk, Offer, PartName, PeerBody, PeerMessage};
use colony_wire::plan::{PlanChange, PlanLevel, PlanReport};
use colony_wire::plugin::{
    ActivePlugin, CanaryStatus, ContentId, PluginKind, PluginPart, PluginReport, PluginStatus, PluginVersionStatus,
    Readiness,
};
use colony_wire::session::{
    AttributeChange, Base, Changes, Content, EndKind, Key, Mutation, Precondition, SessionSummary, SessionView, Ttl,
};
use colony_wire::tag::{Tag, TagChange};
use colony_wire::watch::{WatchEvent, WatchedChange};
use colony_wire::{
    Cfg, ClientId, ClusterId, ColonyId, LineageId, NamespaceId, Position, RaftId, Reign, RequestId, Revision, Seq,
    StartId, View,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

/// Names as people type them, up to the limit of most of them.
const NAME: &str = "[a-z][a-z0-9-]{0,62}";
/// What hosts write for people.
const TEXT: &str = "\\PC{0,40}";
/// What tags are worth, up to the limit.
const TAG_VALUE: &str = "[0-9a-f]{0,128}";
const FEW: usize = 4;

fn blob() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..64).prop_map(Bytes::from)
}

fn key() -> impl Strategy<Value = Key> {
    vec(any::<u8>(), 1..=256).prop_map(|bytes| Key::new(bytes).expect("1 to 256 bytes"))
}

fn colony() -> impl Strategy<Value = ColonyId> {
    any::<(u32, u32)>().prop_map(|(namespace, bucket)| ColonyId { namespace: NamespaceId(namespace), bucket })
}

fn position() -> impl Strategy<Value = Position> {
    any::<(u128, u64, u64)>().prop_map(|(lineage, reign, seq)| Position {
        lineage: LineageId(lineage),
        reign: Reign(reign),
        seq: Seq(seq),
    })
}

fn stamp() -> impl Strategy<Value = Stamp> {
    any::<(u128, u64, u64)>().prop_map(|(client, number, lowest_unanswered)| Stamp {
        request: RequestId { client: ClientId(client), number },
        lowest_unanswered,
    })
}

fn ttl() -> impl Strategy<Value = Ttl> {
    of(0..=366 * 24 * 3_600_000_u64)
}

fn attribute_changes() -> impl Strategy<Value = Vec<AttributeChange>> {
    vec((NAME, of(blob())), 0..FEW)
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![blob().prop_map(Content::Blob), btree_map(NAME, blob(), 0..FEW).prop_map(Content::Attributes),]
}

fn changes() -> impl Strategy<Value = Changes> {
    prop_oneof![blob().prop_map(Changes::Blob), attribute_changes().prop_map(Changes::Attributes),]
}

fn tag() -> impl Strategy<Value = Tag> {
    (NAME, TAG_VALUE).prop_map(|(name, value)| Tag { name, value })
}

fn tag_changes() -> impl Strategy<Value = Vec<TagChange>> {
    vec((NAME, of(TAG_VALUE)), 0..FEW)
}

fn precondition() -> impl Strategy<Value = Precondition> {
    prop_oneof![Just(Precondition::None), Just(Precondition::Absent), position().prop_map(Precondition::Version),]
}

fn end_kind() -> impl Strategy<Value = EndKind> {
    prop_oneof![Just(EndKind::Logout), Just(EndKind::Revoke), Just(EndKind::Expiry)]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let base = (position(), position()).prop_map(|(life, version)| Base { life, version });
    prop_oneof![
        (key(), content(), tag_changes(), ttl(), precondition()).prop_map(|(key, content, tags, ttl, precondition)| {
            Mutation::Put { key, content, tags, ttl, precondition }
        }),
        (key(), base, changes(), tag_changes(), of(ttl()), of(attribute_changes())).prop_map(
            |(key, base, changes, tags, ttl, base_values)| {
                Mutation::Save { key, base, changes, tags, ttl, base_values }
            }
        ),
        (key(), ttl()).prop_map(|(key, ttl)| Mutation::Touch { key, ttl }),
        (key(), precondition(), prop_oneof![Just(EndKind::Logout), Just(EndKind::Revoke)])
            .prop_map(|(key, precondition, kind)| Mutation::Delete { key, precondition, kind }),
    ]
}

fn ack() -> impl Strategy<Value = Ack> {
    prop_oneof![Just(Ack::InSync), Just(Ack::Primary), Just(Ack::Durable)]
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let read = prop_oneof![Just(Read::Token), Just(Read::Confirm), Just(Read::Any)];
    let body = prop_oneof![
        (key(), read).prop_map(|(key, read)| RequestBody::Get { key, read }),
        (stamp(), mutation(), ack()).prop_map(|(stamp, mutation, ack)| RequestBody::Mutate { stamp, mutation, ack }),
        (tag(), of(key()), 0..=1024_u32).prop_map(|(tag, after, limit)| RequestBody::Tagged { tag, after, limit }),
        (stamp(), tag()).prop_map(|(stamp, tag)| RequestBody::Revoke { stamp, tag }),
        (key(), of(position())).prop_map(|(key, after)| RequestBody::Watch { key, after }),
        (of(position()), 0..=256_u32).prop_map(|(after, limit)| RequestBody::Overridden { after, limit }),
    ];
    let token = (of(position()), vec(position(), 0..MAX_TOKEN_LINES))
        .prop_map(|(newest, elsewhere)| Token { newest, elsewhere });
    let attempt =
        any::<(u128, bool)>().prop_map(|(lineage, is_first)| Attempt { lineage: LineageId(lineage), is_first });
    (colony(), 0..=30_000_u32, token, body, of(attempt))
        .prop_map(|(colony, deadline_ms, token, body, attempt)| Request { colony, deadline_ms, token, body, attempt })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        any::<u64>().prop_map(|reign| Refusal::NotPrimary { reign: Reign(reign) }),
        Just(Refusal::Deposed),
        Just(Refusal::NotReady),
        Just(Refusal::Offline),
        (any::<u8>(), any::<u8>()).prop_map(|(have, min)| Refusal::TooFewCopies { have, min }),
        Just(Refusal::LineageLost),
        Just(Refusal::NotDurable),
        Just(Refusal::Behind),
        position().prop_map(|version| Refusal::Exists { version }),
        position().prop_map(|version| Refusal::Changed { version }),
        of(end_kind()).prop_map(|ended| Refusal::Gone { ended }),
        Just(Refusal::NotFound),
        Just(Refusal::Late),
        TEXT.prop_map(|what| Refusal::Busy { what }),
        (TEXT, any::<u64>(), any::<u64>()).prop_map(|(what, len, limit)| Refusal::TooLarge { what, len, limit }),
        Just(Refusal::WrongContent),
        Just(Refusal::Unknown),
        Just(Refusal::NoColony),
        TEXT.prop_map(|right| Refusal::Forbidden { right }),
        TEXT.prop_map(|what| Refusal::Malformed { what }),
        TEXT.prop_map(|why| Refusal::NotMerged { why }),
    ]
}

fn session_view() -> impl Strategy<Value = SessionView> {
    (content(), btree_map(NAME, TEXT, 0..FEW), position(), position(), ttl(), any::<u64>()).prop_map(
        |(content, tags, version, life, expires_in, written_at)| SessionView {
            content,
            tags,
            version,
            life,
            expires_in,
            written_at,
        },
    )
}

fn session_summary() -> impl Strategy<Value = SessionSummary> {
    (position(), position(), ttl(), any::<u64>()).prop_map(|(version, life, expires_in, written_at)| SessionSummary {
        version,
        life,
        expires_in,
        written_at,
    })
}

fn watch_event() -> impl Strategy<Value = WatchEvent> {
    let change = prop_oneof![content().prop_map(WatchedChange::Content), changes().prop_map(WatchedChange::Changes),];
    prop_oneof![
        of(session_view()).prop_map(WatchEvent::Current),
        (position(), any::<u64>(), change, tag_changes()).prop_map(|(version, written_at, change, tags)| {
            WatchEvent::Changed { version, written_at, change, tags }
        }),
        (end_kind(), position()).prop_map(|(kind, at)| WatchEvent::Ended { kind, at }),
        Just(WatchEvent::Gap),
    ]
}

pub(crate) fn reply() -> impl Strategy<Value = Reply> {
    let done = (position(), position(), any::<u8>(), any::<bool>(), ack(), any::<u32>(), any::<bool>());
    let done = done.prop_map(|(version, life, copies, merged, ack, ended, more)| Done {
        version,
        life,
        copies,
        merged,
        ack,
        ended,
        more,
    });
    let body =
        prop_oneof![
            session_view().prop_map(ReplyBody::Found),
            Just(ReplyBody::Absent),
            done.prop_map(ReplyBody::Done),
            vec(NAME, 0..FEW).prop_map(|attributes| ReplyBody::NeedBase { attributes }),
            refusal().prop_map(ReplyBody::Refused),
            (vec((key(), session_summary()), 0..FEW), any::<bool>())
                .prop_map(|(found, more)| ReplyBody::Sessions { found, more }),
            (vec(watch_event(), 0..FEW), position()).prop_map(|(events, cursor)| ReplyBody::Events { events, cursor }),
            (vec(overridden(), 0..FEW), any::<(bool, u64)>())
                .prop_map(|(found, (more, dropped))| ReplyBody::Overridden { found, more, dropped }),
        ];
    (any::<u64>(), of(position()), body).prop_map(|(served_by, seen, body)| Reply {
        served_by: StartId(served_by),
        seen,
        body,
    })
}

pub(crate) fn routes_request() -> impl Strategy<Value = RoutesRequest> {
    any::<u64>().prop_map(|have| RoutesRequest { have: Revision(have) })
}

pub(crate) fn routes() -> impl Strategy<Value = Routes> {
    let host = (any::<u64>(), NAME, TEXT, any::<u16>()).prop_map(|(start, name, address, shards)| RouteHost {
        start: StartId(start),
        name,
        address,
        shards,
        lineage: LineageId(1),
    });
    let namespace = (any::<u32>(), NAME, ttl(), vec(of(any::<u16>()), 0..16))
        .prop_map(|(id, name, ttl, primaries)| RouteNamespace { id: NamespaceId(id), name, ttl, primaries });
    (any::<(u128, u128, u64)>(), vec(host, 0..FEW), vec(namespace, 0..FEW)).prop_map(
        |((cluster, lineage, revision), hosts, namespaces)| Routes {
            cluster: ClusterId(cluster),
            lineage: LineageId(lineage),
            revision: Revision(revision),
            hosts,
            namespaces,
        },
    )
}

fn overridden() -> impl Strategy<Value = Overridden> {
    let winner = prop_oneof![Just(Winner::Staying), Just(Winner::Joined), Just(Winner::End(EndKind::Logout))];
    (position(), any::<u64>(), key(), portrait(), winner).prop_map(|(at, healed_at, key, value, winner)| Overridden {
        at,
        healed_at,
        key,
        value: Box::new(value),
        winner,
    })
}

fn portrait() -> impl Strategy<Value = Portrait> {
    let times = (ttl(), of(any::<u64>()), any::<u64>());
    (position(), content(), times).prop_map(|(life, content, (ttl, expires_in, written_at))| Portrait {
        life,
        content,
        tags: BTreeMap::new(),
        ttl,
        expires_in,
        written_at,
    })
}

pub(crate) fn heal() -> impl Strategy<Value = HealMessage> {
    let version =
        (position(), portrait()).prop_map(|(at, portrait)| Version { at, value: Value::Alive(Box::new(portrait)) });
    let item = (key(), vec(version, 0..FEW)).prop_map(|(key, versions)| Item { key, versions });
    let body = prop_oneof![
        any::<(u64, u32)>().prop_map(|(round, index)| HealBody::Taken { round, index }),
        (any::<(u64, u32)>(), position(), vec(item, 0..FEW)).prop_map(|((round, index), at, items)| {
            HealBody::Part { round, index, at, items, answers: Vec::new() }
        }),
        (any::<u64>(), position()).prop_map(|(round, at)| HealBody::Ask {
            round,
            path: Path { own: vec![(at.lineage, at.reign, at.seq)], absorbed: Vec::new() }
        }),
    ];
    (colony(), any::<(u64, u64, u128, u128)>(), body).prop_map(|(colony, (from, to, theirs, ours), body)| HealMessage {
        colony,
        from: StartId(from),
        to: StartId(to),
        from_lineage: LineageId(theirs),
        to_lineage: LineageId(ours),
        body,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let change = prop_oneof![
        Just(Change::Barrier),
        (key(), content(), tag_changes(), ttl()).prop_map(|(key, content, tags, ttl)| Change::Put {
            key,
            content,
            tags,
            ttl
        }),
        (key(), changes(), tag_changes(), of(ttl()), any::<bool>())
            .prop_map(|(key, changes, tags, ttl, merged)| Change::Update { key, changes, tags, ttl, merged }),
        (key(), ttl()).prop_map(|(key, ttl)| Change::Touch { key, ttl }),
        (key(), end_kind()).prop_map(|(key, kind)| Change::End { key, kind }),
        any::<u64>().prop_map(|upto| Change::Forget { upto: Seq(upto) }),
        (any::<u32>(), any::<bool>()).prop_map(|(ended, more)| Change::Revoked { ended, more }),
        (any::<bool>(), vec(position(), 0..FEW)).prop_map(|(pins, unites)| Change::Open { pins, unites }),
        Just(Change::Freeze),
        Just(Change::Unfreeze),
        (key(), position(), portrait(), any::<bool>()).prop_map(|(key, mark, portrait, is_kept)| {
            let overridden = Some(Box::new(portrait.clone()));
            let into = if is_kept { Absorption::Keep } else { Absorption::Become(Box::new(portrait)) };
            Change::Absorb { key, mark, into, overridden }
        }),
        position().prop_map(|end| Change::Absorbed { end, covers: vec![(end.lineage, end.reign, end.seq)] }),
    ];
    (position(), of(stamp()), any::<u64>(), change).prop_map(|(position, stamp, written_at, change)| Op {
        position,
        stamp,
        written_at,
        change,
    })
}

pub(crate) fn peer_message() -> impl Strategy<Value = PeerMessage> {
    let append = (any::<[u64; 5]>(), vec(op(), 0..FEW)).prop_map(|([reign, cfg, first, prev_reign, commit], ops)| {
        PeerBody::Append(Append {
            reign: Reign(reign),
            cfg: Cfg(cfg),
            first: Seq(first),
            prev_reign: Reign(prev_reign),
            commit: Seq(commit),
            ops,
        })
    });
    let epochs = vec(any::<(u64, u64)>().prop_map(|(r, s)| (Reign(r), Seq(s))), 0..FEW);
    let part = (any::<u128>(), 0..1_u32 << 20).prop_map(|(hash, bytes)| PartName { hash, bytes });
    let offer = (any::<[u64; 4]>(), vec(part, 0..FEW)).prop_map(|([reign, cfg, transfer, at], parts)| {
        PeerBody::Offer(Offer { reign: Reign(reign), cfg: Cfg(cfg), transfer, at: Seq(at), parts })
    });
    let wanted = (any::<[u64; 2]>(), vec(any::<u8>(), 0..FEW))
        .prop_map(|([reign, transfer], parts)| PeerBody::Wanted { reign: Reign(reign), transfer, parts: parts.into() });
    let chunk = (any::<[u64; 3]>(), 0..48 * 1024_u32, any::<u32>(), blob()).prop_map(
        |([reign, cfg, transfer], index, crc, bytes)| {
            PeerBody::Chunk(Chunk { reign: Reign(reign), cfg: Cfg(cfg), transfer, index, crc, bytes })
        },
    );
    let body = prop_oneof![
        append,
        any::<[u64; 5]>().prop_map(|[reign, cfg, begun, prepared, committed]| PeerBody::Appended {
            reign: Reign(reign),
            cfg: Cfg(cfg),
            begun: Cfg(begun),
            prepared: Seq(prepared),
            committed: Seq(committed)
        }),
        (any::<[u64; 3]>(), epochs).prop_map(|([reign, begun, prepared], epochs)| PeerBody::Mismatch {
            reign: Reign(reign),
            begun: Cfg(begun),
            prepared: Seq(prepared),
            epochs,
        }),
        any::<u64>().prop_map(|reign| PeerBody::Deposed { reign: Reign(reign) }),
        any::<(u64, u64)>().prop_map(|(reign, nonce)| PeerBody::Confirm { reign: Reign(reign), nonce }),
        any::<(u64, u64)>().prop_map(|(reign, nonce)| PeerBody::Confirmed { reign: Reign(reign), nonce }),
        offer,
        wanted,
        chunk,
        (any::<[u64; 2]>(), any::<u32>())
            .prop_map(|([reign, transfer], index)| { PeerBody::ChunkTaken { reign: Reign(reign), transfer, index } }),
        any::<[u64; 2]>().prop_map(|[reign, transfer]| PeerBody::ChunkRefused { reign: Reign(reign), transfer }),
    ];
    (colony(), any::<(u128, u64, u64)>(), body).prop_map(|(colony, (lineage, from, to), body)| PeerMessage {
        colony,
        lineage: LineageId(lineage),
        from: StartId(from),
        to: StartId(to),
        body,
    })
}

pub(crate) fn beacon() -> impl Strategy<Value = Beacon> {
    let voters = vec(any::<u64>().prop_map(RaftId), 0..=MAX_VOTERS);
    let electorate = of((any::<u64>(), voters).prop_map(|(at, voters)| Electorate { at, voters }));
    (any::<(u64, u128, u64, u64, Option<u64>, Option<u32>)>(), electorate).prop_map(
        |((from, lineage, view, nonce, answers, quorum_age_ms), electorate)| Beacon {
            from: StartId(from),
            lineage: LineageId(lineage),
            view: View(view),
            nonce,
            answers,
            quorum_age_ms,
            electorate,
        },
    )
}

pub(crate) fn control_request() -> impl Strategy<Value = ControlRequest> {
    prop_oneof![
        any::<u64>().prop_map(|start| ControlRequest::Introduce { start: StartId(start) }),
        (any::<Option<u128>>(), blob())
            .prop_map(|(cluster, member)| ControlRequest::Join { cluster: cluster.map(ClusterId), member }),
        blob().prop_map(|command| ControlRequest::Propose { command }),
        (any::<(u128, u64)>(), blob()).prop_map(|((lineage, to), message)| ControlRequest::Raft {
            lineage: LineageId(lineage),
            to: RaftId(to),
            message,
        }),
        any::<(u128, u64)>()
            .prop_map(|(lineage, have)| ControlRequest::Feed { lineage: LineageId(lineage), have: Revision(have) }),
        Just(ControlRequest::ReadIndex),
        colony().prop_map(|colony| ControlRequest::Copies { colony }),
        any::<(u64, u64)>().prop_map(|(observer, accused)| ControlRequest::Accuse {
            observer: StartId(observer),
            accused: StartId(accused),
        }),
        (vec(any::<u64>(), 0..FEW), any::<u64>(), vec(colony(), 0..FEW)).prop_map(|(earlier, now, colonies)| {
            let earlier = earlier.into_iter().map(StartId).collect();
            ControlRequest::Fates { earlier, now: StartId(now), colonies }
        }),
        any::<u64>().prop_map(|target| ControlRequest::Reach { target: StartId(target) }),
        (blob(), 0..=1_u8).prop_map(|(command, relays)| ControlRequest::Forward { command, relays }),
        any::<(u64, bool)>().prop_map(|(start, anyway)| ControlRequest::Leave { start: StartId(start), anyway }),
        Just(ControlRequest::Load),
        Just(ControlRequest::Plugins),
        (content_id(), any::<u32>()).prop_map(|(content, offset)| ControlRequest::PluginPart { content, offset }),
        (content_id(), size(), TEXT).prop_map(|(content, size, from)| ControlRequest::HoldPlugin {
            content,
            size,
            from
        }),
        any::<(u64, u64)>().prop_map(|(nonce, founder)| ControlRequest::Consent { nonce, founder: StartId(founder) }),
        (any::<(u64, u128)>(), "[0-9.:]{0,64}", blob()).prop_map(|((nonce, lineage), founder_address, state)| {
            ControlRequest::OpenIsland { nonce, lineage: LineageId(lineage), founder_address, state }
        }),
        any::<u64>().prop_map(|nonce| ControlRequest::CancelIsland { nonce }),
        Just(ControlRequest::Troubles),
        Just(ControlRequest::IsOver),
    ]
}

fn consent() -> impl Strategy<Value = Consent> {
    let end = (colony(), any::<(u64, u64, u64, bool)>()).prop_map(|(colony, (reign, end, committed, led))| CopyEnd {
        colony,
        reign: Reign(reign),
        end: Seq(end),
        committed: Seq(committed),
        led,
    });
    (any::<(u64, u64)>(), blob(), blob(), vec(end, 0..FEW)).prop_map(|((nonce, start), member, state, copies)| {
        Consent { nonce, start: StartId(start), member, state, copies }
    })
}

pub(crate) fn island_request() -> impl Strategy<Value = IslandRequest> {
    (any::<u128>(), control_request())
        .prop_map(|(lineage, request)| IslandRequest { lineage: LineageId(lineage), request })
}

pub(crate) fn control_reply() -> impl Strategy<Value = ControlReply> {
    let introduction = (any::<u64>(), NAME, any::<(Option<u128>, Option<u128>, bool)>(), of(TEXT)).prop_map(
        |(start, name, (cluster, lineage, in_use), leader)| {
            ControlReply::Introduction(Introduction {
                start: StartId(start),
                name,
                cluster: cluster.map(ClusterId),
                lineage: lineage.map(LineageId),
                leader,
                in_use,
            })
        },
    );
    let readiness = prop_oneof![
        Just(Readiness::Missing),
        Just(Readiness::Compiling),
        Just(Readiness::Ready),
        TEXT.prop_map(|why| Readiness::Failed { why }),
    ];
    let active = (NAME, plugin_kind(), content_id(), size());
    let active = active.prop_map(|(name, kind, content, size)| ActivePlugin { name, kind, content, size });
    let versions = vec((content_id(), readiness), 0..FEW);
    let report = (vec(NAME, 0..FEW), of(NAME), vec(active, 0..FEW), versions)
        .prop_map(|(configured, placement, active, versions)| PluginReport { configured, placement, active, versions });
    let fate = prop_oneof![Just(Fate::Discard), Just(Fate::Restore), Just(Fate::Wait)];
    let held_copy = (any::<u64>(), of(position()), any::<u64>()).prop_map(|(start, position, sessions)| HeldCopy {
        held_as: StartId(start),
        position,
        sessions,
    });
    prop_oneof![
        introduction,
        any::<u64>().prop_map(|revision| ControlReply::Joined { revision: Revision(revision) }),
        blob().prop_map(|outcome| ControlReply::Proposed { outcome }),
        blob().prop_map(|message| ControlReply::Raft { message }),
        (any::<u64>(), blob())
            .prop_map(|(revision, state)| ControlReply::FeedSnapshot { revision: Revision(revision), state }),
        vec(blob(), 0..FEW).prop_map(|commands| ControlReply::FeedCommands { commands }),
        any::<u64>().prop_map(|revision| ControlReply::ReadIndex { revision: Revision(revision) }),
        vec(held_copy, 0..FEW).prop_map(|copies| ControlReply::Copies { copies }),
        Just(ControlReply::Noted),
        vec(fate, 0..FEW).prop_map(|fates| ControlReply::Fates { fates }),
        of(TEXT).prop_map(|leader| ControlReply::NotLeader { leader }),
        (TEXT, any::<bool>()).prop_map(|(why, retryable)| ControlReply::Refused { why, retryable }),
        any::<bool>().prop_map(|answered| ControlReply::Reached { answered }),
        Just(ControlReply::Over),
        load_counts().prop_map(|counts| ControlReply::Load { counts }),
        report.prop_map(ControlReply::Plugins),
        (size(), blob()).prop_map(|(size, bytes)| ControlReply::PluginPart { size, bytes }),
        Just(ControlReply::NoPlugin),
        consent().prop_map(ControlReply::Consented),
        vec(any::<u128>().prop_map(LineageId), 0..=2).prop_map(|lineages| ControlReply::NotHere { lineages }),
        vec(TEXT, 0..FEW).prop_map(|lines| ControlReply::Troubles { lines }),
        any::<bool>().prop_map(|is_over| ControlReply::IsOver { is_over }),
    ]
}

fn load_counts() -> impl Strategy<Value = LoadCounts> {
    let copy = (colony(), any::<[u64; 3]>()).prop_map(|(colony, [sessions, bytes, committed])| CopyCounts {
        colony,
        sessions,
        bytes,
        committed: Seq(committed),
    });
    (any::<[u64; 6]>(), vec(copy, 0..FEW)).prop_map(|([start, at_us, cpu_us, cores, memory, memory_limit], copies)| {
        LoadCounts { start: StartId(start), at_us, cpu_us, cores, memory, memory_limit, copies }
    })
}

fn colony_outlook() -> impl Strategy<Value = ColonyOutlook> {
    let side = || {
        prop_oneof![
            any::<u8>().prop_map(SideOutlook::Served),
            any::<u8>().prop_map(SideOutlook::Stopped),
            Just(SideOutlook::Offline)
        ]
    };
    (NAME, any::<u32>(), side(), side()).prop_map(|(namespace, bucket, cut_off, rest)| ColonyOutlook {
        namespace,
        bucket,
        cut_off,
        rest,
    })
}

fn plan_report() -> impl Strategy<Value = PlanReport> {
    let names = || vec(NAME, 0..FEW);
    let change = (NAME, any::<u32>(), names(), names(), any::<Option<u64>>())
        .prop_map(|(namespace, bucket, before, after, bytes)| PlanChange { namespace, bucket, before, after, bytes });
    let level =
        (NAME, any::<u32>(), any::<u32>()).prop_map(|(label, before, after)| PlanLevel { label, before, after });
    let numbers = any::<(bool, [u64; 3], u32, u32)>();
    let lists = (vec(change, 0..FEW), vec(level, 0..FEW), vec(TEXT, 0..FEW));
    (NAME, TEXT, numbers, lists, of(canary())).prop_map(|(planned_by, reason, numbers, lists, canary)| {
        let (changes, levels, problems) = lists;
        let (committed, [revision, view, inputs], measured, more) = numbers;
        PlanReport {
            planned_by,
            committed,
            revision: Revision(revision),
            view: View(view),
            reason,
            inputs,
            measured,
            changes,
            more,
            levels,
            problems,
            canary,
        }
    })
}

fn stale_copies() -> impl Strategy<Value = StaleCopies> {
    let copy = (NAME, of(position()), any::<u64>());
    let copy = copy.prop_map(|(host, position, sessions)| StaleCopy { host, position, sessions });
    (vec(NAME, 0..FEW), any::<u64>(), vec(copy, 0..FEW)).prop_map(|(lost, reign, copies)| StaleCopies {
        lost,
        reign: Reign(reign),
        copies,
    })
}

/// Rules for attributes of different names.
fn merge_rules() -> impl Strategy<Value = MergeBy> {
    let names = (any::<bool>(), "[a-z:]{0,9}");
    let names =
        names.prop_map(|(one, name)| if one { AttributeNames::One(name) } else { AttributeNames::Prefix(name) });
    let rule = proptest::sample::select(vec![
        BuiltIn::LastWrite,
        BuiltIn::Max,
        BuiltIn::Min,
        BuiltIn::Counter,
        BuiltIn::Quantity,
        BuiltIn::SetUnion,
        BuiltIn::Json,
        BuiltIn::Reject,
    ]);
    let rules = btree_map(names, rule, 0..FEW);
    rules.prop_map(|rules| MergeBy::Rules(rules.into_iter().map(|(of, rule)| MergeRule { of, rule }).collect()))
}

fn policy() -> impl Strategy<Value = Policy> {
    let on_conflict = prop_oneof![Just(OnConflict::Merge), Just(OnConflict::Reject), Just(OnConflict::Overwrite)];
    let merge = prop_oneof![Just(MergeBy::LastWrite), NAME.prop_map(MergeBy::Plugin), merge_rules()];
    let counts = (1..=7_u8).prop_flat_map(|copies| {
        let island = (Just(copies), Just(1), Just(OnPartition::Island));
        let strict = (Just(copies), 1..=copies, Just(OnPartition::Strict));
        prop_oneof![island, strict]
    });
    let on_plugin_failure = prop_oneof![Just(OnPluginFailure::BuiltIn), Just(OnPluginFailure::Refuse)];
    (counts, 0..=14_u32, ttl(), on_conflict, merge, on_plugin_failure).prop_map(
        |((copies, min_in_sync, on_partition), buckets_log2, ttl_ms, on_conflict, merge, on_plugin_failure)| Policy {
            copies,
            min_in_sync,
            buckets: 1 << buckets_log2,
            ttl_ms,
            on_conflict,
            merge,
            on_partition,
            on_plugin_failure,
        },
    )
}

pub(crate) fn admin_request() -> impl Strategy<Value = AdminRequest> {
    prop_oneof![
        Just(AdminRequest::Status),
        of(NAME).prop_map(|of| AdminRequest::Colonies { of }),
        (NAME, NAME).prop_map(|(label, value)| AdminRequest::WhatIf { label, value }),
        Just(AdminRequest::Namespaces),
        (NAME, policy()).prop_map(|(name, policy)| AdminRequest::CreateNamespace { name, policy }),
        (NAME, any::<u32>()).prop_map(|(namespace, bucket)| AdminRequest::StaleCopies { namespace, bucket }),
        (NAME, any::<u32>(), NAME).prop_map(|(namespace, bucket, host)| AdminRequest::AcceptStale {
            namespace,
            bucket,
            host
        }),
        (vec(NAME, 0..FEW), any::<bool>()).prop_map(|(hosts, cancel)| AdminRequest::Drain { hosts, cancel }),
        vec(any::<u64>(), 0..FEW)
            .prop_map(|starts| AdminRequest::Departures { starts: starts.into_iter().map(StartId).collect() }),
        NAME.prop_map(|host| AdminRequest::SafeToStop { host }),
        (any::<bool>(), of(blob())).prop_map(|(dry_run, plugin)| AdminRequest::Plan { dry_run, plugin }),
        Just(AdminRequest::Plugins),
        (NAME, plugin_kind(), content_id(), size(), any::<bool>()).prop_map(|(name, kind, content, size, forced)| {
            AdminRequest::InstallPlugin { name, kind, content, size, forced }
        }),
        (NAME, of("[0-9a-f]{0,64}")).prop_map(|(name, content)| AdminRequest::UsePlugin { name, content }),
        (NAME, content_id()).prop_map(|(name, from)| AdminRequest::RollBackPlugin { name, from }),
        NAME.prop_map(|name| AdminRequest::UninstallPlugin { name }),
        (NAME, of("[0-9a-f]{0,64}"), any::<u8>()).prop_map(|(name, content, percent)| AdminRequest::BeginCanary {
            name,
            content,
            percent
        }),
        (NAME, content_id()).prop_map(|(name, content)| AdminRequest::EndCanary { name, content }),
    ]
}

fn cluster_status() -> impl Strategy<Value = ClusterStatus> {
    let labels = btree_map(NAME, TEXT, 0..3).prop_map(BTreeMap::from);
    let host = (any::<u64>(), [NAME, TEXT, TEXT], labels, any::<(u16, bool, u32, u32)>()).prop_map(
        |(start, [name, address, state], labels, (shards, voter, primaries, copies))| HostStatus {
            name,
            start: StartId(start),
            address,
            state,
            labels,
            shards,
            voter,
            primaries,
            copies,
        },
    );
    let severity = any::<bool>().prop_map(|fails| if fails { Severity::Failing } else { Severity::Degraded });
    let problem = (severity, of(NAME), vec(any::<u32>(), 0..3), TEXT)
        .prop_map(|(severity, namespace, buckets, text)| Problem { severity, namespace, buckets, text });
    let words = (vec(problem, 0..3), vec(TEXT, 0..3));
    let numbers = any::<(u128, u128, u64, u64, u32, u32, Option<u128>)>();
    (numbers, (NAME, of(NAME)), vec(host, 0..3), words).prop_map(|(numbers, (answered_by, leader), hosts, words)| {
        let (cluster, lineage, revision, leaderless_ms, colonies, served, parent) = numbers;
        let (problems, under_way) = words;
        ClusterStatus {
            cluster: ClusterId(cluster),
            lineage: LineageId(lineage),
            revision: Revision(revision),
            answered_by,
            leader,
            leaderless_ms,
            hosts,
            colonies,
            served,
            problems,
            under_way,
            parent: parent.map(LineageId),
        }
    })
}

pub(crate) fn admin_reply() -> impl Strategy<Value = AdminReply> {
    let names = || vec(NAME, 0..FEW);
    let colony = (NAME, any::<(u32, u64, u64)>(), of(NAME), (names(), names()), of(TEXT)).prop_map(
        |(namespace, (bucket, reign, cfg), primary, (in_sync, want), problem)| ColonyStatus {
            namespace,
            bucket,
            primary,
            in_sync,
            want,
            reign: Reign(reign),
            cfg: Cfg(cfg),
            problem,
        },
    );
    let namespace = (any::<u32>(), NAME, policy()).prop_map(|(id, name, policy)| NamespaceStatus {
        id: NamespaceId(id),
        name,
        policy,
    });
    let stage = prop_oneof![
        Just(DepartureStage::Staying),
        Just(DepartureStage::Draining),
        Just(DepartureStage::Left),
        Just(DepartureStage::Dead),
    ];
    let departure = (NAME, any::<(u64, u32, u32, bool)>(), stage, vec(TEXT, 0..FEW)).prop_map(
        |(host, (start, colonies, primaries, votes), stage, stuck)| Departure {
            host,
            start: StartId(start),
            stage,
            colonies,
            primaries,
            stuck,
            votes,
        },
    );
    let hosts = (names(), names(), vec((NAME, TEXT), 0..FEW));
    let version =
        (content_id(), size(), any::<bool>(), hosts).prop_map(|(content, size, forced, (ready, waiting, failed))| {
            PluginVersionStatus { content, size, forced, ready, waiting, failed }
        });
    let decides = (of(content_id()), of(content_id()), of(canary()));
    let plugin = (NAME, plugin_kind(), decides, vec(version, 0..FEW), vec(NAME, 0..FEW)).prop_map(
        |(name, kind, (active, before, canary), versions, by_file)| PluginStatus {
            name,
            kind,
            active,
            before,
            versions,
            by_file,
            canary,
        },
    );
    prop_oneof![
        vec(departure, 0..FEW).prop_map(AdminReply::Departures),
        vec(TEXT, 0..FEW).prop_map(|why_not| AdminReply::SafeToStop { why_not }),
        cluster_status().prop_map(AdminReply::Status),
        vec(colony, 0..FEW).prop_map(AdminReply::Colonies),
        vec(namespace, 0..FEW).prop_map(AdminReply::Namespaces),
        any::<u32>().prop_map(|id| AdminReply::Created { id: NamespaceId(id) }),
        stale_copies().prop_map(AdminReply::StaleCopies),
        stale_copies().prop_map(AdminReply::Accepted),
        (TEXT, any::<bool>()).prop_map(|(why, retryable)| AdminReply::Refused { why, retryable }),
        plan_report().prop_map(AdminReply::Plan),
        (vec(NAME, 0..FEW), any::<u32>(), vec(colony_outlook(), 0..FEW))
            .prop_map(|(cut_off, others, colonies)| { AdminReply::Cut(CutReport { cut_off, others, colonies }) }),
        vec(plugin, 0..FEW).prop_map(AdminReply::Plugins),
        any::<u32>().prop_map(|have| AdminReply::PluginHeld { have }),
        of(content_id()).prop_map(|active| AdminReply::PluginInstalled { active }),
        (content_id(), of(content_id())).prop_map(|(content, before)| AdminReply::PluginUsed { content, before }),
        names().prop_map(|hosts| AdminReply::PluginPending { hosts }),
        Just(AdminReply::PluginUninstalled),
        canary().prop_map(AdminReply::CanaryBegun),
        Just(AdminReply::CanaryEnded),
    ]
}

fn canary() -> impl Strategy<Value = CanaryStatus> {
    (NAME, content_id(), any::<(u8, u32, u32)>()).prop_map(|(plugin, content, (percent, colonies, of))| CanaryStatus {
        plugin,
        content,
        percent,
        colonies,
        of,
    })
}

fn content_id() -> impl Strategy<Value = ContentId> {
    any::<[u8; 32]>().prop_map(ContentId)
}

fn size() -> impl Strategy<Value = u32> {
    0..=4_194_304_u32
}

fn plugin_kind() -> impl Strategy<Value = PluginKind> {
    prop_oneof![Just(PluginKind::Merge), Just(PluginKind::Placement)]
}

pub(crate) fn plugin_part() -> impl Strategy<Value = PluginPart> {
    (content_id(), size(), any::<u32>(), blob()).prop_map(|(content, size, offset, bytes)| PluginPart {
        content,
        size,
        offset,
        bytes,
    })
}
