//! Half of the peak, a multiple of it, and half of it again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use colony_it::Cluster;
use colony_it::machine::{processor_seconds, resident_kib};
use colony_load::{Fleet, OpenLoop, SLICE, Tally, open_loop};
use tokio::time::{self, Instant};

/// Time between two looks at the memory of hosts.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Share of the peak that is normal.
const NORMAL: f64 = 0.5;
/// It is normal again once so many slices in a row are.
const NORMAL_SLICES: usize = 4;
/// A slice is normal if this share of what was due is done,
const NORMAL_DONE: f64 = 0.95;
/// and its p99 is not more than this many times what it was before,
const NORMAL_P99: u32 = 2;
/// or than this: a busy machine makes single slices slow by itself.
const NORMAL_P99_FLOOR: Duration = Duration::from_millis(50);

/// What is asked for.
pub(crate) struct Phases {
    /// Operations a second that the cluster carries.
    pub(crate) peak: f64,
    /// How many times of it are the overload.
    pub(crate) times: f64,
    /// Length of the phases at half of it.
    pub(crate) normal: Duration,
    /// Length of the overload.
    pub(crate) overload: Duration,
    /// Most operations under way.
    pub(crate) in_flight_max: usize,
}

/// What came of it, for the last line.
pub(crate) struct Shown {
    peak: f64,
    goodput: f64,
    to_normal: Option<Duration>,
    growth_kib: u64,
}

/// What the processes have taken so far.
struct Usage {
    hosts: f64,
    generator: f64,
    resident: BTreeMap<String, u64>,
}

impl Usage {
    fn of(cluster: &Cluster) -> Self {
        let hosts = || cluster.names().into_iter().map(|name| (cluster.host(&name).process(), name));
        Self {
            hosts: hosts().filter_map(|(process, _)| processor_seconds(process)).sum(),
            generator: processor_seconds(std::process::id()).unwrap_or_default(),
            resident: hosts().filter_map(|(process, name)| Some((name, resident_kib(process)?))).collect(),
        }
    }
}

impl Phases {
    pub(crate) async fn run(&self, cluster: &Cluster, fleet: &Arc<Fleet>) -> Shown {
        let at = |rate, duration| OpenLoop { rate, duration, in_flight_max: self.in_flight_max };
        let start = Usage::of(cluster);
        let normal = open_loop(fleet, at(self.peak * NORMAL, self.normal)).await;
        let calm = Usage::of(cluster);
        show("normal", &normal, &start, &calm);

        let overload = open_loop(fleet, at(self.peak * self.times, self.overload));
        let after = async {
            time::sleep(self.overload).await;
            let hot = Usage::of(cluster);
            (open_loop(fleet, at(self.peak * NORMAL, self.normal)).await, hot)
        };
        let most = RefCell::new(calm.resident.clone());
        let (overload, (after, hot)) = tokio::select! {
            both = async { tokio::join!(overload, after) } => both,
            never = watch(cluster, &most) => match never {},
        };
        let most = most.into_inner();
        show("overload", &overload, &calm, &hot);
        let end = Usage::of(cluster);
        show("after", &after, &hot, &end);
        for (name, most) in &most {
            let before = calm.resident.get(name).copied().unwrap_or_default();
            let end = end.resident.get(name).copied().unwrap_or_default();
            println!("memory {name} before_mib {} most_mib {} end_mib {}", before >> 10, most >> 10, end >> 10);
        }
        let grown = most.iter().map(|(name, most)| most.saturating_sub(calm.resident.get(name).copied().unwrap_or(0)));
        Shown {
            peak: self.peak,
            goodput: overload.goodput(),
            to_normal: time_to_normal(&after, normal.quantile(0.99)),
            growth_kib: grown.max().unwrap_or_default(),
        }
    }
}

async fn watch(cluster: &Cluster, most: &RefCell<BTreeMap<String, u64>>) -> Infallible {
    loop {
        time::sleep_until(Instant::now() + LOOK_EVERY).await;
        for (name, now) in Usage::of(cluster).resident {
            let mut most = most.borrow_mut();
            let most = most.entry(name).or_default();
            *most = now.max(*most);
        }
    }
}

fn show(phase: &str, tally: &Tally, from: &Usage, to: &Usage) {
    let memory: Vec<String> = to.resident.iter().map(|(name, kib)| format!("{name}_mib {}", kib >> 10)).collect();
    println!(
        "{phase} {tally} cpu_hosts_s {:.1} cpu_generator_s {:.1} {}",
        to.hosts - from.hosts,
        to.generator - from.generator,
        memory.join(" ")
    );
    for (why, count) in tally.causes() {
        println!("  {count} {why}");
    }
}

/// How long after the overload everything was as before it.
fn time_to_normal(after: &Tally, p99_before: Duration) -> Option<Duration> {
    let bound = (p99_before * NORMAL_P99).max(NORMAL_P99_FLOOR);
    #[expect(clippy::cast_precision_loss, reason = "a slice has far less than 2^53 operations")]
    let is_normal = |slice: &colony_load::Slice| {
        slice.done as f64 >= slice.offered as f64 * NORMAL_DONE && slice.quantile(0.99) <= bound
    };
    let slices: Vec<bool> = after.slices().iter().map(is_normal).collect();
    let first = slices.windows(NORMAL_SLICES).position(|run| run.iter().all(|normal| *normal))?;
    Some(SLICE * u32::try_from(first).unwrap_or(u32::MAX))
}

impl Shown {
    /// Most that a host's memory grew in and after the overload, in MiB.
    pub(crate) fn growth_mib(&self) -> u64 {
        self.growth_kib >> 10
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to_normal = self.to_normal.map_or("never".to_owned(), |time| time.as_millis().to_string());
        let share = self.goodput / self.peak.max(f64::MIN_POSITIVE);
        write!(
            f,
            "peak {:.0} goodput_during_overload {:.0} share {share:.2} time_to_normal_ms {to_normal}",
            self.peak, self.goodput
        )
    }
}
