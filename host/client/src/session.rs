//! One session, as loaded and as changed since.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use colony_wire::Position;
use colony_wire::client::Refusal;
use colony_wire::session::{Base, Changes, Content, Key, Precondition};
use colony_wire::tag::{Tag, TagChange, Tags, change_tags};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::error::CallError;
use crate::namespace::Namespace;
use crate::options::Ttl;
use crate::outcome::{Found, Saved};

/// One session: what was loaded, and what the application changed since.
///
/// Getters show the changes, [`save`](Self::save) sends them, and nothing else, with the version that they
/// are based on. If another save came in between, the primary merges the two as the namespace says; where it
/// needs the values this session was loaded with, they are sent to it, since hosts keep no old versions.
/// After a merged save the session shows what is stored.
///
/// A session is a map of attributes, each changed by itself, or one blob, changed as a whole. A new one is a
/// map; [`put_blob`](Self::put_blob) makes it a blob while it is empty.
///
/// Its id is a bearer token: `Debug` does not show it.
///
/// ```no_run
/// # async fn example(carts: colony_client::Namespace) -> Result<(), colony_client::CallError> {
/// if let Some(mut session) = carts.load("alice").await? {
///     let mut items: Vec<String> = session.get("items")?.unwrap_or_default();
///     items.push("bread".to_owned());
///     session.set("items", &items)?;
///     session.save().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    namespace: Namespace,
    id: String,
    key: Key,
    /// As loaded or last saved: what the changes are based on.
    stored: Content,
    base: Base,
    /// By this process's clock.
    expires_at: Option<Instant>,
    pending: Pending,
    /// As loaded or last saved.
    tags: Tags,
    /// New tags and removals, each different from what is stored.
    pending_tags: BTreeMap<String, Option<String>>,
    /// A new time to live, for the next save.
    ttl: Option<Ttl>,
    /// A merged save is stored that could not be read back yet: `stored` is not what stands at `base`.
    stale: bool,
}

/// What the next save sends.
#[derive(Clone)]
enum Pending {
    /// New values and removals, each different from what is stored.
    Attributes(BTreeMap<String, Option<Bytes>>),
    Blob(Bytes),
}

impl Default for Pending {
    fn default() -> Self {
        Self::Attributes(BTreeMap::new())
    }
}

impl Session {
    pub(crate) fn new(
        namespace: Namespace,
        id: String,
        key: Key,
        (stored, tags): (Content, Tags),
        base: Base,
        ttl_ms: Option<u64>,
    ) -> Self {
        Self {
            namespace,
            id,
            key,
            stored,
            base,
            expires_at: after(ttl_ms.map(Duration::from_millis)),
            pending: Pending::default(),
            tags,
            pending_tags: BTreeMap::new(),
            ttl: None,
            stale: false,
        }
    }

    pub(crate) fn found(namespace: Namespace, id: String, key: Key, found: Found) -> Self {
        let base = found.base();
        let mut session = Self::new(namespace, id, key, (found.content, found.tags), base, None);
        session.expires_at = after(found.expires_in);
        session
    }

    /// The session's id, or the key that the caller chose. Not for logs.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Position of the last change that this session knows of.
    #[must_use]
    pub fn version(&self) -> Position {
        self.base.version
    }

    /// Time until it expires, as far as is known here: a touch elsewhere may have prolonged it.
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// The value of an attribute, as [`set`](Self::set) encodes it.
    ///
    /// # Errors
    /// [`CallError::Value`] if what is stored is no `T`.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, CallError> {
        let decode = |value: &Bytes| {
            postcard::from_bytes(value).map_err(|error| CallError::Value { name: name.to_owned(), error })
        };
        self.get_raw(name).map(decode).transpose()
    }

    /// Sets an attribute, encoded by postcard (`postcard.jamesmunns.com/wire-format`). Sent by the next save.
    ///
    /// # Errors
    /// [`CallError::Value`] if the value has no encoding, [`CallError::WrongContent`] if this is a blob.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), CallError> {
        let value = postcard::to_stdvec(value).map_err(|error| CallError::Value { name: name.to_owned(), error })?;
        self.set_raw(name, value)
    }

    /// The bytes of an attribute.
    #[must_use]
    pub fn get_raw(&self, name: &str) -> Option<&Bytes> {
        let Content::Attributes(stored) = &self.stored else { return None };
        match &self.pending {
            Pending::Attributes(changes) => match changes.get(name) {
                Some(change) => change.as_ref(),
                None => stored.get(name),
            },
            Pending::Blob(_) => None,
        }
    }

    /// Sets the bytes of an attribute. Sent by the next save.
    ///
    /// # Errors
    /// [`CallError::WrongContent`] if this is a blob.
    pub fn set_raw(&mut self, name: &str, value: impl Into<Bytes>) -> Result<(), CallError> {
        self.change(name, Some(value.into()))
    }

    /// Removes an attribute. Sent by the next save.
    ///
    /// # Errors
    /// [`CallError::WrongContent`] if this is a blob.
    pub fn remove(&mut self, name: &str) -> Result<(), CallError> {
        self.change(name, None)
    }

    /// The names of all attributes, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let Content::Attributes(stored) = &self.stored else { return Vec::new() };
        let Pending::Attributes(changes) = &self.pending else { return Vec::new() };
        let kept = stored.keys().filter(|name| !changes.contains_key(*name));
        let set = changes.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
        let mut names: Vec<_> = kept.chain(set).map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The blob, if this is one.
    #[must_use]
    pub fn blob(&self) -> Option<&Bytes> {
        match (&self.pending, &self.stored) {
            (Pending::Blob(blob), _) | (_, Content::Blob(blob)) => Some(blob),
            _ => None,
        }
    }

    /// Sets the blob. Sent by the next save. A session of attributes becomes a blob if it has none.
    ///
    /// # Errors
    /// [`CallError::WrongContent`] if this session has attributes.
    pub fn put_blob(&mut self, blob: impl Into<Bytes>) -> Result<(), CallError> {
        if self.blob().is_none() && !self.names().is_empty() {
            return Err(CallError::WrongContent { holds: "attributes" });
        }
        let blob = blob.into();
        let same = matches!(&self.stored, Content::Blob(stored) if *stored == blob);
        self.pending = if same { Pending::default() } else { Pending::Blob(blob) };
        Ok(())
    }

    /// Lets the session be found by `name` and `value`, such as the user it belongs to: what
    /// [`Namespace::tagged`] and [`Namespace::revoke`] look for. Sent by the next save.
    ///
    /// ```no_run
    /// # async fn example(carts: colony_client::Namespace) -> Result<(), colony_client::CallError> {
    /// let mut session = carts.at("alice").await?;
    /// session.tag("user", 42)?;
    /// session.save().await?;
    /// assert!(!carts.tagged("user", 42).await?.is_empty());
    /// carts.revoke("user", 42).await?; // all of the user's sessions are over
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError::Invalid`] if the name is empty or one of the two too long.
    pub fn tag(&mut self, name: &str, value: impl fmt::Display) -> Result<(), CallError> {
        let tag = Tag { name: name.to_owned(), value: value.to_string() };
        tag.check()?;
        self.change_tag(tag.name, Some(tag.value));
        Ok(())
    }

    /// Takes a tag away. Sent by the next save.
    pub fn untag(&mut self, name: &str) {
        self.change_tag(name.to_owned(), None);
    }

    /// The tags, as they are after the next save.
    #[must_use]
    pub fn tags(&self) -> Tags {
        let mut tags = self.tags.clone();
        change_tags(&mut tags, &self.tag_changes());
        tags
    }

    /// Gives the session a new time to live with the next save.
    pub fn expire_after(&mut self, ttl: impl Into<Ttl>) {
        self.ttl = Some(ttl.into());
    }

    /// Whether there is anything to save.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.ttl.is_some()
            || !self.pending_tags.is_empty()
            || !matches!(&self.pending, Pending::Attributes(changes) if changes.is_empty())
    }

    /// Sends what changed. `None` if nothing did; no call is made then.
    ///
    /// # Errors
    /// Any [`CallError`]; the changes are kept, and saving again sends them again as a new request. Mind
    /// [`CallError::has_no_side_effects`]: if the change may have been made, [`reload`](Self::reload) first
    /// and look, or the second save meets the first one as if it were somebody else's.
    /// [`Refusal::Gone`]: the session was deleted or expired; load it again.
    pub async fn save(&mut self) -> Result<Option<Saved>, CallError> {
        if self.stale {
            self.reload().await?;
        }
        if !self.is_changed() {
            return Ok(None);
        }
        let ttl = match self.ttl {
            Some(ttl) => Some(self.namespace.millis(ttl).await?),
            None => None,
        };
        let saved = self.send(ttl).await?;
        self.stored = self.shown();
        self.tags = self.tags();
        self.pending_tags.clear();
        self.base = Base { life: saved.life, version: saved.version };
        self.pending = Pending::default();
        self.ttl = None;
        if let Some(ttl) = ttl {
            self.expires_at = after(ttl.map(Duration::from_millis));
        }
        if saved.merged {
            self.stale = true;
            // The save is done whatever comes of reading it back; the next use tries again.
            if let Err(error) = self.reload().await {
                tracing::debug!(session = %self.key, %error, "a merged save was not read back");
            }
        }
        Ok(Some(saved))
    }

    /// Loads what is stored now. Unsaved changes stay, based on it from now on.
    ///
    /// # Errors
    /// [`CallError::Refused`] with [`Refusal::Gone`] if the session has ended, also if another one has begun
    /// at its key; [`CallError::WrongContent`] if the changes do not fit what is stored now; else any
    /// [`CallError`].
    pub async fn reload(&mut self) -> Result<(), CallError> {
        let found = self.namespace.get(&self.key).await?;
        let found = found.filter(|found| found.life == self.base.life);
        let Some(found) = found else { return Err(CallError::Refused(Refusal::Gone { ended: None })) };
        let (base, expires_at) = (found.base(), after(found.expires_in));
        match (&found.content, &mut self.pending) {
            (Content::Attributes(stored), Pending::Attributes(changes)) => {
                changes.retain(|name, value| stored.get(name) != value.as_ref());
            }
            (Content::Blob(stored), Pending::Blob(blob)) if stored == blob => {
                self.pending = Pending::default();
            }
            (Content::Blob(_), Pending::Attributes(changes)) if !changes.is_empty() => {
                return Err(CallError::WrongContent { holds: "a blob" });
            }
            (Content::Attributes(stored), Pending::Blob(_)) if !stored.is_empty() => {
                return Err(CallError::WrongContent { holds: "attributes" });
            }
            _ => {}
        }
        self.pending_tags.retain(|name, value| found.tags.get(name) != value.as_ref());
        self.tags = found.tags;
        self.stored = found.content;
        self.base = base;
        self.expires_at = expires_at;
        self.stale = false;
        Ok(())
    }

    async fn send(&self, ttl: Option<Option<u64>>) -> Result<Saved, CallError> {
        let changes = match (&self.stored, &self.pending) {
            // An empty map becomes a blob: another content, not a change of this one.
            (Content::Attributes(_), Pending::Blob(blob)) => {
                let content = Content::Blob(blob.clone());
                let left = self.expires_in().map(|left| left.as_millis().max(1));
                let left = left.map(|left| u64::try_from(left).unwrap_or(u64::MAX));
                let only_if = Precondition::Version(self.base.version);
                let ttl = ttl.unwrap_or(left);
                return self.namespace.put_millis(&self.key, content, self.tag_changes(), ttl, only_if).await;
            }
            (Content::Blob(_), Pending::Blob(blob)) => Changes::Blob(blob.clone()),
            // Only tags or the time to live change.
            (Content::Blob(_), Pending::Attributes(_)) => Changes::Attributes(Vec::new()),
            (Content::Attributes(_), Pending::Attributes(changes)) => {
                Changes::Attributes(changes.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
            }
        };
        self.namespace.save(&self.key, self.base, &self.stored, (changes, self.tag_changes()), ttl).await
    }

    fn tag_changes(&self) -> Vec<TagChange> {
        self.pending_tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn change_tag(&mut self, name: String, value: Option<String>) {
        if self.tags.get(&name) == value.as_ref() {
            self.pending_tags.remove(&name);
        } else {
            self.pending_tags.insert(name, value);
        }
    }

    /// What is stored with the changes applied.
    fn shown(&self) -> Content {
        match (&self.stored, &self.pending) {
            (_, Pending::Blob(blob)) | (Content::Blob(blob), _) => Content::Blob(blob.clone()),
            (Content::Attributes(stored), Pending::Attributes(changes)) => {
                let mut values = stored.clone();
                for (name, value) in changes {
                    match value {
                        Some(value) => values.insert(name.clone(), value.clone()),
                        None => values.remove(name),
                    };
                }
                Content::Attributes(values)
            }
        }
    }

    fn change(&mut self, name: &str, value: Option<Bytes>) -> Result<(), CallError> {
        let (Content::Attributes(stored), Pending::Attributes(changes)) = (&self.stored, &mut self.pending) else {
            return Err(CallError::WrongContent { holds: "a blob" });
        };
        if stored.get(name) == value.as_ref() {
            changes.remove(name);
        } else {
            changes.insert(name.to_owned(), value);
        }
        Ok(())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("namespace", &self.namespace.name())
            .field("key", &self.key)
            .field("version", &self.base.version)
            .field("changed", &self.is_changed())
            .finish_non_exhaustive()
    }
}

/// A time so far off that the clock cannot express it is never.
fn after(duration: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(duration?)
}
