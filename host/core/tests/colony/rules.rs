//! Concurrent saves that are merged by what is built in (`PROTOCOL.md` 3.2, 10).

use bytes::Bytes;
use colony_core::colony::Settings;
use colony_wire::admin::{AttributeNames, BuiltIn, MergeBy, MergeRule, Policy};
use colony_wire::client::{Done, Refusal, ReplyBody};
use colony_wire::session::{AttributeChange, Changes, Mutation};
use colony_wire::{LineageId, Position};

use crate::calls::{attributes, blob, change, request, save, save_with};
use crate::world::{A, B, World, world_with};

/// A namespace whose attributes `n` and `item:...` count, `tags` is a set, `pin` is not merged, and of all others the
/// larger number is kept.
fn by_rules() -> Policy {
    let one = |name: &str, rule| MergeRule { of: AttributeNames::One(name.into()), rule };
    let prefix = |prefix: &str, rule| MergeRule { of: AttributeNames::Prefix(prefix.into()), rule };
    let rules = vec![
        one("n", BuiltIn::Counter),
        prefix("item:", BuiltIn::Quantity),
        one("tags", BuiltIn::SetUnion),
        one("pin", BuiltIn::Reject),
        prefix("", BuiltIn::Max),
        one("later", BuiltIn::LastWrite),
    ];
    Policy { merge: MergeBy::Rules(rules), ..Policy::default() }
}

const BASE: [(&str, &str); 6] =
    [("n", "10"), ("item:tea", "2"), ("tags", r#"["a","b"]"#), ("pin", "1"), ("other", "3"), ("later", "3")];

/// A session at `BASE`, which another client has changed since `Done`.
fn changed(changes: Vec<AttributeChange>) -> (World, Done) {
    let mut w = world_with(&[A, B], by_rules(), Settings::default());
    let base = w.done(A, request(1, attributes("s", &BASE)));
    w.done(A, request(2, save("s", base, changes)));
    (w, base)
}

/// A save with the base's value of everything that it changes.
fn full(base: Done, changes: Vec<AttributeChange>) -> Mutation {
    let before = |name: &String| BASE.iter().find(|(of, _)| of == name).map(|(of, value)| change(of, value));
    let values = changes.iter().filter_map(|(name, _)| before(name)).collect();
    save_with("s", base, changes, Some(values))
}

/// `PROTOCOL.md` 10; D4, C40: each attribute by its rule, at once, and the result is replicated.
#[test]
fn each_attribute_is_merged_by_its_rule_and_nobody_is_asked() {
    let ours = [("n", "12"), ("item:tea", "5"), ("tags", r#"["a","b","c"]"#), ("other", "9"), ("later", "9")];
    let theirs = [("n", "7"), ("item:tea", "3"), ("tags", r#"["b"]"#), ("other", "5"), ("later", "5")];
    let merged =
        [("n", "9"), ("item:tea", "6"), ("tags", r#"["b","c"]"#), ("other", "9"), ("later", "5"), ("pin", "1")];
    let changes =
        |values: &[(&str, &'static str)]| values.iter().map(|(name, value)| change(name, value)).collect::<Vec<_>>();
    let (mut w, base) = changed(changes(&ours));
    let caller = w.ask(A, request(3, full(base, changes(&theirs))));
    w.quiet();
    assert!(matches!(w.answer(caller), Some(ReplyBody::Done(Done { merged: true, .. }))));
    assert_eq!((w.merges.len(), w.decided.as_slice()), (0, [None].as_slice()));
    w.run(40);
    for (name, value) in merged {
        assert_eq!(w.attribute(A, "s", name), Some(Bytes::from(value)), "{name}");
    }
    assert_eq!(w.replica(B).store().digest(), w.replica(A).store().digest());
}

/// The base is asked for where a rule looks at it, and only there.
#[test]
fn a_rule_that_looks_at_the_base_asks_for_it() {
    let (mut w, base) = changed(vec![change("n", "12"), change("later", "9")]);
    let counted = w.ask(A, request(3, save("s", base, vec![change("n", "11")])));
    assert_eq!(w.answer(counted), Some(&ReplyBody::NeedBase { attributes: vec!["n".into()] }));
    w.done(A, request(4, save("s", base, vec![change("later", "5")])));
    assert_eq!(w.attribute(A, "s", "later"), Some(Bytes::from("5")));
}

/// Whoever comes second is refused with the version to read, and nothing of the save is stored.
#[test]
fn an_attribute_that_is_not_to_be_merged_refuses_the_second_save() {
    let (mut w, base) = changed(vec![change("pin", "2")]);
    let version = w.found(A, "s").version;
    let caller = w.ask(A, request(3, save("s", base, vec![change("pin", "3"), change("n", "11")])));
    assert_eq!(w.refusal(caller), Some(&Refusal::Changed { version }));
    assert_eq!(w.attribute(A, "s", "n"), Some(Bytes::from("10")));
    w.done(A, request(4, save("s", base, vec![change("n", "11")])));
    assert_eq!(w.attribute(A, "s", "n"), Some(Bytes::from("11")), "what nobody else changed is simply taken");
}

/// Bytes that a rule cannot read are no reason to fail: the later write is kept, and somebody is told.
#[test]
fn what_a_rule_cannot_read_keeps_the_later_write_and_is_told() {
    let (mut w, base) = changed(vec![change("n", "many"), change("other", "9")]);
    w.done(A, request(3, full(base, vec![change("n", "11"), change("other", "5")])));
    assert_eq!(w.attribute(A, "s", "n"), Some(Bytes::from("11")));
    assert_eq!(w.attribute(A, "s", "other"), Some(Bytes::from("9")), "the other one's rule is not disturbed");
    let told = w.decided.pop().flatten().expect("somebody is told");
    assert!(told.starts_with("attribute \"n\" is not a whole number"), "{told}");
}

/// A removed attribute is nothing to a set and none to a counter, and the removal of both is replicated.
#[test]
fn a_removal_is_merged_by_the_rule_too() {
    let (mut w, base) = changed(vec![("item:tea".into(), None), ("tags".into(), None)]);
    w.done(A, request(3, full(base, vec![change("item:tea", "7"), change("tags", r#"["a"]"#)])));
    assert_eq!(w.attribute(A, "s", "item:tea"), Some(Bytes::from("5")), "five were put in meanwhile");
    assert_eq!(w.attribute(A, "s", "tags"), None, "nothing was added to the set that was removed");
}

/// A blob is an attribute without a name: the rule for all holds.
#[test]
fn a_blob_is_merged_by_the_rule_for_all() {
    let mut w = world_with(&[A, B], by_rules(), Settings::default());
    let base = w.done(A, request(1, blob("s", "3")));
    let of_blob = |value: &'static str| match save_with("s", base, Vec::new(), Some(vec![change("", "3")])) {
        Mutation::Save { key, base, tags, ttl, base_values, .. } => {
            Mutation::Save { key, base, changes: Changes::Blob(value.into()), tags, ttl, base_values }
        }
        other => panic!("{other:?} is no save"),
    };
    w.done(A, request(2, of_blob("9")));
    w.done(A, request(3, of_blob("5")));
    assert_eq!(w.found(A, "s").content, colony_wire::session::Content::Blob("9".into()));
}

/// A namespace that names no rule keeps the later write, and nobody is asked for that either.
#[test]
fn the_later_write_is_kept_at_once() {
    let mut w = world_with(&[A, B], Policy::default(), Settings::default());
    let base = w.done(A, request(1, attributes("s", &BASE)));
    w.done(A, request(2, save("s", base, vec![change("n", "12")])));
    w.done(A, request(3, save("s", base, vec![change("n", "11")])));
    assert_eq!(w.attribute(A, "s", "n"), Some(Bytes::from("11")));
    assert_eq!((w.merges.len(), w.decided.len()), (0, 1));
}

/// `PROTOCOL.md` 3.2; D4: what is counted on one side of a split is counted once.
///
/// Bug: what an island had counted counted twice after the heal. Cause: a client that had read the sum there saved its next one
/// here, where nobody had counted yet, before the island was taken in. Its base was not known here, but an attribute that never
/// was had not changed since anything: the save was taken as it was, with all that the island had counted in it. Fix: a base that
/// is not known conflicts with what is not here as well.
#[test]
fn a_save_based_on_what_is_not_known_here_conflicts_with_what_never_was_here() {
    let mut w = world_with(&[A, B], by_rules(), Settings::default());
    let begun = w.done(A, request(1, attributes("s", &[("pin", "1")])));
    let there = Done { version: Position { lineage: LineageId(9), ..begun.version }, ..begun };
    let count = || vec![change("n", "105")];
    let bare = w.ask(A, request(2, save("s", there, count())));
    assert_eq!(w.answer(bare), Some(&ReplyBody::NeedBase { attributes: vec!["n".into()] }));
    w.done(A, request(2, save_with("s", there, count(), Some(vec![change("n", "100")]))));
    assert_eq!(w.attribute(A, "s", "n"), Some(Bytes::from("5")));
}
