//! Histories by hand, without unknown outcomes. Operations stand as in a file: client, invoked, returned, action,
//! outcome.

use crate::{assert_linearizable, assert_violated};

#[test]
fn an_empty_history_is_linearizable() {
    assert_linearizable("");
}

#[test]
fn a_session_holds_nothing_at_first() {
    assert_linearizable("0 0 1 read absent");
    assert_violated("0 0 1 read found 7");
}

#[test]
fn a_read_after_a_write_sees_it() {
    assert_linearizable(
        "0 0 10 put 1 done
         0 20 30 read found 1",
    );
    assert_violated(
        "0 0 10 put 1 done
         0 20 30 read absent",
    );
}

#[test]
fn a_read_beside_a_write_sees_either() {
    for seen in ["found 1", "found 2"] {
        assert_linearizable(&format!(
            "0 0 10 put 1 done
             0 20 40 put 2 done
             1 30 50 read {seen}",
        ));
    }
}

#[test]
fn answers_at_the_same_time_overlap() {
    assert_linearizable(
        "0 0 10 put 1 done
         1 10 20 read absent",
    );
    assert_violated(
        "0 0 10 put 1 done
         1 11 20 read absent",
    );
}

/// Once one reader has seen a write that is still open, every later one does.
#[test]
fn readers_never_go_backward() {
    assert_linearizable(
        "0 0 10 put 1 done
         0 20 90 put 2 done
         1 30 40 read found 1
         2 50 60 read found 2",
    );
    assert_violated(
        "0 0 10 put 1 done
         0 20 90 put 2 done
         1 30 40 read found 2
         2 50 60 read found 1",
    );
}

/// Two writes beside each other may take effect in either order, but in one.
#[test]
fn two_readers_agree_on_the_order_of_writes() {
    assert_linearizable(
        "0 0 100 put 1 done
         1 0 100 put 2 done
         2 10 20 read found 2
         3 30 40 read found 1
         2 50 60 read found 1",
    );
    assert_violated(
        "0 0 100 put 1 done
         1 0 100 put 2 done
         2 10 20 read found 2
         3 30 40 read found 1
         2 50 60 read found 2",
    );
}

#[test]
fn a_value_is_seen_before_it_is_written_by_nobody() {
    assert_violated(
        "0 0 10 read found 1
         1 20 30 put 1 done",
    );
}

#[test]
fn an_overwritten_value_does_not_come_back() {
    assert_violated(
        "0 0 10 put 1 done
         1 20 30 put 2 done
         0 40 50 read found 1",
    );
}

#[test]
fn one_of_two_saves_on_the_same_value_is_refused() {
    assert_linearizable(
        "0 0 10 put 1 done
         0 20 40 swap 1 2 done
         1 20 40 swap 1 3 changed
         0 50 60 read found 2",
    );
    assert_violated(
        "0 0 10 put 1 done
         0 20 40 swap 1 2 done
         1 20 40 swap 1 3 done",
    );
}

#[test]
fn a_save_needs_what_it_is_based_on() {
    assert_violated(
        "0 0 10 put 1 done
         1 20 30 put 2 done
         0 40 50 swap 1 3 done",
    );
}

#[test]
fn saves_form_a_chain_in_any_order_of_recording() {
    assert_linearizable(
        "2 0 100 swap 3 4 done
         1 0 100 swap 2 3 done
         0 0 100 swap 1 2 done
         3 0 100 create 1 done
         4 110 120 read found 4",
    );
}

#[test]
fn saves_in_a_ring_have_no_beginning() {
    assert_violated(
        "0 0 100 swap 2 1 done
         1 0 100 swap 1 2 done",
    );
}

#[test]
fn a_create_needs_nothing_to_be_there() {
    assert_linearizable(
        "0 0 10 create 1 done
         0 20 30 delete done
         0 40 50 create 2 done",
    );
    assert_violated(
        "0 0 10 create 1 done
         1 20 30 create 2 done",
    );
}

#[test]
fn one_of_two_creates_beside_each_other_wins() {
    assert_linearizable(
        "0 0 10 create 1 done
         1 0 10 create 2 exists
         2 20 30 read found 1",
    );
    assert_violated(
        "0 0 10 create 1 done
         1 0 10 create 2 done",
    );
}

#[test]
fn a_deleted_session_stays_deleted() {
    assert_violated(
        "0 0 10 put 1 done
         0 20 30 delete done
         1 40 50 read found 1",
    );
}

#[test]
fn a_delete_removes_something() {
    assert_violated("0 0 10 delete done");
    assert_violated(
        "0 0 10 put 1 done
         0 20 40 delete done
         1 20 40 delete done",
    );
    assert_linearizable(
        "0 0 10 put 1 done
         0 20 40 delete done
         1 20 40 delete not-found",
    );
}

#[test]
fn a_refusal_that_was_judged_is_believed() {
    let written = "0 0 10 put 1 done\n";
    for wrong in ["swap 1 2 changed", "swap 1 2 gone", "delete not-found"] {
        assert_violated(&format!("{written} 0 20 30 {wrong}"));
    }
    for wrong in ["create 2 exists", "swap 1 2 changed"] {
        assert_violated(&format!("0 0 10 {wrong}"));
    }
    for right in ["create 2 exists", "swap 7 2 changed", "swap 7 2 gone"] {
        assert_linearizable(&format!("{written} 0 20 30 {right}"));
    }
    assert_linearizable("0 0 10 swap 1 2 gone");
}

#[test]
fn a_refusal_that_says_nothing_is_never_wrong() {
    for refused in ["create 2 not-done", "swap 1 2 not-done", "delete not-done", "read not-done", "put 2 not-done"] {
        assert_linearizable(&format!("0 0 10 put 1 done\n 0 20 30 {refused}\n 0 40 50 read found 1"));
        assert_linearizable(&format!("0 20 30 {refused}\n 0 40 50 read absent"));
    }
}

#[test]
fn what_was_surely_not_done_is_seen_by_nobody() {
    assert_violated(
        "0 0 10 put 1 not-done
         1 20 30 read found 1",
    );
}
