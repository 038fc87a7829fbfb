//! What a simulated application does beside reading and writing: it watches sessions, lists those of a user,
//! and ends them.

use std::collections::BTreeMap;

use colony_wire::Position;
use colony_wire::client::{ReplyBody, RequestBody};
use colony_wire::op::Stamp;
use colony_wire::session::Key;
use colony_wire::tag::{Tag, TagChange};

use crate::rng::Rng;

/// Name of the one tag that the sessions of a run carry.
const USER: &str = "user";
/// Users of a run: few, so that each has several sessions of a colony.
const USERS: u64 = 3;
/// Of a thousand calls, how many watch, list, and revoke.
const WATCHES: u64 = 60;
const LISTS: u64 = 20;
const REVOKES: u64 = 10;

/// How far a client was told of each session it watches.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    cursors: BTreeMap<Key, Position>,
}

impl Watching {
    /// Draws a call of this kind, if it is one.
    pub(crate) fn draw(&self, rng: &mut Rng, key: &Key, stamp: impl FnOnce() -> Stamp) -> Option<RequestBody> {
        let drawn = rng.below(1000);
        if drawn < WATCHES {
            // Now and then a watcher that was away begins anew.
            let after = self.cursors.get(key).copied().filter(|_| !rng.chance(50));
            Some(RequestBody::Watch { key: key.clone(), after })
        } else if drawn < WATCHES + LISTS {
            Some(RequestBody::Tagged { tag: user(rng), after: None, limit: 2 })
        } else if drawn < WATCHES + LISTS + REVOKES {
            Some(RequestBody::Revoke { stamp: stamp(), tag: user(rng) })
        } else {
            None
        }
    }

    /// Takes an answer in: the next watch goes on from there.
    pub(crate) fn take(&mut self, key: &Key, body: &ReplyBody) {
        let ReplyBody::Events { cursor, .. } = body else { return };
        let known = self.cursors.entry(key.clone()).or_insert(*cursor);
        if cursor.seq > known.seq {
            *known = *cursor;
        }
    }
}

fn user(rng: &mut Rng) -> Tag {
    Tag { name: USER.to_owned(), value: rng.below(USERS).to_string() }
}

/// What a write does to a session's tags: mostly nothing.
pub(crate) fn tags(rng: &mut Rng) -> Vec<TagChange> {
    match rng.below(4) {
        0 => vec![(USER.to_owned(), Some(user(rng).value))],
        1 if rng.chance(200) => vec![(USER.to_owned(), None)],
        _ => Vec::new(),
    }
}
