//! Stories about whole clusters: real processes, real QUIC, real certificates, real signals.
//!
//! Each story runs by itself in turn; see `colony_it` for the means.

mod canary;
mod commands;
mod drain;
mod failover;
mod foreign;
mod hostile;
mod join;
mod levels;
mod merge;
mod misuse;
mod overload;
mod plan;
mod plugins;
mod seen;
mod suspicion;
mod tags;
mod undead;
mod watch;

use std::time::Duration;

use colony_it::{Cli, until};
use serde_json::Value;

/// Longest until a colony is served again after its primary's host died, a failure judgement and an election
/// included, on a machine that does much else.
const SERVED_WITHIN: Duration = Duration::from_secs(20);

/// Puts a session with one attribute, and gives the answer.
async fn put(cli: &Cli, namespace: &str, key: &str, attribute: &str) -> Value {
    cli.run(&["session", "put", "--namespace", namespace, key, "--attr", attribute, "--json"]).await.json()
}

/// Reads a session as soon as it is served. While it is not, the answer may be a refusal, never a wrong one.
async fn get(cli: &Cli, namespace: &str, key: &str) -> Value {
    until("the session is served", SERVED_WITHIN, async || {
        let answer = cli.run(&["session", "get", "--namespace", namespace, key, "--json"]).await;
        assert!(!answer.stderr.contains("there is no such session"), "{answer:?}");
        if answer.is_done() { Ok(answer.json()) } else { Err(answer.stderr) }
    })
    .await
}

/// An attribute of a session that was read.
fn attribute<'a>(session: &'a Value, name: &str) -> &'a str {
    session["state"]["attributes"][name].as_str().unwrap_or_else(|| panic!("no text {name} in {session}"))
}
