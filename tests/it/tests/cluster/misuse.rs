//! Wrong words, wrong files, wrong sizes: each is refused in one line that says what is wrong, and harms nothing.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use colony_it::{Answer, Certs, Cli, Cluster, Host, Shape, free_ports, plugin, until};

use crate::{attribute, get, put};

/// Longest until a host has said in its log what it cannot do, its own patience included.
const SAID_WITHIN: Duration = Duration::from_secs(20);
/// Bytes that a session may hold.
const SESSION_MAX: usize = 256 * 1024;
/// Bytes of an attribute in the stories about size: below what a system takes as one argument.
const LARGE: usize = 100_000;

/// A folder with certificates for `h1` and a client, and commands that run in it with no cluster there.
fn alone(folder: &Path) -> Cli {
    let certs = Certs::create(folder.join("certs"));
    certs.issue_host("h1");
    Cli::new(folder, nowhere().to_string(), certs.folder())
}

/// An address where nobody listens.
fn nowhere() -> SocketAddr {
    free_ports(1, 2)[0]
}

/// `colony host ...` that is to end by itself.
async fn host(cli: &Cli, more: &[&str]) -> Answer {
    let listen = nowhere().to_string();
    let words = ["host", "--name", "h1", "--shards", "1", "--listen", &listen, "--bootstrap"];
    cli.run(&[&words, more].concat()).await
}

/// An option that does not exist ends with 2, and a wrong key in a file is named with its line.
#[tokio::test]
async fn wrong_usage_of_a_host_is_named_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let cli = alone(folder.path());
    let answer = host(&cli, &["--fly"]).await;
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.stderr.contains("--fly") && answer.stdout.is_empty(), "{answer:?}");

    for (text, words) in [
        ("name = \"h1\"\n\nlisen = \"127.0.0.1:7400\"\n", ["bad.toml:3", "lisen"]),
        ("name = \"h1\"\nshards = \"many\"\n", ["bad.toml:2", "shards"]),
        ("name = \"h1\"\nlisten = \"here\"\n", ["bad.toml:2", "here"]),
        ("name = \"h1\nlisten = 1\n", ["bad.toml:1", "string"]),
    ] {
        fs::write(folder.path().join("bad.toml"), text).expect("a file can be written");
        host(&cli, &["--config", "bad.toml"]).await.refused(2, &words);
    }
    host(&cli, &["--config", "missing.toml"]).await.refused(2, &["missing.toml"]);
}

/// A file that is no component, or half of one, is named, and no host starts without it.
#[tokio::test]
async fn a_broken_plugin_keeps_a_host_from_starting() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let cli = alone(folder.path());
    let whole = fs::read(plugin("cart_merge.wasm")).expect("the plugin can be read");
    // The eight bytes of an empty core module: WebAssembly, and no component.
    let module = b"\0asm\x01\0\0\0";
    for (file, content) in [
        ("half.wasm", &whole[..whole.len() / 2]),
        ("text.wasm", b"no component"),
        ("module.wasm", module),
        ("empty.wasm", b""),
    ] {
        fs::write(folder.path().join(file), content).expect("a file can be written");
        for (option, value) in [("--merge-plugin", format!("cart-merge={file}")), ("--placement-plugin", file.into())] {
            host(&cli, &[option, &value]).await.refused(1, &[file]);
        }
    }
    host(&cli, &["--merge-plugin", "cart-merge=missing.wasm"]).await.refused(1, &["missing.wasm"]);
    // A merge plugin does not place colonies.
    let merge = plugin("cart_merge.wasm");
    let merge = merge.to_str().expect("the path is text");
    host(&cli, &["--placement-plugin", merge]).await.refused(1, &["cart_merge.wasm"]);
}

/// A host has the certificate of its name, with its key, of its authority.
#[tokio::test]
async fn a_host_with_the_wrong_certificate_does_not_start() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let cli = alone(folder.path());
    let certs = folder.path().join("certs");
    let listen = nowhere().to_string();
    let start = async |name: &str| cli.run(&["host", "--name", name, "--listen", &listen, "--bootstrap"]).await;
    start("h2").await.refused(1, &["h2.pem"]);

    for (from, to) in [("h1.pem", "h3.pem"), ("h1.key", "h3.key"), ("h1.pem", "h4.pem"), ("client.key", "h4.key")] {
        fs::copy(certs.join(from), certs.join(to)).expect("a file can be copied");
    }
    start("h3").await.refused(1, &["h3.pem", "host h1"]);
    start("h4").await.refused(1, &["h4.pem", "h4.key"]);

    let other = Certs::create(folder.path().join("other"));
    fs::copy(other.folder().join("ca.pem"), certs.join("ca.pem")).expect("a file can be copied");
    start("h1").await.refused(1, &["h1.pem", "ca.pem"]);
}

/// With nobody there a command gives up in one line, in time, and a host goes on trying and says so, until there is
/// somebody.
#[tokio::test]
async fn an_unreachable_cluster_is_named_by_commands_and_waited_for_by_hosts() {
    let cluster = Cluster::prepare(Shape::of(2)).await;
    let seed = cluster.spare_address();
    let nobody = Cli::new(cluster.folder(), seed.to_string(), cluster.certs().folder());
    let words: [&[&str]; 2] = [&["status"], &["session", "get", "--namespace", "cart", "alice"]];
    for words in words {
        nobody.run(words).await.refused(1, &["cannot reach the cluster", &seed.to_string(), "--connect"]);
    }

    cluster.certs().issue_host("early");
    let address = nowhere();
    let certs = cluster.certs().folder().to_str().expect("the path is text").to_owned();
    let seed_text = seed.to_string();
    let words = |more: &[&str]| [&["--shards", "1", "--certs", &certs], more].concat().join(" ");
    let split = |words: String| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let early = words(&["--seeds", &seed_text]);
    let mut early = Host::start(cluster.folder(), "early", address, split(early));
    until("the host says that it tries again", SAID_WITHIN, async || {
        let log = early.log();
        let says = log.lines().any(|line| line.contains("trying again") && line.contains(&seed_text));
        if says { Ok(()) } else { Err(log) }
    })
    .await;
    assert!(early.ended().is_none(), "{}", early.log());

    cluster.certs().issue_host("late");
    let late = words(&["--bootstrap"]);
    let mut late = Host::start(cluster.folder(), "late", seed, split(late));
    until("both are up", SAID_WITHIN, async || {
        let answer = nobody.run(&["hosts", "--json"]).await;
        if !answer.is_done() {
            return Err(answer.stderr);
        }
        let hosts = answer.jsons();
        let up = hosts.iter().filter(|host| host["state"] == "up").count();
        if up == 2 { Ok(()) } else { Err(format!("{hosts:?}")) }
    })
    .await;
    assert!(early.ended().is_none() && late.ended().is_none());
}

/// What is too large is refused before it harms anybody, whoever finds it: the command, the client, the host.
#[tokio::test]
async fn a_session_that_is_too_large_is_refused_and_leaves_the_old_one_whole() {
    let mut cluster = Cluster::start(Shape::of(2)).await;
    cluster.create_namespace("cart", 2, 4, &[]).await;
    let cli = cluster.cli();
    let put_blob = ["session", "put", "--namespace", "cart", "blob", "--blob-file", "blob"];
    fs::write(cluster.folder().join("blob"), vec![b'x'; SESSION_MAX + 1]).expect("a file can be written");
    cli.run(&put_blob).await.refused(1, &["262144"]);
    fs::write(cluster.folder().join("blob"), vec![b'x'; SESSION_MAX]).expect("a file can be written");
    let _ = cli.run(&put_blob).await.done();
    let found = get(&cli, "cart", "blob").await;
    assert_eq!(found["state"]["blob"].as_str().map(str::len), Some(SESSION_MAX));

    // Three are too many at once, and one too many when two are there.
    let large = |name: &str| format!("{name}={}", "x".repeat(LARGE));
    let (a, b, c) = (large("a"), large("b"), large("c"));
    let change = |what, key, attributes: &[&str]| {
        let mut words = vec!["session", what, "--namespace", "cart", key];
        attributes.iter().for_each(|attribute| words.extend(["--attr", attribute]));
        words.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = async |words: Vec<String>| cli.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    run(change("put", "large", &[&a, &b, &c])).await.refused(1, &["262144"]);
    let _ = run(change("put", "large", &[&a, &b])).await.done();
    run(change("patch", "large", &[&c])).await.refused(1, &["262144"]);
    let found = get(&cli, "cart", "large").await;
    assert_eq!([attribute(&found, "a").len(), attribute(&found, "b").len()], [LARGE, LARGE]);
    assert!(found["state"]["attributes"]["c"].is_null());

    let long = "k".repeat(257);
    cli.run(&["session", "put", "--namespace", "cart", &long, "--attr", "a=1"]).await.refused(2, &["256"]);
    cli.run(&["session", "get", "--namespace", "nowhere", "alice"]).await.refused(1, &["no namespace `nowhere`"]);
    put(&cli, "cart", "alice", "user=42").await;
    cluster.assert_all_run();
}
