//! The generator as a program; see the library. Prints one line of names and values.
//!
//! ```text
//! colony-load --connect 127.0.0.1:7400 --certs certs --namespace cart --rate 2000 --seconds 10
//! colony-load --connect 127.0.0.1:7400 --certs certs --namespace cart --callers 256 --seconds 10
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use colony_client::Identity;
use colony_load::{Fleet, OpenLoop, Workload, closed_loop, open_loop};

/// Loads a namespace that exists, and says what became of the operations.
#[derive(Debug, Parser)]
#[command(name = "colony-load", version)]
struct Words {
    /// Hosts to connect to
    #[arg(long, value_name = "ADDR[,ADDR]", value_delimiter = ',', required = true)]
    connect: Vec<String>,
    /// Folder with ca.pem, client.pem and client.key
    #[arg(long, value_name = "DIR")]
    certs: PathBuf,
    /// The namespace
    #[arg(long)]
    namespace: String,
    /// Open loop: operations a second
    #[arg(long, conflicts_with = "callers", required_unless_present = "callers")]
    rate: Option<f64>,
    /// Closed loop: callers that ask again once they are answered
    #[arg(long)]
    callers: Option<usize>,
    /// For how long
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Clients, each with connections of its own
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Sessions read and written
    #[arg(long, default_value_t = 10_000)]
    sessions: u64,
    /// Of a hundred operations, how many are reads
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    reads: u8,
    /// Bytes of a session
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    /// Deadline of an operation in milliseconds
    #[arg(long, default_value_t = 1000)]
    deadline_ms: u64,
    /// Open loop: most operations under way; what is due beyond it is not sent, and has failed
    #[arg(long, default_value_t = 16_384)]
    in_flight: usize,
    /// Read every session back at the end, and fail if an acknowledged write is missing
    #[arg(long)]
    audit: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Words::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("colony-load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(words: Words) -> Result<ExitCode, Box<dyn Error>> {
    let identity = Identity::from_dir(&words.certs)?;
    let workload = Workload { sessions: words.sessions, reads_per_cent: words.reads, bytes: words.bytes };
    let deadline = Duration::from_millis(words.deadline_ms);
    let fleet = Fleet::launch(&words.connect, &identity, (&words.namespace, words.clients), workload, deadline).await?;
    let duration = Duration::from_secs(words.seconds);
    let tally = match (words.rate, words.callers) {
        (Some(rate), _) => open_loop(&fleet, OpenLoop { rate, duration, in_flight_max: words.in_flight }).await,
        (None, callers) => closed_loop(&fleet, callers.unwrap_or(1), duration).await,
    };
    for (why, count) in tally.causes() {
        eprintln!("{count} failed: {why}");
    }
    println!("{tally}");
    if words.audit {
        let audit = fleet.audit().await;
        println!("acknowledged {} sessions {} missing {}", fleet.ledger().count(), audit.sessions, audit.missing.len());
        if !audit.missing.is_empty() {
            audit.missing.iter().for_each(|missing| eprintln!("{missing}"));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
