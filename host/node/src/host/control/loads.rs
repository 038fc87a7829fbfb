//! What the group's leader knows of the load of hosts (`PROTOCOL.md` 14). Every host counts, the leader asks for the
//! counts and makes rates of them; nothing of it is agreed on, and the next leader begins anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use colony_core::Time;
use colony_core::group::Member;
use colony_core::placement::{CopyLoad, HostLoad, Loads};
use colony_wire::StartId;
use colony_wire::control::{ControlReply, ControlRequest};
use colony_wire::load::LoadCounts;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::{Control, lock};
use crate::host::shard::Order;

/// How often the leader asks every host. A few seconds: a load that is gone by then is no reason to move anything, and
/// with the largest table an answer is a quarter of a megabyte.
const MEASURE_EVERY: Duration = Duration::from_secs(2);
/// Longest wait for one host's counts.
const COUNTS_WITHIN: Duration = Duration::from_secs(1);
/// Hosts asked at a time, so that their answers are no burst.
const ASKED_AT_A_TIME: usize = 16;
/// A host that has not answered for so long counts as unknown. Some answers may be lost.
const UNKNOWN_AFTER: Duration = Duration::from_secs(10);
/// Rates are not made of counts that are closer together, in microseconds: chance would be too large in them.
const LEAST_SPAN_US: u64 = 100_000;

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Measures {
    loads: Loads,
    /// The newest counts of each host, and when they came.
    last: BTreeMap<StartId, (LoadCounts, Time)>,
}

impl Measures {
    /// What is known now.
    pub(super) fn loads(&self) -> Loads {
        self.loads.clone()
    }

    /// A host answered.
    fn take(&mut self, counts: LoadCounts, now: Time) {
        let start = counts.start;
        if let Some(load) = self.last.get(&start).and_then(|(before, _)| between(before, &counts)) {
            self.loads.measured(start, load);
        }
        self.last.insert(start, (counts, now));
    }

    /// What is old, or of processes that are gone, is not known any more.
    fn forget(&mut self, now: Time, is_up: impl Fn(StartId) -> bool) {
        self.last.retain(|start, (_, at)| is_up(*start) && now.since(*at) < UNKNOWN_AFTER);
        self.loads.keep(|start| self.last.contains_key(&start));
    }
}

/// What a host carried between two counts; none if they are too close.
fn between(before: &LoadCounts, now: &LoadCounts) -> Option<HostLoad> {
    let span_us = now.at_us.checked_sub(before.at_us).filter(|span| *span >= LEAST_SPAN_US)?;
    let a_second = |counted: u64, unit: u64| {
        let rate = u128::from(counted) * u128::from(unit) / u128::from(span_us);
        u64::try_from(rate).unwrap_or(u64::MAX)
    };
    let earlier: BTreeMap<_, _> = before.copies.iter().map(|copy| (copy.colony, copy.committed)).collect();
    let copies = now.copies.iter().map(|copy| {
        // A copy that has just come has committed here what was committed elsewhere long ago.
        let committed = earlier.get(&copy.colony).map_or(0, |earlier| copy.committed.0.saturating_sub(earlier.0));
        let load = CopyLoad { sessions: copy.sessions, bytes: copy.bytes, ops: a_second(committed, 1_000_000) };
        (copy.colony, load)
    });
    Some(HostLoad {
        cpu: a_second(now.cpu_us.saturating_sub(before.cpu_us), 1000),
        cores: now.cores,
        memory: now.memory,
        memory_limit: now.memory_limit,
        copies: copies.collect(),
    })
}

/// Asks all hosts again and again, as long as this host leads.
pub(super) async fn measure(control: &Arc<Control>) {
    let mut ticks = tokio::time::interval(MEASURE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if control.group.is_confirmed() {
            control.ask_for_loads().await;
        } else {
            *lock(&control.measures) = Measures::default();
        }
    }
}

impl Control {
    async fn ask_for_loads(self: &Arc<Self>) {
        let state = self.group.state().borrow().clone();
        let mut asked = JoinSet::new();
        for member in state.up() {
            if asked.len() >= ASKED_AT_A_TIME {
                self.take_counts(asked.join_next().await);
            }
            let (control, member) = (self.clone(), member.clone());
            asked.spawn(async move { control.counts_of(&member).await });
        }
        while let Some(answer) = asked.join_next().await {
            self.take_counts(Some(answer));
        }
        let now = self.host.clock.now().mono;
        lock(&self.measures).forget(now, |start| state.is_up(start));
    }

    fn take_counts(&self, answer: Option<Result<Option<LoadCounts>, tokio::task::JoinError>>) {
        match answer {
            Some(Ok(Some(counts))) => lock(&self.measures).take(counts, self.host.clock.now().mono),
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Ok(None) | Err(_)) | None => {}
        }
    }

    /// What a host has used so far, if it says so.
    async fn counts_of(&self, member: &Member) -> Option<LoadCounts> {
        let asked = async {
            if member.start == self.start() {
                return Some(self.load_counts().await);
            }
            match self.calls.call(member.address, &ControlRequest::Load, COUNTS_WITHIN).await {
                Ok(ControlReply::Load { counts }) => Some(counts),
                Ok(_) => None,
                Err(error) => {
                    tracing::debug!(name = %member.name, %error, "a host does not tell its load");
                    None
                }
            }
        };
        let counts = tokio::time::timeout(COUNTS_WITHIN, asked).await.ok().flatten()?;
        // Another process may have taken the address.
        (counts.start == member.start).then_some(counts)
    }

    /// What this host has used so far.
    pub(super) async fn load_counts(&self) -> LoadCounts {
        let mut copies = Vec::new();
        for shard in self.shards() {
            copies.extend(self.ask(shard, Order::Count).await.unwrap_or_default());
        }
        let usage = self.host.surroundings.usage();
        LoadCounts {
            start: self.start(),
            at_us: self.host.clock.now().mono.0,
            cpu_us: u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX),
            cores: usage.cores,
            memory: usage.memory,
            memory_limit: usage.memory_limit,
            copies,
        }
    }
}

#[cfg(test)]
mod tests {
    use colony_wire::load::CopyCounts;
    use colony_wire::{ColonyId, NamespaceId, Seq};

    use super::*;

    const COLONY: ColonyId = ColonyId { namespace: NamespaceId(1), bucket: 2 };

    fn counts(at_us: u64, cpu_us: u64, committed: u64) -> LoadCounts {
        let copy = CopyCounts { colony: COLONY, sessions: 3, bytes: 400, committed: Seq(committed) };
        LoadCounts { start: StartId(7), at_us, cpu_us, cores: 2000, memory: 10, memory_limit: 20, copies: vec![copy] }
    }

    #[test]
    fn counts_become_rates() {
        let load = between(&counts(1_000_000, 500_000, 100), &counts(3_000_000, 1_500_000, 700)).expect("far apart");
        assert_eq!((load.cpu, load.cores, load.memory, load.memory_limit), (500, 2000, 10, 20));
        assert_eq!(load.copies[&COLONY], CopyLoad { sessions: 3, bytes: 400, ops: 300 });
        assert_eq!(between(&counts(1_000_000, 0, 0), &counts(1_000_100, 9, 9)), None, "too close");
        assert_eq!(between(&counts(2_000_000, 0, 0), &counts(1_000_000, 0, 0)), None, "a clock that went back");
    }

    /// A copy that was accepted anew counts from the beginning; that is no rate below nothing.
    #[test]
    fn a_count_that_went_back_is_no_rate() {
        let load = between(&counts(0, 100, 900), &counts(1_000_000, 50, 10)).expect("far apart");
        assert_eq!((load.cpu, load.copies[&COLONY].ops), (0, 0));
        let fresh = LoadCounts { copies: Vec::new(), ..counts(0, 0, 0) };
        let load = between(&fresh, &counts(1_000_000, 0, 5000)).expect("far apart");
        assert_eq!(load.copies[&COLONY].ops, 0, "what was committed elsewhere");
    }

    #[test]
    fn a_host_that_falls_silent_becomes_unknown() {
        let mut measures = Measures::default();
        let at = |seconds: u64| Time(seconds * 1_000_000);
        measures.take(counts(0, 0, 0), at(0));
        assert!(measures.loads().is_empty(), "one count is no rate");
        measures.take(counts(1_000_000, 1000, 10), at(1));
        measures.forget(at(5), |_| true);
        assert!(measures.loads().host(StartId(7)).is_some());
        measures.forget(at(12), |_| true);
        assert!(measures.loads().is_empty());
    }
}
