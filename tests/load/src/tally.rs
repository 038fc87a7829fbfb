//! What became of operations.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use colony_client::CallError;
use hdrhistogram::Histogram;

/// Time is cut into slices, so that coming back from an overload can be dated.
pub const SLICE: Duration = Duration::from_millis(250);
/// Longest latency that is told apart, in microseconds: above any deadline of a client.
const LATENCY_MAX_US: u64 = 60_000_000;
/// Significant digits of latencies: one percent.
const DIGITS: u8 = 2;
/// Most kinds of failure whose texts are kept.
const CAUSES_MAX: usize = 32;
/// Most characters of a text.
const CAUSE_LEN: usize = 120;

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Done,
    /// Surely not done: refused until its deadline, or never taken. The text is for people.
    Refused(String),
    /// Sent, and no answer in time: a change may have been made.
    Unknown(String),
    /// Not sent: as many as may be were under way.
    NotSent,
}

impl Outcome {
    pub(crate) fn of<T>(result: &Result<T, CallError>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(error) if error.has_no_side_effects() => Self::Refused(error.to_string()),
            Err(error) => Self::Unknown(error.to_string()),
        }
    }
}

/// Operations that were due within [`SLICE`].
#[derive(Clone, Debug)]
pub struct Slice {
    /// How many were due.
    pub offered: u64,
    /// How many of them were done, by their deadlines.
    pub done: u64,
    latencies: Histogram<u32>,
}

impl Slice {
    fn new() -> Self {
        Self { offered: 0, done: 0, latencies: histogram() }
    }

    /// The latency that this share of the done operations did not exceed, from their intended start.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.latencies.value_at_quantile(share))
    }
}

/// What became of the operations of one run.
#[derive(Clone, Debug)]
pub struct Tally {
    took: Duration,
    offered: u64,
    done: u64,
    refused: u64,
    unknown: u64,
    not_sent: u64,
    latencies: Histogram<u64>,
    slices: Vec<Slice>,
    causes: BTreeMap<String, u64>,
}

fn histogram<C: hdrhistogram::Counter>() -> Histogram<C> {
    Histogram::new_with_max(LATENCY_MAX_US, DIGITS).expect("these bounds are bounds of a histogram")
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            took: Duration::ZERO,
            offered: 0,
            done: 0,
            refused: 0,
            unknown: 0,
            not_sent: 0,
            latencies: histogram(),
            slices: Vec::new(),
            causes: BTreeMap::new(),
        }
    }

    /// An operation that was due at `due` after the begin has ended `latency` later.
    pub(crate) fn note(&mut self, due: Duration, latency: Duration, outcome: Outcome) {
        let place = usize::try_from(due.as_nanos() / SLICE.as_nanos()).unwrap_or_default();
        while self.slices.len() <= place {
            self.slices.push(Slice::new());
        }
        let slice = &mut self.slices[place];
        self.offered += 1;
        slice.offered += 1;
        match outcome {
            Outcome::Done => {
                let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                self.done += 1;
                slice.done += 1;
                self.latencies.saturating_record(micros);
                slice.latencies.saturating_record(micros);
            }
            Outcome::Refused(why) => {
                self.refused += 1;
                self.cause(why);
            }
            Outcome::Unknown(why) => {
                self.unknown += 1;
                self.cause(why);
            }
            Outcome::NotSent => self.not_sent += 1,
        }
    }

    fn cause(&mut self, why: String) {
        // Numbers make every text another one: how often a call was tried, the ports of hosts.
        let why: String = why.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).take(CAUSE_LEN).collect();
        if self.causes.len() < CAUSES_MAX || self.causes.contains_key(&why) {
            *self.causes.entry(why).or_default() += 1;
        }
    }

    pub(crate) fn end(&mut self, took: Duration) {
        self.took = took;
    }

    /// For how long operations were due.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Operations that were due.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// Operations done by their deadlines.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Operations surely not done although they were sent, or tried to be.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Operations of which nobody can tell.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Operations that were due and not sent, because as many as may be were under way.
    #[must_use]
    pub fn not_sent(&self) -> u64 {
        self.not_sent
    }

    /// Operations done in a second.
    #[must_use]
    pub fn goodput(&self) -> f64 {
        self.a_second(self.done)
    }

    /// Operations that were due in a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.a_second(self.offered)
    }

    #[expect(clippy::cast_precision_loss, reason = "a run has far less than 2^53 operations")]
    fn a_second(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The latency that this share of the done operations did not exceed, from their intended start.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.latencies.value_at_quantile(share))
    }

    /// What happened, [`SLICE`] by [`SLICE`] of when operations were due.
    #[must_use]
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// Why operations failed, with how many did so; of very many kinds, the first.
    #[must_use]
    pub fn causes(&self) -> &BTreeMap<String, u64> {
        &self.causes
    }
}

impl fmt::Display for Tally {
    /// One line of names and values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| self.quantile(share).as_micros());
        write!(
            f,
            "seconds {:.1} offered {} offered_per_s {:.0} done {} goodput_per_s {:.0} refused {} unknown {} not_sent {} \
             p50_us {p50} p99_us {p99} p999_us {p999}",
            self.took.as_secs_f64(),
            self.offered,
            self.rate(),
            self.done,
            self.goodput(),
            self.refused,
            self.unknown,
            self.not_sent,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn operations_count_in_the_slice_in_which_they_were_due() {
        let mut tally = Tally::new();
        tally.note(Duration::ZERO, 400 * MS, Outcome::Done);
        tally.note(SLICE, MS, Outcome::Done);
        tally.note(SLICE, MS, Outcome::NotSent);
        tally.end(2 * SLICE);
        let counts: Vec<_> = tally.slices().iter().map(|slice| (slice.offered, slice.done)).collect();
        assert_eq!(counts, [(1, 1), (2, 1)]);
        assert_eq!((tally.offered(), tally.done(), tally.not_sent()), (3, 2, 1));
        assert!((tally.goodput() - 4.0).abs() < 1e-9, "{tally}");
    }

    #[test]
    fn a_quantile_is_within_a_percent() {
        let mut tally = Tally::new();
        for ms in 1..=100 {
            tally.note(Duration::ZERO, ms * MS, Outcome::Done);
        }
        let p99 = tally.quantile(0.99);
        assert!(p99 >= 99 * MS && p99 <= 100 * MS, "{p99:?}");
    }

    #[test]
    fn failures_have_no_latency_and_one_text_to_a_kind() {
        let mut tally = Tally::new();
        for attempts in 0..10 {
            tally.note(Duration::ZERO, MS, Outcome::Refused(format!("after {attempts} attempts")));
        }
        assert_eq!(tally.causes().get("after # attempts"), Some(&10));
        assert_eq!(tally.quantile(0.5), Duration::ZERO);
    }
}
