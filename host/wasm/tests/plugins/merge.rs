//! The cart through the component is the cart as its author tested it.

use cart_merge::Cart;
use colony_core::merge::{Conflict, Occasion, Resolution, Side};
use colony_guest::merge as guest;
use colony_guest::merge::Merge;
use colony_wasm::MergePlugin;
use colony_wire::session::Content;
use colony_wire::{LineageId, Position, Reign, Seq};

use crate::built::{PATIENT, merge_plugin, side};

/// The answer of the same plugin, compiled for this machine.
fn natively(conflict: &Conflict) -> Resolution {
    let names: Vec<&str> = conflict.attributes.iter().map(String::as_str).collect();
    let base = conflict.base.as_ref().map(snapshot);
    let session = guest::SessionConflict::new(base, snapshot(&conflict.ours), snapshot(&conflict.theirs), &names);
    match Cart.session(session).expect("a cart always answers") {
        guest::Outcome::Keep(guest::Choice::Ours) => Resolution::KeepOurs,
        guest::Outcome::Keep(guest::Choice::Theirs) => Resolution::KeepTheirs,
        guest::Outcome::Attributes(changes) => {
            Resolution::Attributes(changes.into_iter().map(|(name, value)| (name, value.map(Into::into))).collect())
        }
        other => panic!("{other:?} is nothing a cart says"),
    }
}

fn snapshot(side: &Side) -> guest::Snapshot {
    let state = match &side.content {
        Content::Blob(bytes) => guest::State::Blob(bytes.to_vec()),
        Content::Attributes(attributes) => {
            guest::State::Attributes(attributes.iter().map(|(name, value)| (name.clone(), value.to_vec())).collect())
        }
    };
    let mut snapshot = guest::Snapshot::of(state).written_at(side.written_at);
    snapshot.version =
        guest::Version { lineage: side.version.lineage.0, reign: side.version.reign.0, seq: side.version.seq.0 };
    snapshot
}

fn assert_same(plugin: &MergePlugin, conflict: &Conflict) {
    let answer = plugin.merge(conflict).expect("a cart always answers");
    assert_eq!(answer, natively(conflict), "{conflict:?}");
}

fn conflict(attributes: &[&str], base: Option<Side>, ours: Side, theirs: Side) -> Conflict {
    Conflict {
        namespace: "carts".into(),
        occasion: Occasion::ConcurrentSave,
        attributes: attributes.iter().map(|&name| name.into()).collect(),
        base,
        ours,
        theirs,
    }
}

/// Whatever it is asked, this plugin answers as the cart does natively.
pub(crate) fn assert_is_the_cart(plugin: &MergePlugin) {
    assert_merges_every_quantity(plugin);
    assert_is_told_versions_and_times(plugin);
    assert_merges_sessions(plugin);
    assert_keeps_the_changed_side(plugin);
}

fn assert_merges_every_quantity(plugin: &MergePlugin) {
    let values = [None, Some("0"), Some("2"), Some("3"), Some("7"), Some("18446744073709551615"), Some("?")];
    let tea = |value: Option<&str>| match value {
        Some(value) => side(&[("item:tea", value.as_bytes())]),
        None => side(&[]),
    };
    let bases: Vec<_> = values.iter().map(|&base| Some(tea(base))).chain([None]).collect();
    for base in bases {
        for ours in values {
            for theirs in values {
                assert_same(plugin, &conflict(&["item:tea"], base.clone(), tea(ours), tea(theirs)));
            }
        }
    }
}

/// Every bit of a version and a time reaches the plugin.
fn assert_is_told_versions_and_times(plugin: &MergePlugin) {
    let at = |lineage, reign, seq, written_at, colour: &[u8]| Side {
        version: Position { lineage: LineageId(lineage), reign: Reign(reign), seq: Seq(seq) },
        written_at,
        ..side(&[("colour", colour)])
    };
    let zero = || at(0, 0, 0, 0, b"red");
    let later = [
        at(1 << 127, 0, 0, 0, b"blue"),
        at(1, 0, 0, 0, b"blue"),
        at(0, 1 << 63, 0, 0, b"blue"),
        at(0, 0, 1 << 63, 0, b"blue"),
        at(0, 0, 0, 1 << 63, b"blue"),
    ];
    for later in later {
        for (ours, theirs) in [(zero(), later.clone()), (later, zero())] {
            let conflict = conflict(&["colour"], None, ours, theirs);
            assert_same(plugin, &conflict);
            let blue = Resolution::Attributes(vec![("colour".into(), Some("blue".into()))]);
            assert_eq!(plugin.merge(&conflict), Ok(blue));
        }
    }
}

fn assert_merges_sessions(plugin: &MergePlugin) {
    let base = side(&[("item:tea", b"1"), ("item:milk", b"2"), ("colour", b"red")]);
    let ours = side(&[("item:tea", b"4"), ("colour", b"blue")]);
    let theirs = side(&[("item:tea", b"2"), ("item:milk", b"5"), ("colour", b"green")]);
    let cart = conflict(&["colour", "item:milk", "item:tea"], Some(base), ours, theirs);
    assert_same(plugin, &cart);
    let expected = [("colour", "green"), ("item:milk", "3"), ("item:tea", "5")];
    let expected = expected.map(|(name, value)| (name.to_owned(), Some(value.into())));
    assert_eq!(plugin.merge(&cart), Ok(Resolution::Attributes(expected.into())));

    let blob = |bytes: &'static str, written_at| Side { content: Content::Blob(bytes.into()), written_at, ..side(&[]) };
    let blobs = conflict(&[], None, blob("x", 2), blob("y", 1));
    assert_same(plugin, &blobs);
    assert_eq!(plugin.merge(&blobs), Ok(Resolution::KeepOurs));
}

/// Blobs, attributes, and one of each: a side that changed nothing gives way, or else the later write is kept.
fn assert_keeps_the_changed_side(plugin: &MergePlugin) {
    let blob = |bytes: &'static str| Side { content: Content::Blob(bytes.into()), ..side(&[]) };
    let (red, blue) = (side(&[("colour", b"red")]), side(&[("colour", b"blue")]));
    let states = [blob("x"), blob("y"), blob(""), red, blue, side(&[]), side(&[("colour", b"red"), ("", b"")])];
    let at = |side: &Side, written_at| Side { written_at, ..side.clone() };
    for base in states.iter().map(Some).chain([None]) {
        for ours in &states {
            for theirs in &states {
                let is_attributes = |side: &Side| matches!(side.content, Content::Attributes(_));
                let names: &[&str] = if [ours, theirs].into_iter().all(is_attributes) { &["", "colour"] } else { &[] };
                for (here, there) in [(1, 1), (1, 2), (2, 1)] {
                    assert_same(plugin, &conflict(names, base.cloned(), at(ours, here), at(theirs, there)));
                }
            }
        }
    }
}

#[test]
fn the_component_merges_as_the_cart_does_natively() {
    assert_is_the_cart(&merge_plugin("cart-merge", PATIENT));
}
