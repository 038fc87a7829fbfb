//! Histories by hand with unknown outcomes: such an operation takes effect at any time after its call, or never.

use colony_history::{Checker, Verdict};

use crate::{assert_linearizable, assert_violated, history};

#[test]
fn an_unknown_write_may_have_taken_effect_or_not() {
    for seen in ["found 1", "found 2"] {
        assert_linearizable(&format!(
            "0 0 10 put 1 done
             0 20 - put 2 unknown
             1 900 910 read {seen}",
        ));
    }
}

#[test]
fn an_unknown_write_takes_effect_once() {
    assert_violated(
        "0 0 10 put 1 done
         0 20 - put 2 unknown
         1 30 40 read found 2
         1 50 60 read found 1",
    );
}

#[test]
fn an_unknown_write_may_take_effect_late() {
    assert_linearizable(
        "0 0 10 put 1 done
         0 20 - put 2 unknown
         1 30 40 read found 1
         1 50 60 put 3 done
         1 70 80 read found 3
         1 90 95 read found 2",
    );
}

#[test]
fn an_unknown_write_never_takes_effect_before_its_call() {
    assert_violated(
        "1 0 10 read found 2
         0 20 - put 2 unknown",
    );
}

#[test]
fn an_unknown_save_that_is_seen_needs_its_base() {
    assert_violated(
        "0 0 10 put 1 done
         0 20 30 put 2 done
         1 40 - swap 1 3 unknown
         0 50 60 read found 3",
    );
    assert_linearizable(
        "0 0 10 put 1 done
         1 15 - swap 1 3 unknown
         0 50 60 read found 3",
    );
}

#[test]
fn a_chain_of_unknown_saves_is_done_if_its_end_is_seen() {
    let chain = "0 0 - create 1 unknown
                 0 20 - swap 1 2 unknown
                 0 30 - swap 2 3 unknown";
    assert_linearizable(&format!("{chain}\n 1 40 50 read found 3"));
    assert_violated(&format!("{chain}\n 1 40 50 read found 3\n 1 60 70 read found 2"));
    assert_violated(&format!("{chain}\n 1 40 50 read found 3\n 1 60 70 create 4 done"));
}

#[test]
fn unknown_saves_in_a_ring_have_no_beginning() {
    assert_violated(
        "0 0 - swap 2 1 unknown
         1 0 - swap 1 2 unknown
         2 10 20 read found 1",
    );
}

/// Nobody ever names the value of these writes, and yet they matter.
#[test]
fn an_unknown_write_explains_that_something_was_there() {
    assert_violated("0 20 30 delete done");
    for write in ["put 1", "create 1"] {
        assert_linearizable(&format!("0 0 - {write} unknown\n 0 20 30 delete done"));
        assert_linearizable(&format!("0 0 - {write} unknown\n 0 20 30 create 2 exists"));
        assert_linearizable(&format!("0 0 - {write} unknown\n 0 20 30 swap 7 2 changed"));
        assert_violated(&format!("0 40 - {write} unknown\n 0 20 30 delete done"));
        assert_violated(&format!("0 0 - {write} unknown\n 0 20 30 delete done\n 0 40 50 delete done"));
    }
}

#[test]
fn an_unknown_create_does_not_replace_what_is_there() {
    let before = "0 0 10 put 1 done";
    let after = "0 30 40 swap 1 9 changed";
    assert_linearizable(&format!("{before}\n 0 15 - put 2 unknown\n {after}"));
    assert_linearizable(&format!("{before}\n 0 15 - swap 1 2 unknown\n {after}"));
    assert_violated(&format!("{before}\n 0 15 - create 2 unknown\n {after}"));
    assert_linearizable(&format!("{before}\n 0 15 - delete unknown\n 0 15 - create 2 unknown\n {after}"));
}

#[test]
fn an_unknown_delete_explains_once_that_nothing_was_there() {
    let deleted = "0 0 10 put 1 done\n 0 20 - delete unknown\n";
    for empty in ["read absent", "create 2 done", "swap 1 2 gone", "delete not-found"] {
        assert_linearizable(&format!("{deleted} 1 30 40 {empty}"));
        assert_linearizable(&format!("{deleted} 1 30 40 read found 1\n 1 50 60 {empty}"));
        assert_violated(&format!("{deleted} 1 30 40 {empty}\n 1 50 60 read found 1"));
        assert_violated(&format!("{deleted} 1 30 40 {empty}\n 1 50 60 put 3 done\n 1 70 80 read absent"));
    }
}

/// A write whose value only a refusal names can be told apart from others: it cannot be what was there instead.
#[test]
fn a_refused_save_denies_its_own_base_only() {
    assert_violated("0 0 - put 1 unknown\n 1 20 30 swap 1 2 changed");
    assert_linearizable("0 0 - put 1 unknown\n 1 20 30 swap 1 2 gone");
    assert_linearizable("0 0 - put 1 unknown\n 0 0 - put 3 unknown\n 1 20 30 swap 1 2 changed");
    assert_linearizable("0 0 - put 1 unknown\n 1 20 30 delete done\n 1 40 50 swap 1 2 gone");
}

/// The first delete may use the unknown write up, and then the last one lacks it: having placed the same operations
/// is not having got to the same point.
#[test]
fn an_unknown_write_is_kept_for_when_it_is_needed() {
    assert_linearizable(
        "0 0 - put 1 unknown
         1 0 90 delete done
         2 0 100 create 2 done
         3 0 110 put 3 done
         1 200 210 delete done
         1 220 230 delete done",
    );
}

#[test]
fn an_unknown_read_says_nothing() {
    assert_linearizable("0 0 - read unknown\n 0 10 20 put 1 done\n 0 30 40 read found 1");
}

/// Forty unknown writes and deletes, all open to the end: 3^40 ways to place or leave them.
#[test]
fn many_unknown_operations_are_decided_in_few_steps() {
    let mut lines = String::new();
    for index in 0..20 {
        lines += &format!("{index} {index} - put {index} unknown\n {index} {index} - delete unknown\n");
    }
    for index in 0..20 {
        let at = 100 + index * 100;
        lines += &format!("50 {at} {} read found {index}\n 50 {} {} read absent\n", at + 10, at + 20, at + 30);
    }
    let few = Checker::default().visited_max(1000);
    assert_eq!(few.check(&history(&lines)), Verdict::Linearizable);
    lines += "50 9000 9010 read found 0";
    assert!(matches!(few.check(&history(&lines)), Verdict::Violated(_)));
}

#[test]
fn a_search_that_is_given_up_is_no_pass() {
    let mut lines = String::new();
    for index in 0..16 {
        lines += &format!("{index} 0 100 put {index} done\n {index} 0 100 delete done\n");
    }
    // One delete too many.
    lines += "50 0 100 delete done";
    let impatient = Checker::default().visited_max(100);
    assert_eq!(impatient.check(&history(&lines)), Verdict::Undecided(vec!["s".to_owned()]));
}
