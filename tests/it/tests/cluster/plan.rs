//! What the leader would move, and has moved.

use std::fs::{self, File};
use std::time::Duration;

use colony_it::{Cluster, Shape, plugin, until};
use colony_link::Rights;
use serde_json::json;

/// Longest until the leader knows the load of all hosts: each is asked every two seconds, and a rate takes two answers.
const MEASURED_WITHIN: Duration = Duration::from_secs(30);
/// Colonies of two copies on three hosts.
const BUCKETS: usize = 16;

/// A9: a plan is looked at before it is made. With the placement in use nothing is to be moved; with a plugin that
/// keeps a labelled host from being primary, its primaries would pass to hosts that hold copies, and the answer says
/// which and why. Asking changes nothing. The load of every host is known meanwhile.
#[tokio::test]
async fn a_plan_is_shown_with_its_reason_and_changes_nothing() {
    let labels = [("h2".to_owned(), "primary=never".to_owned())].into();
    let mut cluster = Cluster::start(Shape { labels, ..Shape::of(3) }).await;
    cluster.create_namespace("cart", 2, BUCKETS, &[]).await;
    cluster.until_all_agree().await;
    // Any host is asked, and the leader answers.
    for name in cluster.names() {
        let plan = cluster.through(&name).run(&["plan", "--dry-run", "--json"]).await.json();
        assert_eq!([&plan["changes"], &plan["committed"]], [&json!([]), &json!(false)]);
    }
    assert!(cluster.run(&["plan", "--dry-run"]).await.done().starts_with("nothing is to be moved"));

    let before = cluster.colonies("cart").await.expect("a host answers");
    let led = before.iter().filter(|colony| colony["primary"] == "h2").count();
    assert!(led > 0, "{before:?}");
    let file = plugin("spread_zones.wasm");
    let file = file.to_str().expect("a path of ASCII");
    let words = ["plan", "--dry-run", "--plugin", file, "--json"];
    until("the load of all hosts is known", MEASURED_WITHIN, async || {
        let plan = cluster.run(&words).await.json();
        if plan["measured"] == 3 { Ok(()) } else { Err(plan["measured"].to_string()) }
    })
    .await;
    let plan = cluster.run(&words).await.json();
    let changes = plan["changes"].as_array().expect("a list");
    let handed = changes.iter().filter(|change| change["before"][0] == "h2" && change["after"][0] != "h2").count();
    assert_eq!(handed, led, "{changes:?}");
    assert!(changes.iter().all(|change| change["after"][0] != "h2"), "{changes:?}");
    assert_eq!([&plan["committed"], &plan["sharing"]["machine"]], [&json!(false), &json!([0, 0])]);
    assert_eq!(plan["reason"], "copies are missing, too close or not allowed");
    let text = cluster.run(&words[..4]).await.done();
    assert!(text.contains("h2 -> ") && text.contains("not carried out: a dry run"), "{text}");
    assert_eq!(cluster.colonies("cart").await.expect("a host answers"), before, "a dry run changes nothing");

    let made = cluster.run(&["plan", "--json"]).await.json();
    assert_eq!([&made["committed"], &made["changes"]], [&json!(true), &json!([])]);
    cluster.assert_all_run();
}

/// What cannot be planned with is refused in words, and harms nobody.
#[tokio::test]
async fn a_plan_refuses_what_is_no_placement_plugin() {
    let mut cluster = Cluster::start(Shape::of(1)).await;
    cluster.create_namespace("cart", 1, 4, &[]).await;
    let cli = cluster.cli();
    let with = async |file: &str| cli.run(&["plan", "--dry-run", "--plugin", file]).await;

    fs::write(cluster.folder().join("text.wasm"), "no component").expect("a file can be written");
    with("text.wasm").await.refused(1, &["the placement plugin cannot be used"]);
    let merge = plugin("cart_merge.wasm");
    with(merge.to_str().expect("a path of ASCII")).await.refused(1, &["the placement plugin cannot be used"]);
    with("nowhere.wasm").await.refused(1, &["cannot read nowhere.wasm"]);
    let huge = File::create(cluster.folder().join("huge.wasm")).expect("a file can be written");
    huge.set_len(4 << 20).expect("it grows");
    with("huge.wasm").await.refused(2, &["too large to be sent along"]);
    let undecided = cli.run(&["plan", "--plugin", "text.wasm"]).await;
    assert_eq!(undecided.code, Some(2), "{undecided:?}");

    let app = Rights { read: true, write: true, ..Rights::NONE };
    let app = cli.with_certs(&cluster.certs().client_with("app", app));
    for words in [&["plan"][..], &["plan", "--dry-run"]] {
        app.run(words).await.refused(1, &["right to admin"]);
    }
    cluster.assert_all_run();
}
