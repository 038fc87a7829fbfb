//! What heals overrode in a namespace, asked of all primaries.

use colony_wire::heal::{self, Winner};
use colony_wire::limits::MAX_OVERRIDDEN;
use colony_wire::session::{Content, Key};
use colony_wire::tag::Tags;
use colony_wire::{Position, Seq};
use tokio::time::Instant;

use crate::error::CallError;
use crate::namespace::Namespace;

/// A value that was acknowledged on one side of a split and that the heal did not choose. A colony keeps the newest 1024.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overridden {
    /// Bucket of its colony, which with `at` names it.
    pub bucket: u32,
    /// Position of the op that overrode it.
    pub at: Position,
    /// When, by the clock of the primary, in milliseconds of the Unix epoch. For people.
    pub healed_at: u64,
    /// The session's key. Whoever has it has the session: not for logs. `Display` shows a short reference instead.
    pub key: Key,
    /// The content that was not chosen.
    pub content: Content,
    /// The tags that it had; none where only attributes were in conflict.
    pub tags: Tags,
    /// When it was written, as `healed_at`.
    pub written_at: u64,
    /// What was chosen.
    pub winner: Winner,
    /// Name of the host that answered.
    pub served_by: String,
}

/// What heals overrode in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllOverridden {
    /// By colony, oldest first.
    pub values: Vec<Overridden>,
    /// How many had to go for newer ones.
    pub dropped: u64,
}

impl Overridden {
    fn new(bucket: u32, one: heal::Overridden, served_by: String) -> Self {
        let heal::Overridden { at, healed_at, key, value, winner } = one;
        let heal::Portrait { content, tags, written_at, .. } = *value;
        Self { bucket, at, healed_at, key, content, tags, written_at, winner, served_by }
    }
}

impl Namespace {
    /// The values that heals overrode. Each colony answers for itself and for the moment it is asked. Needs the admin
    /// right.
    ///
    /// # Errors
    /// Any [`CallError`], also if only one colony did not answer: a list that is not whole is no list.
    pub async fn overridden(&self) -> Result<AllOverridden, CallError> {
        let list = |namespace: Self, bucket, ends| async move { namespace.overridden_in(bucket, None, ends).await };
        let mut all = AllOverridden::default();
        for outcome in self.in_every_colony(list).await? {
            let AllOverridden { values, dropped } = outcome?;
            all.values.extend(values);
            all.dropped += dropped;
        }
        all.values.sort_by_key(|one| (one.bucket, one.at.seq));
        Ok(all)
    }

    /// One of them, by its colony and its place there; none if it is not kept (any more). Needs the admin right.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn overridden_at(&self, bucket: u32, place: Seq) -> Result<Option<Overridden>, CallError> {
        let ends = Instant::now() + self.options.deadline();
        let before = Position { seq: Seq(place.0.saturating_sub(1)), ..Position::default() };
        let found = self.overridden_in(bucket, Some(before), ends).await?;
        Ok(found.values.into_iter().find(|one| one.at.seq == place))
    }

    async fn overridden_in(
        &self,
        bucket: u32,
        after: Option<Position>,
        ends: Instant,
    ) -> Result<AllOverridden, CallError> {
        const LIMIT: u32 = MAX_OVERRIDDEN as u32;
        let mut all = AllOverridden::default();
        loop {
            let after = all.values.last().map(|last| last.at).or(after);
            let answer = self.engine.overridden(self.name(), bucket, (after, LIMIT), self.until(ends)).await?;
            let (found, more, dropped) = answer.body;
            all.dropped = dropped;
            let is_last = !more || found.is_empty();
            let served_by = self.engine.name_of(answer.served_by);
            all.values.extend(found.into_iter().map(|one| Overridden::new(bucket, one, served_by.clone())));
            if is_last {
                return Ok(all);
            }
        }
    }
}
