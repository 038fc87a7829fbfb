//! One scrape: everything that the admin port shows, gathered from the shards and the group's state.

use std::time::Duration;

use colony_core::colony::{Lag, Part, Standing};
use colony_wire::ColonyId;
use tokio::sync::oneshot;

use super::histogram::Counts;
use super::meters::{Kind, REFUSALS, ShardMeters};
use super::ready;
use crate::host::control::Sight;
use crate::host::shard::Order;

/// Longest wait for one shard's answer.
const SHARD_WITHIN: Duration = Duration::from_secs(1);
/// Copies that a shard tells of at a time; between two answers it does its work.
const SLICE: usize = 256;
/// Copies that have series of their own; of the others a host tells sums. Bounds what a scrape costs whoever stores
/// it: some ten thousand series a host.
const LISTED: usize = 1024;

/// What a shard tells of itself.
#[derive(Debug, Default)]
pub(in crate::host) struct Glance {
    /// How its copies stand, those after the one asked from, at most as many as asked for.
    pub(in crate::host) copies: Vec<(ColonyId, Standing)>,
    /// Copies it keeps from before it was declared dead.
    pub(in crate::host) kept: usize,
    /// Clients' calls without an answer.
    pub(in crate::host) calls: usize,
}

/// Everything, at one moment or near it.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) sight: Sight,
    /// Whether the host is ready.
    pub(super) is_ready: bool,
    /// The copies with series of their own, each with its namespace's name.
    pub(super) copies: Vec<(String, u32, Standing)>,
    /// Copies that have none.
    pub(super) unlisted: usize,
    pub(super) sums: Sums,
    /// What all shards have counted.
    pub(super) requests: Vec<(Kind, u64, Counts)>,
    pub(super) refusals: Vec<(&'static str, u64)>,
    pub(super) commit: Counts,
}

/// Sums over all copies of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) primaries: u64,
    pub(super) serving: u64,
    pub(super) secondaries: u64,
    pub(super) catching_up: u64,
    pub(super) kept: u64,
    /// In the colonies it is primary of.
    pub(super) sessions: u64,
    /// Of these sessions.
    pub(super) bytes: u64,
    pub(super) uncommitted: u64,
    pub(super) most_ops_behind: u64,
    pub(super) most_bytes_behind: u64,
    pub(super) calls: u64,
}

impl Sums {
    fn add(&mut self, standing: &Standing) {
        match standing.part {
            Part::Primary => {
                self.primaries += 1;
                self.sessions += standing.sessions;
                self.bytes += standing.bytes;
                self.uncommitted += standing.uncommitted;
            }
            Part::Secondary => self.secondaries += 1,
            Part::CatchingUp => self.catching_up += 1,
        }
        self.serving += u64::from(standing.is_serving);
        if let Some(Lag { ops, bytes, .. }) = standing.lag {
            self.most_ops_behind = self.most_ops_behind.max(ops);
            self.most_bytes_behind = self.most_bytes_behind.max(bytes);
        }
    }
}

/// Asks every shard for a sign of life; says how many copies they keep.
pub(super) async fn pulse(sight: &Sight) -> Result<usize, String> {
    let mut kept = 0;
    for shard in 0..sight.orders.len() {
        kept += glance(sight, shard, None, 0).await?.kept;
    }
    Ok(kept)
}

/// Gathers everything.
pub(super) async fn take(sight: Sight) -> Result<Picture, String> {
    let (mut copies, mut sums) = (Vec::new(), Sums::default());
    let mut unlisted = 0;
    for shard in 0..sight.orders.len() {
        let mut after = None;
        loop {
            let glance = glance(&sight, shard, after, SLICE).await?;
            if after.is_none() {
                sums.kept += glance.kept as u64;
                sums.calls += glance.calls as u64;
            }
            after = glance.copies.last().map(|(colony, _)| *colony);
            let is_last = glance.copies.len() < SLICE;
            for (colony, standing) in glance.copies {
                sums.add(&standing);
                if copies.len() < LISTED {
                    copies.push((namespace(&sight, colony), colony.bucket, standing));
                } else {
                    unlisted += 1;
                }
            }
            if is_last {
                break;
            }
        }
    }
    copies.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
    let is_ready = ready::reasons(&sight, usize::try_from(sums.kept).unwrap_or(usize::MAX)).is_empty();
    let requests = Kind::ALL.iter().map(|kind| request(&sight.meters, *kind)).collect();
    let refusals = refusals(&sight.meters);
    let mut commit = Counts::default();
    sight.meters.iter().for_each(|meters| meters.commit.add_to(&mut commit));
    Ok(Picture { sight, is_ready, copies, unlisted, sums, requests, refusals, commit })
}

async fn glance(sight: &Sight, shard: usize, after: Option<ColonyId>, limit: usize) -> Result<Glance, String> {
    let (answer, answered) = oneshot::channel();
    let Some(orders) = sight.orders.get(shard) else { return Ok(Glance::default()) };
    let asked = async {
        orders.send((sight.realm, Order::Glance { after, limit, answer })).await.ok()?;
        answered.await.ok()
    };
    match tokio::time::timeout(SHARD_WITHIN, asked).await {
        Ok(Some(glance)) => Ok(glance),
        Ok(None) => Err(format!("shard {shard} has ended")),
        Err(_) => Err(format!("shard {shard} does not answer within {} s", SHARD_WITHIN.as_secs())),
    }
}

fn namespace(sight: &Sight, colony: ColonyId) -> String {
    let known = sight.state.namespaces.get(&colony.namespace);
    known.map_or_else(|| colony.namespace.to_string(), |namespace| namespace.name.clone())
}

fn request(shards: &[std::sync::Arc<ShardMeters>], kind: Kind) -> (Kind, u64, Counts) {
    let mut counts = Counts::default();
    for histogram in shards.iter().filter_map(|meters| meters.latency(kind)) {
        histogram.add_to(&mut counts);
    }
    (kind, shards.iter().map(|meters| meters.requests(kind)).sum(), counts)
}

fn refusals(shards: &[std::sync::Arc<ShardMeters>]) -> Vec<(&'static str, u64)> {
    let mut sums = REFUSALS.map(|name| (name, 0));
    for meters in shards {
        for (sum, (_, count)) in sums.iter_mut().zip(meters.refusals()) {
            sum.1 += count;
        }
    }
    sums.to_vec()
}
