//! Histories of the size that a long run has.

use colony_history::doctor::{Lie, doctor};
use colony_history::simulate::{Mix, simulate};
use colony_history::{Checker, Verdict, check};

#[test]
fn a_hundred_thousand_operations_are_decided() {
    let mix = Mix { seed: 1, operations: 100_000, sessions: 200, clients: 8, unknown: 50, ..Mix::default() };
    let history = simulate(&mix).expect("not too many");
    assert_eq!(history.operations(), 100_000);
    assert_eq!(check(&history), Verdict::Linearizable);
    for lie in Lie::ALL {
        let lied = doctor(&history, lie, 1).expect("as many operations").expect("an occasion");
        assert!(matches!(check(&lied.history), Verdict::Violated(_)), "{lie:?}");
    }
}

/// All on one session: nothing is won by taking sessions apart, and a thousand unknown writes stay open to the end.
#[test]
fn one_busy_session_is_decided() {
    let mix = Mix { seed: 2, operations: 20_000, sessions: 1, clients: 10, unknown: 100, ..Mix::default() };
    let history = simulate(&mix).expect("not too many");
    assert_eq!(Checker::default().check(&history), Verdict::Linearizable);
}
