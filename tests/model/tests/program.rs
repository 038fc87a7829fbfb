//! The program, called as people call it.

use std::process::{Command, Output};

use colony_model::Scope;

fn call(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_colony-model")).args(arguments).output().expect("the program runs")
}

/// Bug: `--only` with a name that does not exist walked nothing, found no fault and said so with exit code 0.
/// Cause: names were only compared. Fix: a name that selects nothing is a mistake in the call.
#[test]
fn an_unknown_configuration_is_a_mistake_and_not_a_pass() {
    for (list, scopes) in [(None, Scope::all()), (Some("--full"), Scope::full()), (Some("--mutants"), Scope::mutants())]
    {
        let arguments: Vec<&str> = list.into_iter().chain(["--only", "nowhere"]).collect();
        let output = call(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(scopes.iter().all(|scope| said.contains(scope.name)), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?} walked something");
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for arguments in [&["--only"][..], &["--fast"], &["--full", "--mutants"]] {
        assert_eq!(call(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
