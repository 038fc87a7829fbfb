//! The checker at work on what a few seconds suffice for.

use colony_model::{Bounds, Scope, check};

fn named(scopes: Vec<Scope>, name: &str) -> Scope {
    scopes.into_iter().find(|scope| scope.name == name).expect("there is a configuration of that name")
}

/// C38: everything that may happen to two copies when one is wrongly declared dead and comes back, and a write is
/// repeated.
#[test]
fn no_order_of_events_breaks_a_rule() {
    let outcome = check(named(Scope::all(), "undead"), 2);
    assert_eq!(outcome.violations, []);
    assert_eq!(outcome.unseen, [""; 0]);
    assert!(outcome.unique > 1000, "{outcome:?}");
}

/// C38: a crash, a split and a join together, on streams that keep their order.
#[test]
fn a_crash_a_split_and_a_join_at_once_break_no_rule() {
    let scope = named(Scope::all(), "crash-split-join");
    let outcome = check(Scope { bounds: Bounds { writes: 1, silences: 0, ..scope.bounds }, ..scope }, 2);
    assert_eq!(outcome.violations, []);
    assert_eq!(outcome.unseen, [""; 0]);
    assert!(outcome.unique > 1000, "{outcome:?}");
}

/// A check that finds nothing would be worth nothing.
#[test]
fn a_primary_that_drops_what_it_inherited_is_found_out() {
    let outcome = check(named(Scope::mutants(), "DropInheritedSuffix"), 2);
    assert_eq!(outcome.violations.len(), 1, "{outcome:?}");
}
