//! Two saves of one session meet.

use colony_client::{CallError, Client, Refusal, Session, Ttl};
use colony_it::{Cluster, MERGE, Shape, plugin};

use crate::{attribute, get};

/// The attribute that both savers change.
const APPLES: &str = "item:apple";

/// C40, D4: two saves based on one version meet. What only one of them changed is taken as it is; what both changed
/// goes to the namespace's plugin, which adds carts up, whichever came first. A namespace without a plugin keeps the
/// later one.
#[tokio::test]
async fn two_saves_of_one_session_are_merged_by_the_plugin() {
    let merge = Some(plugin("cart_merge.wasm"));
    let mut cluster = Cluster::start(Shape { merge, ..Shape::of(2) }).await;
    cluster.create_namespace("cart", 2, 4, &["--merge", MERGE]).await;
    cluster.create_namespace("plain", 2, 4, &[]).await;
    let (one, other) = (cluster.client().await, cluster.client().await);

    for (namespace, key, saves, held) in [
        // 2 + (5 - 2) + (3 - 2)
        ("cart", "first-five", ["5", "3"], "6"),
        ("cart", "first-three", ["3", "5"], "6"),
        ("plain", "first-five", ["5", "3"], "3"),
        ("plain", "first-three", ["3", "5"], "5"),
    ] {
        let mut session = one.namespace(namespace).create_at(key, Ttl::OfNamespace).await.expect("a session is begun");
        session.set_raw(APPLES, "2").expect("it is a map");
        session.save().await.expect("it is saved");

        let mut first = load(&one, namespace, key).await;
        let mut second = load(&other, namespace, key).await;
        assert_eq!(first.version(), second.version());
        save(&mut first, saves[0], "first", false).await;
        save(&mut second, saves[1], "second", true).await;

        for name in cluster.names() {
            let found = get(&cluster.through(&name), namespace, key).await;
            assert_eq!(attribute(&found, APPLES), held, "{namespace}: {saves:?}");
            assert_eq!([attribute(&found, "first"), attribute(&found, "second")], ["was here", "was here"]);
        }
        let shown = second.get_raw(APPLES).map(|value| value.to_vec());
        assert_eq!(shown.as_deref(), Some(held.as_bytes()), "the saver is shown what is stored");
    }
    cluster.assert_all_run();
}

/// D4: a namespace without a plugin merges by rules that are built in, attribute by attribute, whichever save came first;
/// what is not to be merged refuses the second save, which stores nothing of it. A wrong rule is named, and the list of
/// namespaces shows the rules as they were typed.
#[tokio::test]
async fn two_saves_of_one_session_are_merged_by_built_in_rules() {
    const RULES: &str = "builtin:visits=counter,item:*=quantity,wishes=set-union,pin=reject,*=last-write";
    const BASE: [(&str, &str); 4] = [("visits", "10"), (APPLES, "7"), ("wishes", r#"["a","b"]"#), ("pin", "1")];
    let mut cluster = Cluster::start(Shape::of(2)).await;
    let wrong = cluster.run(&["namespace", "create", "shop", "--merge", "builtin:visits=sum"]).await;
    assert!(wrong.code == Some(2) && wrong.stderr.contains("no merge named \"sum\" is built in"), "{wrong:?}");
    cluster.create_namespace("shop", 2, 4, &["--merge", RULES]).await;
    let listed = cluster.run(&["namespace", "list", "--json"]).await.json();
    assert_eq!(listed["merge"], RULES);

    let (one, other) = (cluster.client().await, cluster.client().await);
    let saves = [
        [("visits", "12"), (APPLES, "1"), ("wishes", r#"["b"]"#)],
        [("visits", "7"), (APPLES, "2"), ("wishes", r#"["a","b","c"]"#)],
    ];
    for (key, [first, second]) in [("in-order", saves), ("reversed", [saves[1], saves[0]])] {
        let mut session = one.namespace("shop").create_at(key, Ttl::OfNamespace).await.expect("a session is begun");
        set_all(&mut session, &BASE);
        session.save().await.expect("it is saved");
        let (mut mine, mut yours) = (load(&one, "shop", key).await, load(&other, "shop", key).await);
        set_all(&mut mine, &first);
        set_all(&mut yours, &second);
        mine.save().await.expect("it is saved");
        let saved = yours.save().await.expect("it is saved").expect("there was something to save");
        assert!(saved.merged);
        for name in cluster.names() {
            let found = get(&cluster.through(&name), "shop", key).await;
            let held = ["visits", APPLES, "wishes", "pin"].map(|name| attribute(&found, name).to_owned());
            assert_eq!(held, ["9", "0", r#"["b","c"]"#, "1"], "{key}");
        }
    }

    let (mut mine, mut yours) = (load(&one, "shop", "in-order").await, load(&other, "shop", "in-order").await);
    set_all(&mut mine, &[("pin", "2")]);
    set_all(&mut yours, &[("pin", "3"), ("visits", "99")]);
    mine.save().await.expect("it is saved");
    let refused = yours.save().await.expect_err("the pin is not to be merged");
    assert!(matches!(refused, CallError::Refused(Refusal::Changed { .. })), "{refused:?}");
    let found = get(&cluster.cli(), "shop", "in-order").await;
    assert_eq!([attribute(&found, "pin"), attribute(&found, "visits")], ["2", "9"]);
    cluster.assert_all_run();
}

fn set_all(session: &mut Session, values: &[(&str, &'static str)]) {
    for (name, value) in values {
        session.set_raw(name, *value).expect("it is a map");
    }
}

async fn load(client: &Client, namespace: &str, key: &str) -> Session {
    let loaded = client.namespace(namespace).load(key).await.expect("a session can be read");
    loaded.expect("the session is there")
}

/// Changes the quantity, and an attribute that nobody else changes.
async fn save(session: &mut Session, apples: &'static str, own: &str, is_merged: bool) {
    session.set_raw(APPLES, apples).expect("it is a map");
    session.set_raw(own, "was here").expect("it is a map");
    let saved = session.save().await.expect("it is saved").expect("there was something to save");
    assert_eq!(saved.merged, is_merged, "{own} saver");
}

/// A namespace whose plugin no host has is not made: it would merge by other rules than it says.
#[tokio::test]
async fn a_namespace_whose_plugin_is_missing_is_refused() {
    let merge = Some(plugin("cart_merge.wasm"));
    let mut cluster = Cluster::start(Shape { merge, ..Shape::of(2) }).await;
    let refused = cluster.run(&["namespace", "create", "cart", "--merge", "basket-merge"]).await;
    refused.refused(1, &["no merge plugin named basket-merge", MERGE, "configuration"]);
    assert_eq!(cluster.run(&["namespace", "list", "--json"]).await.done(), "");
    cluster.create_namespace("cart", 2, 4, &["--merge", MERGE]).await;
    cluster.assert_all_run();
}
