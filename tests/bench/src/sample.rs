//! What one measurement came to.

use std::time::Duration;

use colony_it::machine::processor_seconds;
use hdrhistogram::Histogram;

/// What the loopback interface has sent, and so received, since the machine started.
const LOOPBACK_BYTES: &str = "/sys/class/net/lo/statistics/tx_bytes";

/// The processes whose work is counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    /// Those of the contestant.
    pub(crate) servers: Vec<u32>,
}

/// What was used until a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    client: f64,
    servers: f64,
    wire: Option<u64>,
}

impl Meter {
    /// What has been used until now.
    pub(crate) fn read(&self) -> Usage {
        Usage {
            client: processor_seconds(std::process::id()).unwrap_or_default(),
            servers: self.servers.iter().filter_map(|process| processor_seconds(*process)).sum(),
            wire: wire(),
        }
    }
}

/// Bytes that the loopback interface has sent until now; none where the system does not count them.
pub(crate) fn wire() -> Option<u64> {
    std::fs::read_to_string(LOOPBACK_BYTES).ok().and_then(|text| text.trim().parse().ok())
}

/// What one measurement came to. Times are in microseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Calls done in a second.
    pub(crate) rate: f64,
    /// Latencies that half, 99 and 99.9 of a hundred calls did not exceed.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// Processor time of the generator to a call.
    pub(crate) client_cpu: f64,
    /// Processor time of all servers to a call.
    pub(crate) server_cpu: f64,
    /// Bytes over the loopback interface to a call; none where the system does not count them.
    pub(crate) wire: Option<f64>,
}

impl Sample {
    /// From the latencies of the calls that were done in `took`, and what was used before and after.
    #[expect(clippy::cast_precision_loss, reason = "counts of one measurement are far below 2^53")]
    pub(crate) fn new(latencies: &Histogram<u64>, took: Duration, before: Usage, after: Usage) -> Self {
        let calls = latencies.len() as f64;
        let micros = |share| latencies.value_at_quantile(share) as f64 / 1e3;
        let wire = after.wire.zip(before.wire).map(|(after, before)| after.saturating_sub(before) as f64 / calls);
        Self {
            rate: calls / took.as_secs_f64().max(f64::MIN_POSITIVE),
            p50: micros(0.5),
            p99: micros(0.99),
            p999: micros(0.999),
            client_cpu: (after.client - before.client) * 1e6 / calls,
            server_cpu: (after.servers - before.servers) * 1e6 / calls,
            wire,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_shared_among_the_calls() {
        let mut latencies = Histogram::<u64>::new(3).unwrap();
        for micros in 1..=1000_u64 {
            latencies.record(micros * 1000).unwrap();
        }
        let before = Usage { client: 1.0, servers: 2.0, wire: Some(1_000) };
        let after = Usage { client: 1.5, servers: 4.0, wire: Some(101_000) };
        let sample = Sample::new(&latencies, Duration::from_secs(2), before, after);
        assert!((sample.rate - 500.0).abs() < 1e-9);
        assert!((sample.client_cpu - 500.0).abs() < 1e-6);
        assert!((sample.server_cpu - 2000.0).abs() < 1e-6);
        assert_eq!(sample.wire, Some(100.0));
        assert!((sample.p99 - 990.0).abs() < 2.0, "{}", sample.p99);
    }
}
