//! The checker as a program; see the library.
//!
//! ```text
//! colony-history check FILE
//! colony-history doctor FILE --kind KIND --seed S OUT
//! colony-history simulate --operations N --sessions M --seed S [--clients C] [--unknown PER_MILLE] OUT
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::process::ExitCode;

use colony_history::doctor::{Lie, doctor};
use colony_history::simulate::{Mix, simulate};
use colony_history::{History, Verdict, check, text};

const USAGE: &str = "usage: colony-history check FILE
       colony-history doctor FILE --kind KIND --seed S OUT
       colony-history simulate --operations N --sessions M --seed S [--clients C] [--unknown PER_MILLE] OUT";

const LINEARIZABLE: u8 = 0;
const VIOLATED: u8 = 1;
const UNDECIDED: u8 = 2;
/// Neither of the verdicts: the command was wrong, or a file.
const FAILED: u8 = 3;
/// Violations that are printed; one is enough to know, a thousand would bury the last line.
const VIOLATIONS_SHOWN: usize = 10;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match Command::parse(&words) {
        Ok(command) => command.run(),
        Err(what) => Err(format!("{what}\n{USAGE}").into()),
    };
    ExitCode::from(done.unwrap_or_else(|error| {
        eprintln!("colony-history: {error}");
        FAILED
    }))
}

#[derive(Debug)]
enum Command {
    Check { file: String },
    Doctor { file: String, lie: Lie, seed: u64, out: String },
    Simulate { mix: Mix, out: String },
}

impl Command {
    fn parse(words: &[String]) -> Result<Self, String> {
        let (verb, rest) = words.split_first().ok_or("no command given")?;
        let (files, options) = split(rest)?;
        let known = |names: &[&str]| match options.keys().find(|name| !names.contains(name)) {
            Some(name) => Err(format!("{verb} knows no --{name}")),
            None => Ok(()),
        };
        let text = |name: &str| options.get(name).copied().ok_or_else(|| format!("{verb} needs --{name}"));
        let number = |name: &str| text(name)?.parse::<u64>().map_err(|error| format!("--{name}: {error}"));
        let or = |name: &str, default| if options.contains_key(name) { number(name) } else { Ok(default) };
        match (verb.as_str(), files.as_slice()) {
            ("check", [file]) => {
                known(&[])?;
                Ok(Self::Check { file: (*file).to_owned() })
            }
            ("doctor", [file, out]) => {
                known(&["kind", "seed"])?;
                let lie = text("kind")?.parse().map_err(|error| format!("{error}"))?;
                Ok(Self::Doctor { file: (*file).to_owned(), lie, seed: number("seed")?, out: (*out).to_owned() })
            }
            ("simulate", [out]) => {
                known(&["operations", "sessions", "seed", "clients", "unknown"])?;
                let usual = Mix::default();
                let mix = Mix {
                    seed: number("seed")?,
                    operations: number("operations")?,
                    sessions: number("sessions")?,
                    clients: or("clients", usual.clients)?,
                    unknown: or("unknown", usual.unknown)?,
                    ..usual
                };
                Ok(Self::Simulate { mix, out: (*out).to_owned() })
            }
            _ => Err(format!("no command {verb} with {} files", files.len())),
        }
    }

    fn run(self) -> Result<u8, Box<dyn Error>> {
        match self {
            Self::Check { file } => judge(&load(&file)?),
            Self::Doctor { file, lie, seed, out } => {
                let doctored = doctor(&load(&file)?, lie, seed)?;
                let doctored = doctored.ok_or("no session gives occasion for this lie")?;
                store(&doctored.history, &out)?;
                println!("{} in session {}", lie.name(), doctored.session);
                Ok(0)
            }
            Self::Simulate { mix, out } => {
                store(&simulate(&mix)?, &out)?;
                Ok(0)
            }
        }
    }
}

/// Words that stand alone, and those that follow `--name`.
fn split(words: &[String]) -> Result<(Vec<&str>, BTreeMap<&str, &str>), String> {
    let mut files = Vec::new();
    let mut options = BTreeMap::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.strip_prefix("--") {
            Some(name) => {
                let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
                options.insert(name, value.as_str());
            }
            None => files.push(word.as_str()),
        }
    }
    Ok((files, options))
}

fn judge(history: &History) -> Result<u8, Box<dyn Error>> {
    let (word, code) = match check(history) {
        Verdict::Linearizable => ("linearizable", LINEARIZABLE),
        Verdict::Violated(violations) => {
            violations.iter().take(VIOLATIONS_SHOWN).for_each(|violation| print!("{violation}"));
            println!("sessions violated: {}", violations.len());
            ("violated", VIOLATED)
        }
        Verdict::Undecided(sessions) => {
            sessions.iter().for_each(|session| println!("session {session}: too many orders to try them all"));
            ("undecided", UNDECIDED)
        }
    };
    println!("operations {} sessions {} verdict {word}", history.operations(), history.sessions().len());
    Ok(code)
}

fn load(file: &str) -> Result<History, Box<dyn Error>> {
    let opened = File::open(file).map_err(|error| format!("{file}: {error}"))?;
    text::read(BufReader::new(opened)).map_err(|error| format!("{file}: {error}").into())
}

fn store(history: &History, file: &str) -> Result<(), Box<dyn Error>> {
    let created = File::create(file).map_err(|error| format!("{file}: {error}"))?;
    text::write(history, &mut BufWriter::new(created)).map_err(|error| format!("{file}: {error}").into())
}
