//! The sessions of one namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use colony_wire::client::Refusal;
use colony_wire::session::{Base, Changes, Content, EndKind, Key, Mutation, Precondition};
use colony_wire::tag::{TagChange, Tags};

use crate::engine::Engine;
use crate::entropy;
use crate::error::CallError;
use crate::options::{Options, Ttl};
use crate::outcome::{Found, Saved};
use crate::session::Session;

/// Most times [`Namespace::at`] looks and creates in turn: each round means that somebody created or deleted
/// the session in between.
const AT_ROUNDS_MAX: usize = 4;

/// The sessions of one namespace. Cheap to clone; makes no calls of its own.
///
/// Two levels: [`create`](Self::create), [`load`](Self::load) and [`at`](Self::at) give a [`Session`], which
/// remembers what it was loaded with and saves what changed. [`get`](Self::get), [`put`](Self::put),
/// [`patch`](Self::patch) and [`delete_if`](Self::delete_if) are the calls underneath.
///
/// ```no_run
/// # async fn example(client: colony_client::Client) -> Result<(), colony_client::CallError> {
/// use std::time::Duration;
///
/// let carts = client.namespace("cart");
/// let session = carts.create(Duration::from_secs(1800)).await?;
/// assert!(carts.load(session.id()).await?.is_some());
/// carts.touch(session.id(), Duration::from_secs(3600)).await?;
/// assert!(carts.delete(session.id()).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Namespace {
    pub(crate) engine: Arc<Engine>,
    name: Arc<str>,
    pub(crate) options: Options,
}

impl Namespace {
    pub(crate) fn new(engine: Arc<Engine>, name: &str) -> Self {
        Self { engine, name: name.into(), options: Options::default() }
    }

    /// The same namespace, its calls made with these options.
    #[must_use]
    pub fn with(&self, options: Options) -> Self {
        Self { options, ..self.clone() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins a session with an id that cannot be guessed: 128 random bits as 32 hexadecimal digits. It
    /// exists once this returns, empty.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn create(&self, ttl: impl Into<Ttl>) -> Result<Session, CallError> {
        self.create_at(entropy::session_id()?, ttl).await
    }

    /// Begins a session with a key of the caller's choice, 1 to 256 bytes. Keys with the same `{tag}` share
    /// a colony.
    ///
    /// # Errors
    /// [`CallError::Refused`] with [`Refusal::Exists`] if there is one, else any [`CallError`].
    pub async fn create_at(&self, key: impl AsRef<str>, ttl: impl Into<Ttl>) -> Result<Session, CallError> {
        let (id, key) = named(key)?;
        let content = Content::Attributes(BTreeMap::new());
        let millis = self.millis(ttl.into()).await?;
        let saved = self.put_millis(&key, content.clone(), Vec::new(), millis, Precondition::Absent).await?;
        let base = Base { life: saved.life, version: saved.version };
        Ok(Session::new(self.clone(), id, key, (content, Tags::new()), base, millis))
    }

    /// The session of this key, if there is one.
    ///
    /// # Errors
    /// [`CallError`]; never for a session that does not exist.
    pub async fn load(&self, key: impl AsRef<str>) -> Result<Option<Session>, CallError> {
        let (id, key) = named(key)?;
        let found = self.get(&key).await?;
        Ok(found.map(|found| Session::found(self.clone(), id, key, found)))
    }

    /// The session of this key, begun if there is none, to live as the namespace says.
    ///
    /// # Errors
    /// [`CallError`]; [`Refusal::Exists`] only if the session came and went all the time.
    pub async fn at(&self, key: impl AsRef<str>) -> Result<Session, CallError> {
        let key = key.as_ref();
        let mut rounds = AT_ROUNDS_MAX;
        loop {
            if let Some(session) = self.load(key).await? {
                return Ok(session);
            }
            rounds -= 1;
            match self.create_at(key, Ttl::OfNamespace).await {
                Err(CallError::Refused(Refusal::Exists { .. })) if rounds > 0 => {}
                created => return created,
            }
        }
    }

    /// Restarts a session's time to live. `false` if there is no such session.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn touch(&self, key: impl AsRef<str>, ttl: impl Into<Ttl>) -> Result<bool, CallError> {
        let (_, key) = named(key)?;
        let ttl = self.millis(ttl.into()).await?;
        found(self.change(Mutation::Touch { key, ttl }, None).await)
    }

    /// Ends a session, a logout: it wins over a concurrent save. `false` if there is no such session.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn delete(&self, key: impl AsRef<str>) -> Result<bool, CallError> {
        let (_, key) = named(key)?;
        found(self.delete_if(&key, Precondition::None).await)
    }

    /// Ends a session in its user's stead: an administrator does, or a change of password. It wins over a
    /// concurrent save as a logout does, and whoever holds the session is told the difference. `false` if there
    /// is no such session.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn revoke_session(&self, key: impl AsRef<str>) -> Result<bool, CallError> {
        let (_, key) = named(key)?;
        let mutation = Mutation::Delete { key, precondition: Precondition::None, kind: EndKind::Revoke };
        found(self.change(mutation, None).await)
    }

    /// Reads one session.
    ///
    /// # Errors
    /// [`CallError`]; never for a session that does not exist.
    pub async fn get(&self, key: &Key) -> Result<Option<Found>, CallError> {
        let answer = self.engine.read(&self.name, key, self.options).await?;
        let served_by = self.engine.name_of(answer.served_by);
        Ok(answer.body.map(|view| Found::new(view, served_by)))
    }

    /// Sets the whole content of one session; begins a life if there is none.
    ///
    /// ```no_run
    /// # async fn example(carts: colony_client::Namespace) -> Result<(), colony_client::CallError> {
    /// use colony_client::{Content, Key, Precondition, Ttl};
    ///
    /// let key = Key::new("alice")?;
    /// let blob = |text: &'static str| Content::Blob(text.into());
    /// let saved = carts.put(&key, blob("one"), Ttl::Never, Precondition::Absent).await?;
    /// let only_if = Precondition::Version(saved.version);
    /// let saved = carts.put(&key, blob("two"), Ttl::Never, only_if).await?;
    /// println!("{} holds it, {} copies", saved.served_by, saved.copies);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError::Refused`] with [`Refusal::Exists`] or [`Refusal::Changed`] if the precondition does not
    /// hold, else any [`CallError`].
    pub async fn put(
        &self,
        key: &Key,
        content: Content,
        ttl: impl Into<Ttl>,
        precondition: Precondition,
    ) -> Result<Saved, CallError> {
        self.put_tagged(key, content, Vec::new(), ttl, precondition).await
    }

    /// As [`put`](Self::put), and sets or removes tags in the same change. A session that exists keeps the tags
    /// that are not named.
    ///
    /// # Errors
    /// As [`put`](Self::put); [`Refusal::TooLarge`] for more than
    /// [`MAX_TAGS`](colony_wire::limits::MAX_TAGS) tags.
    pub async fn put_tagged(
        &self,
        key: &Key,
        content: Content,
        tags: Vec<TagChange>,
        ttl: impl Into<Ttl>,
        precondition: Precondition,
    ) -> Result<Saved, CallError> {
        let ttl = self.millis(ttl.into()).await?;
        self.put_millis(key, content, tags, ttl, precondition).await
    }

    /// Changes parts of a session that was read before, and its time to live if one is given. What changed
    /// since is merged, overwritten or refused as the namespace says.
    ///
    /// # Errors
    /// [`CallError::Refused`] with [`Refusal::Gone`] if the life that was read has ended, with
    /// [`Refusal::Changed`] if the namespace rejects conflicts, else any [`CallError`].
    pub async fn patch(
        &self,
        key: &Key,
        based_on: &Found,
        changes: Changes,
        ttl: Option<Ttl>,
    ) -> Result<Saved, CallError> {
        self.patch_tagged(key, based_on, changes, Vec::new(), ttl).await
    }

    /// As [`patch`](Self::patch), and sets or removes tags in the same change. Tags take no part in conflicts:
    /// of two changes of one tag the later wins.
    ///
    /// # Errors
    /// As [`patch`](Self::patch); [`Refusal::TooLarge`] for more than
    /// [`MAX_TAGS`](colony_wire::limits::MAX_TAGS) tags.
    pub async fn patch_tagged(
        &self,
        key: &Key,
        based_on: &Found,
        changes: Changes,
        tags: Vec<TagChange>,
        ttl: Option<Ttl>,
    ) -> Result<Saved, CallError> {
        let ttl = match ttl {
            Some(ttl) => Some(self.millis(ttl).await?),
            None => None,
        };
        self.save(key, based_on.base(), &based_on.content, (changes, tags), ttl).await
    }

    /// Ends a session, a logout, if the precondition holds.
    ///
    /// # Errors
    /// [`CallError::Refused`] with [`Refusal::NotFound`] if there is none, with [`Refusal::Changed`] if it is
    /// at another version, else any [`CallError`].
    pub async fn delete_if(&self, key: &Key, precondition: Precondition) -> Result<Saved, CallError> {
        let mutation = Mutation::Delete { key: key.clone(), precondition, kind: EndKind::Logout };
        self.change(mutation, None).await
    }

    pub(crate) async fn save(
        &self,
        key: &Key,
        base: Base,
        content: &Content,
        (changes, tags): (Changes, Vec<TagChange>),
        ttl: Option<Option<u64>>,
    ) -> Result<Saved, CallError> {
        let key = key.clone();
        let mutation = Mutation::Save { key, base, changes, tags, ttl, base_values: None };
        self.change(mutation, Some(content)).await
    }

    pub(crate) async fn put_millis(
        &self,
        key: &Key,
        content: Content,
        tags: Vec<TagChange>,
        ttl: Option<u64>,
        precondition: Precondition,
    ) -> Result<Saved, CallError> {
        let key = key.clone();
        self.change(Mutation::Put { key, content, tags, ttl, precondition }, None).await
    }

    pub(crate) async fn millis(&self, ttl: Ttl) -> Result<Option<u64>, CallError> {
        let of_namespace = match ttl {
            Ttl::OfNamespace => self.engine.ttl_of(&self.name, self.options).await?,
            Ttl::After(_) | Ttl::Never => None,
        };
        Ok(ttl.millis(of_namespace))
    }

    async fn change(&self, change: Mutation, base: Option<&Content>) -> Result<Saved, CallError> {
        let answer = self.engine.change(&self.name, change, base, self.options).await?;
        Ok(Saved::new(answer.body, self.engine.name_of(answer.served_by)))
    }
}

pub(crate) fn named(key: impl AsRef<str>) -> Result<(String, Key), CallError> {
    let id = key.as_ref().to_owned();
    let key = Key::new(Bytes::copy_from_slice(id.as_bytes()))?;
    Ok((id, key))
}

fn found(changed: Result<Saved, CallError>) -> Result<bool, CallError> {
    match changed {
        Ok(_) => Ok(true),
        Err(CallError::Refused(Refusal::NotFound | Refusal::Gone { .. })) => Ok(false),
        Err(error) => Err(error),
    }
}
