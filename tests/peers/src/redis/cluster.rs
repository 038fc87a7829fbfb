//! A Redis Cluster: three primaries, a replica of each.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{self, Instant};

use super::nodes::{self, Seen};
use super::{RedisCaller, in_memory, words};
use crate::{PeerError, Server};

/// Primaries; as many replicas. The fewest that a cluster can choose a new primary with.
const PRIMARIES: usize = 3;
/// All of them.
pub const NODES: usize = 2 * PRIMARIES;
/// Slots of every cluster.
const SLOTS: usize = 16_384;
/// Longest until all nodes know each other, and every replica has its primary's state.
const WHOLE_WITHIN: Duration = Duration::from_secs(30);
/// Time between two looks whether they do.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest until a replica takes writes in its dead primary's place.
const SERVED_WITHIN: Duration = Duration::from_secs(60);
/// Time between two writes that try whether it does.
const TRY_EVERY: Duration = Duration::from_millis(1);
/// Sessions live longer than any run.
const TTL: Duration = Duration::from_secs(3600);

/// Six nodes of ours, in memory and without TLS.
#[derive(Debug)]
pub struct RedisCluster {
    program: PathBuf,
    folder: PathBuf,
    node_timeout: Duration,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    server: Server,
    address: SocketAddr,
}

impl RedisCluster {
    /// Starts a cluster whose nodes hold each other for failed after `node_timeout`. The port after that of each
    /// address must be free as well: there the nodes talk to each other.
    ///
    /// # Errors
    /// [`PeerError`] if it does not become whole.
    pub async fn start(
        program: &Path,
        folder: &Path,
        addresses: [SocketAddr; NODES],
        node_timeout: Duration,
    ) -> Result<Self, PeerError> {
        let mut cluster =
            Self { program: program.to_owned(), folder: folder.to_owned(), node_timeout, nodes: Vec::new() };
        for address in addresses {
            let node = cluster.start_node(address).await?;
            cluster.nodes.push(node);
        }
        cluster.introduce().await?;
        cluster.until_whole().await?;
        Ok(cluster)
    }

    async fn start_node(&self, address: SocketAddr) -> Result<Node, PeerError> {
        let [port, bus] = ports(address);
        let mut arguments = in_memory();
        arguments.extend(words(&["--bind", "127.0.0.1", "--port", &port, "--cluster-enabled", "yes"]));
        arguments.extend(words(&["--cluster-port", &bus]));
        arguments.extend(words(&["--cluster-node-timeout", &self.node_timeout.as_millis().to_string()]));
        // What a node knows of the others outlives it here, as it does on a machine of its own.
        arguments.extend(words(&["--cluster-config-file", &format!("nodes-{port}.conf")]));
        let mut server = Server::start(&self.program, &format!("redis-node-{port}"), &self.folder, arguments)?;
        server.until_it_listens(address).await?;
        Ok(Node { server, address })
    }

    /// Gives out the slots, makes the nodes known to each other, and the later half replicas of the earlier.
    async fn introduce(&self) -> Result<(), PeerError> {
        let mut ids = Vec::new();
        for (place, node) in self.nodes.iter().enumerate() {
            let mut caller = node.caller().await?;
            caller.text(&[b"CLUSTER", b"SET-CONFIG-EPOCH", (place + 1).to_string().as_bytes()]).await?;
            ids.push(caller.text(&[b"CLUSTER", b"MYID"]).await?);
            if place < PRIMARIES {
                let [first, next] = [place, place + 1].map(|place| place * SLOTS / PRIMARIES);
                let [first, last] = [first, next - 1].map(|slot| slot.to_string());
                caller.text(&[b"CLUSTER", b"ADDSLOTSRANGE", first.as_bytes(), last.as_bytes()]).await?;
            }
            let [port, bus] = ports(self.nodes[0].address);
            caller.text(&[b"CLUSTER", b"MEET", b"127.0.0.1", port.as_bytes(), bus.as_bytes()]).await?;
        }
        self.until("all nodes know each other", async |cluster| {
            for node in &cluster.nodes {
                let seen = node.seen().await?;
                let known = seen.iter().filter(|seen| !seen.is_failed).count();
                if known < NODES {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await?;
        for (replica, id) in self.nodes[PRIMARIES..].iter().zip(&ids) {
            replica.caller().await?.text(&[b"CLUSTER", b"REPLICATE", id.as_bytes()]).await?;
        }
        Ok(())
    }

    /// Waits until every slot is served and every replica has its primary's state.
    ///
    /// # Errors
    /// [`PeerError::NotReady`].
    pub async fn until_whole(&self) -> Result<(), PeerError> {
        self.until("the cluster is whole", async |cluster| {
            for node in &cluster.nodes {
                let mut caller = node.caller().await?;
                let state = caller.text(&[b"CLUSTER", b"INFO"]).await?;
                let copies = caller.text(&[b"INFO", b"replication"]).await?;
                let is_copying = copies.contains("role:master") || copies.contains("master_link_status:up");
                let seen = node.seen().await?;
                let serving = seen.iter().filter(|seen| seen.is_serving && !seen.is_failed).count();
                let well = seen.iter().filter(|seen| !seen.is_failed).count();
                if !state.contains("cluster_state:ok") || !is_copying || serving != PRIMARIES || well != NODES {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    async fn until(&self, claim: &str, look: impl AsyncFn(&Self) -> Result<bool, PeerError>) -> Result<(), PeerError> {
        let deadline = Instant::now() + WHOLE_WITHIN;
        loop {
            let why = match time::timeout_at(deadline, look(self)).await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) => format!("not yet: {claim}"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer: {claim}"),
            };
            if Instant::now() > deadline {
                return Err(self.nodes[0].server.not_ready(why));
            }
            time::sleep(LOOK_EVERY).await;
        }
    }

    /// Kills a primary, and says how long it took from then until its replica took a write for a session of its. The
    /// replica is asked all the time, and directly: a client that has to find out where to go would be told later.
    /// Then starts the killed one again and waits until the cluster is whole.
    ///
    /// # Errors
    /// [`PeerError`] if no write is taken, or the cluster does not become whole.
    pub async fn kill_a_primary(&mut self) -> Result<Duration, PeerError> {
        let seen = self.nodes[0].seen().await?;
        let (victim, heir) = chosen(&seen).ok_or_else(|| PeerError::Answer("no primary with a replica".into()))?;
        let place = |port: u16| self.nodes.iter().position(|node| node.address.port() == port);
        let (Some(victim), Some(heir)) = (place(victim), place(heir)) else {
            return Err(PeerError::Answer("nodes that nobody started".into()));
        };
        let key = self.key_of(victim).await?;
        let heir = self.nodes[heir].address;
        let killed = Instant::now();
        self.nodes[victim].server.kill();
        let gap = time::timeout(SERVED_WITHIN, first_write(heir, &key)).await;
        let gap = gap.map_err(|_| self.nodes[victim].server.not_ready("nobody took its place".into()))?;
        let took = gap?.duration_since(killed);
        let address = self.nodes[victim].address;
        self.nodes[victim] = self.start_node(address).await?;
        self.until_whole().await?;
        Ok(took)
    }

    /// A key that this node takes writes for.
    async fn key_of(&self, place: usize) -> Result<String, PeerError> {
        /// More than any key has to be looked for: each node serves a third.
        const KEYS: usize = 1000;
        let mut caller = self.nodes[place].caller().await?;
        for number in 0..KEYS {
            let key = format!("gap-{number}");
            if caller.set(key.as_bytes(), b"before", TTL).await.is_ok() {
                return Ok(key);
            }
        }
        Err(PeerError::Answer("no key is this node's".into()))
    }
}

impl Node {
    async fn caller(&self) -> Result<RedisCaller, PeerError> {
        RedisCaller::connect(self.address, None, 0).await
    }

    async fn seen(&self) -> Result<Vec<Seen>, PeerError> {
        Ok(nodes::read(&self.caller().await?.text(&[b"CLUSTER", b"NODES"]).await?))
    }
}

/// A node's ports, for clients and for other nodes.
fn ports(address: SocketAddr) -> [String; 2] {
    [address.port(), address.port() + 1].map(|port| port.to_string())
}

/// The ports of a primary and of its replica.
fn chosen(seen: &[Seen]) -> Option<(u16, u16)> {
    seen.iter().filter(|node| node.is_serving && !node.is_failed).find_map(|primary| {
        let heir = seen.iter().find(|node| node.copies.as_ref() == Some(&primary.id) && !node.is_failed)?;
        Some((primary.port, heir.port))
    })
}

/// Writes again and again until it is done.
async fn first_write(heir: SocketAddr, key: &str) -> Result<Instant, PeerError> {
    let mut caller = RedisCaller::connect(heir, None, 0).await?;
    loop {
        match caller.set(key.as_bytes(), b"after", TTL).await {
            Ok(()) => return Ok(Instant::now()),
            // It still says that another serves the key, or that nobody does.
            Err(PeerError::Answer(_)) => time::sleep(TRY_EVERY).await,
            Err(other) => return Err(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, port: u16, copies: Option<&str>) -> Seen {
        Seen { id: id.into(), port, is_serving: copies.is_none(), copies: copies.map(str::to_owned), is_failed: false }
    }

    #[test]
    fn who_is_killed_serves_and_has_a_replica() {
        let mut seen = [node("a", 1, None), node("b", 2, None), node("c", 3, Some("b"))];
        assert_eq!(chosen(&seen), Some((2, 3)));
        seen[2].is_failed = true;
        assert_eq!(chosen(&seen), None);
    }
}
