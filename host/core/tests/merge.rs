//! Two versions of one session: the laws of the built-in, and the referee of every answer.

use std::collections::BTreeMap;

use bytes::Bytes;
use colony_core::merge::{Conflict, DecidedBy, Occasion, Resolution, Settlement, Side, built_in, settle};
use colony_wire::Position;
use colony_wire::limits::{MAX_ATTRIBUTE_NAME, MAX_SESSION};
use colony_wire::session::{Changes, Content};
use proptest::prelude::*;

fn side(content: Content, written_at: u64) -> Side {
    Side { content, version: Position::default(), written_at, expires_in: None }
}

fn attributes(values: &[(&str, &'static str)]) -> Content {
    Content::Attributes(
        values.iter().map(|(name, value)| ((*name).to_owned(), Bytes::from_static(value.as_bytes()))).collect(),
    )
}

fn blob(bytes: &'static str) -> Content {
    Content::Blob(Bytes::from_static(bytes.as_bytes()))
}

/// A conflict over every attribute that either side has.
fn conflict(base: Option<Content>, ours: Side, theirs: Side) -> Conflict {
    let names = |content: &Content| match content {
        Content::Blob(_) => Vec::new(),
        Content::Attributes(values) => values.keys().cloned().collect(),
    };
    let mut attributes = names(&ours.content);
    attributes.extend(names(&theirs.content));
    attributes.extend(base.iter().flat_map(names));
    attributes.sort();
    attributes.dedup();
    Conflict {
        namespace: "cart".into(),
        occasion: Occasion::ConcurrentSave,
        attributes,
        base: base.map(|content| side(content, 0)),
        ours,
        theirs,
    }
}

/// The content that is stored once a settlement is carried out.
fn result(conflict: &Conflict, settlement: &Settlement) -> Option<Content> {
    match (settlement, conflict.ours.content.clone()) {
        (Settlement::Keep, ours) => Some(ours),
        (Settlement::Delete, _) => None,
        (Settlement::Change(Changes::Blob(bytes)), _) => Some(Content::Blob(bytes.clone())),
        (Settlement::Change(Changes::Attributes(changes)), Content::Attributes(mut values)) => {
            for (name, value) in changes {
                match value {
                    Some(value) => values.insert(name.clone(), value.clone()),
                    None => values.remove(name),
                };
            }
            Some(Content::Attributes(values))
        }
        (change, ours) => panic!("{change:?} does not fit {ours:?}"),
    }
}

/// What the built-in makes of it.
fn merged(base: Option<Content>, ours: Side, theirs: Side) -> Content {
    let conflict = conflict(base, ours, theirs);
    let settled = settle(&conflict, Ok(built_in(&conflict)));
    assert_eq!((settled.by, settled.complaint.as_ref()), (DecidedBy::Asked, None));
    result(&conflict, &settled.changes).expect("the built-in ends no session")
}

// ---- Stories. ----

/// The later write wins the whole conflict, whichever side it is on; of two at once the save does.
#[test]
fn the_later_write_wins() {
    let (mine, yours) = (attributes(&[("a", "1"), ("b", "1")]), attributes(&[("a", "2"), ("b", "2")]));
    assert_eq!(merged(None, side(mine.clone(), 10), side(yours.clone(), 11)), yours);
    assert_eq!(merged(None, side(mine.clone(), 11), side(yours.clone(), 10)), mine);
    assert_eq!(merged(None, side(mine, 10), side(yours.clone(), 10)), yours);
}

/// An attribute in conflict that a side does not have was removed there.
#[test]
fn a_removal_can_win() {
    let conflict = conflict(None, side(attributes(&[("a", "1")]), 1), side(attributes(&[]), 2));
    let settled = settle(&conflict, Ok(Resolution::KeepTheirs));
    assert_eq!(settled.changes, Settlement::Change(Changes::Attributes(vec![("a".into(), None)])));
}

/// To keep what is stored is no change, so a save's other attributes are all that is written.
#[test]
fn keeping_ours_changes_nothing() {
    let conflict = conflict(None, side(blob("x"), 1), side(blob("y"), 2));
    let settled = settle(&conflict, Ok(Resolution::KeepOurs));
    assert_eq!((settled.changes, settled.by), (Settlement::Keep, DecidedBy::Asked));
}

/// A plugin may join values, or end the session.
#[test]
fn an_answer_within_its_bounds_is_taken() {
    let conflict = conflict(None, side(attributes(&[("n", "1")]), 1), side(attributes(&[("n", "2")]), 2));
    let sum = vec![("n".to_owned(), Some(Bytes::from_static(b"3")))];
    let settled = settle(&conflict, Ok(Resolution::Attributes(sum.clone())));
    assert_eq!((settled.changes, settled.by), (Settlement::Change(Changes::Attributes(sum)), DecidedBy::Asked));
    assert_eq!(settle(&conflict, Ok(Resolution::Delete)).changes, Settlement::Delete);
    assert_eq!(settle(&conflict, Ok(Resolution::Attributes(Vec::new()))).changes, Settlement::Keep);
}

/// Whatever is wrong with an answer, the built-in decides and somebody is told.
#[test]
fn a_useless_answer_is_complained_of_and_replaced() {
    let of_map = conflict(None, side(attributes(&[("a", "1")]), 1), side(attributes(&[("a", "2")]), 2));
    let of_blob = conflict(None, side(blob("1"), 1), side(blob("2"), 2));
    let change = |name: &str, size: usize| (name.to_owned(), Some(Bytes::from(vec![0; size])));
    let cases = [
        (&of_map, Err("out of fuel".to_owned()), "out of fuel"),
        (&of_map, Ok(Resolution::Attributes(vec![change("b", 1)])), "attribute \"b\" is not in conflict"),
        (&of_map, Ok(Resolution::Attributes(vec![change("a", 1), change("a", 1)])), "attribute \"a\" is named twice"),
        (&of_map, Ok(Resolution::Attributes(vec![change("a", MAX_SESSION)])), "size of the session in bytes"),
        (&of_map, Ok(Resolution::Blob(Bytes::new())), "the session has attributes, the resolution is a blob"),
        (&of_blob, Ok(Resolution::Attributes(Vec::new())), "the session is a blob, the resolution names attributes"),
        (&of_blob, Ok(Resolution::Blob(vec![0; MAX_SESSION + 1].into())), "size of the session in bytes"),
    ];
    for (conflict, answer, complaint) in cases {
        let settled = settle(conflict, answer);
        assert_eq!(settled.by, DecidedBy::BuiltIn);
        let said = settled.complaint.expect("a complaint");
        assert!(said.starts_with(complaint), "{said}");
        assert_eq!(result(conflict, &settled.changes).as_ref(), Some(&conflict.theirs.content), "the later write");
    }
}

/// A complaint is short, however long the plugin talks, and never cut inside a character.
#[test]
fn a_complaint_is_short() {
    let conflict = conflict(None, side(blob("1"), 1), side(blob("2"), 2));
    let settled = settle(&conflict, Err("ä".repeat(101) + "x"));
    assert_eq!(settled.complaint, Some("ä".repeat(100)));
}

// ---- Laws (`PROTOCOL.md` 10). ----

fn any_content() -> impl Strategy<Value = Content> {
    let value = prop::collection::vec(any::<u8>(), 0..3).prop_map(Bytes::from);
    let map = prop::collection::btree_map("[a-c]", value, 0..4);
    map.prop_map(Content::Attributes)
}

fn any_pair() -> impl Strategy<Value = (Option<Content>, Content, Content)> {
    let blob = || prop::collection::vec(any::<u8>(), 0..2).prop_map(|bytes| Content::Blob(bytes.into()));
    prop_oneof![
        (prop::option::of(any_content()), any_content(), any_content()),
        (prop::option::of(blob()), blob(), blob()),
    ]
}

fn any_resolution() -> impl Strategy<Value = Resolution> {
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..3).prop_map(Bytes::from));
    let size = prop_oneof![3 => 0..4_usize, 1 => Just(MAX_SESSION + 1)];
    prop_oneof![
        Just(Resolution::KeepOurs),
        Just(Resolution::KeepTheirs),
        Just(Resolution::Delete),
        prop::collection::vec(("[a-e]", value), 0..4).prop_map(Resolution::Attributes),
        size.prop_map(|size| Resolution::Blob(vec![0; size].into())),
        Just(Resolution::Attributes(vec![("x".repeat(MAX_ATTRIBUTE_NAME + 1), None)])),
    ]
}

proptest! {
    /// m(b, x, x) = x.
    #[test]
    fn the_built_in_is_idempotent((base, x, _) in any_pair(), at in 0_u64..3, later in 0_u64..3) {
        prop_assert_eq!(merged(base, side(x.clone(), at), side(x.clone(), later)), x);
    }

    /// m(b, b, x) = x = m(b, x, b), whenever they were written.
    #[test]
    fn the_base_is_the_built_ins_identity((_, base, x) in any_pair(), at in 0_u64..3, later in 0_u64..3) {
        prop_assert_eq!(merged(Some(base.clone()), side(base.clone(), at), side(x.clone(), later)), x.clone());
        prop_assert_eq!(merged(Some(base.clone()), side(x.clone(), at), side(base, later)), x);
    }

    /// D4: m(b, x, y) = m(b, y, x), but for two writes of one millisecond: then the save wins.
    #[test]
    fn the_built_in_is_symmetric((base, x, y) in any_pair(), at in 0_u64..3, later in 0_u64..3) {
        let one = merged(base.clone(), side(x.clone(), at), side(y.clone(), later));
        let other = merged(base.clone(), side(y.clone(), later), side(x.clone(), at));
        let is_unchanged = |content: &Content| base.as_ref() == Some(content);
        if at != later || is_unchanged(&x) || is_unchanged(&y) {
            prop_assert_eq!(one, other);
        } else {
            prop_assert_eq!((one, other), (y, x));
        }
    }

    /// Total and bounded: every conflict has one result, and it is one of the sides.
    #[test]
    fn the_built_in_answers_with_one_of_the_sides((base, x, y) in any_pair(), at in any::<u64>(), later in any::<u64>()) {
        let result = merged(base, side(x.clone(), at), side(y.clone(), later));
        prop_assert!(result == x || result == y);
    }

    /// Whatever is answered, what is settled keeps the wire's limits, names attributes in conflict only, each
    /// once, and does not change the session's kind.
    #[test]
    fn nothing_unchecked_is_settled((base, x, y) in any_pair(), answer in any_resolution()) {
        let conflict = conflict(base, side(x, 1), side(y, 2));
        let settled = settle(&conflict, Ok(answer));
        prop_assert_eq!(settled.by == DecidedBy::BuiltIn, settled.complaint.is_some());
        if let Settlement::Change(changes) = &settled.changes {
            prop_assert!(changes.check().is_ok());
            let named: BTreeMap<_, _> = match changes {
                Changes::Attributes(changes) => changes.iter().cloned().collect(),
                Changes::Blob(_) => BTreeMap::new(),
            };
            prop_assert!(named.keys().all(|name| conflict.attributes.contains(name)));
            prop_assert_eq!(matches!(changes, Changes::Blob(_)), matches!(conflict.ours.content, Content::Blob(_)));
            if let Changes::Attributes(changes) = changes {
                prop_assert_eq!(named.len(), changes.len());
            }
        }
    }
}
