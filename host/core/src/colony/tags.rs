//! Which sessions carry a tag.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use colony_wire::session::Key;
use colony_wire::tag::{Tag, Tags};

/// An index of a colony's committed sessions. Bounded by them: each has at most
/// [`MAX_TAGS`](colony_wire::limits::MAX_TAGS) entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct TagIndex {
    carriers: BTreeMap<Tag, BTreeSet<Key>>,
}

impl TagIndex {
    /// A session's tags were `before` and are `after`.
    pub(super) fn change(&mut self, key: &Key, before: &Tags, after: &Tags) {
        if before == after {
            return;
        }
        for tag in tags_of(before) {
            if let Some(carriers) = self.carriers.get_mut(&tag) {
                carriers.remove(key);
                if carriers.is_empty() {
                    self.carriers.remove(&tag);
                }
            }
        }
        for tag in tags_of(after) {
            self.carriers.entry(tag).or_default().insert(key.clone());
        }
    }

    /// The keys of the sessions that carry the tag, those after `after`, in order.
    pub(super) fn carriers<'a>(&'a self, tag: &Tag, after: Option<&Key>) -> impl Iterator<Item = &'a Key> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.carriers.get(tag).into_iter().flat_map(move |keys| keys.range::<Key, _>((from, Bound::Unbounded)))
    }
}

fn tags_of(tags: &Tags) -> impl Iterator<Item = Tag> {
    tags.iter().map(|(name, value)| Tag { name: name.clone(), value: value.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &'static str) -> Key {
        Key::new(name).unwrap()
    }

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn found(index: &TagIndex, name: &str, value: &str, after: Option<&Key>) -> Vec<Key> {
        let tag = Tag { name: name.into(), value: value.into() };
        index.carriers(&tag, after).cloned().collect()
    }

    #[test]
    fn a_session_is_found_by_the_tags_it_has_now_and_by_no_other() {
        let mut index = TagIndex::default();
        let (none, first) = (Tags::new(), tags(&[("user", "42"), ("device", "tv")]));
        index.change(&key("b"), &none, &first);
        index.change(&key("a"), &none, &first);
        assert_eq!(found(&index, "user", "42", None), [key("a"), key("b")]);
        assert_eq!(found(&index, "user", "42", Some(&key("a"))), [key("b")]);
        index.change(&key("a"), &first, &tags(&[("user", "43")]));
        assert_eq!(found(&index, "user", "42", None), [key("b")]);
        assert_eq!(found(&index, "user", "43", None), [key("a")]);
        index.change(&key("a"), &tags(&[("user", "43")]), &none);
        index.change(&key("b"), &first, &none);
        assert_eq!(index, TagIndex::default(), "nothing is left of sessions that are gone");
    }
}
