//! Files: what is written is read back, and what is no history is refused by line and reason.

use colony_history::history::{Fault, NAME_BYTES_MAX};
use colony_history::simulate::{Mix, simulate};
use colony_history::text::{self, LINE_BYTES_MAX, LineFault, ReadError};
use colony_history::{History, Operation, Value};
use proptest::prelude::*;

#[track_caller]
fn assert_refused(file: &str, line: u64, expected: &LineFault) {
    match text::read(file.as_bytes()) {
        Err(ReadError::Line { number, why }) => assert_eq!((number, &why), (line, expected), "{file}"),
        other => panic!("{other:?} of {file}"),
    }
}

#[test]
fn a_history_is_read_back_as_it_was_written() {
    for seed in 0..20 {
        let history = simulate(&Mix { seed, judged: 500, ..Mix::default() }).expect("few operations");
        let mut file = Vec::new();
        text::write(&history, &mut file).expect("memory takes everything");
        assert_eq!(text::read(file.as_slice()).expect("a history"), history);
    }
}

#[test]
fn comments_empty_lines_and_a_missing_last_end_are_fine() {
    let history = text::read(&b"colony-history 1\n\n# a run\na/b 0 1 2  put 7 done"[..]).expect("a history");
    assert_eq!(history.operations(), 1);
    let (name, operations) = history.sessions().next().expect("one session");
    assert_eq!((name, operations[0].action.written()), ("a/b", Some(Value(7))));
}

#[test]
fn a_file_begins_with_its_format() {
    for file in ["", "\n", "colony-history 2\n", "s 0 1 2 read absent\n", "colony-history 1 \n"] {
        assert!(matches!(text::read(file.as_bytes()), Err(ReadError::NotAHistory)), "{file:?}");
    }
    let long = "x".repeat(LINE_BYTES_MAX * 3);
    assert!(matches!(text::read(long.as_bytes()), Err(ReadError::NotAHistory)));
}

#[test]
fn a_line_that_is_no_operation_is_named() {
    let cases = [
        ("s", LineFault::Missing("client")),
        ("s x", LineFault::NotANumber("client")),
        ("s 0 -1", LineFault::NotANumber("invoked")),
        ("s 0 18446744073709551616", LineFault::NotANumber("invoked")),
        ("s 0 1", LineFault::Missing("returned")),
        ("s 0 1 soon", LineFault::NotANumber("returned")),
        ("s 0 1 2", LineFault::Missing("action")),
        ("s 0 1 2 push 1 done", LineFault::UnknownAction),
        ("s 0 1 2 put done", LineFault::NotANumber("value")),
        ("s 0 1 2 swap 1 done", LineFault::NotANumber("value")),
        ("s 0 1 2 put 1", LineFault::Missing("outcome")),
        ("s 0 1 2 put 1 fine", LineFault::UnknownOutcome),
        ("s 0 1 2 read found", LineFault::Missing("value")),
        ("s 0 1 2 put 1 done 2", LineFault::TooManyFields),
        ("s 0 1 2 put 1 found 1", LineFault::Operation(Fault::Mismatch)),
        ("s 0 1 2 read done", LineFault::Operation(Fault::Mismatch)),
        ("s 0 2 1 put 1 done", LineFault::Operation(Fault::ReturnedBeforeInvoked)),
        ("s 0 1 - put 1 done", LineFault::Operation(Fault::ReturnAndOutcomeDisagree)),
        ("s 0 1 2 put 1 unknown", LineFault::Operation(Fault::ReturnAndOutcomeDisagree)),
        ("s 0 1 2 swap 1 1 done", LineFault::Operation(Fault::SwapForItself)),
        ("s 0 1 2 put 9 not-done", LineFault::Operation(Fault::ValueReused(Value(9)))),
        ("s\t 0 1 2 put 1 done", LineFault::Operation(Fault::BadName)),
    ];
    for (line, expected) in cases {
        assert_refused(&format!("colony-history 1\n# here\ns 0 1 2 put 9 done\n{line}\n"), 4, &expected);
    }
}

#[test]
fn a_line_is_read_up_to_its_limit() {
    let longest = "n".repeat(NAME_BYTES_MAX);
    let fits = format!("{longest} 0 1 2 read absent");
    let padded = format!("{fits}{}", " ".repeat(LINE_BYTES_MAX - fits.len()));
    assert!(text::read(format!("colony-history 1\n{padded}\n{fits}\n").as_bytes()).is_ok());
    assert_refused(&format!("colony-history 1\n{padded} \n{fits}\n"), 2, &LineFault::TooLong);
    assert_refused(&format!("colony-history 1\nn{fits}\n"), 2, &LineFault::Operation(Fault::BadName));
}

#[test]
fn a_refused_operation_changes_nothing() {
    let put = |line: &str| -> Operation {
        let history = text::read(format!("colony-history 1\ns {line}\n").as_bytes()).expect("a history");
        history.sessions().next().expect("one session").1[0]
    };
    let mut history = History::new();
    history.push("s", put("0 0 1 put 1 done")).expect("fine");
    let before = history.clone();
    assert_eq!(history.push("s", put("0 5 6 create 1 done")), Err(Fault::ValueReused(Value(1))));
    assert_eq!(history.push("", put("0 5 6 create 2 done")), Err(Fault::BadName));
    assert_eq!(history, before);
}

proptest! {
    #[test]
    fn any_bytes_are_a_history_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = text::read(bytes.as_slice());
        let file = [b"colony-history 1\n".as_slice(), &bytes].concat();
        let _ = text::read(file.as_slice());
    }

    #[test]
    fn any_words_are_a_history_or_an_error(
        words in prop::collection::vec(prop::sample::select(vec![
            "s", "0", "5", "-", "put", "create", "swap", "delete", "read", "done", "found", "unknown", "gone", "\n",
        ]), 0..60),
    ) {
        let file = format!("colony-history 1\n{}", words.join(" "));
        if let Ok(history) = text::read(file.as_bytes()) {
            let mut written = Vec::new();
            text::write(&history, &mut written).expect("memory takes everything");
            prop_assert_eq!(text::read(written.as_slice()).expect("a history"), history);
        }
    }
}
