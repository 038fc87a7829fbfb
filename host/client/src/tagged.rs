//! All sessions of a namespace that carry a tag: an index in each colony, asked of all primaries.

use std::fmt;
use std::time::Duration;

use colony_wire::Position;
use colony_wire::limits::MAX_TAGGED;
use colony_wire::session::{Key, SessionSummary};
use colony_wire::tag::Tag;
use tokio::time::Instant;

use crate::error::CallError;
use crate::namespace::Namespace;

/// A session that carries the tag that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// Its key. Whoever has it has the session: not for logs. `Display` shows a short reference instead.
    pub key: Key,
    /// Position of its last change.
    pub version: Position,
    /// Position of the create that began its life.
    pub life: Position,
    /// Time until it expires, from when the host answered; `None` if it does not.
    pub expires_in: Option<Duration>,
    /// Time of its last change by the clock of the primary, in milliseconds of the Unix epoch. For people.
    pub written_at: u64,
    /// Name of the host that answered.
    pub served_by: String,
}

impl Tagged {
    fn new(key: Key, summary: SessionSummary, served_by: String) -> Self {
        let SessionSummary { version, life, expires_in, written_at } = summary;
        Self { key, version, life, expires_in: expires_in.map(Duration::from_millis), written_at, served_by }
    }

    /// The session's id, as [`Namespace::load`] takes it; none if its key is no text.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_bytes()).ok()
    }
}

impl Namespace {
    /// All sessions that carry a tag, in the order of their keys. Each colony answers for itself and for the
    /// moment it is asked: sessions that come or go meanwhile may be in the list or not. Needs the admin right.
    ///
    /// # Errors
    /// Any [`CallError`], also if only one colony did not answer: a list that is not whole is no list.
    pub async fn tagged(&self, name: &str, value: impl fmt::Display) -> Result<Vec<Tagged>, CallError> {
        let tag = tag_of(name, value)?;
        let list = |namespace: Self, bucket, ends| {
            let tag = tag.clone();
            async move { namespace.tagged_in(bucket, &tag, ends).await }
        };
        let mut found = Vec::new();
        for outcome in self.in_every_colony(list).await? {
            found.extend(outcome?);
        }
        found.sort_unstable_by(|one: &Tagged, two| one.key.cmp(&two.key));
        Ok(found)
    }

    /// Ends all sessions that carry a tag: a logout everywhere. Says how many were ended. A session begun while
    /// this runs may live on; any other that carried the tag is gone once this returns. Needs the admin right.
    ///
    /// # Errors
    /// [`CallError::Partly`] if some colonies did not do it: ask again. Else any [`CallError`].
    pub async fn revoke(&self, name: &str, value: impl fmt::Display) -> Result<u32, CallError> {
        let tag = tag_of(name, value)?;
        let revoke = |namespace: Self, bucket, ends| {
            let tag = tag.clone();
            async move { namespace.revoke_in(bucket, &tag, ends).await }
        };
        let outcomes = self.in_every_colony(revoke).await?;
        let all = outcomes.len();
        let mut ended = 0_u32;
        let mut failed = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(more) => ended = ended.saturating_add(more),
                Err(error) => failed.push(error),
            }
        }
        let done = all - failed.len();
        let sure = done == 0 && failed.iter().all(CallError::has_no_side_effects);
        match failed.into_iter().next() {
            None => Ok(ended),
            Some(first) if sure => Err(first),
            Some(first) => Err(CallError::Partly { done, all, first: Box::new(first) }),
        }
    }

    async fn tagged_in(&self, bucket: u32, tag: &Tag, ends: Instant) -> Result<Vec<Tagged>, CallError> {
        const LIMIT: u32 = MAX_TAGGED as u32;
        let mut found: Vec<Tagged> = Vec::new();
        loop {
            let after = found.last().map(|last| last.key.clone());
            let asked = (tag.clone(), after, LIMIT);
            let answer = self.engine.tagged(self.name(), bucket, asked, self.until(ends)).await?;
            let (part, more) = answer.body;
            let is_last = !more || part.is_empty();
            let served_by = self.engine.name_of(answer.served_by);
            found.extend(part.into_iter().map(|(key, summary)| Tagged::new(key, summary, served_by.clone())));
            if is_last {
                return Ok(found);
            }
        }
    }

    async fn revoke_in(&self, bucket: u32, tag: &Tag, ends: Instant) -> Result<u32, CallError> {
        let mut ended = 0_u32;
        loop {
            let done = self.engine.revoke(self.name(), bucket, tag.clone(), self.until(ends)).await?.body;
            ended = ended.saturating_add(done.ended);
            if !done.more {
                return Ok(ended);
            }
        }
    }
}

fn tag_of(name: &str, value: impl fmt::Display) -> Result<Tag, CallError> {
    let tag = Tag { name: name.to_owned(), value: value.to_string() };
    tag.check()?;
    Ok(tag)
}
