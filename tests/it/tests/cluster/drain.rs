//! Hosts leave by will.

use std::time::Duration;

use colony_it::{Cluster, Ledger, Shape, Writers, until};
use serde_json::{Value, json};
use tokio::time;

use crate::put;

/// Copies of each colony.
const COPIES: usize = 2;
/// Colonies of the namespace.
const BUCKETS: usize = 16;
/// Applications that write meanwhile.
const WRITERS: usize = 6;
/// Writes acknowledged before a host leaves, and after it.
const WRITES_AROUND: usize = 100;
/// Longest run of a drain, on a machine that does much else.
const DRAINED_WITHIN: Duration = Duration::from_secs(120);
/// Longest until `status` tells what the group has decided.
const TOLD_WITHIN: Duration = Duration::from_secs(20);
/// A whole cluster that is stopped at once has nobody to wait for: it ends long before the time to drain is over.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);
/// Bytes of states that a process has sent.
const TRANSFER_BYTES: &str = "colony_transfer_bytes_total";
/// Bytes of the sessions that a host is primary of.
const SESSION_BYTES: &str = "colony_session_bytes";
/// Exit code of a host that left before what it held was safe elsewhere.
const LEFT_UNSAFE: i32 = 3;

/// C1, C7, C8, C10, C11: a host of four is drained under writes. It leaves with exit code 0; no write fails, no colony
/// has fewer copies at any time, and nothing is lost.
#[tokio::test]
async fn a_host_drained_under_load_fails_no_write() {
    let mut cluster = Cluster::start(Shape::of(4)).await;
    cluster.create_namespace("cart", COPIES, BUCKETS, &[]).await;
    let victim = other_than_leader(&cluster).await;
    drained_under_load(&mut cluster, &[&victim]).await;
}

/// C7: two hosts leave by one plan, those that hold both copies of some colony among them.
#[tokio::test]
async fn two_hosts_drained_at_once_take_no_colony_with_them() {
    let mut cluster = Cluster::start(Shape::of(5)).await;
    cluster.create_namespace("cart", COPIES, BUCKETS, &[]).await;
    let colonies = cluster.colonies("cart").await.expect("a host answers");
    let pair = names(&colonies[0]["in_sync"]);
    drained_under_load(&mut cluster, &[&pair[0], &pair[1]]).await;
}

/// C1, A11: the host that leads the group is drained. Others lead on, as many as before vote, and no write fails.
#[tokio::test]
async fn a_drained_leader_gives_its_office_and_its_vote_away() {
    let mut cluster = Cluster::start(Shape::of(4)).await;
    cluster.create_namespace("cart", COPIES, BUCKETS, &[]).await;
    let leader = cluster.leader().await;
    drained_under_load(&mut cluster, &[&leader]).await;
    let status = cluster.status().await.expect("a host answers");
    assert_ne!(status["leader"], leader.as_str());
    let voters = status["hosts"].as_array().expect("a list").iter().filter(|host| host["voter"] == true).count();
    assert_eq!(voters, 3, "{status}");
}

/// C1, C8: SIGTERM, as every service manager sends it, drains the host likewise.
#[tokio::test]
async fn a_host_told_to_stop_drains_itself() {
    let mut cluster = Cluster::start(Shape::of(4)).await;
    cluster.create_namespace("cart", COPIES, BUCKETS, &[]).await;
    let client = cluster.client().await;
    let writers = Writers::start(&client, "cart", WRITERS);
    writers.until_more(WRITES_AROUND).await;
    cluster.terminate("h3");
    assert_eq!(cluster.until_ended("h3").await, Some(0));
    all_is_well_without(&cluster, &["h3"]).await;
    writers.until_more(WRITES_AROUND).await;
    judge(&mut cluster, writers.stop().await, "cart").await;
}

/// C36, C43: where nobody else can take a copy, it stays, and `drain` says which and why. It can be taken back; a
/// signal lets the host leave all the same, for the other one has all that was acknowledged.
#[tokio::test]
async fn a_drain_that_nobody_can_take_says_so_and_can_be_taken_back() {
    let mut cluster = Cluster::start(Shape::of(2)).await;
    cluster.create_namespace("cart", COPIES, 4, &[]).await;
    put(&cluster.cli(), "cart", "alice", "item:apple=2").await;
    let answer = cluster.cli().run_within(&["drain", "h2"], DRAINED_WITHIN).await;
    answer.refused(1, &["cart/0", "no other host can take its copy, 1 of 2"]);
    let drained = host(&cluster, "h2").await;
    assert_eq!([&drained["state"], &drained["copies"]], [&json!("draining"), &json!(4)], "no copy was given up");
    let _ = cluster.run(&["drain", "h2", "--cancel"]).await.done();
    assert_eq!(host(&cluster, "h2").await["state"], "up");
    cluster.assert_all_run();

    cluster.terminate("h2");
    assert_eq!(cluster.until_ended("h2").await, Some(0), "nothing is lost with it");
    let found = cluster.run(&["session", "get", "--namespace", "cart", "alice", "--json"]).await.json();
    assert_eq!(found["state"]["attributes"]["item:apple"], "2");
    put(&cluster.cli(), "cart", "alice", "item:apple=3").await;
}

/// C10: `safe-to-stop` says no while a colony would be short of a copy, and yes when the host has left.
#[tokio::test]
async fn a_host_is_safe_to_stop_when_every_colony_has_its_copies_elsewhere() {
    let mut cluster = Cluster::start(Shape::of(4)).await;
    let _ = cluster.run(&["safe-to-stop", "h4"]).await.done();
    cluster.create_namespace("cart", COPIES, BUCKETS, &[]).await;
    let answer = cluster.run(&["safe-to-stop", "h4"]).await;
    answer.refused(1, &["1 of 2 copies are in sync elsewhere", "colony drain h4"]);
    cluster.run(&["safe-to-stop", "h9"]).await.refused(1, &["no host named h9"]);
    cluster.may_end(&["h4"]);
    let _ = cluster.cli().run_within(&["drain", "h4"], DRAINED_WITHIN).await.done();
    let _ = cluster.run(&["safe-to-stop", "h4"]).await.done();
    assert_eq!(cluster.until_ended("h4").await, Some(0));
}

/// C9: a host that is killed while it drains has simply died, and nothing is lost.
#[tokio::test]
async fn a_host_killed_while_it_drains_has_died() {
    let mut cluster = Cluster::start(Shape::of(4)).await;
    cluster.create_namespace("cart", COPIES, BUCKETS, &[]).await;
    let victim = other_than_leader(&cluster).await;
    let client = cluster.client().await;
    let writers = Writers::start(&client, "cart", WRITERS);
    writers.until_more(WRITES_AROUND).await;
    let answer = cluster.run(&["drain", &victim, "--timeout", "0s"]).await;
    answer.refused(1, &["not done in time, and going on"]);
    cluster.kill(&victim);
    cluster.until_dead(&victim).await;
    cluster.until_in_sync("cart", COPIES).await;
    writers.until_more(WRITES_AROUND).await;
    let ledger = writers.stop().await;
    ledger.audit(&client.namespace("cart")).await;
    cluster.assert_all_run();
}

/// C8, C19: every host of five is restarted, one after the other, by drain and start, under writes: none fails and none
/// is lost. Says how many bytes of states were sent for it, and how many the sessions take.
#[tokio::test]
async fn a_rolling_restart_fails_no_write() {
    let mut cluster = Cluster::start(Shape::of(5)).await;
    cluster.create_namespace("cart", COPIES, BUCKETS, &[]).await;
    let client = cluster.client().await;
    let writers = Writers::start(&client, "cart", WRITERS);
    let mut moved = 0.0;
    for name in cluster.names() {
        let sent = sum_over(&cluster, TRANSFER_BYTES, |other| *other != name).await;
        let before = cluster.start_of(&name).await;
        writers.until_more(WRITES_AROUND).await;
        cluster.may_end(&[&name]);
        let _ = cluster.cli().run_within(&["drain", &name], DRAINED_WITHIN).await.done();
        assert_eq!(cluster.until_ended(&name).await, Some(0));
        cluster.restart(&name);
        cluster.until_other_start(&name, &before).await;
        until("the host has its share again", TOLD_WITHIN, async || match cluster.copies_on(&name).await {
            0 => Err("it holds nothing".to_owned()),
            _ => Ok(()),
        })
        .await;
        cluster.until_in_sync("cart", COPIES).await;
        // What the one that left had sent went with it; the others' counts go on, and the newcomer's begin.
        moved += sum_over(&cluster, TRANSFER_BYTES, |_| true).await - sent;
    }
    writers.until_more(WRITES_AROUND).await;
    let data = sum_over(&cluster, SESSION_BYTES, |_| true).await;
    println!("bytes of states sent {moved} bytes of sessions {data} in each of {COPIES} copies");
    judge(&mut cluster, writers.stop().await, "cart").await;
}

/// C11: a whole cluster that is stopped at once ends at once, for there is nobody to drain to; who held the last copies
/// says so, and by its exit code too.
#[tokio::test]
async fn a_cluster_stopped_whole_ends_at_once_and_says_what_is_lost() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", COPIES, 4, &[]).await;
    let names = cluster.names();
    for name in &names {
        cluster.terminate(name);
    }
    let mut codes = Vec::new();
    let all = async {
        for name in &names {
            codes.push(cluster.until_ended(name).await);
        }
    };
    time::timeout(STOPPED_WITHIN, all).await.expect("a cluster that is stopped whole does not wait");
    assert!(codes.iter().all(|code| [Some(0), Some(LEFT_UNSAFE)].contains(code)), "{codes:?}");
    assert!(codes.contains(&Some(LEFT_UNSAFE)), "{codes:?}");
    let said = names.iter().any(|name| cluster.host(name).log().contains("the last copies were here of cart/"));
    assert!(said, "nobody says what is lost");
}

/// Drains these hosts under writes: they leave with exit code 0, no write fails, and no colony has fewer copies
/// meanwhile.
async fn drained_under_load(cluster: &mut Cluster, hosts: &[&str]) {
    let client = cluster.client().await;
    let writers = Writers::start(&client, "cart", WRITERS);
    writers.until_more(WRITES_AROUND).await;
    cluster.may_end(hosts);
    let words = [&["drain"], hosts].concat();
    {
        let cli = cluster.cli();
        let drained = cli.run_within(&words, DRAINED_WITHIN);
        tokio::pin!(drained);
        let answer = loop {
            tokio::select! {
                answer = &mut drained => break answer,
                colonies = cluster.colonies("cart") => for colony in colonies.unwrap_or_default() {
                    assert!(names(&colony["in_sync"]).len() >= COPIES, "a colony has fewer copies: {colony}");
                }
            }
        };
        let said = answer.done();
        assert!(hosts.iter().all(|host| said.contains(&format!("{host} has left"))), "{said}");
    }
    for host in hosts {
        assert_eq!(cluster.until_ended(host).await, Some(0), "{host} had to leave unsafe");
    }
    all_is_well_without(cluster, hosts).await;
    writers.until_more(WRITES_AROUND).await;
    judge(cluster, writers.stop().await, "cart").await;
}

/// The hosts are no members any more, and were never dead ones; every colony has its copies elsewhere.
async fn all_is_well_without(cluster: &Cluster, hosts: &[&str]) {
    let status = cluster.status().await.expect("a host answers");
    for host in hosts {
        assert!(!status["hosts"].to_string().contains(&format!("\"{host}\"")), "{host} is a member: {status}");
    }
    cluster.until_in_sync("cart", COPIES).await;
    cluster.until_all_agree().await;
}

/// What these hosts' metrics show, added up.
async fn sum_over(cluster: &Cluster, series: &str, is_meant: impl Fn(&String) -> bool) -> f64 {
    let mut sum = 0.0;
    for name in cluster.names().into_iter().filter(is_meant) {
        let page = cluster.page(&name, "/metrics").await.expect("the admin port answers");
        sum += page.metric(series).unwrap_or_else(|| panic!("no {series} in\n{}", page.body));
    }
    sum
}

/// No write failed, none is lost, and this is how long they took.
async fn judge(cluster: &mut Cluster, ledger: Ledger, namespace: &str) {
    let [median, p99, slowest] = [500, 990, 1000].map(|share| ledger.slowest_of(share));
    println!("writes {} median {median:?} p99 {p99:?} slowest {slowest:?}", ledger.acknowledged());
    assert!(ledger.failures().is_empty(), "a leave makes no write fail: {:?}", ledger.failures());
    let client = cluster.client().await;
    ledger.audit(&client.namespace(namespace)).await;
    cluster.assert_all_run();
}

async fn other_than_leader(cluster: &Cluster) -> String {
    let leader = cluster.leader().await;
    cluster.names().into_iter().find(|name| *name != leader).expect("there are several hosts")
}

/// What the cluster says of a host.
async fn host(cluster: &Cluster, name: &str) -> Value {
    let hosts = cluster.run(&["hosts", "--json"]).await.jsons();
    hosts.into_iter().find(|host| host["name"] == name).expect("the host is listed")
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
