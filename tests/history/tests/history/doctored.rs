//! A simulated store is right, and every kind of lie about it is found.

use colony_history::doctor::{Lie, doctor};
use colony_history::simulate::{Mix, simulate};
use colony_history::{Checker, Verdict, check};

fn mixes() -> impl Iterator<Item = Mix> {
    (0..60).map(|seed| Mix {
        seed,
        operations: 600,
        sessions: 1 + seed % 3,
        clients: 1 + seed % 12,
        unknown: seed % 4 * 50,
        judged: seed % 5 * 250,
        slow: seed % 3 * 20,
    })
}

#[test]
fn a_store_that_is_right_is_linearizable() {
    for mix in mixes() {
        let history = simulate(&mix).expect("few operations");
        assert_eq!(check(&history), Verdict::Linearizable, "{mix:?}");
    }
}

#[test]
fn every_kind_of_lie_is_found_in_its_session() {
    for lie in Lie::ALL {
        let mut told = 0;
        for mix in mixes() {
            let history = simulate(&mix).expect("few operations");
            let Some(doctored) = doctor(&history, lie, mix.seed).expect("as many operations") else { continue };
            assert_ne!(doctored.history, history);
            told += 1;
            match check(&doctored.history) {
                Verdict::Violated(violations) => {
                    let sessions: Vec<_> = violations.iter().map(|violation| &violation.session).collect();
                    assert_eq!(sessions, [&doctored.session], "{lie:?} in {mix:?}");
                }
                verdict => panic!("{lie:?} in {mix:?} is {verdict:?}"),
            }
        }
        assert!(told >= 30, "{lie:?} was told {told} times only");
    }
}

#[test]
fn one_thread_and_two_agree() {
    let mix = Mix { sessions: 20, ..Mix::default() };
    let history = simulate(&mix).expect("few operations");
    let lied = doctor(&history, Lie::StaleRead, 1).expect("as many operations").expect("an occasion").history;
    for history in [&history, &lied] {
        assert_eq!(Checker::default().threads(1).check(history), Checker::default().threads(2).check(history));
    }
}

#[test]
fn a_name_means_one_lie() {
    for lie in Lie::ALL {
        assert_eq!(lie.name().parse(), Ok(lie));
    }
    assert!("nothing".parse::<Lie>().is_err());
}
