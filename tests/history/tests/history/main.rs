//! The checker against histories whose verdict is known.

mod brute_force;
mod doctored;
mod files;
mod large;
mod program;
mod textbook;
mod unknown;

use colony_history::{History, Verdict, check, text};

/// The verdict on operations of session `s`, one a line, as in a file.
#[track_caller]
fn verdict(lines: &str) -> Verdict {
    check(&history(lines))
}

#[track_caller]
fn history(lines: &str) -> History {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let file = lines.fold(format!("{}\n", text::HEADER), |file, line| format!("{file}s {line}\n"));
    text::read(file.as_bytes()).unwrap_or_else(|error| panic!("{error} in\n{file}"))
}

#[track_caller]
fn assert_linearizable(lines: &str) {
    assert_eq!(verdict(lines), Verdict::Linearizable);
}

#[track_caller]
fn assert_violated(lines: &str) {
    assert!(matches!(verdict(lines), Verdict::Violated(_)), "{:?}", verdict(lines));
}
