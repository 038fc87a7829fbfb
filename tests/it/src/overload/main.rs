//! `cargo xtask overload`: what a cluster does when it is asked for three times what it can carry, and afterwards.
//!
//! Three hosts of one shard each on loopback, two copies, half reads. The peak is looked for with a closed loop and
//! confirmed with an open one. Then half of it, three times of it, and half of it again without a pause, all open
//! loop. The hosts and the generator share this machine: three times the peak takes processor time from the hosts,
//! so goodput under overload is what is left to them, and less than hosts of their own would give.
//!
//! Timings are reported and never judged: machines differ. A failover, a death or an acknowledged write that is
//! missing at the end is a failure.

mod peak;
mod phases;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use colony_it::{Cluster, Shape, State};
use colony_load::{Fleet, Workload};

use self::phases::Phases;

/// Hosts of the cluster.
const HOSTS: usize = 3;
/// Copies of each colony.
const COPIES: usize = 2;
/// Colonies: some of each host's.
const BUCKETS: usize = 32;
/// The namespace.
const NAMESPACE: &str = "load";
/// Missing writes that are printed.
const MISSING_SHOWN: usize = 10;

/// Overloads a cluster of real processes, and says how it bears it.
#[derive(Debug, Parser)]
#[command(name = "colony-overload", version)]
struct Words {
    /// How long each phase at half of the peak takes
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How long the overload takes
    #[arg(long, default_value_t = 10)]
    overload_seconds: u64,
    /// How many times the peak is asked for
    #[arg(long, default_value_t = 3.0)]
    times: f64,
    /// The peak in operations a second, instead of looking for it
    #[arg(long)]
    peak: Option<f64>,
    /// Clients, each with connections of its own
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Most operations under way
    #[arg(long, default_value_t = 65_536)]
    in_flight: usize,
    /// Of a hundred operations, how many are reads
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    reads: u8,
    /// Bytes of a session
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    /// Sessions
    #[arg(long, default_value_t = 10_000)]
    sessions: u64,
    /// Deadline of an operation in milliseconds
    #[arg(long, default_value_t = 1000)]
    deadline_ms: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words = Words::parse();
    println!(
        "{HOSTS} hosts of one shard, {COPIES} copies, {} sessions of {} bytes, {} % reads, {} clients, deadline {} ms",
        words.sessions, words.bytes, words.reads, words.clients, words.deadline_ms
    );
    println!(
        "hosts and generator share {} cores of this machine at equal priority; the generator is one thread",
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    );
    let mut cluster = Cluster::start(Shape::of(HOSTS)).await;
    cluster.create_namespace(NAMESPACE, COPIES, BUCKETS, &[]).await;
    cluster.until_all_agree().await;
    let seeds: Vec<String> = cluster.connect().split(',').map(str::to_owned).collect();
    let workload = Workload { sessions: words.sessions, reads_per_cent: words.reads, bytes: words.bytes };
    let (deadline, clients) = (Duration::from_millis(words.deadline_ms), (NAMESPACE, words.clients));
    let fleet = match Fleet::launch(&seeds, &cluster.certs().identity(), clients, workload, deadline).await {
        Ok(fleet) => fleet,
        Err(error) => {
            eprintln!("colony-overload: {error}");
            return ExitCode::FAILURE;
        }
    };

    let before = State::of(&cluster, NAMESPACE).await;
    let peak = match words.peak {
        Some(peak) => peak,
        None => peak::find(&fleet, words.in_flight).await,
    };
    let phases = Phases {
        peak,
        times: words.times,
        normal: Duration::from_secs(words.seconds),
        overload: Duration::from_secs(words.overload_seconds),
        in_flight_max: words.in_flight,
    };
    let shown = phases.run(&cluster, &fleet).await;
    cluster.assert_all_run();
    let changed = State::of(&cluster, NAMESPACE).await.since(&before);
    let audit = fleet.audit().await;
    for missing in audit.missing.iter().take(MISSING_SHOWN) {
        println!("missing: {missing}");
    }
    println!("acknowledged {} sessions {} missing {}", fleet.ledger().count(), audit.sessions, audit.missing.len());
    println!("failovers {} deaths {} changes_of_copies {}", changed.reigns, changed.deaths, changed.entries);
    println!("{shown} failovers {} rss_growth_mib {}", changed.reigns, shown.growth_mib());
    let is_bad = changed.reigns > 0 || changed.deaths > 0 || !audit.missing.is_empty();
    if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
