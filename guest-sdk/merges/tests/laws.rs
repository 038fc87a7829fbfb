//! What each rule makes of values, and the laws that all of them keep (`PROTOCOL.md` 10).

use colony_merges::{
    Answer, Conflict, Json, Merged, Rule, Side, counter, json, last_write, map_by_key, max, min, quantity, reject,
    set_union,
};
use proptest::prelude::*;

/// `base -> ours | theirs`, each a value or `-` for absent; `?` as a base is one that nobody knows.
fn conflict(text: &'static str) -> Conflict<'static> {
    let value = |text: &'static str| (text != "-").then_some(text.as_bytes());
    let (base, sides) = text.split_once(" -> ").expect("a base");
    let (ours, theirs) = sides.split_once(" | ").expect("two sides");
    let base = (base != "?").then(|| value(base));
    Conflict { base, ours: value(ours), theirs: value(theirs), later: Side::Theirs }
}

/// What is stored after the merge, `-` for nothing, and whether all could be read.
fn merged(rule: &Rule, conflict: &Conflict<'_>) -> (String, bool) {
    let Merged { answer, unread } = rule.merge(conflict);
    let stored = match answer.value_in(conflict) {
        None => "rejected".to_owned(),
        Some(None) => "-".to_owned(),
        Some(Some(bytes)) => String::from_utf8(bytes.to_vec()).expect("text goes in"),
    };
    (stored, unread.is_none())
}

#[track_caller]
fn assert_all(rule: &Rule, cases: &[(&'static str, &str)]) {
    for (case, expected) in cases {
        let conflict = conflict(case);
        assert_eq!(merged(rule, &conflict), ((*expected).to_owned(), true), "{case}");
        assert_eq!(merged(rule, &conflict.swapped()), ((*expected).to_owned(), true), "{case}, swapped");
    }
}

/// The later write is kept, and it is said that something could not be read.
#[track_caller]
fn assert_unread(rule: &Rule, cases: &[&'static str]) {
    for case in cases {
        let conflict = conflict(case);
        let later = conflict.theirs.map_or("-", |bytes| std::str::from_utf8(bytes).expect("text goes in"));
        assert_eq!(merged(rule, &conflict), (later.to_owned(), false), "{case}");
        assert_eq!(merged(rule, &conflict.swapped()), (later.to_owned(), false), "{case}, swapped");
    }
}

#[test]
fn the_later_write_is_the_one_that_is_called_later() {
    assert_all(&last_write(), &[("a -> b | c", "c"), ("a -> b | -", "-"), ("? -> - | c", "c")]);
}

#[test]
fn what_is_rejected_is_no_value_unless_nothing_is_in_conflict() {
    assert_all(&reject(), &[("a -> b | c", "rejected"), ("a -> a | c", "c"), ("a -> c | c", "c"), ("- -> b | -", "b")]);
}

#[test]
fn the_larger_or_the_smaller_number_is_kept_as_it_is_written() {
    assert_all(&max(), &[("5 -> 7 | 6.5", "7"), ("5 -> 1 | 3", "3"), ("5 -> 10 | 9", "10"), ("? -> -1 | -2", "-1")]);
    assert_all(&min(), &[("5 -> 7 | 6.5", "6.5"), ("5 -> 10 | 9", "9"), ("? -> -1 | -2.0", "-2.0")]);
    assert_all(&max(), &[("5 -> 1.0 | 1", "1"), ("5 -> - | 3", "3"), ("? -> 3 | -", "3")]);
    assert_unread(&max(), &["5 -> 7 | seven", "5 -> x | 7", "? -> 1e3 | 7"]);
}

#[test]
fn a_counter_counts_what_both_sides_did() {
    let cases = [
        ("10 -> 12 | 11", "13"),
        ("10 -> 12 | 7", "9"),
        ("5 -> -1 | 2", "-4"),
        ("- -> 3 | 4", "7"),
        ("2 -> - | 5", "3"),
        ("5 -> - | 2", "-3"),
        ("? -> 3 | 4", "4"),
        ("? -> - | -4", "-4"),
        ("0 -> 9223372036854775807 | 1", "9223372036854775807"),
        ("0 -> -9223372036854775808 | -1", "-9223372036854775808"),
        ("-9223372036854775808 -> 9223372036854775807 | 0", "9223372036854775807"),
        ("9223372036854775807 -> 9223372036854775806 | 9223372036854775805", "9223372036854775804"),
    ];
    assert_all(&counter(), &cases);
    assert_unread(&counter(), &["1 -> 2 | 1.5", "x -> 1 | 2", "1 -> 9223372036854775808 | 2", "1 ->  2 | 3"]);
}

#[test]
fn a_quantity_is_never_below_none() {
    let cases = [
        ("2 -> 5 | 3", "6"),
        ("7 -> 1 | 2", "0"),
        ("3 -> - | 7", "4"),
        ("3 -> - | 2", "-"),
        ("18446744073709551614 -> 18446744073709551615 | 18446744073709551615", "18446744073709551615"),
        ("0 -> 18446744073709551615 | 18446744073709551614", "18446744073709551615"),
    ];
    assert_all(&quantity(), &cases);
    assert_unread(&quantity(), &["1 -> -2 | 3", "1 -> 2 | 18446744073709551616"]);
}

#[test]
fn a_set_holds_what_was_added_and_not_what_was_removed() {
    let cases = [
        (r#"["a","b"] -> ["a","b","c"] | ["b"]"#, r#"["b","c"]"#),
        (r#"["a"] -> ["b"] | ["c"]"#, r#"["b","c"]"#),
        (r#"? -> ["b","a"] | ["a","c"]"#, r#"["a","b","c"]"#),
        (r#"- -> ["b"] | ["a"]"#, r#"["a","b"]"#),
        (r#"["a"] -> [] | []"#, "[]"),
        (r#"["a"] -> [] | ["a", "a"]"#, "[]"),
        (r#"["a"] -> - | ["a","b"]"#, r#"["b"]"#),
        (r#"["a","b"] -> - | ["a"]"#, "-"),
        (r#"[] -> [1,"1",{"b":1,"a":2}] | [{ "a":2, "b":1 },null]"#, r#"[null,1,"1",{"a":2,"b":1}]"#),
    ];
    // Two sides that are equal keep their bytes: nothing is in conflict.
    assert_all(&set_union(), &cases);
    assert_unread(&set_union(), &[r#"[] -> ["a"] | {"a":1}"#, "x -> [1] | [2]", "[] -> [1 | [2]"]);
}

#[test]
fn a_map_is_merged_key_by_key() {
    let cases = [
        (r#"{"tea":2} -> {"tea":5} | {"tea":3,"milk":1}"#, r#"{"milk":1,"tea":6}"#),
        (r#"{"tea":2} -> {} | {"tea":5}"#, r#"{"tea":3}"#),
        (r#"{"tea":2} -> - | {"tea":5}"#, r#"{"tea":3}"#),
        (r#"{"tea":2} -> - | {"tea":1}"#, "-"),
        (r#"? -> {"tea":2} | {"tea":5,"milk":1}"#, r#"{"milk":1,"tea":5}"#),
    ];
    assert_all(&map_by_key(quantity()), &cases);
    assert_all(&map_by_key(reject()), &[(r#"{} -> {"a":1} | {"b":1}"#, r#"{"a":1,"b":1}"#)]);
    assert_all(&map_by_key(reject()), &[(r#"{} -> {"a":1} | {"a":2}"#, "rejected")]);
    assert_unread(&map_by_key(quantity()), &[r#"{"b":1} -> [1] | {}"#, r#"{} -> {"a":"x"} | {"a":1}"#]);
}

#[test]
fn json_is_merged_at_every_depth() {
    let cases = [
        (r#"{"a":{"b":1,"c":1}} -> {"a":{"b":2,"c":1}} | {"a":{"b":1,"c":3}}"#, r#"{"a":{"b":2,"c":3}}"#),
        (r#"{"a":1,"b":1} -> {"a":2} | {"a":3,"b":1}"#, r#"{"a":3}"#),
        (r#"{"a":{}} -> {"a":{"x":1}} | {"a":{"y":1}}"#, r#"{"a":{"x":1,"y":1}}"#),
        (r#"{"a":1} -> {"a":{"x":1}} | {"a":{"y":1}}"#, r#"{"a":{"x":1,"y":1}}"#),
        (r#"? -> {"a":1,"b":1} | {"a":1,"b":2}"#, r#"{"a":1,"b":2}"#),
        ("[1] -> [1,2] | [1,3]", "[1,3]"),
        (r#"{"a":1} -> {"a":2} | -"#, "-"),
    ];
    assert_all(&json(), &cases);
    assert_unread(&json(), &["{} -> {\"a\":1} | {\"a\":", "x -> {} | []"]);
}

// ---- Laws. ----

fn any_rule() -> impl Strategy<Value = Rule> {
    let plain = [last_write(), max(), min(), counter(), quantity(), set_union(), json(), reject()];
    let plain = proptest::sample::select(plain.to_vec());
    plain.prop_recursive(2, 4, 1, |rule| rule.prop_map(map_by_key))
}

/// Any JSON, its numbers small so that sides meet.
fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-2..3_i64).prop_map(Json::from),
        "[a-c\n\"ä]{0,2}".prop_map(|text| Json::from(text.as_str())),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(Json::Object),
        ]
    })
}

fn any_number() -> impl Strategy<Value = String> {
    let edge = [i64::MIN.into(), i64::MAX.into(), u64::MAX.into(), i128::from(u64::MAX) + 1];
    prop_oneof![
        (-3..9_i128).prop_map(|number| number.to_string()),
        proptest::sample::select(edge.to_vec()).prop_map(|number: i128| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,2}(\\.[0-9]{1,2})?",
    ]
}

/// Absent, a number, a set, JSON, and bytes that are nothing.
fn any_value() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        1 => Just(None),
        4 => any_number().prop_map(|text| Some(text.into_bytes())),
        3 => prop::collection::vec("[a-d]", 0..4).prop_map(|it| Some(format!("{it:?}").into_bytes())),
        4 => any_json().prop_map(|json| Some(json.to_string().into_bytes())),
        1 => prop::collection::vec(any::<u8>(), 0..4).prop_map(Some),
    ]
}

type Values = (Option<Option<Vec<u8>>>, Option<Vec<u8>>, Option<Vec<u8>>, bool);

fn any_values() -> impl Strategy<Value = Values> {
    (prop::option::weighted(0.8, any_value()), any_value(), any_value(), any::<bool>())
}

fn of((base, ours, theirs, is_ours_later): &Values) -> Conflict<'_> {
    Conflict {
        base: base.as_ref().map(Option::as_deref),
        ours: ours.as_deref(),
        theirs: theirs.as_deref(),
        later: if *is_ours_later { Side::Ours } else { Side::Theirs },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// D4: m(b, x, y) = m(b, y, x), in what is stored and in what is said of it.
    #[test]
    fn every_rule_is_symmetric(rule in any_rule(), values in any_values()) {
        let conflict = of(&values);
        let (one, other) = (rule.merge(&conflict), rule.merge(&conflict.swapped()));
        prop_assert_eq!(one.answer.value_in(&conflict), other.answer.value_in(&conflict.swapped()));
        prop_assert_eq!(one.unread, other.unread);
    }

    /// m(b, x, x) = x and m(b, b, x) = x = m(b, x, b), byte for byte.
    #[test]
    fn equal_sides_stay_and_an_unchanged_side_gives_way(rule in any_rule(), values in any_values()) {
        let conflict = of(&values);
        let same = Conflict { theirs: conflict.ours, ..conflict };
        let answer = rule.merge(&same).answer;
        prop_assert_eq!(answer.value_in(&same), Some(conflict.ours));
        let unchanged = Conflict { base: Some(conflict.ours), ..conflict };
        for conflict in [unchanged, unchanged.swapped()] {
            let answer = rule.merge(&conflict).answer;
            prop_assert_eq!(answer.value_in(&conflict), Some(values.2.as_deref()));
        }
    }

    /// Whatever cannot be read, the later write is kept and it is said; and no value outgrows what it came from.
    #[test]
    fn every_rule_is_total_and_bounded(rule in any_rule(), values in any_values()) {
        let conflict = of(&values);
        let merged = rule.merge(&conflict);
        if let Answer::Value(bytes) = &merged.answer {
            let size = |value: Option<&[u8]>| value.map_or(0, <[u8]>::len);
            let bound = size(conflict.ours) + size(conflict.theirs) + size(conflict.base.flatten());
            prop_assert!(bytes.len() <= bound, "{} bytes of {bound}", bytes.len());
        }
        if merged.unread.is_some() && !matches!(rule, Rule::MapByKey(_)) {
            prop_assert_eq!(merged.answer, Answer::Keep(conflict.later));
        }
    }

    /// A counter is exact: three concurrent changes, joined one after the other, come to the same in any order.
    #[test]
    fn counters_add_up_in_any_order(base in -1_000..1_000_i64, deltas in prop::array::uniform3(-1_000..1_000_i64)) {
        let text = |number: i64| number.to_string().into_bytes();
        let join = |stored: &[u8], delta: i64| {
            let (base, theirs) = (text(base), text(base + delta));
            let conflict =
                Conflict { base: Some(Some(&base)), ours: Some(stored), theirs: Some(&theirs), later: Side::Theirs };
            let merged = counter().merge(&conflict);
            merged.answer.value_in(&conflict).flatten().expect("a number").to_vec()
        };
        // Two sides that wrote the same bytes are, by law, no conflict: the change of one is the change of both.
        let [a, b, c] = deltas;
        prop_assume!(a != b && b != c && a != c && a + b != c && b + c != a && a + c != b);
        let all = [join(&join(&text(base + a), b), c), join(&join(&text(base + c), a), b)];
        prop_assert_eq!(&all[0], &text(base + a + b + c));
        prop_assert_eq!(&all[0], &all[1]);
    }

    /// What another reader of JSON reads we read as the same, and what we write it reads as the same.
    #[test]
    fn json_is_what_others_take_for_it(json in any_json(), noise in "[\\[\\]{}\",:0-9a\\\\u.eE+-]{0,12}") {
        let text = json.to_string();
        let theirs: serde_json::Value = serde_json::from_str(&text).expect("we write JSON");
        let pretty = serde_json::to_string_pretty(&theirs).expect("it is written");
        prop_assert_eq!(Json::parse(pretty.as_bytes()), Some(json));
        if let Some(read) = Json::parse(noise.as_bytes()) {
            let theirs: serde_json::Value = serde_json::from_str(&noise).expect("we read JSON only");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&read.to_string()).ok(), Some(theirs));
        }
    }
}
