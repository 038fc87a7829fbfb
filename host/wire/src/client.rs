//! What applications say to the shard that owns a session, and what it answers.

use serde::{Deserialize, Serialize};

use crate::frame::{DecodeError, Frame, Kind, Message, within};
use crate::heal::Overridden;
use crate::id::{ClusterId, ColonyId, LineageId, NamespaceId, Position, Reign, Revision, StartId};
use crate::limits::{MAX_DEADLINE, MAX_EVENTS, MAX_HOSTS, MAX_NAMESPACES, MAX_OVERRIDDEN, MAX_TAGGED, MAX_TOKEN_LINES};
use crate::op::Stamp;
use crate::session::{EndKind, Key, Mutation, SessionSummary, SessionView};
use crate::tag::Tag;
use crate::watch::WatchEvent;

/// A client's call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Which colony the client takes the key to be in.
    pub colony: ColonyId,
    /// Milliseconds until the client gives up, counted from sending (`PROTOCOL.md` 3.1).
    pub deadline_ms: u32,
    /// What the client has seen of this colony.
    pub token: Token,
    /// What is asked.
    pub body: RequestBody,
    /// Of a change: in which line of group state it was sent first. None is not checked.
    pub attempt: Option<Attempt>,
}

/// What a client has seen of a colony: whoever answers its reads holds all of it (`PROTOCOL.md` 4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token {
    /// The newest position; of several lines of group state, that of the host that is asked.
    pub newest: Option<Position>,
    /// The newest position of every other line, seen on another side of a split. Positions of two lines have no order.
    pub elsewhere: Vec<Position>,
}

impl Token {
    /// All of it.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.newest.into_iter().chain(self.elsewhere.iter().copied())
    }
}

impl From<Position> for Token {
    fn from(newest: Position) -> Self {
        Self { newest: Some(newest), elsewhere: Vec::new() }
    }
}

/// How a change was sent before. One that may have been done on one side of a split is not done on another
/// (`PROTOCOL.md` 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The line of group state of the host that it was first sent to.
    pub lineage: LineageId,
    /// Whether no earlier attempt can have been done: each was answered, and refused.
    pub is_first: bool,
}

/// The first fields of a [`Request`]: what a host looks at before it spends more on the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct RequestHead {
    /// As in the request.
    pub colony: ColonyId,
    /// As in the request.
    pub deadline_ms: u32,
}

impl RequestHead {
    /// The head of the request in a frame. The rest is not decoded, and may not even be a request's.
    ///
    /// # Errors
    /// If the frame is of another kind, or the fields are not there.
    pub fn of(frame: &Frame) -> Result<Self, DecodeError> {
        frame.decode_head::<Request, Self>()
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RequestBody {
    /// The committed state of one session.
    Get {
        /// Which session.
        key: Key,
        /// What the answer must hold.
        read: Read,
    },
    /// A change, applied once however often it is sent.
    Mutate {
        /// Which request it is.
        stamp: Stamp,
        /// What it does.
        mutation: Mutation,
        /// What must be done before it is answered.
        ack: Ack,
    },
    /// The colony's sessions that carry a tag, in the order of their keys.
    Tagged {
        /// The tag.
        tag: Tag,
        /// Only those after this key: where the answer before has ended.
        after: Option<Key>,
        /// How many at most, up to [`MAX_TAGGED`].
        limit: u32,
    },
    /// Ends the colony's sessions that carry a tag, up to [`MAX_REVOKE`](crate::limits::MAX_REVOKE) of them;
    /// done once however often it is sent.
    Revoke {
        /// Which request it is.
        stamp: Stamp,
        /// The tag.
        tag: Tag,
    },
    /// What happens to one session after a position. Answered as soon as there is something to tell, at the
    /// latest when the deadline passes.
    Watch {
        /// Which session.
        key: Key,
        /// The cursor of the answer before; none begins with the state as it is.
        after: Option<Position>,
    },
    /// The values that heals overrode in the colony.
    Overridden {
        /// Only those after this one: where the answer before has ended.
        after: Option<Position>,
        /// How many at most, up to [`MAX_OVERRIDDEN`].
        limit: u32,
    },
}

/// What a read's answer must hold (`PROTOCOL.md` 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Read {
    /// Everything this client has seen before.
    #[default]
    Token,
    /// Everything that was acknowledged to anybody before the read was asked: it is linearizable. Costs a round
    /// trip between the copies.
    Confirm,
    /// Whatever the host holds, even if it is older than what the client has seen.
    Any,
}

/// What must be done before a change is answered (`PROTOCOL.md` 3.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ack {
    /// Every in-sync copy holds it.
    #[default]
    InSync,
    /// The primary alone holds it. It is lost if that host dies before the others have it.
    Primary,
    /// Every in-sync copy has it on disk. Refused: sessions are kept in memory.
    Durable,
}

impl RequestBody {
    /// Which session is meant; none if all of the colony are.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Get { key, .. } | Self::Watch { key, .. } => Some(key),
            Self::Mutate { mutation, .. } => Some(mutation.key()),
            Self::Tagged { .. } | Self::Revoke { .. } | Self::Overridden { .. } => None,
        }
    }

    /// Which request it is, if it changes anything.
    #[must_use]
    pub fn stamp(&self) -> Option<&Stamp> {
        match self {
            Self::Mutate { stamp, .. } | Self::Revoke { stamp, .. } => Some(stamp),
            Self::Get { .. } | Self::Tagged { .. } | Self::Watch { .. } | Self::Overridden { .. } => None,
        }
    }

    /// The same, to give it a newer stamp.
    #[must_use]
    pub fn stamp_mut(&mut self) -> Option<&mut Stamp> {
        match self {
            Self::Mutate { stamp, .. } | Self::Revoke { stamp, .. } => Some(stamp),
            Self::Get { .. } | Self::Tagged { .. } | Self::Watch { .. } | Self::Overridden { .. } => None,
        }
    }
}

impl Message for Request {
    const KIND: Kind = Kind(0x0101);

    fn check(&self) -> Result<(), DecodeError> {
        let limit = usize::try_from(MAX_DEADLINE.as_millis()).unwrap_or(usize::MAX);
        within("deadline in ms", self.deadline_ms as usize, limit)?;
        within("lines of a token", self.token.positions().count(), MAX_TOKEN_LINES)?;
        match &self.body {
            RequestBody::Get { key, .. } | RequestBody::Watch { key, .. } => key.check(),
            RequestBody::Mutate { mutation, .. } => mutation.check(),
            RequestBody::Tagged { tag, after, limit } => {
                within("number of sessions asked for", *limit as usize, MAX_TAGGED)?;
                after.as_ref().map_or(Ok(()), Key::check)?;
                tag.check()
            }
            RequestBody::Revoke { tag, .. } => tag.check(),
            RequestBody::Overridden { limit, .. } => {
                within("number of values asked for", *limit as usize, MAX_OVERRIDDEN)
            }
        }
    }
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reply {
    /// The process that answered.
    pub served_by: StartId,
    /// The newest committed position there, to be the client's next token.
    pub seen: Option<Position>,
    /// The outcome.
    pub body: ReplyBody,
}

impl Message for Reply {
    const KIND: Kind = Kind(0x0102);

    fn check(&self) -> Result<(), DecodeError> {
        match &self.body {
            ReplyBody::Sessions { found, .. } => within("number of sessions", found.len(), MAX_TAGGED),
            ReplyBody::Events { events, .. } => within("number of events", events.len(), MAX_EVENTS),
            ReplyBody::Overridden { found, .. } => {
                within("number of overridden values", found.len(), MAX_OVERRIDDEN)?;
                found.iter().try_for_each(Overridden::check)
            }
            _ => Ok(()),
        }
    }
}

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReplyBody {
    /// The session as committed.
    Found(SessionView),
    /// No session has the key.
    Absent,
    /// The change is done.
    Done(Done),
    /// The save meets changes made since its base: send the same request again with the values of these
    /// attributes at the base (a blob's one name is empty).
    NeedBase {
        /// Names of the attributes in conflict.
        attributes: Vec<String>,
    },
    /// The call was not done, or its outcome is not known.
    Refused(Refusal),
    /// The sessions that carry the tag.
    Sessions {
        /// By key.
        found: Vec<(Key, SessionSummary)>,
        /// Whether there are others after the last of them.
        more: bool,
    },
    /// What happened to the watched session, oldest first; empty if nothing did until the deadline.
    Events {
        /// What happened.
        events: Vec<WatchEvent>,
        /// Everything up to here has been told: what the next request goes on from.
        cursor: Position,
    },
    /// The values that heals overrode.
    Overridden {
        /// Oldest first.
        found: Vec<Overridden>,
        /// Whether there are others after the last of them.
        more: bool,
        /// How many had to go for newer ones: a colony keeps 1024.
        dropped: u64,
    },
}

/// A change that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Done {
    /// The session's version now; where there was nothing to do, the version it has.
    pub version: Position,
    /// Begin of the session's life.
    pub life: Position,
    /// How many copies hold the change.
    pub copies: u8,
    /// Whether a merge decided the result, so that the client's own values may not be what is stored.
    pub merged: bool,
    /// What was done before this was said. With [`Ack::Primary`] nothing but the primary holds the change yet.
    pub ack: Ack,
    /// How many sessions were ended, if the request was to end those that carry a tag.
    pub ended: u32,
    /// Whether such a request left some: it is to be made again.
    pub more: bool,
}

/// Why a call was not done. All but [`Refusal::Deposed`] and [`Refusal::Unknown`] leave no trace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// This peer is not the colony's primary. Retryable: refresh the table.
    #[error("not the primary of this colony")]
    NotPrimary {
        /// The newest reign known here.
        reign: Reign,
    },
    /// The reign ended before the change was settled, or a later attempt of the same request took this
    /// one's place: whoever is primary knows whether it took effect. Retryable under the same request id,
    /// and only so.
    #[error("the attempt was given up before the change was settled")]
    Deposed,
    /// The primary has not committed its barrier yet, or hands over. Retryable.
    #[error("the primary is not ready yet")]
    NotReady,
    /// Nobody may serve the colony: no in-sync copy runs here.
    #[error("the colony is offline: no in-sync copy is running")]
    Offline,
    /// Fewer copies answer than the namespace asks for. Retryable: a host may come back, or another take its
    /// place.
    #[error("{have} copies answer, the namespace asks for at least {min} in sync")]
    TooFewCopies {
        /// How many do.
        have: u8,
        /// How many must.
        min: u8,
    },
    /// What the client has seen is lost: an operator let the colony go on from an older copy. Said once: ask
    /// again without the token.
    #[error("the colony went on from an older copy: what this client has seen of it may be lost")]
    LineageLost,
    /// Level `durable` was asked for.
    #[error("sessions are kept in memory: level durable is not offered")]
    NotDurable,
    /// The replica has not seen what the client has seen. Retryable elsewhere.
    #[error("the replica is behind what this client has seen")]
    Behind,
    /// A create met an existing session.
    #[error("the session exists already")]
    Exists {
        /// Its version.
        version: Position,
    },
    /// The session is not at the version that was asked for.
    #[error("the session has changed: it is at version {version}")]
    Changed {
        /// Its version.
        version: Position,
    },
    /// The life this change is about has ended.
    #[error("the session this change is about has {}", ended_as(*.ended))]
    Gone {
        /// How, while that is remembered.
        ended: Option<EndKind>,
    },
    /// No session has the key.
    #[error("there is no such session")]
    NotFound,
    /// The deadline passed before the change was made.
    #[error("the deadline passed before the call was served")]
    Late,
    /// A bound of this host is reached. Retryable.
    #[error("the host is at a limit: {what}")]
    Busy {
        /// Which.
        what: String,
    },
    /// The change would make the session exceed a limit.
    #[error("{what} is {len}, the limit is {limit}")]
    TooLarge {
        /// Which limit.
        what: String,
        /// The value.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// Attributes were asked of a blob or the other way round.
    #[error("the session holds the other kind of content")]
    WrongContent,
    /// The request was made before, and whether it took effect is no longer known.
    #[error("the outcome of this request is no longer known")]
    Unknown,
    /// No such namespace or bucket here. Retryable: refresh the table.
    #[error("no such colony")]
    NoColony,
    /// The certificate does not give the right.
    #[error("the certificate does not give the right to {right}")]
    Forbidden {
        /// `read`, `write` or `admin`.
        right: String,
    },
    /// The request is not well formed.
    #[error("malformed request: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// The colony is served in another line of group state than the one that this change was sent for, and surely it was not
    /// done there. Retryable, for that line.
    #[error("the colony is served in another lineage: {lineage}")]
    OtherLineage {
        /// Which.
        lineage: LineageId,
    },
    /// The save met a change made since its base, the namespace's merge plugin gave no usable answer, and the
    /// namespace refuses such a save rather than let the built-in decide. Nothing changed. Not retryable by itself: a
    /// plugin answers the same question alike. Load the session and save again, or decide without the plugin.
    #[error("the session was changed meanwhile, and the merge plugin gave no usable answer: {why}")]
    NotMerged {
        /// What was wrong.
        why: String,
    },
}

/// How a life ended, as the end of a sentence.
fn ended_as(kind: Option<EndKind>) -> &'static str {
    match kind {
        None => "ended",
        Some(EndKind::Logout) => "ended with a logout",
        Some(EndKind::Revoke) => "been revoked",
        Some(EndKind::Expiry) => "expired",
    }
}

impl Refusal {
    /// Whether this attempt surely changed nothing and never will.
    #[must_use]
    pub fn leaves_no_trace(&self) -> bool {
        !matches!(self, Self::Deposed | Self::Unknown)
    }

    /// Whether the same request may succeed if it is sent again, perhaps elsewhere.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NotPrimary { .. }
                | Self::Deposed
                | Self::NotReady
                | Self::Offline
                | Self::TooFewCopies { .. }
                | Self::Behind
                | Self::Busy { .. }
                | Self::NoColony
                | Self::OtherLineage { .. }
        )
    }
}

/// Asks a host's control port for the table that clients route by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RoutesRequest {
    /// The revision the client has; an equal one is answered without the table.
    pub have: Revision,
}

impl Message for RoutesRequest {
    const KIND: Kind = Kind(0x0103);
}

/// The table that clients route by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Routes {
    /// Which cluster.
    pub cluster: ClusterId,
    /// Which line of group state.
    pub lineage: LineageId,
    /// Its revision.
    pub revision: Revision,
    /// The hosts that serve.
    pub hosts: Vec<RouteHost>,
    /// The namespaces with their colonies.
    pub namespaces: Vec<RouteNamespace>,
}

/// A host that serves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RouteHost {
    /// The process.
    pub start: StartId,
    /// Its name, as in its certificate.
    pub name: String,
    /// Address of its control port as `ip:port`; shard `i` is at that port + 1 + `i`.
    pub address: String,
    /// How many shards it has.
    pub shards: u16,
    /// The line of group state that this start is of.
    pub lineage: LineageId,
}

/// A namespace with its colonies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RouteNamespace {
    /// Its number.
    pub id: NamespaceId,
    /// Its name.
    pub name: String,
    /// Default time to live in milliseconds.
    pub ttl: Option<u64>,
    /// By bucket: the primary, as an index into [`Routes::hosts`], or none.
    pub primaries: Vec<Option<u16>>,
}

impl Message for Routes {
    const KIND: Kind = Kind(0x0104);

    fn check(&self) -> Result<(), DecodeError> {
        within("number of hosts", self.hosts.len(), MAX_HOSTS)?;
        within("number of namespaces", self.namespaces.len(), MAX_NAMESPACES)
    }
}
