//! A session's content and what may be asked of it.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use xxhash_rust::xxh3::xxh3_64;

use crate::frame::{DecodeError, within};
use crate::id::Position;
use crate::limits::{MAX_ATTRIBUTE_NAME, MAX_ATTRIBUTES, MAX_KEY, MAX_SESSION, MAX_TTL};
use crate::tag::{TagChange, Tags, check_tag_changes};

/// Names a session inside its namespace. A session id is a bearer token, so neither `Debug` nor `Display`
/// shows it: they show a short reference that is the same for the same key.
///
/// Equality takes the same time wherever two keys of one length differ. Order does not: it is for maps, where
/// a guess is compared to the keys beside its place, by many bytes at a time. What the time of that could tell
/// are the first bytes of some key, and only to one who has guessed as many as one step compares; with the 128
/// random bits and more that a server-made id has, nobody does.
#[derive(Clone, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Bytes);

impl Key {
    /// A key of these bytes.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] if it is empty or longer than [`MAX_KEY`].
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, DecodeError> {
        let key = Self(bytes.into());
        key.check()?;
        Ok(key)
    }

    /// The bytes themselves. Not for logs.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn check(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() {
            return Err(DecodeError::Limit { what: "length of an empty key", len: 0, limit: MAX_KEY });
        }
        within("length of the key", self.0.len(), MAX_KEY)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session#{:08x}", xxh3_64(&self.0) >> 32)
    }
}

/// A session's state: opaque, or a map of attributes that are stamped one by one.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Content {
    /// Opaque bytes, changed as a whole.
    Blob(Bytes),
    /// Values by name, changed one by one.
    Attributes(BTreeMap<String, Bytes>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(bytes) => write!(f, "Blob({} bytes)", bytes.len()),
            Self::Attributes(map) => {
                write!(f, "Attributes({} of {} bytes)", map.len(), self.size())
            }
        }
    }
}

impl Content {
    /// Bytes that count against [`MAX_SESSION`]: names and values, or the blob.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Blob(bytes) => bytes.len(),
            Self::Attributes(map) => map.iter().map(|(name, value)| name.len() + value.len()).sum(),
        }
    }

    /// Refuses content beyond the limits.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] names the limit.
    pub fn check(&self) -> Result<(), DecodeError> {
        if let Self::Attributes(map) = self {
            within("number of attributes", map.len(), MAX_ATTRIBUTES)?;
            map.keys().try_for_each(|name| check_name(name))?;
        }
        within("size of the session in bytes", self.size(), MAX_SESSION)
    }
}

/// A change of one attribute: its new value, or its removal.
pub type AttributeChange = (String, Option<Bytes>);

/// What a save changes.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Changes {
    /// The whole blob.
    Blob(Bytes),
    /// These attributes; the others stay.
    Attributes(Vec<AttributeChange>),
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(bytes) => write!(f, "Blob({} bytes)", bytes.len()),
            Self::Attributes(changes) => write!(f, "Attributes({} changes)", changes.len()),
        }
    }
}

impl Changes {
    /// Refuses changes that no session could take.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] names the limit.
    pub fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Blob(bytes) => within("size of the session in bytes", bytes.len(), MAX_SESSION),
            Self::Attributes(changes) => check_attributes(changes),
        }
    }
}

/// An attribute has a name. The empty one stands for the whole of a blob where base values are sent.
fn check_name(name: &str) -> Result<(), DecodeError> {
    if name.is_empty() {
        return Err(DecodeError::Limit {
            what: "length of an empty attribute name",
            len: 0,
            limit: MAX_ATTRIBUTE_NAME,
        });
    }
    within("length of an attribute name", name.len(), MAX_ATTRIBUTE_NAME)
}

/// Refuses a list of attribute changes that no session could take.
pub(crate) fn check_attributes(changes: &[AttributeChange]) -> Result<(), DecodeError> {
    within("number of attributes", changes.len(), MAX_ATTRIBUTES)?;
    let mut size = 0;
    for (name, value) in changes {
        check_name(name)?;
        size += name.len() + value.as_ref().map_or(0, Bytes::len);
    }
    within("size of the session in bytes", size, MAX_SESSION)
}

/// As for changes, but a blob's one value has the empty name.
fn check_base_values(values: &[AttributeChange]) -> Result<(), DecodeError> {
    match values {
        [(name, value)] if name.is_empty() => {
            within("size of the session in bytes", value.as_ref().map_or(0, Bytes::len), MAX_SESSION)
        }
        values => check_attributes(values),
    }
}

/// Time to live in milliseconds, at most [`MAX_TTL`]; `None` lives until it is deleted.
pub type Ttl = Option<u64>;

pub(crate) fn check_ttl(ttl: Ttl) -> Result<(), DecodeError> {
    let millis = usize::try_from(ttl.unwrap_or(0)).unwrap_or(usize::MAX);
    within("time to live in ms", millis, usize::try_from(MAX_TTL.as_millis()).unwrap_or(usize::MAX))
}

/// Why a life ended. An explicit end is final; an expiry is no evidence against a concurrent use
/// (`PROTOCOL.md` 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EndKind {
    /// Its user ended it.
    Logout,
    /// Somebody else ended it for its user: an administrator, a change of password.
    Revoke,
    /// The primary found its time to live over.
    Expiry,
}

/// What a save was based on: the life it belongs to and the version it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Base {
    /// Position of the create that began the life.
    pub life: Position,
    /// Position of the last change that the saver had seen.
    pub version: Position,
}

/// What must hold for a mutation to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Precondition {
    /// Nothing.
    None,
    /// No session has the key.
    Absent,
    /// The session is at exactly this version.
    Version(Position),
}

/// A change that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mutation {
    /// Sets the whole content; begins a life if there is none.
    Put {
        /// Which session.
        key: Key,
        /// Its new content.
        content: Content,
        /// Tags to set or remove; a life that goes on keeps its others.
        tags: Vec<TagChange>,
        /// Its new time to live.
        ttl: Ttl,
        /// What must hold.
        precondition: Precondition,
    },
    /// Changes parts, based on a version that the client had loaded (`PROTOCOL.md` 3.2).
    Save {
        /// Which session.
        key: Key,
        /// What the client had seen.
        base: Base,
        /// What it changes.
        changes: Changes,
        /// Tags to set or remove.
        tags: Vec<TagChange>,
        /// A new time to live, if it is to change.
        ttl: Option<Ttl>,
        /// The client's copy of what the primary asked for with `NeedBase`: values at `base.version`.
        /// For a blob the one name is empty.
        base_values: Option<Vec<AttributeChange>>,
    },
    /// Restarts the time to live.
    Touch {
        /// Which session.
        key: Key,
        /// Its time to live from now on.
        ttl: Ttl,
    },
    /// Ends the life, if there is one.
    Delete {
        /// Which session.
        key: Key,
        /// What must hold.
        precondition: Precondition,
        /// Why. [`EndKind::Expiry`] is for the primary alone to say.
        kind: EndKind,
    },
}

impl Mutation {
    /// Which session it changes.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Save { key, .. } | Self::Touch { key, .. } | Self::Delete { key, .. } => key,
        }
    }

    /// Refuses a mutation whose parts exceed their limits, or that says what only a primary may say.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] names the limit, [`DecodeError::NotYours`] what it may not say.
    pub fn check(&self) -> Result<(), DecodeError> {
        self.key().check()?;
        match self {
            Self::Put { content, tags, ttl, .. } => {
                content.check()?;
                check_tag_changes(tags)?;
                check_ttl(*ttl)
            }
            Self::Save { changes, tags, ttl, base_values, .. } => {
                changes.check()?;
                check_tag_changes(tags)?;
                check_ttl(ttl.flatten())?;
                base_values.as_deref().map_or(Ok(()), check_base_values)
            }
            Self::Touch { ttl, .. } => check_ttl(*ttl),
            Self::Delete { kind: EndKind::Expiry, .. } => {
                Err(DecodeError::NotYours { what: "the expiry of a session" })
            }
            Self::Delete { kind: EndKind::Logout | EndKind::Revoke, .. } => Ok(()),
        }
    }
}

/// A session as a reader gets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionView {
    /// Its state.
    pub content: Content,
    /// Its tags.
    pub tags: Tags,
    /// Position of its last change.
    pub version: Position,
    /// Position of the create that began its life.
    pub life: Position,
    /// Milliseconds until it expires, if it does.
    pub expires_in: Ttl,
    /// Hybrid time of its last change, in milliseconds of the Unix epoch.
    pub written_at: u64,
}

/// A session as a list names it: all but its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionSummary {
    /// Position of its last change.
    pub version: Position,
    /// Position of the create that began its life.
    pub life: Position,
    /// Milliseconds until it expires, if it does.
    pub expires_in: Ttl,
    /// Hybrid time of its last change, in milliseconds of the Unix epoch.
    pub written_at: u64,
}
