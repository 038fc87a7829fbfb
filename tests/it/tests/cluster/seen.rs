//! A cluster as it is seen from outside: probes, metrics, status, logs.

use std::collections::BTreeMap;
use std::time::Duration;

use colony_it::{Cluster, Page, Shape, Writers, until};
use serde_json::Value;

use crate::{attribute, get, put};

/// Copies of each colony.
const COPIES: usize = 2;
/// Colonies.
const BUCKETS: usize = 8;
/// Longest until a host says something else of itself.
const SAID_WITHIN: Duration = Duration::from_secs(30);
/// A key and a value that stand in no other line of a log.
const KEY: &str = "bearer-7f3a9c51e2d84b06";
const VALUE: &str = "secret-c4d1e8b2a7905f63";

/// Waits until the host's admin port answers this path with this status.
async fn until_status(cluster: &Cluster, name: &str, path: &str, status: u16) -> Page {
    until("the admin port says so", SAID_WITHIN, async || {
        let page = cluster.page(name, path).await?;
        if page.status == status { Ok(page) } else { Err(format!("{page:?}")) }
    })
    .await
}

async fn metrics(cluster: &Cluster, name: &str) -> Page {
    let page = cluster.page(name, "/metrics").await.expect("the admin port answers");
    assert_eq!(page.status, 200, "{page:?}");
    page
}

fn metric(page: &Page, series: &str) -> f64 {
    page.metric(series).unwrap_or_else(|| panic!("no {series} in\n{}", page.body))
}

/// A14, C5: a host that cannot join yet lives and is not ready, and says why. It is ready once every copy it should hold
/// is in sync, and not before.
#[tokio::test]
async fn a_host_is_ready_once_its_share_is_in_sync() {
    let mut cluster = Cluster::start(Shape::of(2)).await;
    cluster.create_namespace("cart", COPIES, BUCKETS, &[]).await;
    for name in cluster.names() {
        assert_eq!(until_status(&cluster, &name, "/readyz", 200).await.body, "ready\n");
        assert_eq!(until_status(&cluster, &name, "/healthz", 200).await.body, "ok\n");
    }
    cluster.kill("h2");
    cluster.until_dead("h2").await;
    until_status(&cluster, "h1", "/readyz", 200).await;

    // Nobody admits it while the only host sleeps.
    cluster.host("h1").pause();
    cluster.restart("h2");
    until_status(&cluster, "h2", "/healthz", 200).await;
    let page = until_status(&cluster, "h2", "/readyz", 503).await;
    assert_eq!(page.body, "not ready: it has not joined a cluster yet\n");
    cluster.host("h1").resume();

    until_status(&cluster, "h2", "/readyz", 200).await;
    for colony in cluster.colonies("cart").await.expect("a host answers") {
        let names = |list: &Value| list.as_array().map_or(0, Vec::len);
        assert_eq!([names(&colony["want"]), names(&colony["in_sync"])], [COPIES; 2], "{colony}");
    }
    cluster.assert_all_run();
}

/// What is not asked for on the admin port is refused, and costs nothing but an answer.
#[tokio::test]
async fn the_admin_port_answers_three_paths_and_refuses_all_else() {
    let mut cluster = Cluster::start(Shape::of(1)).await;
    let host = cluster.host("h1");
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/metrics/x", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/readyz", 405),
        ("HEAD", "/healthz", 200),
        ("GET", &format!("/{}", "x".repeat(10_000)), 431),
    ] {
        let page = host.ask_admin(method, path).await.expect("it answers");
        assert_eq!(page.status, status, "{method} {path:.40}: {page:?}");
        assert!(method != "HEAD" || page.body.is_empty(), "{page:?}");
    }
    cluster.assert_all_run();
}

/// C28, C39: what the metrics say of a failover: the copies' parts and reigns, who took over how much, the death, the
/// writes and their times, and that at rest no peer is behind.
#[tokio::test]
async fn a_failover_shows_in_the_metrics() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", COPIES, BUCKETS, &[]).await;
    let leader = cluster.leader().await;
    let victim = cluster.names().into_iter().find(|name| *name != leader).expect("two hosts do not lead");
    let survivors: Vec<String> = cluster.names().into_iter().filter(|name| *name != victim).collect();
    let colonies = cluster.colonies("cart").await.expect("a host answers");
    let led = colonies.iter().filter(|colony| colony["primary"] == *victim.as_str()).count();
    assert!(led > 0, "{victim} is primary of nothing: {colonies:?}");

    let client = cluster.client().await;
    let writers = Writers::start(&client, "cart", 4);
    writers.until_more(100).await;
    let mut before: BTreeMap<&str, Page> = BTreeMap::new();
    for name in &survivors {
        before.insert(name, metrics(&cluster, name).await);
    }
    let page = metrics(&cluster, &victim).await;
    assert_eq!(page.count("colony_copy_part{") as f64, {
        metric(&page, "colony_copies{part=\"primary\"}") + metric(&page, "colony_copies{part=\"secondary\"}")
    });
    assert_eq!(metric(&page, "colony_copies{part=\"primary\"}"), led as f64);
    assert_eq!(metric(&page, "colony_promotions_total"), 0.0);

    cluster.kill(&victim);
    cluster.until_dead(&victim).await;
    cluster.until_in_sync("cart", COPIES).await;
    writers.until_more(100).await;
    let ledger = writers.stop().await;
    ledger.audit(&client.namespace("cart")).await;

    let (mut promotions, mut accusations, mut writes, mut commits) = (0.0, 0.0, 0.0, 0.0);
    for name in &survivors {
        let (was, is) = (&before[name.as_str()], metrics(&cluster, name).await);
        let grown = |series: &str| metric(&is, series) - metric(was, series);
        promotions += grown("colony_promotions_total");
        accusations += grown("colony_watch_accusations_total");
        writes += metric(&is, "colony_request_duration_seconds_count{kind=\"put\"}");
        commits += metric(&is, "colony_commit_duration_seconds_count");
        assert_eq!(grown("colony_group_deaths_total"), 1.0, "{name}");
        assert_eq!(metric(&is, "colony_group_hosts{state=\"dead\"}"), 1.0, "{name}");
        assert_eq!(metric(&is, "colony_group_colonies_unserved"), 0.0, "{name}");
        assert_eq!(metric(&is, "colony_ready"), 1.0, "{name}");
    }
    assert!(promotions >= led as f64, "{promotions} of {led}");
    assert!(accusations >= 1.0 && writes > 0.0 && commits > 0.0, "{accusations} {writes} {commits}");

    until("no peer is behind at rest", SAID_WITHIN, async || {
        for name in &survivors {
            let page = metrics(&cluster, name).await;
            let lag = metric(&page, "colony_lag_ops");
            if lag > 0.0 {
                return Err(format!("{name}: a peer is {lag} ops behind"));
            }
        }
        Ok(())
    })
    .await;
    let taken = colonies.iter().find(|colony| colony["primary"] == *victim.as_str()).expect("it led some");
    let series = format!("{{namespace=\"cart\",bucket=\"{}\"", taken["bucket"]);
    let mut parts = Vec::new();
    for name in &survivors {
        let page = metrics(&cluster, name).await;
        let is_primary = page.metric(&format!("colony_copy_part{series},part=\"primary\"}}")).is_some();
        parts.push(is_primary);
        assert!(metric(&page, &format!("colony_copy_reign{series}}}")) >= 2.0, "{name}");
    }
    parts.sort_unstable();
    assert_eq!(parts, [false, true], "one of the two is primary now");
    cluster.assert_all_run();
}

/// C43: status names a dead host, what is degraded, and what is refused, each with its reason and on one
/// screen; `--check` says it in the exit code.
#[tokio::test]
async fn status_says_what_is_wrong_and_why() {
    let mut cluster = Cluster::start(Shape::of(2)).await;
    cluster.create_namespace("cart", 2, 64, &[]).await;
    cluster.create_namespace("bank", 2, 4, &["--min-in-sync", "2"]).await;
    let healthy = cluster.run(&["status", "--check"]).await;
    let text = healthy.done();
    assert!(text.starts_with("health     healthy\n") && text.ends_with("problems   none\n"), "{text}");

    let leader = cluster.leader().await;
    let other = cluster.names().into_iter().find(|name| *name != leader).expect("there are two");
    cluster.kill(&other);
    cluster.until_dead(&other).await;
    let answer = cluster.run(&["status", "--check"]).await;
    assert_eq!(answer.code, Some(4), "{answer:?}");
    let text = &answer.stdout;
    for words in [
        format!("host {other} is dead: 4 colonies wait for the copies it held"),
        format!("hosts      2, 1 up, {other} dead"),
        "cart/0-63: degraded: want 2 copies, have 1: only 1 host is up".to_owned(),
        "bank/0-3: refuses changes: 1 of at least 2 copies runs: only 1 host is up".to_owned(),
        "health     failing".to_owned(),
    ] {
        assert!(text.contains(&words), "{words:?} is not in\n{text}");
    }
    assert!(text.lines().count() <= 24, "{text}");
    assert_eq!(answer.stderr, "");

    cluster.restart(&other);
    cluster.until_up().await;
    cluster.until_in_sync("cart", 2).await;
    cluster.until_in_sync("bank", 2).await;
    let _ = cluster.run(&["status", "--check"]).await.done();
    cluster.assert_all_run();
}

/// A host that hears from no leader says that what it tells is old, and how old.
#[tokio::test]
async fn an_old_view_is_told_as_old() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    // With colonies that may fork the last host would go on as an island of its own.
    cluster.create_namespace("cart", COPIES, BUCKETS, &["--on-partition", "strict"]).await;
    until("three hosts vote", SAID_WITHIN, async || {
        let status = cluster.status().await?;
        if status["voters"].as_array().map_or(0, Vec::len) == 3 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    for name in ["h2", "h3"] {
        cluster.kill(name);
    }
    until("the last host says that nobody leads", SAID_WITHIN, async || {
        let status = cluster.status().await?;
        let is_old = status["leaderless_ms"].as_u64().is_some_and(|ms| ms > 2000);
        let problems = status["problems"].to_string();
        if is_old && problems.contains("known no leader") { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let page = until_status(&cluster, "h1", "/readyz", 503).await;
    assert!(page.body.contains("no leader of the group has been known"), "{page:?}");
    cluster.assert_all_run();
}

/// A session's key and content stand in no line of any log, not even at the finest level; and each line of a log for
/// programs is an object that names its host.
#[tokio::test]
async fn no_log_shows_a_key_or_what_a_session_holds() {
    let more = ["--log", "trace", "--log-format", "json"].map(str::to_owned).into();
    let mut cluster = Cluster::start(Shape { more, ..Shape::of(2) }).await;
    cluster.create_namespace("cart", COPIES, 4, &[]).await;
    let cli = cluster.cli();
    put(&cli, "cart", KEY, &format!("user={VALUE}")).await;
    assert_eq!(attribute(&get(&cli, "cart", KEY).await, "user"), VALUE);
    let _ = cli.run(&["session", "delete", "--namespace", "cart", KEY]).await.done();
    cli.run(&["session", "get", "--namespace", "cart", KEY]).await.refused(1, &["there is no such session"]);

    for name in cluster.names() {
        let log = cluster.host(&name).log();
        assert!(log.lines().count() > 100, "the finest level says a lot: {log}");
        for secret in [KEY, VALUE] {
            let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
            let list = secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
            for form in [secret.to_owned(), hex, list] {
                let line = log.lines().find(|line| line.contains(&form));
                assert!(line.is_none(), "{name} logs {form}: {line:?}");
            }
        }
        // The last line may be half written.
        let lines: Vec<&str> = log.lines().collect();
        for line in &lines[..lines.len() - 1] {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
            assert_eq!(line["host"], *name, "{line}");
            assert!(line["time"].is_string() && line["level"].is_string(), "{line}");
        }
    }
    cluster.assert_all_run();
}
