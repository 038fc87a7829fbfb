//! What is typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::ceiling::PartArguments;
use crate::failure::Failure;
use crate::load::{Load, Window};
use crate::row::{self, Row};

/// Rows that are no loads: what a session takes of memory, what touches cost between hosts, what planning takes, and
/// how a cluster bears a thousand to a million sessions.
const OTHERS: [&str; 4] = ["memory", "touches", "plan", "growth"];

/// Three Colony hosts, their rivals and the bare network, measured in turn on this machine.
///
/// A row is PROFILE-SIZE-CONNECTIONSxEACH, as in `set-1k-1x64`: profiles are set, get, mixN (N reads of a hundred),
/// delta and touch; sizes are bytes, or KiB with a k; rivals get as many connections as there are calls in flight.
/// Other rows are `memory` (bytes of a session), `touches` (bytes between hosts when one session is touched a thousand
/// times), `plan` (4,096 colonies on 50 hosts) and `growth` (a thousand to a million sessions). Without --quick or
/// --only every row is measured, which takes hours.
#[derive(Clone, Debug, Parser)]
#[command(name = "colony-bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// Only the rows of the targets, in under five minutes
    #[arg(long, conflicts_with = "only")]
    quick: bool,
    /// Only these rows
    #[arg(long, value_name = "ROW,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Instead of rows: kill hosts, and say how long nobody could write, beside a Redis Cluster
    #[arg(long, conflicts_with_all = ["quick", "only"])]
    failover: bool,
    /// How many kills
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) kills: u32,
    /// How often each contestant has its turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Milliseconds that are measured in a turn
    #[arg(long, value_name = "MS", default_value_t = 1500, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    measure: u64,
    /// Milliseconds before them that are not
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    warm: u64,
    /// Measure each row in an open loop as well, at half of what the slowest carries
    #[arg(long)]
    pub(crate) open: bool,
    /// Write every figure with its unit to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Install no package: a rival that is not on the path is not measured
    #[arg(long)]
    pub(crate) no_install: bool,
    /// What this program starts itself as
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What this program starts itself as.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Role {
    /// A part of the ceiling
    #[command(hide = true)]
    Part(PartArguments),
}

/// What is to be measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Loads.
    pub(crate) rows: Vec<Row>,
    /// What a session takes of memory.
    pub(crate) memory: bool,
    /// What touches cost between hosts.
    pub(crate) touches: bool,
    /// What planning takes.
    pub(crate) plans: bool,
    /// How a cluster bears many sessions.
    pub(crate) growth: bool,
    /// Write gaps after kills.
    pub(crate) failover: bool,
}

impl Plan {
    /// Whether there is something that needs a cluster whose hosts are not killed.
    pub(crate) fn needs_a_cluster(&self) -> bool {
        !self.rows.is_empty() || self.memory || self.touches || self.growth
    }
}

impl Arguments {
    /// What is to be measured.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a row that there is not.
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        if self.failover {
            return Ok(Plan { failover: true, ..Plan::default() });
        }
        if self.quick {
            return Ok(Plan { rows: row::quick(), memory: true, touches: true, ..Plan::default() });
        }
        if self.only.is_empty() {
            let all =
                Plan { memory: true, touches: true, plans: true, growth: true, failover: true, ..Plan::default() };
            return Ok(Plan { rows: row::all(), ..all });
        }
        let mut plan = Plan::default();
        for name in &self.only {
            match (name.parse::<Load>(), name.as_str()) {
                (Ok(load), _) => plan.rows.push(Row::of(load)),
                (Err(_), "memory") => plan.memory = true,
                (Err(_), "touches") => plan.touches = true,
                (Err(_), "plan") => plan.plans = true,
                (Err(_), "growth") => plan.growth = true,
                (Err(_), _) => {
                    let others = OTHERS.join(", ");
                    let why = format!("there is no row `{name}`: one is PROFILE-SIZE-CONNECTIONSxEACH, or of {others}");
                    return Err(Failure::Usage(why));
                }
            }
        }
        Ok(plan)
    }

    /// How long one measurement is.
    pub(crate) fn window(&self) -> Window {
        Window { warm: Duration::from_millis(self.warm), measure: Duration::from_millis(self.measure) }
    }
}

/// Reads what was typed.
///
/// # Errors
/// [`Failure::Usage`] in one line. Help is printed, and ends the process with 0.
pub(crate) fn read(words: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Arguments, Failure> {
    Arguments::try_parse_from(words).map_err(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        let text = error.to_string();
        let first = text.lines().next().unwrap_or("wrong arguments");
        Failure::Usage(first.trim_start_matches("error: ").to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &str) -> Result<Plan, Failure> {
        let words = std::iter::once("bench").chain(words.split_whitespace());
        read(words.map(Into::into))?.plan()
    }

    #[test]
    fn wrong_arguments_are_refused_in_one_clear_line() {
        for words in [
            "--rounds 0",
            "--rounds x",
            "--only",
            "--only put-1k-1x1",
            "--quick --only memory",
            "--quick --failover",
            "--kills 0",
            "--fast",
            "more",
        ] {
            let why = typed(words).unwrap_err();
            assert!(matches!(why, Failure::Usage(_)), "{words}: {why:?}");
            assert!(!why.to_string().contains('\n') && why.to_string().len() > 10, "{words}: {why}");
        }
    }

    #[test]
    fn rows_are_chosen_by_name() {
        let plan = typed("--only set-1k-1x64,memory").unwrap();
        assert_eq!(plan.rows, [Row::of("set-1k-1x64".parse().unwrap())]);
        assert!(plan.memory && !plan.touches && !plan.failover);
        for name in OTHERS {
            assert!(typed(&format!("--only {name}")).unwrap() != Plan::default(), "{name}");
        }
        assert_eq!(typed("--quick").unwrap().rows, row::quick());
        assert_eq!(typed("").unwrap().rows, row::all());
        assert_eq!(typed("--failover").unwrap(), Plan { failover: true, ..Plan::default() });
    }
}
