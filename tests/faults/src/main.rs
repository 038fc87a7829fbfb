//! The program `colony-faults`; the library says what it is.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use colony_faults::arguments::Arguments;
use colony_faults::failure::Failure;
use colony_faults::islands;
use colony_faults::islands::row::IslandRow;
use colony_faults::lab::{self, Lab};
use colony_faults::net::Net;
use colony_faults::row::Row;
use colony_faults::run::Run;
use colony_faults::table::Table;

/// How often the one outside looks whether the one inside has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the one inside may take to end its hosts when both are asked to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Why a row is left out where networks cannot be cut.
const NO_NETWORK: &str = "it needs network namespaces (root, `ip` and `nft`)";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(go(&arguments)),
        Err(source) => Err(Failure::Io { doing: "start the runtime", source }),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("faults: {failure}");
        ExitCode::FAILURE
    })
}

async fn go(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let net = match &arguments.inside {
        Some(prefix) => Some(Net::new(prefix)),
        None if arguments.loopback => None,
        None => match Lab::make() {
            Ok(lab) => return inside(lab).await,
            Err(failure) => {
                eprintln!(
                    "faults: NO NAMESPACES HERE ({failure}): rows that need them are skipped, the others run on loopback"
                );
                None
            }
        },
    };
    tokio::select! {
        code = judge(arguments, net) => code,
        failure = stopped() => Err(failure),
    }
}

/// Runs this program inside the namespaces and removes them when it has ended, however it did.
async fn inside(lab: Lab) -> Result<ExitCode, Failure> {
    let itself = std::env::current_exe().map_err(|source| Failure::Io { doing: "find this program", source })?;
    let mut command = lab::among_clients(lab.prefix(), &itself);
    command.args(std::env::args_os().skip(1)).args(["--inside", lab.prefix()]);
    let mut child = command.spawn().map_err(|source| Failure::Start { command: lab::typed(&command), source })?;
    let stop = stopped();
    tokio::pin!(stop);
    loop {
        if let Some(status) = ended(&mut child)? {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            failure = &mut stop => {
                stop_child(&mut child).await?;
                return Err(failure);
            }
        }
    }
}

fn ended(child: &mut Child) -> Result<Option<std::process::ExitStatus>, Failure> {
    child.try_wait().map_err(|source| Failure::Io { doing: "wait for the run", source })
}

/// Asks the one inside to stop; what it does not end in time goes with the namespaces.
async fn stop_child(child: &mut Child) -> Result<(), Failure> {
    // The terminal may have told it already.
    let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    let asked = tokio::time::Instant::now();
    while ended(child)?.is_none() {
        if asked.elapsed() >= STOP_WITHIN {
            let _ = child.kill();
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Waits until somebody asks this process to stop.
async fn stopped() -> Failure {
    let listen = |kind| signal(kind).map_err(|source| Failure::Io { doing: "listen to signals", source });
    let (mut interrupt, mut terminate): (Signal, Signal) =
        match (listen(SignalKind::interrupt()), listen(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
            (Err(failure), _) | (_, Err(failure)) => return failure,
        };
    tokio::select! {
        _ = interrupt.recv() => Failure::Stopped,
        _ = terminate.recv() => Failure::Stopped,
    }
}

/// Runs the rows, prints what came of them, and says by the exit code whether all is well.
async fn judge(arguments: &Arguments, net: Option<Net>) -> Result<ExitCode, Failure> {
    let seed = arguments.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    eprintln!("faults: seed {seed}");
    if let Some(only) = &arguments.islands {
        let mut table = islands::table::Table::default();
        let rows = splits(arguments, only, net.is_some(), &mut table);
        if let Some(net) = net {
            islands::run::Run::new(seed, net).rows(&rows, arguments.minutes, &mut table).await?;
        }
        let said = Said { text: table.text(), json: table.json(), last_line: table.last_line() };
        return Ok(said.end(arguments, seed, table.findings().lost, table.is_clean()));
    }
    let mut table = Table::default();
    let rows = chosen(arguments, net.is_some(), &mut table);
    Run::new(arguments, seed, net).rows(&rows, &mut table).await?;
    let said = Said { text: table.text(), json: table.json(), last_line: table.last_line() };
    Ok(said.end(arguments, seed, table.findings().lost, table.is_clean()))
}

/// What a table says.
struct Said {
    text: String,
    json: String,
    last_line: String,
}

impl Said {
    /// Prints it, and whether all is well.
    fn end(&self, arguments: &Arguments, seed: u64, lost: u64, is_clean: bool) -> ExitCode {
        if arguments.json {
            print!("{}", self.json);
        } else {
            println!("\n{}", self.text);
        }
        println!("{}", self.last_line);
        if arguments.broken {
            let is_caught = lost > 0;
            eprintln!("faults: a store that loses writes {}", if is_caught { "is caught" } else { "is NOT caught" });
            return if is_caught { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        if !is_clean {
            eprintln!("faults: NOT CLEAN; repeat the choices with `--seed {seed}`");
            return ExitCode::FAILURE;
        }
        ExitCode::SUCCESS
    }
}

/// The splits of this run; none where networks cannot be cut.
fn splits(
    arguments: &Arguments,
    only: &[IslandRow],
    has_network: bool,
    table: &mut islands::table::Table,
) -> Vec<IslandRow> {
    let is_asked = |row: &IslandRow| only.is_empty() || only.contains(row);
    let asked = IslandRow::ALL.into_iter().filter(is_asked);
    if !has_network {
        asked.for_each(|row| table.skip(row, NO_NETWORK));
        return Vec::new();
    }
    if arguments.broken { vec![IslandRow::Broken] } else { asked.collect() }
}

/// The rows of this run; those that were asked for and cannot be run are named in the table.
fn chosen(arguments: &Arguments, has_network: bool, table: &mut Table) -> Vec<Row> {
    if arguments.broken {
        return vec![Row::Broken];
    }
    let is_asked = |row: &Row| arguments.only.is_empty() || arguments.only.contains(row);
    let mut rows = Vec::new();
    for row in Row::ALL.into_iter().filter(is_asked) {
        if row.needs_network() && !has_network {
            table.skip(row, NO_NETWORK);
        } else if row.least_minutes() > arguments.minutes && arguments.only.is_empty() {
            table.skip(row, &format!("it takes --minutes {} or more", row.least_minutes()));
        } else {
            rows.push(row);
        }
    }
    rows
}
