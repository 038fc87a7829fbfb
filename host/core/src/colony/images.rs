//! What sessions were when others may have gone on from them (`PROTOCOL.md` 8, *pins and images*).
//!
//! A side of a split that goes on apart *pins* where it began: from then on the value that a change overwrites is kept,
//! once for each pin, as an *image*. At heal the images are the base that both sides began from, without which a merge
//! could not tell what each side did. Nothing is kept without a pin: normal running pays nothing.

use std::collections::{BTreeMap, BTreeSet};

use colony_wire::heal::{Portrait, Stretch};
use colony_wire::session::{EndKind, Key};
use colony_wire::{LineageId, Position, Seq};
use serde::{Deserialize, Serialize};

use super::session::Session;

/// Most values kept for one colony. What has to be given up beyond it leaves a mark: the merge of that session has no
/// base then.
pub(super) const MAX_IMAGES: usize = 65_536;
/// Most sessions of which something is kept: more than there are values, for an end and a mark of what was given up are
/// none, and an end must be told at a heal. Beyond it a session that is changed leaves nothing, and its merge has no base, as
/// with a mark; one that ends takes the place of one that lives. Where all of those near it ended, one of those ends is not
/// told.
pub(super) const MAX_SESSIONS: usize = 4 * MAX_IMAGES;
/// Among so many one that lives is looked for: each end looks anew.
const MAX_LOOKED_AT: usize = 64;
/// Most sessions that are remembered one by one for a time to live that began anew. Beyond it every session counts as
/// touched: a heal tells more than it must, and nothing is missed.
pub(super) const MAX_TOUCHED: usize = 65_536;
/// Most values kept of one session, the oldest go first: fewer than a heal may carry of it.
const MAX_OF_ONE: usize = colony_wire::limits::MAX_VERSIONS - 1;

/// A value that was overwritten.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Image {
    /// Position of the change that made it.
    pub(super) at: Position,
    /// The value.
    pub(super) was: Was,
}

/// What a session was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Was {
    /// This.
    Alive(Box<Portrait>),
    /// Over.
    Ended { life: Position, kind: EndKind },
    /// Given up for memory.
    Lost,
}

impl Image {
    /// How many values it is.
    fn counts(&self) -> usize {
        usize::from(matches!(self.was, Was::Alive(_)))
    }
}

/// The images of one colony, and the end of the paths that it is taking in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Images {
    /// The newest place from which others may have gone on.
    pin: Option<Seq>,
    kept: BTreeMap<Key, Vec<Image>>,
    /// Sessions whose time to live began anew since: another side that lets them expire is told. Copies need not agree.
    touched: BTreeSet<Key>,
    /// There were more of them than are remembered.
    all_touched: bool,
    /// How many values, without ends and marks of what was given up.
    values: usize,
}

impl Images {
    /// Whether anything is kept from now on.
    pub(super) fn is_pinned(&self) -> bool {
        self.pin.is_some()
    }

    /// How many values are kept.
    pub(super) fn len(&self) -> usize {
        self.values
    }

    /// Others may go on from what is held up to here.
    pub(super) fn pin(&mut self, at: Seq) {
        self.pin = self.pin.max(Some(at));
    }

    /// Nobody does.
    pub(super) fn unpin(&mut self) {
        *self = Self::default();
    }

    /// A session's time to live began anew.
    pub(super) fn touch(&mut self, key: &Key) {
        if !self.is_pinned() || self.all_touched {
            return;
        }
        self.touched.insert(key.clone());
        if self.touched.len() > MAX_TOUCHED {
            self.touched = BTreeSet::new();
            self.all_touched = true;
        }
    }

    /// Whether it did since the pin.
    pub(super) fn is_touched(&self, key: &Key) -> bool {
        self.all_touched || self.touched.contains(key)
    }

    /// Of how many sessions something is kept.
    pub(super) fn sessions(&self) -> usize {
        self.kept.len()
    }

    /// How many sessions are remembered for a time to live that began anew.
    pub(super) fn touched(&self) -> usize {
        self.touched.len()
    }

    /// Sessions of which something is kept.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.kept.keys()
    }

    /// What is kept of a session, oldest first.
    pub(super) fn of(&self, key: &Key) -> &[Image] {
        self.kept.get(key).map_or(&[], Vec::as_slice)
    }

    /// A session is changed by the op at `by`. `ahead` is a pin that stands in the log and not in the state yet: it
    /// counts for what is committed before it as well, for any of that may be where another side ends.
    pub(super) fn overwrite(
        &mut self,
        key: &Key,
        before: Option<&Session>,
        by: Position,
        ended: Option<EndKind>,
        ahead: Option<Seq>,
    ) {
        let Some(pin) = self.pin.max(ahead) else { return };
        let is_full = self.kept.len() >= MAX_SESSIONS && !self.kept.contains_key(key);
        if let Some(before) = before.filter(|before| before.version.seq <= pin && !is_full) {
            self.keep(key, Image { at: before.version, was: Was::Alive(Box::new(before.portrait(None))) });
        }
        let (Some(before), Some(kind)) = (before, ended) else { return };
        // A later create must not look as if the session had been there all the time.
        let was_there = is_full && before.life.seq <= pin;
        if was_there {
            self.make_room_beside(key);
        }
        if was_there || self.kept.contains_key(key) {
            self.keep(key, Image { at: by, was: Was::Ended { life: before.life, kind } });
        }
    }

    /// The end of this session must be kept: another one that lives goes for it, if one is near.
    fn make_room_beside(&mut self, key: &Key) {
        let near = self.kept.range(key..).chain(self.kept.range(..key)).take(MAX_LOOKED_AT);
        let lives = |images: &[Image]| !matches!(images.last(), Some(Image { was: Was::Ended { .. }, .. }));
        let mut nearest = near.map(|(key, images)| (key.clone(), lives(images))).collect::<Vec<_>>().into_iter();
        let first = nearest.next();
        let gone = first.iter().cloned().chain(nearest).find(|(_, lives)| *lives).or(first);
        if let Some(images) = gone.and_then(|(gone, _)| self.kept.remove(&gone)) {
            self.values -= images.iter().map(Image::counts).sum::<usize>();
        }
    }

    fn keep(&mut self, key: &Key, image: Image) {
        let is_full = self.values >= MAX_IMAGES && matches!(image.was, Was::Alive(_));
        let image = if is_full { Image { was: Was::Lost, ..image } } else { image };
        let images = self.kept.entry(key.clone()).or_default();
        if images.last().is_some_and(|last| last.at == image.at) {
            return;
        }
        self.values += image.counts();
        images.push(image);
        if images.len() > MAX_OF_ONE {
            let gone = images.remove(0);
            self.values -= gone.counts();
            // What it was before is not known any more.
            if let Some(oldest) = images.first_mut() {
                self.values -= oldest.counts();
                oldest.was = Was::Lost;
            }
        }
    }
}

/// What another side did and this one has taken in, before the paths are united.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Absorbing {
    /// By session and side: where that side stood still when what it did to it was taken in.
    pub(super) marks: BTreeMap<(Key, LineageId), Position>,
    /// Paths that are taken in whole, by their ends.
    pub(super) paths: BTreeMap<Position, Vec<Stretch>>,
}

#[cfg(test)]
mod tests {
    use colony_wire::{LineageId, Reign};

    use super::super::session::Stored;
    use super::*;

    fn at(seq: u64) -> Position {
        Position { lineage: LineageId(1), reign: Reign(1), seq: Seq(seq) }
    }

    fn session(seq: u64) -> Session {
        Session {
            life: at(1),
            version: at(seq),
            written_at: 0,
            stored: Stored::Blob(vec![u8::try_from(seq).unwrap()].into()),
            tags: BTreeMap::new(),
            ttl: None,
            deadline: None,
            logged: None,
        }
    }

    fn key() -> Key {
        Key::new("k").unwrap()
    }

    fn kept(images: &Images) -> Vec<u64> {
        images.of(&key()).iter().map(|image| image.at.seq.0).collect()
    }

    #[test]
    fn nothing_is_kept_without_a_pin() {
        let mut images = Images::default();
        images.overwrite(&key(), Some(&session(3)), at(4), None, None);
        assert_eq!((kept(&images), images.is_pinned()), (vec![], false));
    }

    #[test]
    fn a_value_is_kept_once_for_each_pin_that_it_stood_at() {
        let mut images = Images::default();
        images.pin(Seq(5));
        for seq in [3, 7, 8] {
            images.overwrite(&key(), Some(&session(seq)), at(seq + 1), None, None);
        }
        assert_eq!(kept(&images), [3]);
        images.pin(Seq(9));
        for seq in [9, 10] {
            images.overwrite(&key(), Some(&session(seq)), at(seq + 1), None, None);
        }
        assert_eq!(kept(&images), [3, 9]);
    }

    /// Any op that was prepared when the sides parted may be where the other one ends.
    #[test]
    fn what_a_new_reign_inherits_is_kept_op_by_op() {
        let mut images = Images::default();
        for seq in [3, 4, 5] {
            images.overwrite(&key(), Some(&session(seq)), at(seq + 1), None, Some(Seq(5)));
        }
        assert_eq!(kept(&images), [3, 4, 5]);
    }

    #[test]
    fn an_end_is_kept_where_the_life_is() {
        let mut images = Images::default();
        images.pin(Seq(5));
        images.overwrite(&key(), Some(&session(3)), at(6), Some(EndKind::Logout), None);
        assert_eq!(kept(&images), [3, 6]);
        let other = Key::new("born later").unwrap();
        images.overwrite(&other, Some(&Session { version: at(7), ..session(7) }), at(8), Some(EndKind::Logout), None);
        assert!(images.of(&other).is_empty());
    }

    /// Bug: an island of days grew without bound: every session that was touched, and every one that ended or whose value had
    /// been given up, stayed in memory until the heal. Cause: only values were counted. Fix: sessions are counted as well; of
    /// touches beyond the bound all sessions are told, and an end takes the place of a session that lives.
    #[test]
    fn what_is_kept_for_a_heal_has_a_bound_in_sessions_and_ends_stay_in_it() {
        let mut images = Images::default();
        images.pin(Seq(5));
        let name = |n: usize| Key::new(format!("k{n:07}")).unwrap();
        for n in 0..MAX_SESSIONS {
            images.overwrite(&name(n), Some(&session(3)), at(6), None, None);
        }
        images.overwrite(&name(MAX_SESSIONS), Some(&session(3)), at(7), None, None);
        assert_eq!(images.sessions(), MAX_SESSIONS);
        assert!(images.of(&name(MAX_SESSIONS)).is_empty(), "its merge has no base");
        images.overwrite(&name(MAX_SESSIONS + 1), Some(&session(3)), at(8), Some(EndKind::Logout), None);
        let end = images.of(&name(MAX_SESSIONS + 1)).last().map(|image| image.was.clone());
        assert_eq!(end, Some(Was::Ended { life: at(1), kind: EndKind::Logout }));
        assert_eq!(images.sessions(), MAX_SESSIONS);
        for n in 0..=MAX_TOUCHED {
            images.touch(&name(n));
        }
        assert!(images.touched() <= MAX_TOUCHED);
        assert!(images.is_touched(&name(0)) && images.is_touched(&key()), "all are told");
    }

    #[test]
    fn beyond_its_bound_a_session_leaves_a_mark_in_place_of_its_oldest_values() {
        let mut images = Images::default();
        for seq in 0..20 {
            images.pin(Seq(seq));
            images.overwrite(&key(), Some(&session(seq)), at(seq + 1), None, None);
        }
        let of_key = images.of(&key());
        assert_eq!((of_key.len(), of_key[0].was == Was::Lost), (MAX_OF_ONE, true));
        assert_eq!(images.len(), MAX_OF_ONE - 1);
    }
}
