//! Who is on which side.

use std::collections::BTreeSet;

use colony_client::Client;
use colony_history::rng::Rng;

use crate::cluster::{BUCKETS, Cluster};
use crate::failure::Failure;
use crate::lab;

/// Attempts to deal the hosts to the sides as it is wanted. Each comes out right with a fair chance.
const DEALS_MAX: u32 = 1000;

/// One side of a split.
pub(super) struct Side {
    /// Its hosts.
    pub(super) places: Vec<usize>,
    /// Whether no majority of the group's voters is on it.
    pub(super) is_cut_off: bool,
    /// Reaches its hosts only while the network is cut.
    pub(super) client: Client,
}

impl Side {
    /// The names of its hosts, for people.
    pub(super) fn names(&self) -> String {
        self.places.iter().map(|place| lab::host(*place)).collect::<Vec<_>>().join("+")
    }
}

/// Deals the cluster's hosts to sides of these sizes: where there are two, the last has the group's majority.
///
/// # Errors
/// If the cluster does not answer.
///
/// # Panics
/// If the deal never comes out right, which has no chance to happen.
pub(super) async fn deal(cluster: &Cluster, sizes: &[usize], rng: &mut Rng) -> Result<Vec<Side>, Failure> {
    let status = cluster.status().await?;
    let voters: BTreeSet<usize> = (0..cluster.len())
        .filter(|place| {
            let name = lab::host(*place);
            status.hosts.iter().any(|host| host.name == name && host.state == "up" && host.voter)
        })
        .collect();
    let decides = |places: &[usize]| 2 * places.iter().filter(|place| voters.contains(place)).count() > voters.len();
    let mut all: Vec<usize> = (0..cluster.len()).collect();
    for _ in 0..DEALS_MAX {
        shuffle(&mut all, rng);
        let mut left = all.as_slice();
        let dealt: Vec<Vec<usize>> = sizes
            .iter()
            .map(|size| {
                let (some, others) = left.split_at(*size);
                left = others;
                let mut some = some.to_vec();
                some.sort_unstable();
                some
            })
            .collect();
        if dealt.len() == 2 && !decides(&dealt[1]) {
            continue;
        }
        let mut sides = Vec::new();
        for (side, places) in dealt.into_iter().enumerate() {
            let source = lab::side_address(side).parse().expect("an address that is written down is one");
            let client = cluster.client_from(source).await?;
            sides.push(Side { is_cut_off: !decides(&places), places, client });
        }
        return Ok(sides);
    }
    panic!("no deal of {} hosts to sides of {sizes:?} has a majority on the last", cluster.len())
}

/// By side and bucket of a namespace: whether a copy in sync is there.
pub(super) async fn holds(cluster: &Cluster, sides: &[Side], namespace: &str) -> Result<Vec<Vec<bool>>, Failure> {
    let colonies = cluster.colonies().await?;
    let on = |side: &Side| {
        let names: BTreeSet<String> = side.places.iter().map(|place| lab::host(*place)).collect();
        let is_held = |bucket| {
            let mut own = colonies.iter().filter(|colony| colony.namespace == namespace && colony.bucket == bucket);
            own.any(|colony| colony.in_sync.iter().any(|name| names.contains(name)))
        };
        (0..BUCKETS).map(is_held).collect()
    };
    Ok(sides.iter().map(on).collect())
}

fn shuffle(places: &mut [usize], rng: &mut Rng) {
    for last in (1..places.len()).rev() {
        let other = usize::try_from(rng.below(last as u64 + 1)).unwrap_or_default();
        places.swap(last, other);
    }
}
