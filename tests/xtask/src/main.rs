//! The commands of this checkout: `cargo xtask demo`, `cargo xtask test`, and the verbs beside them.
//!
//! A machine with a Rust toolchain needs nothing else: a verb does its own set-up first (`setup`), and every
//! build goes to one folder outside the checkout (`places`), so that the demo, the tests and the simulator
//! compile the world once. The crate depends on the standard library alone, because it is compiled before
//! anything else can be.

mod bench;
mod demo;
mod failure;
mod faults;
mod overload;
mod places;
mod plugins;
mod setup;
mod sim;
mod stages;
mod suite;
mod tool;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::places::Places;

/// One command: what is typed, what it does, and the function that does it.
struct Verb {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&Places, &[String]) -> Result<ExitCode, Failure>,
}

/// Every verb but `help`, in the order in which `help` lists them.
const VERBS: &[Verb] = &[
    Verb {
        name: "demo",
        arguments: "[ARGS]",
        about: "build everything and run `colony demo ARGS`: the whole story in under a minute",
        run: demo::run,
    },
    Verb {
        name: "test",
        arguments: "",
        about: "format, lints, all tests, the simulator with its mutants, the model check, the plugins",
        run: suite::run,
    },
    Verb {
        name: "plugins",
        arguments: "",
        about: "build the plugins and print the folder with the components",
        run: plugins::run,
    },
    Verb {
        name: "sim",
        arguments: "[ARGS]",
        about: "run the simulator: `--seeds N --from S`, `--mutants`, `--counters N`, `--history N --into FILE`",
        run: sim::run,
    },
    Verb {
        name: "whole",
        arguments: "[ARGS]",
        about: "run whole hosts, with the real Raft, in simulation: `--seeds N --from S`, `--trace`",
        run: sim::run_whole,
    },
    Verb {
        name: "model",
        arguments: "[ARGS]",
        about: "check every state of one colony on three hosts; `--mutants`, `--full`, `--only NAME`",
        run: sim::run_model,
    },
    Verb {
        name: "faults",
        arguments: "[ARGS]",
        about: "kill, stop and cut real hosts under load: `--minutes M`, `--only ROW`, `--broken`, `--json`; root",
        run: faults::run,
    },
    Verb {
        name: "history",
        arguments: "ARGS",
        about: "judge a recorded history: `check FILE`, `doctor FILE --kind KIND --seed S OUT`",
        run: sim::run_history,
    },
    Verb {
        name: "overload",
        arguments: "[ARGS]",
        about: "ask a real cluster for three times what it can carry, and say how it bears it; `--seconds S`",
        run: overload::run,
    },
    Verb {
        name: "bench",
        arguments: "[ARGS]",
        about: "measure beside Redis, NATS and the bare network: `--quick`, `--only ROW`, `--json FILE`, `--help`",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            failure.exit_code()
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<ExitCode, Failure> {
    let (verb, rest) = match arguments {
        [] => return Err(Failure::Usage("no verb given".into())),
        [verb, rest @ ..] => (verb.as_str(), rest),
    };
    if matches!(verb, "help" | "--help" | "-h") {
        print!("{}", help());
        return Ok(ExitCode::SUCCESS);
    }
    match VERBS.iter().find(|known| known.name == verb) {
        Some(known) => (known.run)(&Places::from_env()?, rest),
        None => Err(Failure::Usage(format!("there is no verb `{verb}`"))),
    }
}

fn help() -> String {
    let mut text = String::from("cargo xtask VERB\n\n");
    for verb in VERBS {
        let typed = format!("{} {}", verb.name, verb.arguments);
        text.push_str(&format!("  {typed:<14}{}\n", verb.about));
    }
    text.push_str(&format!("  {:<14}{}\n", "help", "list the verbs"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_verb_on_one_line() {
        let text = help();
        for name in VERBS.iter().map(|verb| verb.name).chain(["help"]) {
            let lines = text.lines().filter(|line| line.split_whitespace().next() == Some(name));
            assert_eq!(lines.count(), 1, "{name} in:\n{text}");
        }
    }

    #[test]
    fn an_unknown_verb_is_a_usage_error() {
        let answer = dispatch(&["dmeo".to_owned()]);
        assert!(matches!(answer, Err(Failure::Usage(_))));
    }
}
