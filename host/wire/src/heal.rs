//! What the two sides of a healed split say to each other, colony by colony (`PROTOCOL.md` 9): the primary of the side
//! that yields tells the primary of the side that stays what became of the sessions since their common point.

use serde::{Deserialize, Serialize};

use crate::client::Done;
use crate::frame::{DecodeError, Kind, Message, within};
use crate::id::{ClientId, ColonyId, LineageId, Position, Reign, Seq, StartId};
use crate::limits::{MAX_HEAL_ANSWERS, MAX_HEAL_ITEMS, MAX_PATH, MAX_TAGS, MAX_VERSIONS};
use crate::session::{Content, EndKind, Key, Ttl};
use crate::tag::Tags;

/// A part of a path: the last place of a reign that a state covers.
pub type Stretch = (LineageId, Reign, Seq);

/// Which ops a state holds: the reigns that it came through, and those that it took in from others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Path {
    /// The reigns it came through itself, oldest first.
    pub own: Vec<Stretch>,
    /// What was absorbed from other sides, each with the own reign that opened with it.
    pub absorbed: Vec<((LineageId, Reign), Stretch)>,
}

/// One message between the primaries of one colony in two lineages.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HealMessage {
    /// Which colony.
    pub colony: ColonyId,
    /// The sending process, by its start in the lineage that stays.
    pub from: StartId,
    /// The process it is meant for, likewise.
    pub to: StartId,
    /// The lineage that the sender speaks for.
    pub from_lineage: LineageId,
    /// The lineage that is spoken to.
    pub to_lineage: LineageId,
    /// What is said.
    pub body: HealBody,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HealBody {
    /// Yielding primary: will you take in what this colony did?
    Ask {
        /// Names the attempt; never used twice by one process.
        round: u64,
        /// What its state covers.
        path: Path,
    },
    /// Staying primary: yes, and this is what my state covers.
    Ready {
        /// The attempt's.
        round: u64,
        /// What its state covers.
        path: Path,
    },
    /// Yielding primary: the colony stands still here; these sessions changed since the common point.
    Part {
        /// The attempt's.
        round: u64,
        /// Which part, counted from 0.
        index: u32,
        /// Where the colony stands still.
        at: Position,
        /// The sessions.
        items: Vec<Item>,
        /// Answers to changes of sessions that clients may ask for again.
        answers: Vec<Answers>,
    },
    /// Staying primary: everything of this part is merged and committed.
    Taken {
        /// The attempt's.
        round: u64,
        /// Which part.
        index: u32,
    },
    /// Yielding primary, after the last part: this was all.
    End {
        /// The attempt's.
        round: u64,
        /// What it is counted as: the number of parts before.
        index: u32,
        /// Where the colony stands still.
        at: Position,
        /// Everything that its state covers by now.
        path: Path,
    },
}

/// What one client was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Answers {
    /// Which client.
    pub client: ClientId,
    /// Its requests below this number without an answer here may have been done.
    pub below: u64,
    /// The answers, by the number of the request.
    pub kept: Vec<(u64, Done)>,
}

impl Answers {
    /// Bytes it counts in a part or an op.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<(ClientId, u64)>() + self.kept.len() * size_of::<(u64, Done)>()
    }
}

/// One session that changed: what it was, and what it is.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Item {
    /// Which session.
    pub key: Key,
    /// Its values, oldest first; the last one is what it is. One that is not the last was overwritten, and is here
    /// because both sides may have begun from it.
    pub versions: Vec<Version>,
}

/// A value of a session.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Position of the change that made it.
    pub at: Position,
    /// The value.
    pub value: Value,
}

/// What a session was at some time.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Value {
    /// This.
    Alive(Box<Portrait>),
    /// Over.
    Ended {
        /// The life that ended; none if that is not remembered.
        life: Option<Position>,
        /// How; none if that is not remembered.
        kind: Option<EndKind>,
    },
    /// It was something, and that had to be given up for memory.
    Lost,
}

/// A session as it travels from one side to the other.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Portrait {
    /// Position of the create that began its life.
    pub life: Position,
    /// Its content.
    pub content: Content,
    /// Its tags.
    pub tags: Tags,
    /// Its time to live.
    pub ttl: Ttl,
    /// Milliseconds until it ends, counted from sending; none if it does not.
    pub expires_in: Option<u64>,
    /// Hybrid time of its last change.
    pub written_at: u64,
}

/// A value that a heal overrode, kept for people.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Overridden {
    /// Position of the op that overrode it.
    pub at: Position,
    /// Hybrid time of that op.
    pub healed_at: u64,
    /// Which session.
    pub key: Key,
    /// The value.
    pub value: Box<Portrait>,
    /// What was chosen.
    pub winner: Winner,
}

/// What a heal chose over a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Winner {
    /// The session as it was on the side that stays, or its end there.
    Staying,
    /// What a merge of both sides made of the session, or the other side's.
    Joined,
    /// An end on the other side.
    End(EndKind),
}

impl Overridden {
    /// Bytes it counts in a list.
    #[must_use]
    pub fn size(&self) -> usize {
        self.key.as_bytes().len() + self.value.size() + size_of::<Self>()
    }

    /// Refuses one whose parts exceed their limits.
    ///
    /// # Errors
    /// [`DecodeError`] names the limit.
    pub fn check(&self) -> Result<(), DecodeError> {
        self.key.check()?;
        self.value.check()
    }
}

/// Sessions are in these, keys and all: they are for no log.
macro_rules! discreet {
    ($($name:ident),*) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}
discreet!(Item, Version, Value, Portrait, Overridden);

impl Path {
    fn check(&self) -> Result<(), DecodeError> {
        within("number of reigns of a path", self.own.len() + self.absorbed.len(), MAX_PATH)
    }
}

impl Portrait {
    /// Refuses one whose parts exceed their limits.
    ///
    /// # Errors
    /// [`DecodeError`] names the limit.
    pub fn check(&self) -> Result<(), DecodeError> {
        self.content.check()?;
        within("number of tags", self.tags.len(), MAX_TAGS)
    }

    /// Bytes of content it carries.
    #[must_use]
    pub fn size(&self) -> usize {
        let tags: usize = self.tags.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.content.size() + tags
    }
}

impl Item {
    fn check(&self) -> Result<(), DecodeError> {
        self.key.check()?;
        within("number of versions of a session", self.versions.len(), MAX_VERSIONS)?;
        for version in &self.versions {
            if let Value::Alive(portrait) = &version.value {
                portrait.check()?;
            }
        }
        Ok(())
    }

    /// Bytes it counts in a part: content, and a fixed share for the rest.
    #[must_use]
    pub fn size(&self) -> usize {
        const REST: usize = 96;
        let versions = self.versions.iter().map(|version| version.value.size() + REST);
        self.key.as_bytes().len() + versions.sum::<usize>()
    }
}

impl Value {
    /// Bytes of content it carries.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Alive(portrait) => portrait.size(),
            Self::Ended { .. } | Self::Lost => 0,
        }
    }
}

impl Message for HealMessage {
    const KIND: Kind = Kind(0x0202);

    fn check(&self) -> Result<(), DecodeError> {
        match &self.body {
            HealBody::Ask { path, .. } | HealBody::Ready { path, .. } | HealBody::End { path, .. } => path.check(),
            HealBody::Part { items, answers, .. } => {
                within("number of sessions in a part", items.len(), MAX_HEAL_ITEMS)?;
                let answers = answers.iter().map(|client| 1 + client.kept.len()).sum();
                within("number of answers in a part", answers, MAX_HEAL_ANSWERS)?;
                items.iter().try_for_each(Item::check)
            }
            HealBody::Taken { .. } => Ok(()),
        }
    }
}
