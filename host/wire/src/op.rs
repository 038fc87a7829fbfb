//! What a colony's log is made of. Ops carry results, never calls: replaying one needs no plugin.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::heal::{Answers, Portrait, Stretch};
use crate::id::{Position, RequestId, Seq};
use crate::session::{AttributeChange, Changes, Content, EndKind, Key, Ttl};
use crate::tag::TagChange;

/// One entry of a colony's log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Op {
    /// Where it stands; kept when a later primary proposes it again.
    pub position: Position,
    /// Which request it answers, if a client asked for it.
    pub stamp: Option<Stamp>,
    /// Hybrid time of the primary, in milliseconds of the Unix epoch: never a base of safety
    /// (`PROTOCOL.md` 11).
    pub written_at: u64,
    /// What it does.
    pub change: Change,
}

/// The request an op answers (`PROTOCOL.md` 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Which request.
    pub request: RequestId,
    /// The client's lowest id that has no answer yet: records below it are of no more use.
    pub lowest_unanswered: u64,
}

/// What an op does to the sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// First op of a reign: its commit settles what earlier reigns left.
    Barrier,
    /// Sets the whole content. Begins a life if the key has none.
    Put {
        /// Which session.
        key: Key,
        /// Its content from now on.
        content: Content,
        /// Tags that are set or removed.
        tags: Vec<TagChange>,
        /// Its time to live, counted from when each copy takes the op in.
        ttl: Ttl,
    },
    /// Changes parts of a session.
    Update {
        /// Which session.
        key: Key,
        /// The parts, results of a merge included.
        changes: Changes,
        /// Tags that are set or removed.
        tags: Vec<TagChange>,
        /// Its time to live, if it changes.
        ttl: Option<Ttl>,
        /// Whether a merge had a part in it.
        merged: bool,
    },
    /// Restarts the time to live.
    Touch {
        /// Which session.
        key: Key,
        /// Its time to live from now on.
        ttl: Ttl,
    },
    /// Ends a life.
    End {
        /// Which session.
        key: Key,
        /// Why.
        kind: EndKind,
    },
    /// Every copy there is or shall be knows what ended up to here: the tombstones of it go
    /// (`PROTOCOL.md` 8).
    Forget {
        /// Place of the last end that is forgotten.
        upto: Seq,
    },
    /// Every session that carried a tag has ended by the ops before: the answer to the request for it.
    Revoked {
        /// How many were ended for this request.
        ended: u32,
        /// Whether some are left: the request was for more than one request may end.
        more: bool,
    },
    /// First op of a reign that begins with more than a [`Change::Barrier`]: its colony goes on apart from others, or
    /// has taken in what they did (`PROTOCOL.md` 8, 9).
    Open {
        /// Whether others may have gone on from what is held before this op: then what changes keeps the value it had.
        pins: bool,
        /// Ends of the paths that the state covers from here on, in the order in which they were taken in.
        unites: Vec<Position>,
    },
    /// The colony stands still, so that another side can take in what it did. Reads go on.
    Freeze,
    /// It was not taken in yet, and goes on.
    Unfreeze,
    /// What another side did to a session is taken in.
    Absorb {
        /// Which session.
        key: Key,
        /// Where the other side stood still: what it did to the session up to there is in the state from now on.
        mark: Position,
        /// What becomes of the session.
        into: Absorption,
        /// A value that was overridden, kept for people; none if nothing was.
        overridden: Option<Box<Portrait>>,
    },
    /// Everything that another side did is taken in. The next reign's first op unites the paths.
    Absorbed {
        /// Where the other side stood still.
        end: Position,
        /// What its state covers.
        covers: Vec<Stretch>,
    },
    /// Answers that another side gave to clients: a request that was done there is not done here.
    Recall {
        /// The answers.
        answers: Vec<Answers>,
    },
}

/// What becomes of a session that another side changed as well.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Absorption {
    /// It stays as it is.
    Keep,
    /// It is this from now on.
    Become(Box<Portrait>),
    /// Its life is over.
    End(EndKind),
    /// It stays as it is, and an earlier life, which is not here any more, is known to have ended so: nobody brings that
    /// back.
    Over {
        /// Position of the create that began the life.
        life: Position,
        /// How it ended.
        kind: EndKind,
    },
}

impl Change {
    /// Which session it changes.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Barrier
            | Self::Forget { .. }
            | Self::Revoked { .. }
            | Self::Open { .. }
            | Self::Freeze
            | Self::Unfreeze
            | Self::Absorbed { .. }
            | Self::Recall { .. } => None,
            Self::Put { key, .. }
            | Self::Update { key, .. }
            | Self::Touch { key, .. }
            | Self::End { key, .. }
            | Self::Absorb { key, .. } => Some(key),
        }
    }

    /// Bytes of content it carries, for the bounds of batches and logs.
    #[must_use]
    pub fn size(&self) -> usize {
        let attributes = |changes: &[AttributeChange]| -> usize {
            changes.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, Bytes::len)).sum()
        };
        let tags = |changes: &[TagChange]| -> usize {
            changes.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len)).sum()
        };
        let key = self.key().map_or(0, |key| key.as_bytes().len());
        key + match self {
            Self::Barrier
            | Self::Touch { .. }
            | Self::End { .. }
            | Self::Forget { .. }
            | Self::Revoked { .. }
            | Self::Open { .. }
            | Self::Freeze
            | Self::Unfreeze => 0,
            Self::Absorb { into, overridden, .. } => {
                let after = match into {
                    Absorption::Become(portrait) => portrait.size(),
                    Absorption::Keep | Absorption::End(_) | Absorption::Over { .. } => 0,
                };
                after + overridden.as_ref().map_or(0, |portrait| portrait.size())
            }
            Self::Absorbed { covers, .. } => covers.len() * size_of::<Stretch>(),
            Self::Recall { answers } => answers.iter().map(Answers::size).sum(),
            Self::Put { content, tags: changed, .. } => content.size() + tags(changed),
            Self::Update { changes: Changes::Blob(bytes), tags: changed, .. } => bytes.len() + tags(changed),
            Self::Update { changes: Changes::Attributes(changes), tags: changed, .. } => {
                attributes(changes) + tags(changed)
            }
        }
    }
}

impl Op {
    /// Bytes it counts in batches and logs: content and a fixed share for the rest.
    #[must_use]
    pub fn size(&self) -> usize {
        const REST: usize = 96;
        self.change.size() + REST
    }
}
