//! More calls at once for one colony than it takes.

use std::time::Duration;

use colony_client::{CallError, Client, Identity, Options, Precondition};
use tokio::task::JoinSet;

use super::{Load, TTL, fate, key, number};
use crate::book::{Fate, Own};
use crate::failure::Failure;

/// Clients, each with a stream of its own to the colony's shard. One alone never has more calls under way than its
/// stream takes.
const CLIENTS: usize = 8;
/// Calls of each, all at once: together three times as many as a colony lets wait for its copies.
const CALLS: usize = 1500;
/// Their deadline. Some are refused until it is over.
const DEADLINE: Duration = Duration::from_secs(3);

/// Makes the calls in the first colony, each of which begins a session, and writes them down in the load's book.
///
/// # Errors
/// If a client is not let in.
pub async fn burst(load: &Load, seeds: &[String], identity: &Identity, prefix: &str) -> Result<String, Failure> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::connect(seeds, identity.clone()).await?);
    }
    let mut calls = JoinSet::new();
    for (place, client) in clients.iter().enumerate() {
        let options = Options { deadline: DEADLINE, ..Options::default() };
        let namespace = client.namespace(load.shared.writer.name()).with(options);
        for call in 0..CALLS {
            let (namespace, name) = (namespace.clone(), format!("{prefix}.burst{place}.{call}"));
            calls.spawn(async move {
                let put = namespace.put(&key(&name), number(1), TTL, Precondition::Absent).await;
                (name, fate(&put), put.err())
            });
        }
    }
    let (mut done, mut refused, mut unknown) = (0, 0, 0);
    while let Some(call) = calls.join_next().await {
        let (name, fate, error) = call.expect("a client does not panic");
        let mut own = Own { tried: 1, ..Own::default() };
        match fate {
            Fate::Done => (own.acked, done) = (1, done + 1),
            Fate::NotDone => {
                own.refused.insert(1);
                refused += 1;
            }
            Fate::Unknown => unknown += 1,
        }
        let mut book = load.shared.book(0);
        book.failures.add(Some(fate), error.as_ref().map(CallError::to_string).unwrap_or_default());
        book.own.insert(name, own);
    }
    for client in clients {
        client.close().await;
    }
    Ok(format!("{} calls at once: {done} done, {refused} surely not done, {unknown} unknown", CLIENTS * CALLS))
}
