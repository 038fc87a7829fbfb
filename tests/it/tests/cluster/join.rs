//! A host joins.

use std::collections::BTreeMap;
use std::time::Duration;

use colony_client::admin::{AdminReply, AdminRequest};
use colony_it::{Cluster, Shape, Writers, until};
use serde_json::Value;

use crate::{attribute, get, put};

/// Copies of each colony.
const COPIES: usize = 2;
/// Colonies: of two copies of each, four hosts get 8 copies and 4 primaries.
const BUCKETS: usize = 16;
/// Longest until the joiner has its share.
const SHARED_WITHIN: Duration = Duration::from_secs(30);

/// C5, C6: a fourth host joins under writes. At the end the shares of copies and of primaries differ by one at
/// most, on the way no colony has fewer copies in sync than before, and no write fails.
#[tokio::test]
async fn a_joining_host_takes_its_share() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", COPIES, BUCKETS, &[]).await;
    let client = cluster.client().await;
    let writers = Writers::start(&client, "cart", 3);
    writers.until_more(50).await;
    joins_and_takes_its_share(&mut cluster).await;
    writers.until_more(50).await;
    let ledger = writers.stop().await;
    assert!(ledger.failures().is_empty(), "a join makes no write fail: {:?}", ledger.failures());
    ledger.audit(&client.namespace("cart")).await;
    cluster.assert_all_run();
}

/// C5, C6: three of five hosts vote in the group. The fifth gets its share also of what the fourth leads, so what a
/// host without a vote proposes for its colonies is heard; and it knows who leads.
#[tokio::test]
async fn a_host_without_a_vote_gives_a_share_to_another_one() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", COPIES, BUCKETS, &[]).await;
    for voteless in ["h4", "h5"] {
        joins_and_takes_its_share(&mut cluster).await;
        let hosts = cluster.run(&["hosts", "--json"]).await.jsons();
        let host = hosts.iter().find(|host| host["name"] == voteless).expect("it has joined");
        assert_eq!(host["voter"], false, "{host}");
        let AdminReply::Status(status) = cluster.ask(voteless, AdminRequest::Status).await.expect("it answers") else {
            panic!("{voteless} answers another question");
        };
        assert!(status.leader.is_some(), "{voteless} knows no leader: {status:?}");
    }
    cluster.assert_all_run();
}

/// C31, C32, C43: one host alone serves at once, with one copy of the three that are wanted, and says that they are
/// not there. With every host that arrives there are more, by themselves, until the first one can be killed.
#[tokio::test]
async fn a_cluster_of_one_serves_at_once_and_grows_its_copies_as_hosts_arrive() {
    let mut cluster = Cluster::start(Shape::of(1)).await;
    let _ = cluster.run(&["namespace", "create", "cart", "--copies", "3", "--buckets", "4"]).await.done();
    assert_eq!(put(&cluster.cli(), "cart", "alice", "item:apple=2").await["copies"], 1);
    for hosts in 1..=3 {
        cluster.until_in_sync("cart", hosts).await;
        let status = cluster.status().await.expect("a host answers");
        let problems = status["problems"].as_array().map_or(0, Vec::len);
        assert_eq!(problems > 0, hosts < 3, "{status}");
        if hosts < 3 {
            cluster.start_host();
        }
    }
    cluster.kill("h1");
    for name in cluster.names() {
        let found = get(&cluster.through(&name), "cart", "alice").await;
        assert_eq!(attribute(&found, "item:apple"), "2");
    }
    cluster.assert_all_run();
}

async fn joins_and_takes_its_share(cluster: &mut Cluster) {
    let joiner = cluster.start_host();
    let hosts = cluster.names().len();
    until("the joiner has its share", SHARED_WITHIN, async || {
        let colonies = cluster.colonies("cart").await?;
        for colony in &colonies {
            assert!(in_sync(colony).len() >= COPIES, "a colony has fewer copies than before the join: {colony}");
        }
        level(&colonies, hosts, &joiner)
    })
    .await;
    cluster.until_in_sync("cart", COPIES).await;
    cluster.until_all_agree().await;
}

fn in_sync(colony: &Value) -> Vec<&str> {
    colony["in_sync"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether copies and primaries are level within one over that many hosts, the joiner among them.
fn level(colonies: &[Value], hosts: usize, joiner: &str) -> Result<(), String> {
    let (mut copies, mut primaries): (BTreeMap<&str, usize>, BTreeMap<&str, usize>) = Default::default();
    for colony in colonies {
        for host in in_sync(colony) {
            *copies.entry(host).or_default() += 1;
        }
        *primaries.entry(colony["primary"].as_str().unwrap_or("nobody")).or_default() += 1;
    }
    let is_level = |shares: &BTreeMap<&str, usize>| {
        let most = shares.values().max().copied().unwrap_or(0);
        let least = shares.values().min().copied().unwrap_or(0);
        shares.len() == hosts && shares.contains_key(joiner) && most - least <= 1
    };
    if is_level(&copies) && is_level(&primaries) {
        return Ok(());
    }
    Err(format!("copies {copies:?}, primaries {primaries:?}"))
}
