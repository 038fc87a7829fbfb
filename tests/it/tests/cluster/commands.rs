//! The commands about sessions and the cluster, as people and scripts use them.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use colony_it::{Answer, Cli, Cluster, Shape, until};
use colony_link::Rights;
use serde_json::{Value, json};

use crate::{attribute, get, put};

/// Time to live in the story about expiry.
const SHORT: &str = "1500ms";
/// Longest until an expired session is gone.
const GONE_WITHIN: Duration = Duration::from_secs(15);

/// `colony session WHAT --namespace cart KEY ...`
async fn session(cli: &Cli, what: &str, key: &str, more: &[&str]) -> Answer {
    cli.run(&[&["session", what, "--namespace", "cart", key], more].concat()).await
}

/// The text of a version.
fn version(answer: &Value) -> &str {
    answer["version"].as_str().unwrap_or_else(|| panic!("no version in {answer}"))
}

/// A session's whole life at the command line: preconditions, changes, blobs, deletion, and what each answer says.
#[tokio::test]
async fn sessions_are_put_changed_read_and_ended_at_the_command_line() {
    let mut cluster = Cluster::start(Shape::of(2)).await;
    cluster.create_namespace("cart", 2, 4, &[]).await;
    let cli = cluster.cli();
    let missing = "there is no such session";

    session(&cli, "get", "alice", &[]).await.refused(1, &[missing]);
    for (what, more) in [("patch", ["--attr", "a=1"]), ("touch", ["--ttl", "30m"])] {
        session(&cli, what, "alice", &more).await.refused(1, &[missing]);
    }
    session(&cli, "delete", "alice", &[]).await.refused(1, &[missing]);

    // Only if there is none: once.
    let create = ["--attr", "user=42", "--attr", "lang=de", "--if-absent", "--json"];
    let created = session(&cli, "put", "alice", &create).await.json();
    assert_eq!([&created["copies"], &created["merged"]], [&json!(2), &json!(false)]);
    assert_eq!(created["life"], created["version"], "a life begins with its first version");
    session(&cli, "put", "alice", &create).await.refused(1, &["exists already"]);

    // Attributes change one by one.
    let patch = ["--attr", "lang=en", "--attr", "note=", "--remove", "user", "--json"];
    let patched = session(&cli, "patch", "alice", &patch).await.json();
    assert_ne!(patched["version"], created["version"]);
    assert_eq!(patched["life"], created["life"]);
    let found = get(&cli, "cart", "alice").await;
    assert_eq!(found["state"], json!({ "attributes": { "lang": "en", "note": "" } }));

    // Only at a version: the one it is at.
    let change = ["--attr", "lang=fr", "--json", "--if-version"];
    let stale = [&change[..], &[version(&created)]].concat();
    session(&cli, "put", "alice", &stale).await.refused(1, &["has changed"]);
    let fresh = [&change[..], &[version(&patched)]].concat();
    let replaced = session(&cli, "put", "alice", &fresh).await.json();

    let found = get(&cli, "cart", "alice").await;
    assert_eq!(found["state"], json!({ "attributes": { "lang": "fr" } }), "a put sets the whole content");
    assert_eq!(found["version"], replaced["version"]);
    let fields: BTreeSet<&str> = found.as_object().expect("an object").keys().map(String::as_str).collect();
    let promised = ["expires_in_ms", "key", "life", "served_by", "state", "tags", "version", "written_at_ms"];
    assert_eq!(fields, BTreeSet::from(promised));
    assert_eq!(found["key"], "alice");
    let half_an_hour = 1_800_000;
    assert!(found["expires_in_ms"].as_u64().is_some_and(|left| left > 0 && left <= half_an_hour), "{found}");
    assert!(found["served_by"] == "h1" || found["served_by"] == "h2", "{found}");

    // A blob is changed as a whole.
    fs::write(cluster.folder().join("blob"), "all of it").expect("a file can be written");
    let _ = session(&cli, "put", "blob", &["--blob-file", "blob", "--ttl", "never"]).await.done();
    let found = get(&cli, "cart", "blob").await;
    assert_eq!([&found["state"], &found["expires_in_ms"]], [&json!({ "blob": "all of it" }), &Value::Null]);
    session(&cli, "patch", "blob", &["--attr", "a=1"]).await.refused(1, &["holds"]);

    // An end is an end: once, and for every reader.
    session(&cli, "delete", "alice", &["--if-version", version(&patched)]).await.refused(1, &["has changed"]);
    let ended = session(&cli, "delete", "alice", &["--json"]).await.json();
    assert_ne!(ended["version"], replaced["version"]);
    for name in cluster.names() {
        session(&cluster.through(&name), "get", "alice", &[]).await.refused(1, &[missing]);
    }
    session(&cli, "delete", "alice", &[]).await.refused(1, &[missing]);
    let begun = put(&cli, "cart", "alice", "user=7").await;
    assert_ne!(begun["life"], created["life"], "another life at the same key");
    cluster.assert_all_run();
}

/// C29: a session lives as long as it is touched, and is gone for every reader when it is not.
#[tokio::test]
async fn a_session_expires_unless_it_is_touched() {
    let mut cluster = Cluster::start(Shape::of(2)).await;
    cluster.create_namespace("cart", 2, 4, &[]).await;
    let cli = cluster.cli();
    for key in ["kept", "left"] {
        let _ = session(&cli, "put", key, &["--attr", "a=1", "--ttl", SHORT]).await.done();
    }
    let touched = session(&cli, "touch", "kept", &["--ttl", "30m", "--json"]).await.json();
    assert_eq!(touched, json!({ "touched": true }));

    until("what is not touched is gone", GONE_WITHIN, async || {
        let answer = session(&cli, "get", "left", &[]).await;
        if answer.is_done() {
            return Err(answer.stdout);
        }
        answer.refused(1, &["there is no such session"]);
        Ok(())
    })
    .await;
    for name in cluster.names() {
        session(&cluster.through(&name), "get", "left", &[]).await.refused(1, &["there is no such session"]);
        let found = get(&cluster.through(&name), "cart", "kept").await;
        assert_eq!(attribute(&found, "a"), "1");
        assert!(found["expires_in_ms"].as_u64().is_some_and(|left| left > 1_500), "{found}");
    }
    cluster.assert_all_run();
}

/// C41: what scripts read is JSON, one object a line, and every host tells the same of who serves what.
#[tokio::test]
async fn every_list_of_the_command_line_is_json_for_programs() {
    let mut cluster = Cluster::start(Shape::of(2)).await;
    cluster.create_namespace("cart", 2, 4, &["--ttl", "10m", "--on-conflict", "reject"]).await;
    let policy = json!({
        "name": "cart", "id": 1, "copies": 2, "min_in_sync": 1, "buckets": 4, "ttl_ms": 600_000,
        "on_conflict": "reject", "merge": "builtin:last-write", "on_partition": "island",
        "on_plugin_failure": "builtin",
    });
    let mut namespace = cluster.run(&["namespace", "list", "--json"]).await.json();
    assert!(namespace["id"].is_u64(), "{namespace}");
    namespace["id"] = json!(1);
    assert_eq!(namespace, policy);
    cluster.run(&["namespace", "create", "cart"]).await.refused(1, &["cart"]);

    let status = cluster.status().await.expect("a host answers");
    assert_eq!([&status["colonies"], &status["served"], &status["problems"]], [&json!(4), &json!(4), &json!([])]);
    let hosts = cluster.run(&["hosts", "--json"]).await.jsons();
    let names: BTreeSet<_> = hosts.iter().map(|host| host["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(names, cluster.names().into_iter().collect());

    let colonies = cluster.colonies("cart").await.expect("a host answers");
    let buckets: Vec<_> = colonies.iter().map(|colony| colony["bucket"].as_u64()).collect();
    assert_eq!(buckets, [0, 1, 2, 3].map(Some));
    for name in &names {
        let of = cluster.run(&["colonies", "--of", name, "--json"]).await.jsons();
        assert_eq!(of, colonies, "with two copies on two hosts each has them all");
    }
    cluster.until_all_agree().await;
    cluster.run(&["colonies", "--of", "h9"]).await.refused(1, &["h9"]);
    cluster.assert_all_run();
}

/// A certificate's rights are kept by the hosts: a reader does not write, a writer does not change the cluster.
#[tokio::test]
async fn a_client_does_only_what_its_certificate_gives_it_the_right_to() {
    let mut cluster = Cluster::start(Shape::of(2)).await;
    cluster.create_namespace("cart", 2, 4, &[]).await;
    put(&cluster.cli(), "cart", "alice", "user=42").await;
    let reader = Rights { read: true, ..Rights::NONE };
    let reader = cluster.cli().with_certs(&cluster.certs().client_with("reader", reader));
    assert_eq!(attribute(&get(&reader, "cart", "alice").await, "user"), "42");
    session(&reader, "put", "alice", &["--attr", "user=7"]).await.refused(1, &["right to write"]);
    session(&reader, "delete", "alice", &[]).await.refused(1, &["right to write"]);
    reader.run(&["namespace", "create", "other"]).await.refused(1, &["right to admin"]);

    let writer = Rights { write: true, ..Rights::NONE };
    let writer = cluster.cli().with_certs(&cluster.certs().client_with("writer", writer));
    session(&writer, "get", "alice", &[]).await.refused(1, &["right to read"]);
    let _ = session(&writer, "put", "alice", &["--attr", "user=7"]).await.done();
    assert_eq!(attribute(&get(&cluster.cli(), "cart", "alice").await, "user"), "7");
    cluster.assert_all_run();
}
