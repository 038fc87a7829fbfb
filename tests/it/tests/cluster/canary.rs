//! A placement plugin that is tried on a share of the colonies before it places for all.

use std::collections::BTreeMap;
use std::time::Duration;

use colony_it::{Answer, Cluster, Shape, plugin, until};
use serde_json::{Value, json};

/// Longest run of a command that waits for compilers, on a machine that does much else.
const COMPILED_WITHIN: Duration = Duration::from_secs(120);
/// Longest until copies live where they are to.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// Colonies of two copies on three hosts.
const BUCKETS: usize = 32;
/// The host that the plugin keeps from being primary.
const KEPT: &str = "h2";

async fn run(cluster: &Cluster, words: &[&str]) -> Answer {
    cluster.cli().run_within(words, COMPILED_WITHIN).await
}

/// By bucket: where its copies are to live, the primary first.
type Wants = BTreeMap<u64, Vec<String>>;

/// Where copies are to live, once all of them do and their primaries serve.
async fn settled(cluster: &Cluster) -> Result<Wants, String> {
    let mut wants = Wants::new();
    for colony in cluster.colonies("cart").await? {
        let names = |key: &str| -> Vec<String> {
            let list = colony[key].as_array().into_iter().flatten();
            list.filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        let (want, mut in_sync) = (names("want"), names("in_sync"));
        let mut sorted = want.clone();
        sorted.sort();
        in_sync.sort();
        if in_sync != sorted || colony["primary"].as_str() != want.first().map(String::as_str) {
            return Err(format!("not settled: {colony}"));
        }
        wants.insert(colony["bucket"].as_u64().ok_or("a bucket")?, want);
    }
    let plan = cluster.run(&["plan", "--dry-run", "--json"]).await.json();
    if plan["changes"] == json!([]) { Ok(wants) } else { Err(format!("there is something to plan: {plan}")) }
}

fn led_by_kept(wants: &Wants) -> usize {
    wants.values().filter(|want| want.first().is_some_and(|lead| lead == KEPT)).count()
}

async fn listed(cluster: &Cluster) -> Value {
    let plugins = cluster.run(&["plugin", "list", "--json"]).await.jsons();
    plugins.into_iter().find(|plugin| plugin["name"] == "zones").expect("it is installed")
}

/// A canary takes the primaries of its share from a host, and those alone; taken back, every colony is where it was; tried
/// again and used, it places for all.
#[tokio::test]
async fn a_canary_places_its_share_is_taken_back_and_is_used() {
    let labels = [(KEPT.to_owned(), "primary=never".to_owned())].into();
    let mut cluster = Cluster::start(Shape { labels, ..Shape::of(3) }).await;
    cluster.create_namespace("cart", 2, BUCKETS, &[]).await;
    let before = until("the namespace is served", SETTLED_WITHIN, async || settled(&cluster).await).await;
    let file = plugin("spread_zones.wasm");
    let file = file.to_str().expect("a path of ASCII");
    let _ = run(&cluster, &["plugin", "install", "zones", file]).await.done();
    let all = cluster.run(&["plugin", "use", "zones", "--canary", "100%"]).await;
    assert!(!all.is_done() && all.stderr.contains("1% to 99%"), "{all:?}");

    let tried = run(&cluster, &["plugin", "use", "zones", "--canary", "50%", "--json"]).await.json();
    let (share, of) = (tried["canary"]["colonies"].as_u64(), tried["canary"]["of"].as_u64());
    let (share, of) = (share.expect("a number"), of.expect("a number"));
    assert!(of == BUCKETS as u64 && (1..of).contains(&share), "{tried}");
    let during = until("the share has moved", SETTLED_WITHIN, async || {
        let now = settled(&cluster).await?;
        if now == before { Err("nothing has moved".to_owned()) } else { Ok(now) }
    })
    .await;
    let moved = before.iter().filter(|(bucket, want)| during[*bucket] != **want).count();
    assert!(moved as u64 <= share, "{moved} of a share of {share} moved");
    assert!((1..led_by_kept(&before)).contains(&led_by_kept(&during)), "{before:?}, then {during:?}");
    let plugin = listed(&cluster).await;
    assert_eq!([&plugin["canary"]["percent"], &plugin["active"]], [&json!(50), &Value::Null], "{plugin}");
    let text = cluster.run(&["plugin", "list"]).await.done() + &cluster.run(&["plan", "--dry-run"]).await.done();
    let words = format!("{share} of {of} colonies (50%)");
    assert!(text.contains(&format!("for {words}")) && text.contains(&format!("places {words}")), "{text}");

    let _ = cluster.run(&["plugin", "rollback", "zones"]).await.done();
    until("every colony is where it was", SETTLED_WITHIN, async || {
        let now = settled(&cluster).await?;
        if now == before { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    assert_eq!(listed(&cluster).await["canary"], Value::Null);

    let _ = run(&cluster, &["plugin", "use", "zones", "--canary", "10"]).await.done();
    let _ = run(&cluster, &["plugin", "use", "zones"]).await.done();
    until("it places for all", SETTLED_WITHIN, async || {
        let now = settled(&cluster).await?;
        if led_by_kept(&now) == 0 { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    let plugin = listed(&cluster).await;
    assert!(plugin["canary"].is_null() && plugin["active"].is_string(), "{plugin}");
    cluster.assert_all_run();
}

/// A placement plugin that hosts name by file is listed with them, as merge plugins are, and places alone.
#[tokio::test]
async fn a_placement_plugin_given_by_file_is_listed_and_stands_against_a_canary() {
    let file = plugin("spread_zones.wasm");
    let file = file.to_str().expect("a path of ASCII");
    let more = vec!["--placement-plugin".to_owned(), file.to_owned()];
    let mut cluster = Cluster::start(Shape { more, ..Shape::of(1) }).await;
    let plugins = cluster.run(&["plugin", "list", "--json"]).await.jsons();
    let [listed] = plugins.as_slice() else { panic!("one is: {plugins:?}") };
    let expected = json!({ "name": "spread_zones", "kind": "placement", "by_file": ["h1"] });
    assert!(expected.as_object().expect("it is one").iter().all(|(key, value)| listed[key] == *value), "{listed}");
    let _ = run(&cluster, &["plugin", "install", "zones", file]).await.done();
    let refused = run(&cluster, &["plugin", "use", "zones", "--canary", "10%"]).await;
    refused.refused(1, &["h1 names a file for the placement plugin"]);
    cluster.assert_all_run();
}
