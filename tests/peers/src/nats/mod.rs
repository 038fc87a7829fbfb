//! NATS JetStream: three servers, and a key-value bucket with a copy on each, in memory and without TLS.

mod caller;
mod protocol;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{self, Instant};

pub use self::caller::NatsCaller;
use crate::{PeerError, Server};

/// Servers, and copies of the bucket.
pub const SERVERS: usize = 3;
/// The bucket.
const BUCKET: &str = "bench";
/// Longest until the servers have chosen who leads, and the bucket has its copies.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for one answer: while the servers have no leader they give none.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Time between two looks whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Three servers of ours.
#[derive(Debug)]
pub struct Nats {
    servers: Vec<Server>,
    address: SocketAddr,
    connections: AtomicU64,
}

impl Nats {
    /// Starts three servers and makes the bucket. Callers connect to the server that leads it: every other would pass
    /// their calls on.
    ///
    /// # Errors
    /// [`PeerError`] if they do not come up.
    pub async fn start(
        program: &Path,
        folder: &Path,
        clients: [SocketAddr; SERVERS],
        routes: [SocketAddr; SERVERS],
    ) -> Result<Self, PeerError> {
        let all: Vec<String> = routes.iter().map(|route| format!("nats-route://{route}")).collect();
        let mut servers = Vec::new();
        for (place, (client, route)) in clients.iter().zip(routes).enumerate() {
            let name = name(place);
            let arguments = [
                "--name".to_owned(),
                name.clone(),
                "--addr".into(),
                client.ip().to_string(),
                "--port".into(),
                client.port().to_string(),
                "--jetstream".into(),
                "--store_dir".into(),
                folder.join(&name).display().to_string(),
                "--cluster_name".into(),
                "bench".into(),
                "--cluster".into(),
                format!("nats://{route}"),
                "--routes".into(),
                all.join(","),
            ];
            servers.push(Server::start(program, &name, folder, arguments)?);
        }
        for (server, client) in servers.iter_mut().zip(clients) {
            server.until_it_listens(client).await?;
        }
        let mut nats = Self { servers, address: clients[0], connections: AtomicU64::new(0) };
        let leader = nats.make_bucket().await?;
        let place = (0..SERVERS).find(|place| name(*place) == leader).unwrap_or_default();
        nats.address = clients[place];
        Ok(nats)
    }

    /// Another connection to the server that leads the bucket.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn caller(&self) -> Result<NatsCaller, PeerError> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        NatsCaller::connect(self.address, BUCKET, number).await
    }

    /// The servers.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Makes the bucket and says which server leads it.
    async fn make_bucket(&self) -> Result<String, PeerError> {
        let deadline = Instant::now() + UP_WITHIN;
        let create = format!("STREAM.CREATE.KV_{BUCKET}");
        loop {
            // A connection to each question: an answer that comes too late is none to the next.
            let mut caller = self.caller().await?;
            let why = match time::timeout(ANSWER_WITHIN, caller.ask(&create, &bucket())).await {
                Ok(Ok(made)) => match made["cluster"]["leader"].as_str() {
                    Some(leader) => return Ok(leader.to_owned()),
                    None => "the bucket has no leader".to_owned(),
                },
                // Until the servers have found each other they decline.
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if Instant::now() > deadline {
                return Err(self.servers[0].not_ready(why));
            }
            time::sleep(LOOK_EVERY).await;
        }
    }
}

/// What the key-value buckets of NATS's own clients are, of one value a key.
fn bucket() -> Value {
    json!({
        "name": format!("KV_{BUCKET}"),
        "subjects": [format!("$KV.{BUCKET}.>")],
        "max_msgs_per_subject": 1,
        "storage": "memory",
        "num_replicas": SERVERS,
        "discard": "new",
        "allow_direct": true,
        "allow_rollup_hdrs": true,
        "deny_delete": true,
    })
}

fn name(place: usize) -> String {
    format!("nats-{}", place + 1)
}
