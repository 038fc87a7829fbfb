//! Plugins that the cluster keeps: installed while it runs, on every host before they decide, and still there when
//! hosts die, join and restart.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use colony_client::{Client, Session, Ttl};
use colony_it::{Answer, Cli, Cluster, Host, MERGE, Shape, plugin, until};
use colony_link::Rights;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Longest run of a command that waits for compilers, on a machine that does much else.
const COMPILED_WITHIN: Duration = Duration::from_secs(120);
/// Longest until a host is up, or knows what another one decided.
const SEEN_WITHIN: Duration = Duration::from_secs(60);
/// What two savers change at once.
const ITEMS: [&str; 2] = ["item:apple", "item:pear"];
/// What is there before, what the first makes of it, and what the second does.
const QUANTITIES: [&str; 3] = ["2", "5", "3"];
/// What the cart's plugin makes of that: 2 + (5 - 2) + (3 - 2).
const ADDED_UP: &str = "6";
/// What the built-in makes of it.
const LATER: &str = QUANTITIES[2];

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

async fn run(cli: &Cli, words: &[&str]) -> Answer {
    cli.run_within(words, COMPILED_WITHIN).await
}

/// `colony plugin install`, by whichever host answers.
async fn install(cluster: &Cluster, name: &str, file: &Path, more: &[&str]) -> Value {
    let words = ["plugin", "install", name, text(file), "--json"];
    run(&cluster.cli(), &[&words, more].concat()).await.json()
}

/// What the group keeps. Hosts name those that they were given by file as well.
async fn list(cluster: &Cluster) -> Vec<Value> {
    let all = cluster.run(&["plugin", "list", "--json"]).await.jsons();
    all.into_iter().filter(|plugin| plugin["by_file"] == json!([])).collect()
}

/// Two saves of one session meet; what both items are then.
async fn conflict(one: &Client, other: &Client, key: &str) -> Result<[String; 2], String> {
    let [base, first, second] = QUANTITIES;
    let said = |error: colony_client::CallError| format!("{key}: {error}");
    let mut session = one.namespace("cart").create_at(key, Ttl::OfNamespace).await.map_err(said)?;
    set(&mut session, base);
    session.save().await.map_err(said)?;
    let mut sessions = Vec::new();
    for (client, quantity) in [(one, first), (other, second)] {
        let loaded = client.namespace("cart").load(key).await.map_err(said)?;
        let mut session = loaded.ok_or_else(|| format!("{key} is gone"))?;
        set(&mut session, quantity);
        sessions.push(session);
    }
    for (session, is_merged) in sessions.iter_mut().zip([false, true]) {
        let saved = session.save().await.map_err(said)?.ok_or_else(|| format!("{key}: nothing was saved"))?;
        if saved.merged != is_merged {
            return Err(format!("{key}: merged is {}", saved.merged));
        }
    }
    let held = one.namespace("cart").load(key).await.map_err(said)?.ok_or_else(|| format!("{key} is gone"))?;
    let quantity =
        |item: &str| held.get_raw(item).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
    Ok(ITEMS.map(quantity))
}

fn set(session: &mut Session, quantity: &'static str) {
    for item in ITEMS {
        session.set_raw(item, quantity).expect("it is a map");
    }
}

/// Whether every version of every plugin runs on all these hosts.
async fn until_ready(cluster: &Cluster, hosts: &[String]) {
    until("every host has compiled every version", COMPILED_WITHIN, async || {
        let plugins = list(cluster).await;
        let versions: Vec<&Value> = plugins.iter().filter_map(|one| one["versions"].as_array()).flatten().collect();
        let is_ready = |version: &&Value| {
            let ready = version["ready"].as_array().map_or(0, Vec::len);
            ready == hosts.len() && hosts.iter().all(|host| version["ready"].to_string().contains(host.as_str()))
        };
        if !versions.is_empty() && versions.iter().all(is_ready) { Ok(()) } else { Err(format!("{plugins:?}")) }
    })
    .await;
}

/// D4: a plugin is installed while the cluster runs, and merges. The hosts that were there die one after the other;
/// one that joined since has the plugin from them, and merges by it as they did.
#[tokio::test]
async fn an_installed_plugin_merges_and_outlives_the_host_it_came_through() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    let refused = cluster.run(&["namespace", "create", "cart", "--merge", "cart"]).await;
    refused.refused(1, &["no merge plugin named cart", "colony plugin install"]);
    let installed = install(&cluster, "cart", &plugin("cart_merge.wasm"), &[]).await;
    assert_eq!((&installed["kind"], &installed["active"]), (&"merge".into(), &true.into()), "{installed}");
    until_ready(&cluster, &cluster.names()).await;

    cluster.create_namespace("cart", 2, 8, &["--merge", "cart"]).await;
    let (one, other) = (cluster.client().await, cluster.client().await);
    for key in 0..4 {
        let held = conflict(&one, &other, &format!("before-{key}")).await.expect("it is merged");
        assert_eq!(held, [ADDED_UP; 2]);
    }

    cluster.kill("h1");
    let joiner = cluster.start_host();
    cluster.until_up().await;
    until_ready(&cluster, &cluster.names()).await;
    until("the newcomer is primary of its share", SEEN_WITHIN, async || {
        let colonies = cluster.colonies("cart").await?;
        let is_led = |colony: &Value| colony["primary"] == joiner.as_str();
        if colonies.iter().any(is_led) { Ok(()) } else { Err(format!("{colonies:?}")) }
    })
    .await;
    cluster.until_in_sync("cart", 2).await;
    let (one, other) = (cluster.client().await, cluster.client().await);
    let mut by_joiner = 0;
    for key in 0..32 {
        let key = format!("after-{key}");
        assert_eq!(conflict(&one, &other, &key).await.expect("it is merged"), [ADDED_UP; 2]);
        let found = crate::get(&cluster.cli(), "cart", &key).await;
        by_joiner += usize::from(found["served_by"].to_string().contains(&joiner));
    }
    assert!(by_joiner > 0, "{joiner} has its share of the colonies");
    cluster.assert_all_run();
}

/// D4: A version takes the place of another while saves meet all the time, and is taken back. No save fails, and both
/// items of a session are always settled by one version. The second version says to everything that it cannot answer,
/// so that the built-in's answer shows that it was asked.
#[tokio::test]
async fn versions_are_swapped_under_load_without_a_failed_or_mixed_merge() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    install(&cluster, "cart", &plugin("cart_merge.wasm"), &[]).await;
    cluster.create_namespace("cart", 2, 8, &["--merge", "cart"]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut savers = JoinSet::new();
    for saver in 0..3 {
        let (one, other, stop) = (cluster.client().await, cluster.client().await, stop.clone());
        savers.spawn(async move {
            let mut all = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let key = format!("{saver}-{}", all.len());
                all.push(conflict(&one, &other, &key).await);
            }
            all
        });
    }

    let (one, other) = (cluster.client().await, cluster.client().await);
    let until_settled_as = async |round: &str, quantity: &str| {
        let mut turn = 0;
        until("every host decides by the version", SEEN_WITHIN, async || {
            turn += 1;
            for key in 0..8 {
                let held = conflict(&one, &other, &format!("{round}-{turn}-{key}")).await?;
                if held != [quantity; 2] {
                    return Err(format!("{held:?}"));
                }
            }
            Ok(())
        })
        .await;
    };
    until_settled_as("first", ADDED_UP).await;
    let second = install(&cluster, "cart", &plugin("refuse.wasm"), &["--force"]).await;
    assert_eq!(second["active"], false, "a further version waits to be used: {second}");
    until_settled_as("installed", ADDED_UP).await;
    let content = second["content"].as_str().expect("a content id");
    let used = run(&cluster.cli(), &["plugin", "use", "cart", &content[..12], "--json"]).await.json();
    assert_eq!(used["content"], content);
    until_settled_as("used", LATER).await;
    let back = run(&cluster.cli(), &["plugin", "rollback", "cart", "--json"]).await.json();
    assert_eq!(back["content"], used["before"], "{back}");
    until_settled_as("back", ADDED_UP).await;
    cluster.run(&["plugin", "rollback", "cart"]).await.refused(1, &["no version of plugin cart was active before"]);

    stop.store(true, Ordering::Relaxed);
    let all: Vec<_> = savers.join_all().await.into_iter().flatten().collect();
    let failed: Vec<_> = all.iter().filter_map(|held| held.as_ref().err()).collect();
    assert!(failed.is_empty(), "no save fails: {failed:?}");
    let settled: Vec<_> = all.iter().flatten().collect();
    let mixed: Vec<_> = settled.iter().filter(|held| ***held != [ADDED_UP; 2] && ***held != [LATER; 2]).collect();
    assert!(mixed.is_empty(), "one version settles a conflict: {mixed:?}");
    for quantity in [ADDED_UP, LATER] {
        assert!(settled.iter().any(|held| held[0] == quantity), "both versions were asked");
    }
    cluster.assert_all_run();
}

/// B29: What cannot be installed or used is refused in one line that says why, and leaves what there is.
#[tokio::test]
async fn wrong_plugins_and_wrong_words_are_refused_in_one_line() {
    let merge = Some(plugin("cart_merge.wasm"));
    let mut cluster = Cluster::start(Shape { merge, ..Shape::of(2) }).await;
    let cli = cluster.cli();
    let (cart, zones) = (plugin("cart_merge.wasm"), plugin("spread_zones.wasm"));
    let (cart, zones) = (text(&cart), text(&zones));
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = cluster.folder().join(name);
        fs::write(&path, bytes).expect("a file can be written");
        path
    };
    let words = write("words.wasm", b"no component");
    let large = write("large.wasm", &vec![0; (4 << 20) + 1]);
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["install", "cart", text(&words)], 1, &["words.wasm", "not WebAssembly"]),
        (&["install", "cart", text(&large)], 1, &["large.wasm", "larger than 4194304 bytes"]),
        (&["install", "cart", "missing.wasm"], 1, &["missing.wasm"]),
        (&["install", "cart", cart, "--kind", "placement"], 1, &["it is a merge plugin, not a placement plugin"]),
        (&["install", MERGE, cart], 1, &["configuration of host", MERGE, "choose another name"]),
        (&["use", "cart"], 1, &["no plugin named cart is installed"]),
        (&["rollback", "cart"], 1, &["no plugin named cart is installed"]),
        (&["uninstall", "cart"], 1, &["no plugin named cart is installed"]),
    ];
    for (words, code, said) in cases {
        run(&cli, &[&["plugin"], *words].concat()).await.refused(*code, said);
    }
    for words in [&["install", "Cart!", cart][..], &["use"], &["install", "cart"]] {
        assert_eq!(run(&cli, &[&["plugin"], words].concat()).await.code, Some(2), "{words:?}");
    }
    let few = cluster.certs().client_with("few", Rights { admin: false, ..Rights::ALL });
    let refused = run(&cli.with_certs(&few), &["plugin", "install", "cart", cart]).await;
    refused.refused(1, &["right to admin"]);
    assert_eq!(list(&cluster).await, Vec::<Value>::new());

    // Now with one of each kind.
    install(&cluster, "cart", Path::new(cart), &["--force"]).await;
    install(&cluster, "zones", Path::new(zones), &[]).await;
    let cases: &[(&[&str], &[&str])] = &[
        (&["plugin", "use", "cart", "0123"], &["plugin cart has no version 0123"]),
        (&["plugin", "use", "cart", "0"], &["too short"]),
        (&["plugin", "install", "cart", zones], &["is installed already, as zones"]),
        (&["plugin", "rollback", "cart"], &["no version of plugin cart was active before"]),
        (&["namespace", "create", "shop", "--merge", "zones"], &["zones is a placement plugin"]),
        (&["namespace", "create", "shop", "--merge", "basket"], &["no merge plugin named basket", "cart"]),
    ];
    for (words, said) in cases {
        run(&cli, words).await.refused(1, said);
    }
    let _ = cluster.run(&["namespace", "create", "shop", "--merge", "cart", "--buckets", "4"]).await.done();
    run(&cli, &["plugin", "uninstall", "cart"]).await.refused(1, &["namespace shop merges by plugin cart"]);

    let plugins = list(&cluster).await;
    let of = |name: &str| plugins.iter().find(|plugin| plugin["name"] == name).expect("it is listed");
    assert_eq!(of("cart")["versions"][0]["forced"], true);
    assert_eq!(of("zones")["active"], Value::Null, "a placement plugin moves colonies: that has to be said");
    let _ = run(&cli, &["plugin", "use", "zones"]).await.done();
    assert!(list(&cluster).await.iter().all(|plugin| plugin["active"].is_string()));
    let _ = run(&cli, &["plugin", "uninstall", "zones"]).await.done();
    cluster.assert_all_run();
}

/// A host whose own configuration has a plugin of an installed one's name does not join: nobody could tell which one
/// merges.
#[tokio::test]
async fn a_host_with_a_file_for_an_installed_name_does_not_join() {
    let mut cluster = Cluster::start(Shape::of(1)).await;
    let cart = plugin("cart_merge.wasm");
    install(&cluster, "cart", &cart, &[]).await;
    cluster.certs().issue_host("twice");
    let mut arguments = cluster.arguments();
    arguments.extend(["--merge-plugin".into(), OsString::from(format!("cart={}", text(&cart)))]);
    let mut twice = Host::start(cluster.folder(), "twice", cluster.spare_address(), arguments);
    let ended = until("it has ended", SEEN_WITHIN, async || twice.exit().ok_or_else(|| "it runs".to_owned())).await;
    assert_eq!(ended.code(), Some(1));
    assert!(twice.log().contains("merge plugin cart is installed in the cluster"), "{}", twice.log());
    cluster.assert_all_run();
}

/// A host that keeps the group's log has the plugins beside it: it comes back alone, and merges by them.
#[tokio::test]
async fn a_host_that_restarts_alone_has_its_plugins() {
    let mut cluster = Cluster::start(Shape { keeps_log: true, ..Shape::of(1) }).await;
    install(&cluster, "cart", &plugin("cart_merge.wasm"), &[]).await;
    cluster.kill("h1");
    cluster.restart("h1");
    cluster.until_up().await;
    until_ready(&cluster, &cluster.names()).await;
    // Sessions are in memory, and went with the process: this namespace is new.
    cluster.create_namespace("cart", 1, 4, &["--merge", "cart"]).await;
    let (one, other) = (cluster.client().await, cluster.client().await);
    assert_eq!(conflict(&one, &other, "after").await.expect("it is merged"), [ADDED_UP; 2]);
    cluster.assert_all_run();
}
