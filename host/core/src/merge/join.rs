//! One session as two sides of a split left it, joined (`PROTOCOL.md` 9, 10).
//!
//! What only one side did is taken. What both did to one attribute, to different bytes, is a [`Conflict`] for whoever the
//! namespace names. The base is what the session was where the sides parted.

use std::collections::BTreeMap;

use bytes::Bytes;
use colony_wire::Position;
use colony_wire::heal::Portrait;
use colony_wire::session::{Changes, Content};
use colony_wire::tag::Tags;

use super::{Conflict, Occasion, Settlement, Side};

/// What is joined: one life of a session.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// What it was where the sides parted; none if that is not known, or if there was nothing.
    pub base: Option<&'a Portrait>,
    /// What this side made of it.
    pub ours: &'a Portrait,
    /// What the other side made of it.
    pub theirs: &'a Portrait,
}

/// How two sides come together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Join {
    /// By themselves.
    Clear(Box<Portrait>),
    /// All but this, which both changed.
    Contested(Box<Contest>),
}

/// Two sides, joined but for what is in conflict.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contest {
    /// What must be decided.
    pub conflict: Conflict,
    /// The session with our values of what is in conflict.
    with_ours: Portrait,
}

/// Joins two sides. `name` is the namespace's, the positions are the sides' versions.
#[must_use]
pub fn join(name: &str, sides: Sides<'_>, versions: (Position, Position)) -> Join {
    let Sides { base, ours, theirs } = sides;
    let is_theirs_later = theirs.written_at >= ours.written_at;
    let later = if is_theirs_later { theirs } else { ours };
    let mut joined = Portrait {
        life: ours.life,
        content: ours.content.clone(),
        tags: join_tags(base, ours, theirs, is_theirs_later),
        ttl: later.ttl,
        expires_in: longer(ours.expires_in, theirs.expires_in),
        written_at: ours.written_at.max(theirs.written_at),
    };
    let base_values = base.map(|base| values(&base.content));
    let (our_values, their_values) = (values(&ours.content), values(&theirs.content));
    let is_same_kind = is_blob(&ours.content) == is_blob(&theirs.content);
    let mut contested = Vec::new();
    let mut names: Vec<&str> = our_values.keys().chain(their_values.keys()).copied().collect();
    names.extend(base_values.iter().flat_map(BTreeMap::keys));
    names.sort_unstable();
    names.dedup();
    let mut clear: Vec<(String, Option<Bytes>)> = Vec::new();
    for name in names {
        let (our, their) = (our_values.get(name), their_values.get(name));
        let was = base_values.as_ref().map(|values| values.get(name));
        // Without a base an attribute that only one side has was made there.
        let only_theirs = was.map_or(our.is_none(), |was| was == our);
        let only_ours = was.map_or(their.is_none(), |was| was == their);
        if our == their || only_ours {
            continue;
        } else if only_theirs && is_same_kind {
            clear.push((name.to_owned(), their.map(|bytes| (*bytes).clone())));
        } else {
            contested.push(name.to_owned());
        }
    }
    joined.content = changed(joined.content, clear);
    if contested.is_empty() {
        return Join::Clear(Box::new(joined));
    }
    let part = |portrait: &Portrait| match &portrait.content {
        Content::Attributes(all) if is_same_kind => {
            let of = |name: &String| all.get(name).map(|value| (name.clone(), value.clone()));
            Content::Attributes(contested.iter().filter_map(of).collect())
        }
        whole => whole.clone(),
    };
    let side = |portrait: &Portrait, version| Side {
        content: part(portrait),
        version,
        written_at: portrait.written_at,
        expires_in: portrait.expires_in,
    };
    let conflict = Conflict {
        namespace: name.to_owned(),
        occasion: Occasion::Heal,
        base: base.map(|base| side(base, Position::default())),
        ours: side(ours, versions.0),
        theirs: side(theirs, versions.1),
        attributes: if is_blob(&theirs.content) || !is_same_kind { Vec::new() } else { contested },
    };
    Join::Contested(Box::new(Contest { conflict, with_ours: joined }))
}

impl Contest {
    /// Whether the two sides hold content of different kinds: then only one of them can be kept, whole.
    #[must_use]
    pub fn is_of_two_kinds(&self) -> bool {
        is_blob(&self.conflict.ours.content) != is_blob(&self.conflict.theirs.content)
    }

    /// The session once the conflict is decided; none if it ends.
    #[must_use]
    pub fn settled(self, settlement: &Settlement) -> Option<Portrait> {
        let Self { conflict, with_ours } = self;
        let content = match settlement {
            Settlement::Delete => return None,
            Settlement::Keep => with_ours.content.clone(),
            Settlement::Change(Changes::Blob(bytes)) => Content::Blob(bytes.clone()),
            Settlement::Change(Changes::Attributes(changes)) => match conflict.theirs.content {
                // Of two kinds theirs was chosen, which is all attributes.
                Content::Attributes(all) if is_blob(&with_ours.content) => Content::Attributes(all),
                _ => changed(with_ours.content.clone(), changes.clone()),
            },
        };
        Some(Portrait { content, ..with_ours })
    }
}

fn is_blob(content: &Content) -> bool {
    matches!(content, Content::Blob(_))
}

/// Values by their names; a blob's is empty.
fn values(content: &Content) -> BTreeMap<&str, &Bytes> {
    match content {
        Content::Blob(bytes) => BTreeMap::from([("", bytes)]),
        Content::Attributes(values) => values.iter().map(|(name, value)| (name.as_str(), value)).collect(),
    }
}

fn changed(content: Content, changes: Vec<(String, Option<Bytes>)>) -> Content {
    match content {
        Content::Blob(bytes) => {
            let new = changes.into_iter().find(|(name, _)| name.is_empty()).and_then(|(_, value)| value);
            Content::Blob(new.unwrap_or(bytes))
        }
        Content::Attributes(mut values) => {
            for (name, value) in changes {
                match value {
                    Some(value) => values.insert(name, value),
                    None => values.remove(&name),
                };
            }
            Content::Attributes(values)
        }
    }
}

/// Tags are never in conflict: what one side did is done, and of two different values the later write's stays.
fn join_tags(base: Option<&Portrait>, ours: &Portrait, theirs: &Portrait, is_theirs_later: bool) -> Tags {
    let mut joined = ours.tags.clone();
    let names = ours.tags.keys().chain(theirs.tags.keys()).chain(base.iter().flat_map(|base| base.tags.keys()));
    for name in names {
        let (our, their) = (ours.tags.get(name), theirs.tags.get(name));
        let was = base.map(|base| base.tags.get(name));
        let is_theirs = match was {
            _ if our == their => false,
            Some(was) if was == their => false,
            Some(was) if was == our => true,
            Some(_) => is_theirs_later,
            None => our.is_none() || (their.is_some() && is_theirs_later),
        };
        if is_theirs {
            match their {
                Some(value) => joined.insert(name.clone(), value.clone()),
                None => joined.remove(name),
            };
        }
    }
    joined
}

/// The longer time to live; none is for ever.
pub fn longer(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one?.max(other?))
}

#[cfg(test)]
mod tests {
    use super::super::settle;
    use super::super::{Resolution, built_in};
    use super::*;

    fn of(values: &[(&str, &'static str)], written_at: u64) -> Portrait {
        let content = values.iter().map(|(name, value)| ((*name).to_owned(), Bytes::from(*value))).collect();
        Portrait {
            life: Position::default(),
            content: Content::Attributes(content),
            tags: Tags::new(),
            ttl: Some(1000),
            expires_in: Some(written_at),
            written_at,
        }
    }

    fn joined(base: Option<&Portrait>, ours: &Portrait, theirs: &Portrait) -> Join {
        join("cart", Sides { base, ours, theirs }, Default::default())
    }

    fn clear(base: Option<&Portrait>, ours: &Portrait, theirs: &Portrait) -> Content {
        match joined(base, ours, theirs) {
            Join::Clear(portrait) => portrait.content,
            Join::Contested(contest) => panic!("contested: {contest:?}"),
        }
    }

    #[test]
    fn what_only_one_side_did_is_taken() {
        let base = of(&[("a", "1"), ("b", "1"), ("c", "1")], 1);
        let ours = of(&[("a", "2"), ("b", "1"), ("c", "1"), ("x", "1")], 2);
        let theirs = of(&[("a", "1"), ("c", "3"), ("y", "1")], 3);
        let both = of(&[("a", "2"), ("c", "3"), ("x", "1"), ("y", "1")], 3);
        assert_eq!(clear(Some(&base), &ours, &theirs), both.content);
        assert_eq!(clear(Some(&base), &theirs, &ours), both.content, "whichever side is ours");
    }

    #[test]
    fn what_both_did_alike_is_no_conflict_and_what_they_did_otherwise_is() {
        let base = of(&[("a", "1"), ("b", "1")], 1);
        let ours = of(&[("a", "2"), ("b", "5")], 2);
        let theirs = of(&[("a", "2"), ("b", "6")], 3);
        let Join::Contested(contest) = joined(Some(&base), &ours, &theirs) else { panic!("b is contested") };
        assert_eq!(contest.conflict.attributes, ["b"]);
        assert_eq!(contest.conflict.base.as_ref().unwrap().content, of(&[("b", "1")], 1).content);
        let settled = settle(&contest.conflict, Ok(Resolution::Attributes(vec![("b".into(), Some("10".into()))])));
        let portrait = contest.settled(&settled.changes).unwrap();
        assert_eq!(portrait.content, of(&[("a", "2"), ("b", "10")], 0).content);
        assert_eq!((portrait.written_at, portrait.expires_in), (3, Some(3)));
    }

    #[test]
    fn a_removal_that_meets_a_change_is_a_conflict() {
        let base = of(&[("a", "1")], 1);
        let Join::Contested(contest) = joined(Some(&base), &of(&[], 2), &of(&[("a", "2")], 3)) else { panic!() };
        let by = settle(&contest.conflict, Ok(built_in(&contest.conflict)));
        assert_eq!(contest.settled(&by.changes).unwrap().content, of(&[("a", "2")], 0).content);
    }

    #[test]
    fn without_a_base_what_only_one_side_has_is_kept() {
        let both = of(&[("a", "1"), ("b", "2")], 0);
        assert_eq!(clear(None, &of(&[("a", "1")], 1), &of(&[("b", "2")], 2)), both.content);
    }

    #[test]
    fn of_a_blob_and_attributes_one_is_kept_whole() {
        let blob = Portrait { content: Content::Blob("x".into()), ..of(&[], 9) };
        let attributes = of(&[("a", "1"), ("b", "2")], 3);
        for (ours, theirs) in [(&blob, &attributes), (&attributes, &blob)] {
            let Join::Contested(contest) = joined(None, ours, theirs) else { panic!() };
            assert!(contest.is_of_two_kinds());
            let keep_ours = contest.clone().settled(&Settlement::Keep).unwrap();
            assert_eq!(keep_ours.content, ours.content);
        }
    }

    #[test]
    fn tags_of_both_sides_stay_and_the_later_value_wins() {
        let tagged = |tags: &[(&str, &str)], at| Portrait {
            tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..of(&[], at)
        };
        let base = tagged(&[("user", "1"), ("gone", "x")], 1);
        let Join::Clear(portrait) = joined(
            Some(&base),
            &tagged(&[("user", "2"), ("gone", "x")], 2),
            &tagged(&[("user", "3"), ("new", "y")], 3),
        ) else {
            panic!()
        };
        assert_eq!(portrait.tags, tagged(&[("user", "3"), ("new", "y")], 3).tags);
    }
}
