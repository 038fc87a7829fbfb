//! `colony plugin bench`: what a call of a plugin takes, beside what asking costs and what native code takes.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use colony_core::merge::{Conflict, Occasion, Resolution, Side};
use colony_core::placement::{self, Candidate, Even, Load, Placement, Role};
use colony_guest::merge::{self as guest, Choice, Merge, Outcome, SessionConflict, Snapshot, State, Version};
use colony_wasm::{Identity, LoadError, MergePlugin, PlacementPlugin, Plugin, Runtime};
use colony_wire::Position;
use colony_wire::session::Content;
use serde_json::{Value, json};
use tracing::subscriber::NoSubscriber;

use super::empty;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::table::Table;

/// Bytes of the value in conflict on each side: a flag, a small cart, a large session.
const SIZES: [usize; 3] = [64, 1 << 10, 16 << 10];
/// Hosts to rank: a small cluster, a usual one, a large one.
const HOSTS: [usize; 3] = [3, 30, 300];
/// How often each figure is measured. An odd number, so that one of them is in the middle.
const ROUNDS: usize = 15;
/// How long each time.
const MEASURED: Duration = Duration::from_millis(22);
/// Calls before the clock starts: the first ones make instances and fill caches.
const WARM_UP: u32 = 50;
/// Calls between two looks at the clock.
const BATCH: u32 = 16;

/// What the columns are, for people.
const MERGE_COLUMNS: &str = "\
one attribute of that size in conflict, different on both sides and in the base
empty: a plugin that keeps ours without a look at the question, so what asking costs
native: a three-way merge in this program's own code, through the same conversions: numbers add up, of anything else
the later write stays; it is no twin of the plugin
";
const PLACEMENT_COLUMNS: &str = "native: the built-in placement, for which every host is as good as any other\n";

#[derive(Args, Debug)]
pub(in crate::cli) struct BenchArgs {
    /// The component, as `cargo build --release --target wasm32-unknown-unknown` makes it
    file: PathBuf,
}

pub(super) fn run(args: &BenchArgs, output: Output) -> Result<(), Failure> {
    // What the plugin logs would be measured too, and bury the answer.
    let measured = tracing::subscriber::with_default(NoSubscriber::default(), || measure(args))?;
    output.answer(|| measured.to_json(args), || measured.to_text())
}

/// All figures of one plugin.
struct Measured {
    plugin: Identity,
    world: &'static str,
    /// What a row's number counts.
    unit: &'static str,
    rows: Vec<Row>,
    columns: &'static str,
}

struct Row {
    size: usize,
    plugin: Figure,
    empty: Option<Figure>,
    native: Figure,
}

/// Microseconds that a call took, by round, the fastest first; at least one.
struct Figure(Vec<f64>);

/// A call that is measured.
type Call<'a> = &'a dyn Fn() -> Result<(), Failure>;

fn measure(args: &BenchArgs) -> Result<Measured, Failure> {
    let failed = |error: LoadError| Failure::Plugin { file: args.file.clone(), why: error.to_string() };
    match super::load(&args.file)?.map_err(failed)? {
        Plugin::Merge(plugin) => {
            let runtime = Runtime::new(super::limits()).map_err(failed)?;
            let empty = runtime.load_merge("empty", empty::EMPTY_MERGE).map_err(failed)?;
            let rows = SIZES.into_iter().map(|size| merge_row(&plugin, &empty, size)).collect::<Result<_, _>>()?;
            let (plugin, columns) = (plugin.identity().clone(), MERGE_COLUMNS);
            Ok(Measured { plugin, world: "merge", unit: "bytes", rows, columns })
        }
        Plugin::Placement(plugin) => {
            let rows = HOSTS.into_iter().map(|hosts| placement_row(&plugin, hosts)).collect::<Result<_, _>>()?;
            let (plugin, columns) = (plugin.identity().clone(), PLACEMENT_COLUMNS);
            Ok(Measured { plugin, world: "placement", unit: "hosts", rows, columns })
        }
    }
}

fn merge_row(plugin: &MergePlugin, empty: &MergePlugin, size: usize) -> Result<Row, Failure> {
    let conflict = conflict(size);
    let ask = |plugin: &MergePlugin| answered(plugin.merge(black_box(&conflict)).map_err(|error| error.to_string()));
    let native = || answered(natively(black_box(&conflict)));
    let [plugin, empty, native] = figures([&|| ask(plugin), &|| ask(empty), &native])?;
    Ok(Row { size, plugin, empty: Some(empty), native })
}

fn placement_row(plugin: &PlacementPlugin, hosts: usize) -> Result<Row, Failure> {
    let hosts: Vec<_> = (0..hosts).map(candidate).collect();
    let request = placement::Request { namespace: "bench", bucket: 7, role: Role::Secondary, hosts: &hosts };
    let ask = || answered(plugin.scores(black_box(&request)).map_err(|error| error.to_string()));
    let natively = || answered(Even.rank(black_box(&request)).map_err(|silent| silent.why));
    let [plugin, native] = figures([&ask, &natively])?;
    Ok(Row { size: hosts.len(), plugin, empty: None, native })
}

/// A plugin that does not answer is not measured.
fn answered<T>(answer: Result<T, String>) -> Result<(), Failure> {
    answer.map(|answer| drop(black_box(answer))).map_err(Failure::NoAnswer)
}

/// Measures calls in turn, round by round: what else the machine does meanwhile falls on all of them.
fn figures<const N: usize>(calls: [Call<'_>; N]) -> Result<[Figure; N], Failure> {
    let mut figures = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (call, figure) in calls.iter().zip(&mut figures) {
            figure.push(round(*call)?);
        }
    }
    Ok(figures.map(|mut micros| {
        micros.sort_by(f64::total_cmp);
        Figure(micros)
    }))
}

/// Calls until the time is over; microseconds for each.
fn round(call: Call<'_>) -> Result<f64, Failure> {
    let call_often = |count: u32| (0..count).try_for_each(|_| call());
    call_often(WARM_UP)?;
    let start = Instant::now();
    let mut done = 0;
    loop {
        call_often(BATCH)?;
        done += BATCH;
        let took = start.elapsed();
        if took >= MEASURED {
            return Ok(took.as_secs_f64() * 1e6 / f64::from(done));
        }
    }
}

/// One attribute in conflict, of this size on each side.
fn conflict(size: usize) -> Conflict {
    let side = |mark: &str, written_at| {
        let mut value = "x".repeat(size.saturating_sub(mark.len()));
        value += mark;
        Side {
            content: Content::Attributes([("value".to_owned(), value.into())].into()),
            version: Position::default(),
            written_at,
            expires_in: Some(1_800_000),
        }
    };
    Conflict {
        namespace: "bench".into(),
        occasion: Occasion::ConcurrentSave,
        attributes: vec!["value".into()],
        base: Some(side("2", 1)),
        ours: side("5", 2),
        theirs: side("3", 3),
    }
}

fn candidate(number: usize) -> Candidate {
    let count = u32::try_from(number).unwrap_or(u32::MAX);
    let labels = [("zone", number % 3), ("rack", number % 12), ("machine", number)];
    Candidate {
        name: format!("host-{number}"),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_string())).into(),
        load: Load { colonies: 20 + count % 7, primaries: 10 + count % 5, ..Load::default() },
    }
}

/// The reference: numbers add up what each side did, of anything else the later write stays.
struct ThreeWay;

impl Merge for ThreeWay {
    fn attribute(&self, conflict: &guest::Conflict) -> guest::Resolution {
        let number = |side: &guest::Side| std::str::from_utf8(side.value()?).ok()?.parse::<i64>().ok();
        let base = conflict.base.as_ref().and_then(number);
        match (base, number(&conflict.ours), number(&conflict.theirs)) {
            (Some(base), Some(ours), Some(theirs)) => {
                let sum = ours.saturating_add(theirs).saturating_sub(base);
                guest::Resolution::Value(sum.to_string().into_bytes())
            }
            _ => guest::Resolution::Keep(conflict.later()),
        }
    }
}

/// The reference, asked and answering in the types that a plugin is asked in: the same copies, no Wasm.
fn natively(conflict: &Conflict) -> Result<Resolution, String> {
    let names: Vec<&str> = conflict.attributes.iter().map(String::as_str).collect();
    let base = conflict.base.as_ref().map(snapshot);
    let mut question = SessionConflict::new(base, snapshot(&conflict.ours), snapshot(&conflict.theirs), &names);
    question.namespace.clone_from(&conflict.namespace);
    question.occasion = guest::Occasion::ConcurrentSave;
    Ok(match ThreeWay.session(question)? {
        Outcome::Keep(Choice::Ours) => Resolution::KeepOurs,
        Outcome::Keep(Choice::Theirs) => Resolution::KeepTheirs,
        Outcome::Attributes(changes) => {
            Resolution::Attributes(changes.into_iter().map(|(name, value)| (name, value.map(Into::into))).collect())
        }
        Outcome::Blob(bytes) => Resolution::Blob(bytes.into()),
        Outcome::Delete => Resolution::Delete,
        Outcome::Quarantine(reason) => return Err(reason),
    })
}

fn snapshot(side: &Side) -> Snapshot {
    let state = match &side.content {
        Content::Blob(bytes) => State::Blob(bytes.to_vec()),
        Content::Attributes(attributes) => {
            State::Attributes(attributes.iter().map(|(name, value)| (name.clone(), value.to_vec())).collect())
        }
    };
    let mut snapshot = Snapshot::of(state).written_at(side.written_at);
    let Position { lineage, reign, seq } = side.version;
    snapshot.version = Version { lineage: lineage.0, reign: reign.0, seq: seq.0 };
    snapshot.expires_in_ms = side.expires_in;
    snapshot
}

impl Figure {
    /// The round in the middle.
    fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    /// The fastest round and the slowest.
    fn spread(&self) -> [f64; 2] {
        [self.0[0], self.0[self.0.len() - 1]]
    }

    fn per_second(&self) -> f64 {
        1e6 / self.median()
    }

    fn to_text(&self) -> String {
        let [least, most] = self.spread();
        format!("{:.2} ({least:.2}-{most:.2})", self.median())
    }

    fn to_json(&self) -> Value {
        let [least, most] = self.spread();
        json!({
            "us_per_call": self.median(),
            "us_least": least,
            "us_most": most,
            "calls_per_second": self.per_second().round(),
        })
    }
}

impl Measured {
    fn to_text(&self) -> String {
        let heading =
            [self.unit.to_uppercase(), "CALLS/S".into(), "US/CALL".into(), "EMPTY US".into(), "NATIVE US".into()];
        let mut table = Table::new(&heading.each_ref().map(String::as_str));
        for row in &self.rows {
            table.row([
                row.size.to_string(),
                format!("{:.0}", row.plugin.per_second()),
                row.plugin.to_text(),
                row.empty.as_ref().map_or_else(|| "-".into(), Figure::to_text),
                row.native.to_text(),
            ]);
        }
        let (plugin, world, columns) = (&self.plugin, self.world, self.columns);
        let rounds = format!("each figure is the median of {ROUNDS} rounds, with the fastest and the slowest\n");
        format!("{plugin}, a {world} plugin, one call after the other\n{}{rounds}{columns}", table.text())
    }

    fn to_json(&self, args: &BenchArgs) -> Value {
        let row = |row: &Row| {
            json!({
                (self.unit): row.size,
                "plugin": row.plugin.to_json(),
                "empty": row.empty.as_ref().map(Figure::to_json),
                "native": row.native.to_json(),
            })
        };
        json!({
            "file": args.file,
            "plugin": self.plugin.name(),
            "content": self.plugin.content_hex(),
            "world": self.world,
            "columns": self.columns,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }
}
