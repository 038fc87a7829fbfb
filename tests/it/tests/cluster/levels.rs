//! What a reader, a writer or a namespace may ask for beyond the ordinary, and what is left of a lost colony.

use colony_it::{Cluster, Shape, until};

use crate::{SERVED_WITHIN, attribute, get, put};

/// `PROTOCOL.md` 3.8: below the least nothing is acknowledged and the answer says why; a host that joins takes the
/// place of the dead one, and what was acknowledged is there.
#[tokio::test]
async fn below_its_least_number_of_copies_a_namespace_refuses_until_a_host_takes_the_dead_ones_place() {
    let mut cluster = Cluster::start(Shape::of(2)).await;
    cluster.create_namespace("cart", 2, 4, &["--min-in-sync", "2"]).await;
    let saved = put(&cluster.cli(), "cart", "alice", "item=1").await;
    assert_eq!(saved["copies"], 2, "{saved}");
    let leader = cluster.leader().await;
    let victim = cluster.names().into_iter().find(|name| *name != leader).expect("two hosts run");
    cluster.kill(&victim);
    cluster.until_dead(&victim).await;
    let refused = cluster.run(&["session", "put", "--namespace", "cart", "alice", "--attr", "item=2"]).await;
    refused.refused(1, &["at least 2"]);

    cluster.start_host();
    until("no dead host is in a set", SERVED_WITHIN, async || {
        let colonies = cluster.colonies("cart").await?;
        let text = serde_json::to_string(&colonies).expect("it was text before");
        if text.contains("(dead)") { Err(text) } else { Ok(()) }
    })
    .await;
    let found = get(&cluster.cli(), "cart", "alice").await;
    // The refused put was perhaps made by its first attempt; what was acknowledged before is never missing.
    assert!(["1", "2"].contains(&attribute(&found, "item")), "{found}");
    let saved = put(&cluster.cli(), "cart", "alice", "item=3").await;
    assert_eq!(saved["copies"], 2, "{saved}");
    cluster.assert_all_run();
}

/// `PROTOCOL.md` 3.9, 4: the levels by name; a linearizable read of a colony with one copy asks the group, through
/// whichever host leads it.
#[tokio::test]
async fn levels_are_asked_for_by_name() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("two", 2, 2, &[]).await;
    cluster.create_namespace("one", 1, 8, &[]).await;
    for namespace in ["one", "two"] {
        for key in ["alice", "bob", "carol", "dave"] {
            put(&cluster.cli(), namespace, key, "item=1").await;
            let words = ["session", "get", "--namespace", namespace, key, "--read", "confirm", "--json"];
            assert_eq!(attribute(&cluster.run(&words).await.json(), "item"), "1");
        }
    }
    let put_at =
        |level| ["session", "put", "--namespace", "two", "alice", "--attr", "item=2", "--ack", level, "--json"];
    let saved = cluster.run(&put_at("primary")).await.json();
    assert_eq!((&saved["ack"], &saved["copies"]), (&"primary".into(), &1.into()), "{saved}");
    let saved = cluster.run(&put_at("in-sync")).await.json();
    assert_eq!((&saved["ack"], &saved["copies"]), (&"in-sync".into(), &2.into()), "{saved}");
    cluster.run(&put_at("durable")).await.refused(1, &["memory"]);
    cluster.assert_all_run();
}

/// C18, `PROTOCOL.md` 5.5: a colony that has lost its last copy says so until an operator lets it go on; a colony that
/// is served is never given away.
#[tokio::test]
async fn a_lost_colony_goes_on_by_an_operators_word_only() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", 1, 1, &[]).await;
    put(&cluster.cli(), "cart", "alice", "item=1").await;
    let accept = ["accept-stale", "--namespace", "cart", "--bucket", "0"];
    cluster.run(&accept).await.refused(1, &["nothing is lost"]);
    let colonies = cluster.colonies("cart").await.expect("a host answers");
    let holder = colonies[0]["primary"].as_str().expect("it is served").to_owned();
    // The group must go on deciding: with three voters any one may be killed.
    cluster.kill(&holder);
    cluster.until_dead(&holder).await;
    let get = ["session", "get", "--namespace", "cart", "alice"];
    cluster.run(&get).await.refused(1, &["offline"]);

    let words = [&accept[..], &["--json"]].concat();
    let looked = cluster.run(&words).await.json();
    assert_eq!((&looked["lost"][0], looked["copies"].as_array().map(Vec::len)), (&holder.clone().into(), Some(0)));
    let other = cluster.names().into_iter().find(|name| *name != holder).expect("two hosts run");
    let words = [&accept[..], &["--host", &other]].concat();
    cluster.run(&words).await.refused(2, &["--empty"]);
    let words = [&accept[..], &["--host", &other, "--empty", "--json"]].concat();
    assert_eq!(cluster.run(&words).await.json()["accepted"], other);
    cluster.run(&get).await.refused(1, &["no such session"]);
    put(&cluster.cli(), "cart", "alice", "item=2").await;
    cluster.assert_all_run();
}
