//! What two sides of a split come to together may be more than one session may hold (`PROTOCOL.md` 10).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use colony_wire::heal::Portrait;
use colony_wire::limits::{MAX_ATTRIBUTES, MAX_SESSION, MAX_TAGS};
use colony_wire::session::Content;
use colony_wire::tag::Tags;

/// A joined session that keeps the limits, and what of the two sides is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// The session.
    pub joined: Portrait,
    /// What was not chosen, and what had no room; none if all that either side did is in the session.
    pub overridden: Option<Portrait>,
}

/// Makes a joined session keep the limits of one. Each side kept them, but both together may not, and no frame would carry
/// the session any more.
///
/// What a merge decided comes first, then what the side of the later write has, then the rest, each by name; what finds no
/// room is overridden, as is `not_chosen`. Where even that is more than one session holds, the side of the later write is
/// taken whole and the other one is overridden whole. Nothing here depends on which side is ours but where both were written
/// at the same time.
#[must_use]
pub fn fit(
    joined: Portrait,
    decided: &[String],
    not_chosen: Option<(Content, u64)>,
    ours: &Portrait,
    theirs: &Portrait,
) -> Fitted {
    let (later, earlier) = if theirs.written_at >= ours.written_at { (theirs, ours) } else { (ours, theirs) };
    let value = |joined: &Portrait, content, tags, written_at| Portrait {
        life: joined.life,
        content,
        tags,
        ttl: None,
        expires_in: None,
        written_at,
    };
    if joined.check().is_ok() {
        let overridden =
            not_chosen.map(|(content, written_at)| value(&joined, content, joined.tags.clone(), written_at));
        return Fitted { joined, overridden };
    }
    let (tags, more_tags) = fit_tags(&joined.tags, &later.tags);
    let (content, mut surplus) = match &joined.content {
        Content::Attributes(all) => {
            let (kept, surplus) = fit_attributes(all, decided, &later.content);
            (Content::Attributes(kept), surplus)
        }
        blob => (blob.clone(), BTreeMap::new()),
    };
    let written_at = not_chosen.as_ref().map_or(earlier.written_at, |(_, at)| *at);
    let lost = match not_chosen.map(|(content, _)| content) {
        Some(Content::Attributes(values)) => {
            surplus = values.into_iter().chain(surplus).collect();
            Content::Attributes(surplus)
        }
        Some(blob) => blob,
        None if matches!(content, Content::Blob(_)) => content.clone(),
        None => Content::Attributes(surplus),
    };
    let overridden = value(&joined, lost, more_tags, written_at);
    let joined = Portrait { content, tags, ..joined };
    if joined.check().is_ok() && overridden.check().is_ok() {
        return Fitted { joined, overridden: Some(overridden) };
    }
    let whole = |side: &Portrait| (side.content.clone(), side.tags.clone());
    let ((content, tags), (lost, lost_tags)) = (whole(later), whole(earlier));
    let overridden = Some(value(&joined, lost, lost_tags, earlier.written_at));
    Fitted { joined: Portrait { content, tags, ..joined }, overridden }
}

/// The tags that have room, those of the later side first, and the others.
fn fit_tags(all: &Tags, later: &Tags) -> (Tags, Tags) {
    let is_first = |name: &String| later.contains_key(name);
    let (first, rest): (Vec<_>, Vec<_>) = all.iter().partition(|(name, _)| is_first(name));
    let mut kept = Tags::new();
    let mut surplus = Tags::new();
    for (name, value) in first.into_iter().chain(rest) {
        let to = if kept.len() < MAX_TAGS { &mut kept } else { &mut surplus };
        to.insert(name.clone(), value.clone());
    }
    (kept, surplus)
}

type Attributes = BTreeMap<String, Bytes>;

/// The attributes that have room, what was decided first and the later side's next, and the others.
fn fit_attributes(all: &Attributes, decided: &[String], later: &Content) -> (Attributes, Attributes) {
    let decided: BTreeSet<&String> = decided.iter().collect();
    let is_later = |name: &String| matches!(later, Content::Attributes(later) if later.contains_key(name));
    let mut names: Vec<&String> = all.keys().collect();
    names.sort_by_key(|name| (!decided.contains(name), !is_later(name)));
    let (mut kept, mut surplus) = (Attributes::new(), Attributes::new());
    let mut room = MAX_SESSION;
    for name in names {
        let Some(value) = all.get(name) else { continue };
        let size = name.len() + value.len();
        let has_room = kept.len() < MAX_ATTRIBUTES && size <= room;
        if has_room {
            room -= size;
        }
        let to = if has_room { &mut kept } else { &mut surplus };
        to.insert(name.clone(), value.clone());
    }
    (kept, surplus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(values: &[(String, usize)], tags: &[&str], written_at: u64) -> Portrait {
        let content = values.iter().map(|(name, size)| (name.clone(), Bytes::from(vec![7; *size]))).collect();
        Portrait {
            life: Default::default(),
            content: Content::Attributes(content),
            tags: tags.iter().map(|name| ((*name).to_owned(), String::new())).collect(),
            ttl: None,
            expires_in: None,
            written_at,
        }
    }

    fn names(prefix: &str, count: usize, size: usize) -> Vec<(String, usize)> {
        (0..count).map(|number| (format!("{prefix}{number:03}"), size)).collect()
    }

    fn both(one: &Portrait, other: &Portrait) -> Portrait {
        let (Content::Attributes(mut all), Content::Attributes(more)) = (one.content.clone(), other.content.clone())
        else {
            panic!()
        };
        all.extend(more);
        let tags = one.tags.clone().into_iter().chain(other.tags.clone()).collect();
        Portrait { content: Content::Attributes(all), tags, ..one.clone() }
    }

    fn held(portrait: &Portrait) -> BTreeSet<String> {
        let Content::Attributes(values) = &portrait.content else { panic!() };
        values.keys().chain(portrait.tags.keys()).cloned().collect()
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let one = side(&names("a", 2, 3), &["x"], 1);
        assert_eq!(fit(one.clone(), &[], None, &one, &one), Fitted { joined: one.clone(), overridden: None });
    }

    #[test]
    fn what_does_not_fit_is_overridden_and_nothing_is_lost() {
        for (one, other) in [
            (
                side(&names("a", 200, 3), &["a", "b", "c", "d", "e"], 1),
                side(&names("b", 200, 3), &["v", "w", "x", "y", "z"], 2),
            ),
            (side(&names("a", 3, 80_000), &[], 1), side(&names("b", 3, 80_000), &[], 2)),
        ] {
            let all = both(&one, &other);
            let fitted = fit(all.clone(), &[], None, &one, &other);
            let overridden = fitted.overridden.clone().unwrap();
            assert!(fitted.joined.check().is_ok() && overridden.check().is_ok());
            assert_eq!(held(&fitted.joined).union(&held(&overridden)).cloned().collect::<BTreeSet<_>>(), held(&all));
            assert!(held(&fitted.joined).is_superset(&held(&other)), "the later write is there whole");
            assert_eq!(fit(all, &[], None, &other, &one), fitted, "whichever side is ours");
        }
    }

    #[test]
    fn what_was_decided_has_room_first() {
        let (one, other) = (side(&names("a", 200, 1), &[], 1), side(&names("b", 256, 1), &[], 2));
        let decided = ["a007".to_owned()];
        let fitted = fit(both(&one, &other), &decided, None, &one, &other);
        assert!(held(&fitted.joined).contains("a007"));
    }

    #[test]
    fn where_even_the_rest_is_too_much_a_side_is_kept_whole() {
        let (one, other) = (side(&names("a", 3, 80_000), &[], 1), side(&names("b", 3, 80_000), &[], 2));
        let not_chosen = Some((side(&names("c", 2, 100_000), &[], 1).content, 1));
        let fitted = fit(both(&one, &other), &[], not_chosen, &one, &other);
        assert_eq!((held(&fitted.joined), fitted.overridden.map(|it| held(&it))), (held(&other), Some(held(&one))));
    }
}
