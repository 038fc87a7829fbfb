//! What a cluster says of itself, and waiting for it to say something else.

use std::time::Duration;

use colony_client::admin::ColonyStatus;
use serde_json::Value;

use crate::{Cluster, until};

/// Longest until hosts are up, or a host is known to be gone, on a machine that does much else.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// Longest until colonies have their copies.
const SETTLE_WITHIN: Duration = Duration::from_secs(30);

impl Cluster {
    /// `colony status --json`, if a host answers.
    ///
    /// # Errors
    /// With what the command said.
    pub async fn status(&self) -> Result<Value, String> {
        let answer = self.run(&["status", "--json"]).await;
        if answer.is_done() { Ok(answer.json()) } else { Err(answer.stderr) }
    }

    /// `colony colonies --json` of one namespace, if a host answers.
    ///
    /// # Errors
    /// With what the command said.
    pub async fn colonies(&self, namespace: &str) -> Result<Vec<Value>, String> {
        let answer = self.run(&["colonies", "--json"]).await;
        if !answer.is_done() {
            return Err(answer.stderr);
        }
        let colonies = answer.jsons();
        Ok(colonies.into_iter().filter(|colony| colony["namespace"] == namespace).collect())
    }

    /// Waits until every host that runs is up, and a leader is known.
    ///
    /// # Panics
    /// If that takes too long, or a host ends by itself.
    pub async fn until_up(&mut self) {
        let names = self.names();
        until("every host is up", UP_WITHIN, async || {
            self.assert_all_run();
            let status = self.status().await?;
            let missing = names.iter().find(|name| up(&status, name).is_none());
            match missing {
                Some(name) => Err(format!("{name} is not up: {status}")),
                None if status["leader"].is_null() => Err(format!("no leader: {status}")),
                None => Ok(()),
            }
        })
        .await;
    }

    /// Waits until no process of this name is up.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn until_dead(&self, name: &str) {
        until("the host is held for dead", UP_WITHIN, async || {
            let status = self.status().await?;
            if up(&status, name).is_none() { Ok(()) } else { Err(format!("{name} is up: {status}")) }
        })
        .await;
    }

    /// Waits until every colony of the namespace is served and has `copies` copies in sync, where they are wanted.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn until_in_sync(&self, namespace: &str, copies: usize) {
        until("every colony has its copies", SETTLE_WITHIN, async || {
            let colonies = self.colonies(namespace).await?;
            if colonies.is_empty() {
                return Err(format!("no colony of {namespace} is known"));
            }
            let unsettled = colonies.iter().find(|colony| {
                let (in_sync, want) = (names_in(&colony["in_sync"]), names_in(&colony["want"]));
                colony["primary"].is_null() || in_sync != want || in_sync.len() != copies
            });
            unsettled.map_or(Ok(()), |colony| Err(colony.to_string()))
        })
        .await;
    }

    /// Waits until all hosts that run say the same of where the colonies live, and none of it is of the past.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn until_all_agree(&self) {
        let names = self.names();
        until("every host knows the same table", SETTLE_WITHIN, async || {
            let mut tables = Vec::new();
            for name in &names {
                tables.push(self.table_of(name).await?);
            }
            let is_settled = |colony: &ColonyStatus| {
                colony.primary.is_some() && colony.in_sync.iter().chain(&colony.want).all(|host| names.contains(host))
            };
            let is_same = tables.windows(2).all(|pair| pair[0] == pair[1]);
            if is_same && tables.iter().flatten().all(is_settled) { Ok(()) } else { Err(format!("{tables:?}")) }
        })
        .await;
    }

    /// Waits until the host of this name is up under another start than `before`.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn until_other_start(&self, name: &str, before: &str) {
        until("the host is up under a new start", UP_WITHIN, async || {
            let status = self.status().await?;
            let is_other = up(&status, name).is_some_and(|host| host["start"] != before);
            if is_other { Ok(()) } else { Err(format!("{name} was {before}: {status}")) }
        })
        .await;
    }

    /// How many copies the host of this name holds in sync.
    ///
    /// # Panics
    /// If it is not up, or no host answers.
    pub async fn copies_on(&self, name: &str) -> u64 {
        let status = self.status().await.expect("a host answers");
        let host = up(&status, name).expect("the host is up");
        host["copies"].as_u64().expect("copies are counted")
    }

    /// The start of the process of this name that is up.
    ///
    /// # Panics
    /// If there is none, or no host answers.
    pub async fn start_of(&self, name: &str) -> String {
        let status = self.status().await.expect("a host answers");
        let host = up(&status, name).expect("the host is up");
        host["start"].as_str().expect("a start is a string").to_owned()
    }

    /// The name of the host that leads the group, which is known.
    ///
    /// # Panics
    /// If it is not, or no host answers.
    pub async fn leader(&self) -> String {
        let status = self.status().await.expect("a host answers");
        status["leader"].as_str().expect("a leader is known").to_owned()
    }
}

/// The process of this name that is up.
fn up<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    let hosts = status["hosts"].as_array()?;
    hosts.iter().find(|host| host["name"] == name && host["state"] == "up")
}

/// Names of a JSON list, sorted.
fn names_in(list: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    names.sort_unstable();
    names
}
