//! More is asked of a cluster than it can do.

use std::time::Duration;

use colony_client::Options;
use colony_it::{Cluster, Shape, State};
use colony_load::{Fleet, OpenLoop, Workload, closed_loop, open_loop};

/// Copies of each colony.
const COPIES: usize = 2;
/// Clients that flood, and callers that find out what the cluster can do.
const CLIENTS: usize = 8;
const CALLERS: usize = 256;
/// How many times that is asked for.
const TIMES: f64 = 3.0;
/// How long the cluster is looked at, and flooded.
const LOOK: Duration = Duration::from_secs(2);
const FLOOD: Duration = Duration::from_secs(5);
/// Most operations of the flood under way.
const IN_FLIGHT: usize = 16_384;
/// Deadline of an operation of the flood.
const DEADLINE: Duration = Duration::from_secs(1);

/// F4, E2: three times of what the cluster can do is refused in part, and not put off: nobody is taken for dead,
/// another client is served meanwhile, and what was acknowledged is there.
#[tokio::test]
async fn a_flood_of_calls_is_shed_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", COPIES, 16, &[]).await;
    cluster.until_all_agree().await;
    let seeds: Vec<String> = cluster.connect().split(',').map(str::to_owned).collect();
    let workload = Workload { sessions: 1000, reads_per_cent: 50, bytes: 256 };
    let fleet = Fleet::launch(&seeds, &cluster.certs().identity(), ("cart", CLIENTS), workload, DEADLINE).await;
    let fleet = fleet.expect("an idle cluster takes writes");
    let before = State::of(&cluster, "cart").await;
    let able = closed_loop(&fleet, CALLERS, LOOK).await;
    assert!(able.done() > 0, "{able}");

    let flood = OpenLoop { rate: able.goodput() * TIMES, duration: FLOOD, in_flight_max: IN_FLIGHT };
    let other = cluster.client().await.namespace("cart");
    let other = other.with(Options { deadline: FLOOD, ..Options::default() });
    let polite = async {
        let mut served = 0;
        loop {
            if other.load("load-1").await.is_ok() {
                served += 1;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            if served == 10 {
                return;
            }
        }
    };
    let (flooded, ()) = tokio::join!(open_loop(&fleet, flood), polite);
    assert!(flooded.done() > 0, "{flooded}");

    cluster.assert_all_run();
    let audit = fleet.audit().await;
    assert!(audit.missing.is_empty(), "{:?}", audit.missing);
    // Reigns may change without a death: where the machine gives a host no time, its copies are slow, and placement
    // hands primaries over.
    let after = State::of(&cluster, "cart").await.since(&before);
    assert_eq!(after.deaths, 0, "{after:?} {flooded}");
}
