//! A host is declared dead and runs.

use std::time::Duration;

use colony_it::{Cluster, Shape, Writers, until};
use serde_json::Value;

use crate::{attribute, get, put};

/// Applications that write meanwhile.
const WRITERS: usize = 6;
/// Writes acknowledged in each part of a story.
const WRITES: usize = 100;
/// Longest until `status` tells what the group has decided.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// C3, C14, E3: a host sleeps until it is declared dead, under writes. Awake, it learns so from the first that speaks
/// to it, joins under a new start and gets copies again, which every host is told of; every acknowledged write is
/// there.
#[tokio::test]
async fn a_host_that_slept_too_long_comes_back_under_a_new_start_and_loses_nothing() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", 2, 8, &[]).await;
    sleeps_and_comes_back(&mut cluster, "h3").await;
}

/// C14: the same with the host that leads the group. Awake, it is not the leader any more, and decides nothing.
#[tokio::test]
async fn a_leader_that_slept_too_long_comes_back_as_one_of_the_others() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", 2, 8, &[]).await;
    let leader = cluster.leader().await;
    sleeps_and_comes_back(&mut cluster, &leader).await;
}

async fn sleeps_and_comes_back(cluster: &mut Cluster, sleeper: &str) {
    sleeps_until(cluster, sleeper, async |_| {}).await;
}

/// As long as the others take to declare it dead, and then until `what` has happened.
async fn sleeps_until(cluster: &mut Cluster, sleeper: &str, what: impl AsyncFnOnce(&Cluster)) {
    let before = cluster.start_of(sleeper).await;
    let client = cluster.client().await;
    let writers = Writers::start(&client, "cart", WRITERS);
    writers.until_more(WRITES).await;

    cluster.host(sleeper).pause();
    cluster.until_dead(sleeper).await;
    what(cluster).await;
    writers.until_more(WRITES).await;
    cluster.host(sleeper).resume();

    cluster.until_other_start(sleeper, &before).await;
    cluster.until_in_sync("cart", 2).await;
    cluster.until_all_agree().await;
    until("the sleeper has its share again", TOLD_WITHIN, async || {
        if cluster.copies_on(sleeper).await > 0 { Ok(()) } else { Err("it holds nothing".to_owned()) }
    })
    .await;
    writers.until_more(WRITES).await;
    let ledger = writers.stop().await;
    ledger.audit(&client.namespace("cart")).await;
    cluster.assert_all_run();
}

/// Bug: a voter that was declared dead while it was stopped, cut off or restarted with its log stayed away for ever
/// where another host had been given its vote. Cause: nobody sends Raft's messages to whoever is no voter any more, so
/// that it took itself for one, asked nobody for what was committed, and never heard that it is dead. Fix: a voter asks
/// other hosts too, now and then, and does not believe its own Raft when that has fallen behind.
///
/// C14: the same where a fourth and a fifth host can take the vote over.
#[tokio::test]
async fn a_voter_whose_vote_was_given_away_while_it_slept_comes_back() {
    let mut cluster = Cluster::start(Shape::of(5)).await;
    cluster.create_namespace("cart", 2, 8, &[]).await;
    let leader = cluster.leader().await;
    sleeps_until(&mut cluster, &leader, async |cluster| {
        until("another host votes in its place", TOLD_WITHIN, async || {
            let status = cluster.status().await?;
            let votes = |host: &&Value| host["state"] == "up" && host["voter"] == true;
            let voters = status["hosts"].as_array().map_or(0, |hosts| hosts.iter().filter(votes).count());
            if voters == 3 { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    })
    .await;
}

/// C18: with its only copy asleep a session is not served, and not said to be absent: its colony is offline by name.
/// The process that kept the copy brings it back.
#[tokio::test]
async fn the_last_copy_is_served_again_when_its_process_comes_back() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("lone", 1, 8, &[]).await;
    let bucket = bucket_on(&cluster, "h2").await;
    let before = cluster.start_of("h2").await;
    let key = key_on(&cluster, "h2").await;

    cluster.host("h2").pause();
    cluster.until_dead("h2").await;
    let name = format!("lone/{bucket}");
    until("status names the colony that is offline", TOLD_WITHIN, async || {
        let status = cluster.status().await?;
        let problems = status["problems"].as_array().cloned().unwrap_or_default();
        let mut problems = problems.iter().filter_map(Value::as_str);
        let is_named = problems.any(|problem| problem.contains(&name) && problem.contains("offline"));
        if is_named { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let colonies = cluster.colonies("lone").await.expect("a host answers");
    let colony = colonies.iter().find(|colony| colony["bucket"] == bucket).expect("it is still in the table");
    assert_eq!(colony["primary"], Value::Null);
    assert!(colony["problem"].as_str().is_some_and(|problem| problem.contains("last on h2")), "{colony}");
    cluster.run(&["session", "get", "--namespace", "lone", &key]).await.refused(1, &["offline"]);

    cluster.host("h2").resume();
    cluster.until_other_start("h2", &before).await;
    let found = get(&cluster.cli(), "lone", &key).await;
    assert_eq!(attribute(&found, "owner"), key);
    assert_eq!(found["served_by"], "h2");
    cluster.until_in_sync("lone", 1).await;
    let status = cluster.status().await.expect("a host answers");
    assert_eq!(status["problems"], Value::Array(Vec::new()), "{status}");
    cluster.assert_all_run();
}

/// A bucket whose only copy is on this host.
async fn bucket_on(cluster: &Cluster, name: &str) -> Value {
    let colonies = cluster.colonies("lone").await.expect("a host answers");
    let colony = colonies.into_iter().find(|colony| colony["primary"] == name);
    colony.expect("the host has a share of the colonies")["bucket"].clone()
}

/// Writes sessions until one is on this host, and gives its key.
async fn key_on(cluster: &Cluster, name: &str) -> String {
    // With equal chances for three hosts, all of these miss one with a chance below one in ten billion.
    for number in 0..64 {
        let key = format!("session-{number}");
        let saved = put(&cluster.cli(), "lone", &key, &format!("owner={key}")).await;
        assert_eq!(saved["copies"], 1, "{saved}");
        if saved["served_by"] == name {
            return key;
        }
    }
    panic!("no session of 64 is on {name}");
}
