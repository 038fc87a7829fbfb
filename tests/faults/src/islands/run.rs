//! One split after the other.

use std::time::Duration;

use colony_history::rng::Rng;
use tokio::time::{self, Instant};

use super::book::Record;
use super::counters::Counters;
use super::ends::Ends;
use super::judge::judge;
use super::pairs::Pairs;
use super::row::IslandRow;
use super::side::{Side, deal, holds};
use super::steady::{self, Steady};
use super::table::{Outcome, Table};
use crate::book::{Book, Micros};
use crate::clock::Clock;
use crate::cluster::{BUCKETS, Cluster, NAMESPACE};
use crate::failure::Failure;
use crate::lab;
use crate::load::read_back;
use crate::net::Net;
use crate::timing::percentile;

/// How long the writers are at work before the network is cut.
const BEFORE: Duration = Duration::from_secs(2);
/// From the cut until the sessions that every side changes are changed: a second more than a side may take to serve again.
const OPENING: Duration = Duration::from_secs(4);
/// How long the network is cut: longer than sessions live that nobody touches, which are to expire.
const CUT: Duration = Duration::from_secs(14);
/// Sessions that every side changes, in all colonies together.
const PAIRS: usize = 10_000;
/// Longest until every side has changed them.
const CHANGED_WITHIN: Duration = Duration::from_secs(40);
/// Longest until all is merged and whole under load, and again without load: far beyond every goal.
const MERGED_WITHIN: Duration = Duration::from_secs(60);
/// And after that, before all is read back.
const AFTER: Duration = Duration::from_millis(500);
/// How often the network is cut in [`IslandRow::Flapping`], how long, and how long it is whole.
const FLAPS: u32 = 6;
const FLAP: Duration = Duration::from_secs(3);
/// How long the others are measured in [`IslandRow::Trap`] before the links are back.
const MEASURED: Duration = Duration::from_secs(6);
/// Increments in [`IslandRow::Counters`].
const INCREMENTS: u64 = 100_000;
/// How many of a hundred are done when the network is cut, and when it is whole again.
const CUT_AT_PER_CENT: u64 = 10;
const WHOLE_AT_PER_CENT: u64 = 70;
/// Longest until that many are done, and until all are: half a cluster counts as fast as it can.
const COUNTED_WITHIN: Duration = Duration::from_secs(60);
/// An answer that is later than this after the cut was not under way at the cut.
const UNDER_WAY: Micros = 500_000;

/// Runs splits until the time is over.
pub struct Run {
    net: Net,
    rng: Rng,
    clock: Clock,
}

impl Run {
    /// A run in this network.
    #[must_use]
    pub fn new(seed: u64, net: Net) -> Self {
        Self { net, rng: Rng::new(seed), clock: Clock::start() }
    }

    /// Runs these rows, each once, and then in turn until the time is over.
    ///
    /// # Errors
    /// If a cluster does not even begin.
    pub async fn rows(&mut self, rows: &[IslandRow], minutes: u64, table: &mut Table) -> Result<(), Failure> {
        let (begun, whole) = (Instant::now(), Duration::from_secs(60 * minutes));
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

    async fn row(&mut self, row: IslandRow, table: &mut Table) -> Result<(), Failure> {
        // What one split leaves behind is not the next one's.
        let mut cluster = Cluster::start(Some(self.net.clone()), &row.shape()).await?;
        let outcome = self.run_on(&mut cluster, row).await;
        self.net.heal().await?;
        let is_well = outcome.as_ref().is_ok_and(|outcome| outcome.whole.is_some() && outcome.findings.is_clean());
        if !is_well {
            let why = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
            eprintln!("faults: {}: {why}\n{}", row.name(), cluster.report().await);
            eprintln!("faults: the logs are in {}", cluster.keep_logs().display());
        }
        table.add(row, outcome.unwrap_or_default());
        Ok(())
    }

    async fn run_on(&mut self, cluster: &mut Cluster, row: IslandRow) -> Result<Outcome, Failure> {
        let sides = deal(cluster, row.sides(), &mut self.rng).await?;
        let names: Vec<String> = sides
            .iter()
            .map(|side| format!("{}{}", side.names(), if side.is_cut_off { " (cut off)" } else { "" }))
            .collect();
        eprintln!("faults: {}: {}", row.name(), names.join(" | "));
        let (net, clock, rng) = (self.net.clone(), self.clock, &mut self.rng);
        let stage = Stage { row, cluster, sides, net, clock, rng };
        let outcome = match row {
            IslandRow::Flapping => stage.flap().await,
            IslandRow::Counters => stage.count().await,
            IslandRow::Trap => stage.trap().await,
            IslandRow::TwoThree | IslandRow::ThreeWays | IslandRow::OneFour | IslandRow::OneOne | IslandRow::Broken => {
                stage.split().await
            }
        }?;
        for line in outcome.notes.iter().chain(&outcome.findings.told) {
            eprintln!("faults: {}: {line}", row.name());
        }
        Ok(outcome)
    }
}

/// A split that is about to happen.
struct Stage<'a> {
    row: IslandRow,
    cluster: &'a mut Cluster,
    sides: Vec<Side>,
    net: Net,
    clock: Clock,
    rng: &'a mut Rng,
}

impl Stage<'_> {
    /// Every side writes and changes what the others change too; then they meet.
    async fn split(mut self) -> Result<Outcome, Failure> {
        let pairs = self.pairs().await?;
        let prefixes = self.prefixes(NAMESPACE);
        steady::begin_tallies(&self.cluster.reader.namespace(NAMESPACE), &prefixes).await?;
        let mut ends = Ends::begin(self.clock, &self.sides, NAMESPACE, &prefixes).await?;
        let writers = self.write(0..self.sides.len());
        time::sleep(BEFORE).await;

        let held = holds(self.cluster, &self.sides, NAMESPACE).await?;
        let (cut, since) = self.cut().await?;
        ends.cut(cut, self.rng);
        time::sleep(OPENING).await;
        self.change(&pairs, &held).await;
        time::sleep_until(since + CUT).await;
        ends.look().await;
        let healed = self.clock.now();
        if self.row == IslandRow::Broken {
            self.lose_the_cut_off().await?;
        }
        let begun = self.heal().await?;
        ends.healed(healed);

        let changed_apart = pairs.changed_apart();
        let (merged, whole) = self.meet(&pairs, begun).await;
        time::sleep(AFTER).await;
        let books = stopped(writers).await;
        let whole = self.whole_unless(whole, begun).await;
        let (ended, kept) = ends.read_back(&self.cluster.reader, NAMESPACE).await;
        let (serves, unserved) = self.serves(&books, &held, cut..healed);
        let mut books = steady::together(books);
        read_back(self.clock, &self.cluster.reader, NAMESPACE, &mut books).await;
        let paired = pairs.read_back(&self.cluster.reader.namespace(NAMESPACE)).await;

        let used = ended.values().filter(|ended| ended.end.is_some() && ended.used > 0).count();
        let (expired, must) = (
            kept.values().filter(|kept| kept.has_expired && kept.must_live()).count(),
            kept.values().filter(|kept| kept.must_live()).count(),
        );
        let notes = vec![format!(
            "{changed_apart} sessions changed apart; {used} of {} logouts met a use on another side; {must} sessions had to \
             live, of which {expired} were seen to have expired on another side",
            ended.len(),
        )];
        let record = Record { books, ended, kept, paired, ..Record::default() };
        Ok(Outcome {
            findings: judge(&record),
            failed: failed(&record.books),
            serves,
            unserved,
            changed_apart,
            unmerged: merged.iter().filter(|merged| merged.is_none()).count() as u64,
            merged: merged.into_iter().flatten().collect(),
            whole,
            notes,
        })
    }

    /// The network is cut and whole in turn, just long enough for an island to open.
    async fn flap(mut self) -> Result<Outcome, Failure> {
        let prefixes = self.prefixes(NAMESPACE);
        steady::begin_tallies(&self.cluster.reader.namespace(NAMESPACE), &prefixes).await?;
        let mut ends = Ends::begin(self.clock, &self.sides, NAMESPACE, &prefixes).await?;
        let writers = self.write(0..self.sides.len());
        time::sleep(BEFORE).await;
        let mut begun = Instant::now();
        for _ in 0..FLAPS {
            let (cut, since) = self.cut().await?;
            ends.cut(cut, self.rng);
            time::sleep_until(since + FLAP).await;
            begun = self.heal().await?;
            time::sleep(FLAP).await;
        }
        ends.healed(self.clock.now());
        let whole = self.whole_unless(None, begun).await;
        time::sleep(AFTER).await;
        let mut books = steady::together(stopped(writers).await);
        let whole = self.whole_unless(whole, begun).await;
        let (ended, kept) = ends.read_back(&self.cluster.reader, NAMESPACE).await;
        read_back(self.clock, &self.cluster.reader, NAMESPACE, &mut books).await;
        let record = Record { books, ended, kept, ..Record::default() };
        let notes = vec![format!("cut {FLAPS} times for {FLAP:?}, {FLAP:?} apart")];
        Ok(Outcome { findings: judge(&record), failed: failed(&record.books), whole, notes, ..Outcome::default() })
    }

    /// All sides count, before, while and after the network is cut.
    async fn count(mut self) -> Result<Outcome, Failure> {
        let counters = Counters::begin(&self.sides, NAMESPACE, &self.prefixes(NAMESPACE), INCREMENTS).await?;
        counters.until(INCREMENTS * CUT_AT_PER_CENT / 100, COUNTED_WITHIN).await;
        let (before, (_, since)) = (counters.acked(), self.cut().await?);
        time::sleep_until(since + OPENING).await;
        counters.until(INCREMENTS * WHOLE_AT_PER_CENT / 100, COUNTED_WITHIN).await;
        let (apart, begun) = (counters.acked() - before, self.heal().await?);
        counters.until(INCREMENTS, COUNTED_WITHIN).await;
        let whole = self.whole_unless(None, begun).await;
        let acked = counters.acked();
        let (counters, failures) = counters.read_back(&self.cluster.reader.namespace(NAMESPACE)).await;
        let unknown: u64 = counters.values().flat_map(|counter| counter.sides.values()).map(|side| side.unknown).sum();
        let findings = judge(&Record { counters, ..Record::default() });
        let is_exact = findings.lost + findings.doubled + findings.phantom + findings.unread == 0;
        let exact = if is_exact { "exact" } else { "NOT EXACT" };
        let mut notes = vec![format!(
            "{acked} increments acknowledged, {apart} of them while the network was cut, {unknown} of unknown fate: {exact}"
        )];
        notes.extend(failures.samples.iter().map(|why| format!("e.g. {why}")));
        Ok(Outcome { findings, failed: failures.count(), whole, notes, ..Outcome::default() })
    }

    /// Sessions of a namespace whose plugin traps are merged, beside another namespace that is measured.
    async fn trap(mut self) -> Result<Outcome, Failure> {
        let namespace = self.row.paired_in();
        let pairs = self.pairs().await?;
        let prefixes = self.prefixes(NAMESPACE);
        steady::begin_tallies(&self.cluster.reader.namespace(NAMESPACE), &prefixes).await?;
        let last = self.sides.len() - 1;
        let writers = self.write(last..last + 1);
        let held = holds(self.cluster, &self.sides, namespace).await?;
        let (_, since) = self.cut().await?;
        time::sleep_until(since + OPENING).await;
        self.change(&pairs, &held).await;
        let quiet = self.clock.now();
        time::sleep(MEASURED).await;
        let healed = self.clock.now();
        let begun = self.heal().await?;
        let changed_apart = pairs.changed_apart();
        let (merged, whole) = self.meet(&pairs, begun).await;
        let took = merged.iter().map(|merged| merged.unwrap_or(MERGED_WITHIN)).max().unwrap_or_default();
        let met = healed + u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let books = stopped(writers).await;
        let whole = self.whole_unless(whole, begun).await;
        let p99 = |from: Micros, to: Micros| percentile(&waits(&books[0], from..to), 99).unwrap_or_default();
        let (before, during) = (p99(quiet, healed), p99(healed, met));
        let mut books = steady::together(books);
        read_back(self.clock, &self.cluster.reader, NAMESPACE, &mut books).await;
        let paired = pairs.read_back(&self.cluster.reader.namespace(namespace)).await;
        let is_met = if during <= 2 * before { "" } else { ": MISSED" };
        let notes = vec![
            format!("{changed_apart} sessions changed apart, each in conflict, the plugin traps whenever it is asked"),
            format!("writes of others: p99 {during:.1?} during the heal, {before:.1?} before (goal twice{is_met})"),
        ];
        let record = Record { books, paired, ..Record::default() };
        Ok(Outcome {
            findings: judge(&record),
            failed: failed(&record.books),
            changed_apart,
            unmerged: merged.iter().filter(|merged| merged.is_none()).count() as u64,
            merged: merged.into_iter().flatten().collect(),
            whole,
            notes,
            ..Outcome::default()
        })
    }

    fn prefixes(&self, namespace: &str) -> Vec<String> {
        self.cluster.tags(namespace).to_vec()
    }

    /// Sessions for every side to change, in the colonies that two sides or more hold.
    async fn pairs(&self) -> Result<Pairs, Failure> {
        let namespace = self.row.paired_in();
        let held = holds(self.cluster, &self.sides, namespace).await?;
        let is_apart = |bucket: &usize| held.iter().filter(|side| side[*bucket]).count() > 1;
        let apart = (0..BUCKETS as usize).filter(is_apart).count().max(1);
        let count = |bucket| if is_apart(&bucket) { PAIRS.div_ceil(apart) } else { 0 };
        let counts: Vec<usize> = (0..BUCKETS as usize).map(count).collect();
        Pairs::begin(&self.cluster.writer.namespace(namespace), &self.prefixes(namespace), &counts).await
    }

    /// Writers on these sides.
    fn write(&mut self, on: std::ops::Range<usize>) -> Vec<Steady> {
        let (prefixes, all) = (self.prefixes(NAMESPACE), self.sides.len());
        let start = |side: usize| {
            let client = &self.sides[side].client;
            Steady::start(self.clock, client, NAMESPACE, &prefixes, (side, all), self.rng)
        };
        on.map(start).collect()
    }

    async fn cut(&self) -> Result<(Micros, Instant), Failure> {
        let sides: Vec<&[usize]> = self.sides.iter().map(|side| side.places.as_slice()).collect();
        let (at, since) = (self.clock.now(), Instant::now());
        self.net.split(&sides).await?;
        Ok((at, since))
    }

    /// Says when the links were back at the earliest.
    async fn heal(&self) -> Result<Instant, Failure> {
        let begun = Instant::now();
        self.net.heal().await?;
        Ok(begun)
    }

    /// Every side changes every session of the colonies that it holds.
    async fn change(&self, pairs: &Pairs, held: &[Vec<bool>]) {
        let namespace = self.row.paired_in();
        let sides = self.sides.iter().zip(held).enumerate();
        let changes: Vec<_> =
            sides.map(|(at, (side, held))| pairs.change(at, &side.client.namespace(namespace), held)).collect();
        let all = async {
            for changes in changes {
                changes.join_all().await;
            }
        };
        if time::timeout(CHANGED_WITHIN, all).await.is_err() {
            eprintln!("faults: {}: not every session was changed within {CHANGED_WITHIN:?}", self.row.name());
        }
    }

    /// Whatever the sides that are cut off have acknowledged dies with their hosts, which come back empty.
    async fn lose_the_cut_off(&mut self) -> Result<(), Failure> {
        let lost: Vec<usize> =
            self.sides.iter().filter(|side| side.is_cut_off).flat_map(|side| side.places.clone()).collect();
        for place in &lost {
            self.cluster.kill(&lab::host(*place));
        }
        for place in lost {
            self.cluster.restart(place);
        }
        Ok(())
    }

    /// How long each colony takes until it is merged, and how long it takes until nothing is left of the split.
    async fn meet(&mut self, pairs: &Pairs, begun: Instant) -> (Vec<Option<Duration>>, Option<Duration>) {
        let namespace = self.cluster.reader.namespace(self.row.paired_in());
        let within = if self.row == IslandRow::Broken { Duration::ZERO } else { MERGED_WITHIN };
        let (row, cluster) = (self.row, &mut *self.cluster);
        tokio::join!(pairs.merged(&namespace, begun, within), whole(row, cluster, begun))
    }

    /// Waits until the cluster is whole, if it was not so under load: what is read back before that is not what is there
    /// at the end.
    async fn whole_unless(&mut self, already: Option<Duration>, begun: Instant) -> Option<Duration> {
        match already {
            Some(whole) => Some(whole),
            None => whole(self.row, self.cluster, begun).await,
        }
    }

    /// For each colony that a side which is cut off has a copy of: when it first acknowledged a write there; and how
    /// many never did.
    fn serves(&self, books: &[Vec<Book>], held: &[Vec<bool>], apart: std::ops::Range<Micros>) -> (Vec<Duration>, u64) {
        let cut_off = self.sides.iter().zip(books).zip(held).filter(|((side, _), _)| side.is_cut_off);
        let (mut times, mut never) = (Vec::new(), 0);
        for ((_, books), held) in cut_off {
            for (book, _) in books.iter().zip(held).filter(|(_, is_held)| **is_held) {
                let after = book.acks.iter().filter(|ack| apart.contains(&ack.at));
                let after = after.filter(|ack| ack.invoked >= apart.start || ack.at > apart.start + UNDER_WAY);
                match after.map(|ack| ack.at - apart.start).min() {
                    Some(first) => times.push(Duration::from_micros(first)),
                    None => never += 1,
                }
            }
        }
        (times, never)
    }
}

/// How long it takes until every copy is in sync and no host lives in an island; none if it does not come to that.
async fn whole(row: IslandRow, cluster: &mut Cluster, begun: Instant) -> Option<Duration> {
    let since = Instant::now();
    let left = || MERGED_WITHIN.saturating_sub(since.elapsed());
    let waited = async {
        cluster.until_whole(left()).await?;
        cluster.until_no_island(left()).await
    };
    match waited.await {
        Ok(_) => Some(begun.elapsed()),
        Err(failure) => {
            eprintln!("faults: {}: {failure}", row.name());
            None
        }
    }
}

/// What each side's writers wrote down.
async fn stopped(writers: Vec<Steady>) -> Vec<Vec<Book>> {
    let mut books = Vec::new();
    for writers in writers {
        books.push(writers.stop().await);
    }
    books
}

fn failed(books: &[Book]) -> u64 {
    books.iter().map(|book| book.failures.count()).sum()
}

/// How long each acknowledged write took that was asked for in this time.
fn waits(books: &[Book], asked: std::ops::Range<Micros>) -> Vec<Duration> {
    let acks = books.iter().flat_map(|book| &book.acks).filter(|ack| asked.contains(&ack.invoked));
    acks.map(|ack| Duration::from_micros(ack.at - ack.invoked)).collect()
}
