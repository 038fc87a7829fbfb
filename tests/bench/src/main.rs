//! `cargo xtask bench`: Colony measured beside its rivals and beside a network that stores nothing.
//!
//! ```text
//!   arguments --> run --> field: Colony, the ceiling, rivals; all up, one at work at a time
//!                  |        colony, ceiling, rivals: callers, or a loop of its own
//!                  |        drive: closed and open loop; workload: which calls
//!                  |        recorder, sample: what was done in the measured time, and what it cost
//!                  +--> results --> table (people), json (programs), target (what is to be reached)
//! ```
//!
//! Absolute figures move from machine to machine, and on one machine from minute to minute. So contestants have their
//! turns in alternation, and a ratio is the median of the ratios within rounds. All run on this machine and share its
//! cores with the generator, which is one thread; that is why processor time is told beside rates.
//!
//! Timings are figures here, never a reason to fail. The exit code is 0 if every measurement of Colony came to a
//! figure.

mod arguments;
mod ceiling;
mod colony;
mod drive;
mod failover;
mod failure;
mod field;
mod figures;
mod growth;
mod json;
mod load;
mod pace;
mod plan;
mod recorder;
mod results;
mod rivals;
mod row;
mod run;
mod sample;
mod table;
mod target;
mod touches;
mod workload;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use self::arguments::{Arguments, Plan, Role};
use self::failure::Failure;
use self::row::Who;

fn main() -> ExitCode {
    match go() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn go() -> Result<ExitCode, Failure> {
    let arguments = arguments::read(std::env::args_os())?;
    let plan = arguments.plan()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::io("start the runtime"))?;
    runtime.block_on(async {
        match &arguments.role {
            Some(Role::Part(part)) => ceiling::run_part(part.clone()).await.map(|()| ExitCode::SUCCESS),
            // Dropped by a signal, whatever runs ends the processes that it has started.
            None => tokio::select! {
                code = bench(&arguments, &plan) => code,
                failure = stopped() => Err(failure),
            },
        }
    })
}

async fn bench(arguments: &Arguments, plan: &Plan) -> Result<ExitCode, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!(
        "{cores} cores, shared by generator and servers; loopback; Colony: three hosts, two copies, ack in-sync, mutual TLS"
    );
    let results = run::run(arguments, plan).await?;
    print!("{}", table::text(&results));
    if let Some(file) = &arguments.json {
        let text = format!("{:#}\n", json::value(&results));
        std::fs::write(file, text).map_err(Failure::io("write the figures"))?;
    }
    let ours = |series: &&results::Series| matches!(series.who, Who::Colony | Who::Spread);
    let is_whole = results.series.iter().filter(ours).all(|series| series.failed.is_none());
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits until somebody asks this process to stop.
async fn stopped() -> Failure {
    let listen = |kind| signal(kind).map_err(Failure::io("listen to signals"));
    match (listen(SignalKind::interrupt()), listen(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => Failure::Stopped,
                _ = terminate.recv() => Failure::Stopped,
            }
        }
        (Err(failure), _) | (_, Err(failure)) => failure,
    }
}
