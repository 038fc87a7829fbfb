//! A host is killed.

use std::collections::BTreeMap;

use colony_it::{Cluster, Shape, Writers};
use serde_json::{Value, json};

use crate::{attribute, get, put};

/// Copies of each colony.
const COPIES: usize = 2;
/// Applications that write around a kill.
const WRITERS: usize = 6;
/// Writes acknowledged before a kill, and after it.
const WRITES_AROUND: usize = 100;

/// A3, C25, C38, C41: every host knows who serves a session and leads there, before and after the primary's host is
/// killed; the copy that takes over has what was acknowledged.
#[tokio::test]
async fn a_session_put_through_one_host_is_read_through_any_other_also_after_its_primary_died() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", COPIES, 8, &[]).await;
    cluster.until_all_agree().await;
    let saved = put(&cluster.through("h1"), "cart", "alice", "item:apple=2").await;
    assert_eq!(saved["copies"], COPIES, "{saved}");

    let mut served_by = None;
    for name in cluster.names() {
        let found = get(&cluster.through(&name), "cart", "alice").await;
        assert_eq!(attribute(&found, "item:apple"), "2");
        assert_eq!(found["version"], saved["version"]);
        served_by = found["served_by"].as_str().map(str::to_owned);
    }
    let primary = served_by.expect("three hosts were asked");
    cluster.kill(&primary);

    for name in cluster.names() {
        let found = get(&cluster.through(&name), "cart", "alice").await;
        assert_eq!(attribute(&found, "item:apple"), "2");
        assert_ne!(found["served_by"], primary, "a host that is dead serves nothing");
    }
    let saved = put(&cluster.cli(), "cart", "alice", "item:apple=3").await;
    assert_ne!(saved["served_by"], primary, "{saved}");
    cluster.until_in_sync("cart", COPIES).await;
    cluster.until_all_agree().await;
    assert_eq!(attribute(&get(&cluster.cli(), "cart", "alice").await, "item:apple"), "3");
    cluster.assert_all_run();
}

/// A3, C23, C38: the host with the most primaries is killed in the middle of writes.
#[tokio::test]
async fn no_acknowledged_write_is_missing_after_a_kill() {
    let mut cluster = Cluster::start(Shape { shards: 2, ..Shape::of(3) }).await;
    cluster.create_namespace("cart", COPIES, 16, &[]).await;
    let leader = cluster.leader().await;
    let mut primaries: BTreeMap<String, usize> = BTreeMap::new();
    for colony in cluster.colonies("cart").await.expect("a host answers") {
        let primary = colony["primary"].as_str().expect("every colony is served");
        *primaries.entry(primary.to_owned()).or_default() += 1;
    }
    primaries.remove(&leader);
    let (victim, _) = primaries.into_iter().max_by_key(|(_, count)| *count).expect("several hosts are primaries");
    no_write_is_lost_with(&mut cluster, &victim).await;
}

/// A3, C23, C38: the killed host led the group as well, so that an election comes before the promotions.
#[tokio::test]
async fn no_acknowledged_write_is_missing_after_a_kill_of_the_groups_leader() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", COPIES, 8, &[]).await;
    let leader = cluster.leader().await;
    no_write_is_lost_with(&mut cluster, &leader).await;
}

async fn no_write_is_lost_with(cluster: &mut Cluster, victim: &str) {
    let client = cluster.client().await;
    let writers = Writers::start(&client, "cart", WRITERS);
    writers.until_more(WRITES_AROUND).await;
    cluster.kill(victim);
    cluster.until_dead(victim).await;
    cluster.until_in_sync("cart", COPIES).await;
    writers.until_more(WRITES_AROUND).await;
    let ledger = writers.stop().await;
    ledger.audit(&client.namespace("cart")).await;
    cluster.assert_all_run();
}

/// C19: a host that was killed and starts again at once, under its name and at its ports, is a new process to the
/// others: it joins, gets its copies anew, and nothing is lost.
#[tokio::test]
async fn a_host_restarted_under_its_name_joins_as_a_new_start() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", COPIES, 8, &[]).await;
    let before = cluster.start_of("h3").await;
    let client = cluster.client().await;
    let writers = Writers::start(&client, "cart", WRITERS);
    writers.until_more(WRITES_AROUND).await;
    cluster.kill("h3");
    cluster.restart("h3");
    cluster.until_other_start("h3", &before).await;
    cluster.until_in_sync("cart", COPIES).await;
    assert!(cluster.copies_on("h3").await > 0, "the newcomer has its share");
    writers.until_more(WRITES_AROUND).await;
    let ledger = writers.stop().await;
    ledger.audit(&client.namespace("cart")).await;
    cluster.assert_all_run();
}

/// C18: every host is killed at once, and with them every copy. The hosts that keep the group's log know their cluster
/// again: its namespace is there, every session that is lost is refused as offline and never said to be absent, each
/// colony is named, and a new namespace is served.
#[tokio::test]
async fn a_cluster_killed_whole_comes_back_and_names_what_is_lost() {
    let mut cluster = Cluster::start(Shape { keeps_log: true, ..Shape::of(3) }).await;
    cluster.create_namespace("cart", COPIES, 4, &[]).await;
    put(&cluster.cli(), "cart", "alice", "item:apple=2").await;
    let before = cluster.status().await.expect("a host answers");
    let names = cluster.names();
    for name in &names {
        cluster.kill(name);
    }
    for name in &names {
        cluster.restart(name);
    }
    cluster.until_up().await;
    for name in &names {
        cluster.until_other_start(name, start_in(&before, name)).await;
    }

    let after = cluster.status().await.expect("a host answers");
    assert_eq!(after["cluster"], before["cluster"], "it is the cluster it was");
    assert_eq!([&after["colonies"], &after["served"]], [&json!(4), &json!(0)], "{after}");
    let problems = after["problems"].to_string();
    for bucket in 0..4 {
        assert!(problems.contains(&format!("cart/{bucket}: offline")), "{problems}");
    }
    cluster.run(&["session", "get", "--namespace", "cart", "alice"]).await.refused(1, &["offline"]);
    cluster.create_namespace("later", COPIES, 4, &[]).await;
    assert_eq!(put(&cluster.cli(), "later", "alice", "item:apple=2").await["copies"], COPIES);
    cluster.assert_all_run();
}

/// The start of a host in a status.
fn start_in<'a>(status: &'a Value, name: &str) -> &'a str {
    let mut hosts = status["hosts"].as_array().into_iter().flatten();
    let host = hosts.find(|host| host["name"] == name).expect("the host is listed");
    host["start"].as_str().expect("a start is a string")
}
