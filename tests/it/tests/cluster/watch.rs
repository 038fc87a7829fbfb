//! A watch over the death of the host that serves it.

use std::time::Duration;

use colony_client::{Client, EndKind, Event, Watch};
use colony_it::{Cluster, Shape};
use serde_json::json;
use tokio::time::timeout;

use crate::{get, put};

/// Longest until an event is told, a promotion included.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

async fn next(watch: &mut Watch) -> Event {
    timeout(TOLD_WITHIN, watch.next()).await.expect("something is told").expect("a host answers")
}

async fn next_version(watch: &mut Watch) -> u64 {
    match next(watch).await {
        Event::Changed { version, .. } => version.seq.0,
        other => panic!("expected a change, got {other:?}"),
    }
}

/// B8, E7, C25: a change, the death of the primary's host, a change and a logout are told in order, with no gap.
#[tokio::test]
async fn a_watch_goes_on_without_a_gap_where_its_primary_died() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", 2, 4, &[]).await;
    cluster.until_in_sync("cart", 2).await;
    let cli = cluster.cli();
    let words = ["session", "watch", "--namespace", "cart", "alice", "--count", "1", "--json"];
    assert_eq!(cli.run(&words).await.json(), json!({ "event": "current", "session": null }));

    let client: Client = cluster.client().await;
    let mut watch = client.namespace("cart").watch("alice").await.expect("a host answers");
    assert_eq!(next(&mut watch).await, Event::Current(None));
    let saved = put(&cli, "cart", "alice", "a=1").await;
    let first = next_version(&mut watch).await;
    assert!(saved["version"].as_str().is_some_and(|version| version.ends_with(&format!("-{first}"))), "{saved}");

    let primary = get(&cli, "cart", "alice").await["served_by"].as_str().expect("a name").to_owned();
    cluster.kill(&primary);
    let _ = get(&cli, "cart", "alice").await;
    let _ = put(&cluster.cli(), "cart", "alice", "a=2").await;
    assert!(next_version(&mut watch).await > first);
    let _ = cluster.cli().run(&["session", "delete", "--namespace", "cart", "alice"]).await.done();
    let end = next(&mut watch).await;
    assert!(matches!(end, Event::Ended { kind: EndKind::Logout, .. }), "{end:?}");
    cluster.assert_all_run();
}
