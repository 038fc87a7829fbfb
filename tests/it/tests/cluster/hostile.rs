//! Hostile merge plugins on a cluster under load: each fails calls, and nothing else.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use colony_client::admin::{AdminReply, AdminRequest, MergeBy, OnPluginFailure, Policy};
use colony_client::{CallError, Client, Namespace, Refusal, Saved, Session, Ttl};
use colony_it::{Cluster, Page, Shape, State, plugin, until};
use colony_load::{Fleet, OpenLoop, Workload, closed_loop, open_loop};
use tokio::time::Instant;

/// The attribute that is in conflict. Plugins made of Rust behave unless it is called so.
const FUSE: &str = "now";
/// Conflicts for each plugin: more than it takes to switch one off.
const CONFLICTS: usize = 8;
/// The neighbours' load: reads and writes a second that a small machine does beside everything else.
const RATE: f64 = 200.0;
/// How long the neighbours are looked at before, and with each plugin. More with [`SECONDS`].
const BEFORE: Duration = Duration::from_secs(3);
const BESIDE: Duration = Duration::from_millis(500);
/// Seconds with each plugin, for a longer look.
const SECONDS: &str = "COLONY_HOSTILE_SECONDS";
/// Longest until every colony has its copies.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);
/// A plugin that traps, in a namespace that refuses saves instead of falling back.
const STRICT: &str = "strict";

/// Hostile plugins that a host loads. Those that none loads, `host/wasm/tests/plugins/hostile.rs` has.
const HOSTILE: [&str; 30] = [
    "trap",
    "recurse",
    "loop-forever",
    "memory-bomb",
    "huge-answer",
    "refuse",
    "table-bomb",
    "memory-grow",
    "memory-copy",
    "slow",
    "nan",
    "invalid-utf8",
    "long-name",
    "stranger",
    "many-attributes",
    "out-of-range",
    "huge-length",
    "bad-tag",
    "odd-address",
    "far-answer",
    "bad-realloc",
    "odd-realloc",
    "endless-realloc",
    "same-room",
    "afterwards",
    "limit-and-one",
    "heavy-frames",
    "log-giant",
    "log-flood",
    "log-reads-out",
];
/// Of those, the ones that may answer: what they say is what the built-in would.
const MAY_ANSWER: [&str; 2] = ["slow", "same-room"];

/// D9: merges and what came of them are counted. Whatever a merge plugin does, no host ends, its namespace's saves are
/// answered by the built-in, a namespace that prefers so is refused by a typed error, and the neighbours are served.
/// Prints what happened, plugin by plugin; times are shown and not judged.
#[tokio::test]
async fn hostile_plugins_fail_calls_and_nothing_else() {
    let beside = env::var(SECONDS).ok().and_then(|text| text.parse().ok()).map_or(BESIDE, Duration::from_secs);
    let mut more = Vec::new();
    for name in HOSTILE {
        let file = plugin(&format!("{}.wasm", name.replace('-', "_")));
        more.extend(["--merge-plugin".to_owned(), format!("{name}={}", file.display())]);
    }
    let mut cluster = Cluster::start(Shape { more, ..Shape::of(3) }).await;
    cluster.create_namespace("neighbour", 2, 16, &[]).await;
    let client = cluster.client().await;
    for name in HOSTILE {
        create(&client, name, name, OnPluginFailure::BuiltIn).await;
    }
    create(&client, STRICT, "trap", OnPluginFailure::Refuse).await;
    let last = client.namespace(STRICT);
    until("the namespaces are served", WHOLE_WITHIN, async || {
        last.load("nobody").await.map_err(|error| error.to_string())
    })
    .await;
    cluster.until_all_agree().await;

    let fleet = launch(&cluster).await;
    let before = State::of(&cluster, "neighbour").await;
    let calm = open_loop(&fleet, load(BEFORE)).await.quantile(0.99);
    println!(
        "{:<16} {:>6} {:>10} {:>12} {:>12}  what happened",
        "plugin", "calls", "call_us", "save_max_us", "beside_p99_us"
    );
    let mut worst = Duration::ZERO;
    for name in HOSTILE {
        let space = client.namespace(name);
        let (neighbours, longest) = tokio::join!(open_loop(&fleet, load(beside)), conflicts(&space, name));
        let seen = Seen::of(&cluster, name).await;
        assert_eq!(
            seen.fallbacks,
            if MAY_ANSWER.contains(&name) { seen.fallbacks } else { CONFLICTS as u64 },
            "{name}"
        );
        let p99 = neighbours.quantile(0.99);
        worst = worst.max(p99);
        assert!(neighbours.done() > 0, "{name}: the neighbours are not served: {neighbours}");
        let (longest, p99) = (longest.as_micros(), p99.as_micros());
        println!("{name:<16} {:>6} {:>10} {longest:>12} {p99:>12}  {}", seen.calls, seen.mean_us, seen.failures);
        cluster.assert_all_run();
    }
    let (calm, worst) = (calm.as_micros(), worst.as_micros());
    println!("neighbours_p99_before_us {calm} neighbours_p99_worst_us {worst} hosts_lost 0");

    refused(&client.namespace(STRICT)).await;
    let listed = cluster.run(&["plugin", "list", "--json"]).await.jsons();
    let trap =
        listed.iter().find(|plugin| plugin["name"] == "trap").expect("plugins that are named by file are listed");
    assert_eq!(trap["by_file"], serde_json::json!(["h1", "h2", "h3"]), "{trap}");
    let status = cluster.run(&["status", "--json"]).await.done();
    assert!(status.contains("merge plugin trap failed too often"), "{status}");
    let after = State::of(&cluster, "neighbour").await.since(&before);
    assert_eq!(after.deaths, 0, "{after:?}");
    let audit = fleet.audit().await;
    assert!(audit.missing.is_empty(), "{:?}", audit.missing);
    logs_name_plugin_and_session(&cluster);
    cluster.assert_all_run();
}

async fn create(client: &Client, name: &str, plugin: &str, on_plugin_failure: OnPluginFailure) {
    let merge = MergeBy::Plugin(plugin.to_owned());
    let policy = Policy { buckets: 1, merge, on_plugin_failure, ..Policy::default() };
    let created = client.admin(AdminRequest::CreateNamespace { name: name.to_owned(), policy }).await;
    assert!(matches!(created, Ok(AdminReply::Created { .. })), "{name}: {created:?}");
}

async fn launch(cluster: &Cluster) -> Arc<Fleet> {
    let seeds: Vec<String> = cluster.connect().split(',').map(str::to_owned).collect();
    let workload = Workload { sessions: 500, reads_per_cent: 50, bytes: 256 };
    let deadline = Duration::from_secs(2);
    let fleet = Fleet::launch(&seeds, &cluster.certs().identity(), ("neighbour", 4), workload, deadline).await;
    let fleet = fleet.expect("an idle cluster takes writes");
    // Every connection is made and every session is there.
    closed_loop(&fleet, 16, Duration::from_secs(1)).await;
    fleet
}

fn load(duration: Duration) -> OpenLoop {
    OpenLoop { rate: RATE, duration, in_flight_max: 1024 }
}

/// Two savers of one session, again and again: the second one's save goes to the plugin, which fails, and the built-in
/// keeps it. Says how long the longest took.
async fn conflicts(space: &Namespace, name: &str) -> Duration {
    let mut longest = Duration::ZERO;
    for number in 0..CONFLICTS {
        let key = format!("session-{number}");
        let began = Instant::now();
        let saved = conflict(space, &key).await;
        longest = longest.max(began.elapsed());
        let saved = saved.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(saved.merged, "{name}: {saved:?}");
        let found = space.load(&key).await.expect("it is served").expect("it is there");
        let held = found.get_raw(FUSE).map(|value| value.to_vec());
        assert_eq!(held.as_deref(), Some(&b"second"[..]), "{name}: the built-in keeps the later save");
    }
    longest
}

/// The second of two saves based on one version.
async fn conflict(space: &Namespace, key: &str) -> Result<Saved, CallError> {
    let mut session = space.create_at(key, Ttl::OfNamespace).await?;
    set(&mut session, "none");
    session.save().await?;
    let load = async || space.load(key).await.map(|found| found.expect("it is there"));
    let (mut first, mut second) = (load().await?, load().await?);
    set(&mut first, "first");
    first.save().await?;
    set(&mut second, "second");
    Ok(second.save().await?.expect("there was something to save"))
}

fn set(session: &mut Session, value: &'static str) {
    session.set_raw(FUSE, value).expect("it is a map");
}

/// A namespace that refuses saves which its plugin did not merge says so, and keeps what it had.
async fn refused(space: &Namespace) {
    let refused = conflict(space, "kept").await;
    assert!(matches!(refused, Err(CallError::Refused(Refusal::NotMerged { .. }))), "{refused:?}");
    let found = space.load("kept").await.expect("it is served").expect("it is there");
    assert_eq!(found.get_raw(FUSE).map(|value| value.to_vec()).as_deref(), Some(&b"first"[..]));
}

/// The event of a failure names plugin, content, colony and a reference of the session, and never its key.
fn logs_name_plugin_and_session(cluster: &Cluster) {
    let logs: Vec<String> = cluster.names().iter().map(|name| cluster.host(name).log()).collect();
    let event = logs.iter().flat_map(|log| log.lines()).find(|line| line.contains("a merge plugin failed"));
    let event = event.expect("failures are logged");
    for word in ["plugin=", "content=", "colony=", "session=session#", "kind="] {
        assert!(event.contains(word), "no {word} in {event}");
    }
    assert!(logs.iter().all(|log| !log.contains("session-0")), "a key stands in a log");
}

/// What the hosts count of a plugin, all together.
struct Seen {
    calls: u64,
    mean_us: u64,
    fallbacks: u64,
    failures: String,
}

impl Seen {
    async fn of(cluster: &Cluster, name: &str) -> Self {
        let mut pages = Vec::new();
        for host in cluster.names() {
            pages.push(cluster.page(&host, "/metrics").await.expect("a host shows its metrics"));
        }
        let label = format!("plugin=\"{name}\"");
        let all = |series: &str| sum(&pages, &format!("colony_plugin_{series}{{{label}}}"));
        let kinds = pages.iter().flat_map(|page| page.body.lines()).filter_map(|line| {
            let kind = line.strip_prefix(&format!("colony_plugin_failures_total{{{label},kind=\""))?;
            kind.split_once('"').map(|(kind, _)| kind.to_owned())
        });
        let mut kinds: Vec<String> = kinds.collect();
        kinds.sort();
        kinds.dedup();
        let count = |kind: &String| {
            let count = sum(&pages, &format!("colony_plugin_failures_total{{{label},kind=\"{kind}\"}}"));
            (count > 0.0).then(|| format!("{kind} {count}"))
        };
        let failures: Vec<String> = kinds.iter().filter_map(count).collect();
        let skipped = all("skipped_total");
        let failures =
            failures.join(", ") + &if skipped > 0.0 { format!(", not asked {skipped}") } else { String::new() };
        let (calls, seconds) = (all("call_duration_seconds_count"), all("call_duration_seconds_sum"));
        Self {
            calls: whole(calls),
            mean_us: whole(seconds * 1e6 / calls.max(1.0)),
            fallbacks: whole(all("fallbacks_total")),
            failures,
        }
    }
}

fn sum(pages: &[Page], series: &str) -> f64 {
    pages.iter().filter_map(|page| page.metric(series)).sum()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts, far below 2^53")]
fn whole(number: f64) -> u64 {
    number as u64
}
