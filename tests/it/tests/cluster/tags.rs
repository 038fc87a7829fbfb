//! All sessions of one user, at the command line.

use std::collections::BTreeSet;

use colony_it::{Answer, Cli, Cluster, Shape};
use colony_link::Rights;
use serde_json::json;

/// Sessions of one user: enough that several colonies have some.
const SESSIONS: usize = 12;

async fn of_user(cli: &Cli, what: &str, more: &[&str]) -> Answer {
    cli.run(&[&["session", what, "--namespace", "cart", "--tag", "user=42"], more].concat()).await
}

/// C29: a user's sessions are found and ended in every colony, and nobody else's; whoever has no admin right does
/// neither. People are shown no key unless they ask for it.
#[tokio::test]
async fn all_sessions_of_a_user_are_listed_and_ended_over_all_colonies() {
    let mut cluster = Cluster::start(Shape::of(2)).await;
    cluster.create_namespace("cart", 2, 8, &[]).await;
    let cli = cluster.cli();
    let mut keys = BTreeSet::new();
    for number in 0..SESSIONS {
        let key = format!("s{number}");
        let words = ["session", "put", "--namespace", "cart", &key, "--attr", "a=1", "--tag", "user=42"];
        let _ = cli.run(&words).await.done();
        keys.insert(key);
    }
    let other = ["session", "put", "--namespace", "cart", "other", "--attr", "a=1", "--tag", "user=7"];
    let _ = cli.run(&other).await.done();

    let found = of_user(&cli, "list", &["--json"]).await.jsons();
    let listed: BTreeSet<String> = found.iter().map(|one| one["key"].as_str().expect("a text").to_owned()).collect();
    assert_eq!((&listed, found.len()), (&keys, SESSIONS));
    let for_people = of_user(&cli, "list", &[]).await.done();
    assert!(for_people.ends_with("\nthe keys are shown with --keys or --json\n"), "{for_people}");
    assert_eq!(for_people.lines().count(), 1 + SESSIONS + 1);
    assert!(for_people.contains("session#") && !keys.iter().any(|key| for_people.contains(&format!("{key} "))));
    let with_keys = of_user(&cli, "list", &["--keys"]).await.done();
    assert!(keys.iter().all(|key| with_keys.contains(&format!("\n{key} "))), "{with_keys}");

    let app = Rights { read: true, write: true, ..Rights::NONE };
    let app = cli.with_certs(&cluster.certs().client_with("app", app));
    for what in ["list", "revoke"] {
        of_user(&app, what, &[]).await.refused(1, &["right to admin"]);
    }

    assert_eq!(of_user(&cli, "revoke", &["--json"]).await.json(), json!({ "ended": SESSIONS }));
    assert_eq!(of_user(&cli, "list", &["--json"]).await.jsons().len(), 0);
    for name in cluster.names() {
        let words = ["session", "get", "--namespace", "cart"];
        cluster.through(&name).run(&[&words[..], &["s0"]].concat()).await.refused(1, &["there is no such session"]);
        let _ = cluster.through(&name).run(&[&words[..], &["other"]].concat()).await.done();
    }
    assert_eq!(of_user(&cli, "revoke", &[]).await.done(), "0 sessions ended\n");
    cluster.assert_all_run();
}
