//! What is typed.

use clap::Parser;

use crate::islands::row::IslandRow;
use crate::row::Row;

/// Real hosts, real QUIC, real faults: what is lost, what is doubled, what is stale, how long it takes.
///
/// Every row waits until the cluster is whole, does its harm under load, undoes it, waits until the cluster is whole
/// again, and reads everything back. The last line is `acked A lost L phantom P doubled D stale S`; the exit code is 0
/// only if all but the first are 0 and every row became whole.
#[derive(Clone, Debug, Parser)]
#[command(name = "colony-faults")]
pub struct Arguments {
    /// How long to go on: every row runs once, and then in turn until this time is over
    #[arg(long, default_value_t = 3, value_name = "M")]
    pub minutes: u64,
    /// Only these rows
    #[arg(long, value_name = "ROW,...", value_delimiter = ',', value_enum)]
    pub only: Vec<Row>,
    /// Splits in which every side goes on, instead of the faults: all of them, or only these. The last line is as
    /// without, plus `resurrected R`
    #[arg(long, value_name = "SPLIT,...", num_args = 0.., require_equals = true, value_delimiter = ',', value_enum)]
    #[arg(conflicts_with_all = ["only", "loopback"])]
    pub islands: Option<Vec<IslandRow>>,
    /// Choose as the run that printed this seed did
    #[arg(long)]
    pub seed: Option<u64>,
    /// One JSON object a row instead of the table
    #[arg(long)]
    pub json: bool,
    /// Show that the check is able to fail: acknowledge before any copy has the write, then kill; or, with `--islands`,
    /// kill all hosts of a side before the links are back. 0 if it is caught
    #[arg(long, conflicts_with = "only")]
    pub broken: bool,
    /// Without namespaces, as where they are not allowed
    #[arg(long)]
    pub loopback: bool,
    /// Set when this program runs itself inside the namespaces it has made
    #[arg(long, hide = true)]
    pub inside: Option<String>,
}
