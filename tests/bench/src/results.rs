//! What all measurements came to.

use hdrhistogram::Histogram;

use crate::figures::Spread;
use crate::growth::MEMORY_SESSIONS;
use crate::load::Load;
use crate::plan::Planned;
use crate::row::Who;
use crate::sample::Sample;

/// A figure of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Calls a second.
    Rate,
    /// Latency of half of the calls, in microseconds.
    P50,
    /// Latency of 99 of a hundred.
    P99,
    /// Latency of 999 of a thousand.
    P999,
    /// Processor time of the generator to a call, in microseconds.
    ClientCpu,
    /// Processor time of all servers to a call, in microseconds.
    ServerCpu,
    /// Bytes over the loopback interface to a call.
    Wire,
}

impl Figure {
    /// All, in the order of the table.
    pub(crate) const ALL: [Self; 7] =
        [Self::Rate, Self::P50, Self::P99, Self::P999, Self::ClientCpu, Self::ServerCpu, Self::Wire];

    /// The name for programs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::ClientCpu => "client_cpu",
            Self::ServerCpu => "server_cpu",
            Self::Wire => "wire",
        }
    }

    /// Its unit.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Rate => "calls/s",
            Self::P50 | Self::P99 | Self::P999 => "us",
            Self::ClientCpu | Self::ServerCpu => "us/call",
            Self::Wire => "bytes/call",
        }
    }

    fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::Rate => Some(sample.rate),
            Self::P50 => Some(sample.p50),
            Self::P99 => Some(sample.p99),
            Self::P999 => Some(sample.p999),
            Self::ClientCpu => Some(sample.client_cpu),
            Self::ServerCpu => Some(sample.server_cpu),
            Self::Wire => sample.wire,
        }
    }
}

/// All measurements of one contestant under one load at one pace, a round each.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// The load.
    pub(crate) load: Load,
    /// The contestant.
    pub(crate) who: Who,
    /// The rate of an open loop; none for a closed one.
    pub(crate) open: Option<f64>,
    /// A place for each round; empty where it came to nothing.
    pub(crate) rounds: Vec<Option<Sample>>,
    /// Why, where it came to nothing.
    pub(crate) failed: Option<String>,
}

impl Series {
    /// Nothing yet.
    pub(crate) fn new(load: Load, who: Who, open: Option<f64>) -> Self {
        Self { load, who, open, rounds: Vec::new(), failed: None }
    }

    /// The figures of all rounds.
    pub(crate) fn figure(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.rounds.iter().flatten().filter_map(|sample| figure.of(sample)))
    }

    /// This one's figure to another's of the same rounds.
    pub(crate) fn ratio(&self, to: &Self, figure: Figure) -> Option<Spread> {
        let pairs = self.rounds.iter().zip(&to.rounds);
        Spread::of_ratios(
            pairs.filter_map(|(ours, theirs)| Some((figure.of(ours.as_ref()?)?, figure.of(theirs.as_ref()?)?))),
        )
    }
}

/// A cluster that holds so many sessions of 256 bytes in two attributes, one copy each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// Sessions that were made.
    pub(crate) sessions: u64,
    /// Bytes by which all hosts have grown, to each of them.
    pub(crate) bytes_each: f64,
    /// Setting and getting any of them, 64 calls in flight on one connection; none where that was not measured.
    pub(crate) calls: Option<[Sample; 2]>,
}

/// What touches of one session made hosts tell each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Touches {
    /// How many touches.
    pub(crate) touches: u64,
    /// Ops that were sent to copies.
    pub(crate) ops: f64,
    /// Bytes beyond what as many reads cost; none where the system does not count them.
    pub(crate) bytes: Option<u64>,
}

/// How long nobody could write to colonies, or to a rival's part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps {
    /// In microseconds; none before the first.
    pub(crate) histogram: Option<Histogram<u64>>,
}

impl Gaps {
    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// The gap in milliseconds that this share of all did not exceed.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub(crate) fn quantile_ms(&self, share: f64) -> Option<f64> {
        self.histogram.as_ref().map(|histogram| histogram.value_at_quantile(share) as f64 / 1e3)
    }
}

/// What kills came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failover {
    /// Colonies whose primary was on the killed host.
    pub(crate) primaries: Gaps,
    /// Colonies that had another copy there.
    pub(crate) copies: Gaps,
    /// Killed primaries of a Redis Cluster.
    pub(crate) redis: Gaps,
    /// Who could not be measured, and why.
    pub(crate) absent: Vec<(Who, String)>,
}

/// All there is to tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    /// Measurements.
    pub(crate) series: Vec<Series>,
    /// Memory, and how a cluster bears many sessions; the first is the one of the target.
    pub(crate) growth: Vec<Step>,
    /// What touches cost between hosts.
    pub(crate) touches: Option<Touches>,
    /// Plans.
    pub(crate) plans: Vec<Planned>,
    /// Write gaps.
    pub(crate) failover: Option<Failover>,
    /// Contestants that could not be measured at all, and why.
    pub(crate) absent: Vec<(Who, String)>,
}

impl Results {
    /// Bytes of memory to a session.
    pub(crate) fn memory(&self) -> Option<f64> {
        let step = self.growth.iter().find(|step| step.sessions == MEMORY_SESSIONS)?;
        Some(step.bytes_each)
    }

    /// The closed-loop measurements of a contestant under a load.
    pub(crate) fn closed(&self, load: &Load, who: Who) -> Option<&Series> {
        self.series.iter().find(|series| series.load == *load && series.who == who && series.open.is_none())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A series with these rates and a p50 of 100 us.
    pub(crate) fn series(load: &str, who: Who, rates: &[f64]) -> Series {
        let sample = |rate: &f64| {
            Some(Sample {
                rate: *rate,
                p50: 100.0,
                p99: 200.0,
                p999: 300.0,
                client_cpu: 4.0,
                server_cpu: 8.0,
                wire: None,
            })
        };
        Series { rounds: rates.iter().map(sample).collect(), ..Series::new(load.parse().unwrap(), who, None) }
    }

    #[test]
    fn a_ratio_is_taken_from_rounds_that_both_have() {
        let ours = series("set-1k-1x64", Who::Colony, &[100.0, 50.0, 80.0]);
        let mut theirs = series("set-1k-1x64", Who::Redis, &[50.0, 25.0]);
        assert_eq!(ours.ratio(&theirs, Figure::Rate).map(|ratio| ratio.median), Some(2.0));
        theirs.rounds = vec![None, None];
        assert_eq!(ours.ratio(&theirs, Figure::Rate), None);
    }
}
