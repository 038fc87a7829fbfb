//! One row after the other.

use std::time::{Duration, Instant};

use colony_client::Ack;
use colony_history::rng::Rng;
use tokio::time;

use crate::arguments::Arguments;
use crate::clock::Clock;
use crate::cluster::{Cluster, NAMESPACE, Shape as ClusterShape, WHOLE_WITHIN};
use crate::failure::Failure;
use crate::fault::Fault;
use crate::judge::judge;
use crate::load::{Load, Shape, read_back};
use crate::net::Net;
use crate::row::Row;
use crate::table::{Outcome, Table};
use crate::timing::{first_acks, longest_stall, slowest_writes};

/// How long the load runs before a fault.
const BEFORE: Duration = Duration::from_secs(1);
/// Longest until the cluster is whole while it is written and read: beyond that the machine has not enough to give, and
/// the load ends.
const LOADED_WITHIN: Duration = Duration::from_secs(45);
/// And after the cluster is whole again.
const AFTER: Duration = Duration::from_millis(500);

/// Runs rows until the time is over.
pub struct Run {
    net: Option<Net>,
    minutes: u64,
    ack: Ack,
    rng: Rng,
    clock: Clock,
    cluster: Option<Cluster>,
    runs: u64,
}

impl Run {
    /// A run in this network, or on loopback.
    #[must_use]
    pub fn new(arguments: &Arguments, seed: u64, net: Option<Net>) -> Self {
        let ack = if arguments.broken { Ack::Primary } else { Ack::InSync };
        let (rng, clock) = (Rng::new(seed), Clock::start());
        Self { net, minutes: arguments.minutes, ack, rng, clock, cluster: None, runs: 0 }
    }

    /// Runs these rows, each once, and then in turn until the time is over.
    ///
    /// # Errors
    /// If a cluster does not even begin.
    pub async fn rows(&mut self, rows: &[Row], table: &mut Table) -> Result<(), Failure> {
        let (begun, whole) = (Instant::now(), Duration::from_secs(60 * self.minutes));
        let mut round = 0;
        while round == 0 || begun.elapsed() < whole {
            for row in rows {
                if round > 0 && begun.elapsed() >= whole {
                    break;
                }
                self.row(*row, table).await?;
            }
            round += 1;
        }
        Ok(())
    }

    async fn row(&mut self, row: Row, table: &mut Table) -> Result<(), Failure> {
        let mut cluster = self.cluster_for(row).await?;
        match self.run_on(&mut cluster, row).await {
            Ok(outcome) => {
                table.add(row, &outcome);
                self.cluster = Some(cluster);
            }
            // The rows after this one get a cluster of their own.
            Err(failure) => {
                eprintln!("faults: {}: {failure}\n{}", row.name(), cluster.report().await);
                eprintln!("faults: the logs are in {}", cluster.keep_logs().display());
                table.add(row, &Outcome::default());
            }
        }
        Ok(())
    }

    /// The cluster of the row before, if it is of the right kind.
    async fn cluster_for(&mut self, row: Row) -> Result<Cluster, Failure> {
        match self.cluster.take() {
            Some(cluster) if cluster.copies() == row.copies() => Ok(cluster),
            other => {
                drop(other);
                Cluster::start(self.net.clone(), &ClusterShape::of_copies(row.copies())).await
            }
        }
    }

    async fn run_on(&mut self, cluster: &mut Cluster, row: Row) -> Result<Outcome, Failure> {
        self.runs += 1;
        let prefixes = cluster.tags(NAMESPACE).iter().map(|tag| format!("{tag}.r{}", self.runs)).collect();
        let shape = Shape { prefixes, ack: self.ack, seed: self.rng.draw() };
        let starts = cluster.starts().await?;
        let load = Load::start(self.clock, &cluster.writer, &cluster.reader, NAMESPACE, &shape);
        time::sleep(BEFORE).await;
        let prefix = shape.prefixes[0].clone();
        let fault = Fault { row, lasts: row.lasts(self.minutes), cluster, load: &load, prefix, clock: self.clock };
        let inflicted = fault.inflict(&mut self.rng).await?;
        let under_load = cluster.until_whole(LOADED_WITHIN).await;
        time::sleep(AFTER).await;
        let (begun, ended) = (load.begun(), self.clock.now());
        let mut books = load.stop().await;
        let whole = match under_load {
            Ok(whole) => whole,
            Err(Failure::NotWhole { missing, .. }) => {
                eprintln!("faults: {}: not whole under load within {LOADED_WITHIN:?}: {missing}", row.name());
                LOADED_WITHIN + cluster.until_whole(WHOLE_WITHIN).await?
            }
            Err(failure) => return Err(failure),
        };
        let now = cluster.starts().await?;
        let died = starts.iter().filter(|(name, start)| now.get(*name) != Some(start));
        let died = died.filter(|(name, _)| !inflicted.may_die(row, name)).count() as u64;
        read_back(self.clock, &cluster.reader, NAMESPACE, &mut books).await;
        let failed = books.iter().map(|book| book.failures.count()).sum();
        let times = |struck| match inflicted.handed_over_until {
            Some(until) => slowest_writes(&books, struck, until),
            None => first_acks(&books, struck),
        };
        let outcome = Outcome {
            findings: judge(&books),
            failed,
            died,
            stall: longest_stall(&books, begun, ended),
            times: inflicted.struck.as_ref().map(times).unwrap_or_default(),
            whole: Some(whole),
        };
        eprintln!(
            "faults: {}: {}; {} acknowledged, {failed} failed, {died} false deaths, whole after {:.1} s{}",
            row.name(),
            inflicted.what,
            outcome.findings.acked,
            whole.as_secs_f64(),
            books
                .iter()
                .flat_map(|book| &book.failures.samples)
                .next()
                .map(|why| format!("; e.g. {why}"))
                .unwrap_or_default()
        );
        for told in &outcome.findings.told {
            eprintln!("faults: {}: {told}", row.name());
        }
        Ok(outcome)
    }
}
