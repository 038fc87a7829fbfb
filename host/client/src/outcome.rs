//! What calls give back.

use std::time::Duration;

use colony_wire::Position;
use colony_wire::client::{Ack, Done};
use colony_wire::session::{Base, Content, SessionView};
use colony_wire::tag::Tags;

/// A session as committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its state.
    pub content: Content,
    /// Its tags.
    pub tags: Tags,
    /// Position of its last change: what [`Precondition::Version`](crate::Precondition::Version) takes.
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

impl Found {
    pub(crate) fn new(view: SessionView, served_by: String) -> Self {
        Self {
            content: view.content,
            tags: view.tags,
            version: view.version,
            life: view.life,
            expires_in: view.expires_in.map(Duration::from_millis),
            written_at: view.written_at,
            served_by,
        }
    }

    /// What a patch of this session is based on.
    #[must_use]
    pub fn base(&self) -> Base {
        Base { life: self.life, version: self.version }
    }
}

/// A change that is made: with [`Ack::InSync`] every in-sync copy holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The session's version now.
    pub version: Position,
    /// Begin of the session's life.
    pub life: Position,
    /// How many copies hold the change, the primary's included.
    pub copies: u8,
    /// Whether the change was merged with another one, so that what is stored may differ from what was sent.
    pub merged: bool,
    /// What was done before the host answered. With [`Ack::Primary`] only that host holds the change yet.
    pub ack: Ack,
    /// Name of the host that answered.
    pub served_by: String,
}

impl Saved {
    pub(crate) fn new(done: Done, served_by: String) -> Self {
        let Done { version, life, copies, merged, ack, .. } = done;
        Self { version, life, copies, merged, ack, served_by }
    }
}
