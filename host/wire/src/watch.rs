//! What happened to a session, told to those who watch it (requirements B8, E7).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::Position;
use crate::session::{Changes, Content, EndKind, SessionView};
use crate::tag::TagChange;

/// One thing that happened to a watched session, or where the watch stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WatchEvent {
    /// The committed state, at the begin of a watch and after a gap. None: no session has the key.
    Current(Option<SessionView>),
    /// It was written.
    Changed {
        /// Its version from then on.
        version: Position,
        /// Hybrid time of the change, in milliseconds of the Unix epoch.
        written_at: u64,
        /// What was written.
        change: WatchedChange,
        /// What the change did to its tags.
        tags: Vec<TagChange>,
    },
    /// Its life ended.
    Ended {
        /// Why.
        kind: EndKind,
        /// Where the end stands in the colony's log.
        at: Position,
    },
    /// Things may have happened that cannot be told any more. The state as it is now follows.
    Gap,
}

/// What a watcher is told of a write.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WatchedChange {
    /// The whole content is this from then on.
    Content(Content),
    /// These parts changed, results of a merge included.
    Changes(Changes),
}

impl WatchEvent {
    /// Bytes it counts in a reply: content and tags, and a fixed share for the rest.
    #[must_use]
    pub fn size(&self) -> usize {
        const REST: usize = 96;
        let tags = |tags: &[TagChange]| -> usize {
            tags.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len)).sum()
        };
        REST + match self {
            Self::Current(None) | Self::Ended { .. } | Self::Gap => 0,
            Self::Current(Some(view)) => view.content.size(),
            Self::Changed { change: WatchedChange::Content(content), tags: changed, .. } => {
                content.size() + tags(changed)
            }
            Self::Changed { change: WatchedChange::Changes(changes), tags: changed, .. } => {
                size_of_changes(changes) + tags(changed)
            }
        }
    }
}

fn size_of_changes(changes: &Changes) -> usize {
    match changes {
        Changes::Blob(bytes) => bytes.len(),
        Changes::Attributes(changes) => {
            changes.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, Bytes::len)).sum()
        }
    }
}
