//! The program: its last line and its exit code.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn colony_history(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_colony-history")).args(arguments).output().expect("the program starts")
}

#[track_caller]
fn assert_ends(output: &Output, code: i32, last_line: &str) {
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!((output.status.code(), out.lines().last()), (Some(code), Some(last_line)), "{out}");
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn what_is_simulated_passes_and_what_is_doctored_fails() {
    let (right, wrong) = (file("right"), file("wrong"));
    let (right, wrong) = (right.to_str().expect("text"), wrong.to_str().expect("text"));
    let mix = ["--operations", "2000", "--sessions", "9", "--seed", "3"];
    assert_eq!(colony_history(&[&["simulate", right], mix.as_slice()].concat()).status.code(), Some(0));
    assert_ends(&colony_history(&["check", right]), 0, "operations 2000 sessions 9 verdict linearizable");
    for lie in colony_history::doctor::Lie::ALL {
        let doctored = colony_history(&["doctor", right, "--kind", lie.name(), "--seed", "5", wrong]);
        assert_eq!(doctored.status.code(), Some(0), "{lie:?}");
        assert_ends(&colony_history(&["check", wrong]), 1, "operations 2000 sessions 9 verdict violated");
    }
}

#[test]
fn a_violation_names_what_has_no_place() {
    let path = file("explained");
    let lines = "colony-history 1\ncart 0 0 10 put 1 done\ncart 0 20 30 put 2 done\ncart 1 40 50 read found 1\n";
    std::fs::write(&path, lines).expect("a folder for tests");
    let output = colony_history(&["check", path.to_str().expect("text")]);
    let expected = "\
session cart: an order of 1 of 3 operations explains all up to 30
  then           0 0 10 put 1 done
  to be seen by  1 40 50 read found 1
  but not        0 20 30 put 2 done: the session holds 1, which others have to see first
sessions violated: 1
operations 3 sessions 1 verdict violated
";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn what_is_no_history_has_no_verdict() {
    let path = file("broken");
    std::fs::write(&path, "colony-history 1\ns 0 1 2 jump done\n").expect("a folder for tests");
    let output = colony_history(&["check", path.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 2: no such action"));
    for wrong in [&["check"][..], &["check", "no-such-file"], &["judge", "x"], &["check", "x", "--seed", "1"], &[]] {
        assert_eq!(colony_history(wrong).status.code(), Some(3), "{wrong:?}");
    }
}
