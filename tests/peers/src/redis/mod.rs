//! Redis: a primary with one replica over mutual TLS; one alone and without TLS; a cluster that fails over.

mod caller;
mod cluster;
mod nodes;
mod resp;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::time::{self, Instant};

pub use self::caller::RedisCaller;
pub use self::cluster::{NODES, RedisCluster};
use crate::tls::{self, Credentials};
use crate::{PeerError, Server};

/// Longest until a replica has its primary's state.
const IN_SYNC_WITHIN: Duration = Duration::from_secs(15);
/// Time between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Redis servers of ours, in memory only.
#[derive(Debug)]
pub struct Redis {
    servers: Vec<Server>,
    address: SocketAddr,
    credentials: Option<Credentials>,
    replicas: u32,
}

impl Redis {
    /// One server without TLS and without a copy: the least that a caller can pay.
    ///
    /// # Errors
    /// [`PeerError`] if it does not come up.
    pub async fn plain(program: &Path, folder: &Path, address: SocketAddr) -> Result<Self, PeerError> {
        let mut arguments = in_memory();
        arguments.extend(words(&["--bind", "127.0.0.1", "--port", &address.port().to_string()]));
        let mut server = Server::start(program, "redis-plain", folder, arguments)?;
        server.until_it_listens(address).await?;
        Ok(Self { servers: vec![server], address, credentials: None, replicas: 0 })
    }

    /// A primary and its replica. All connections, that between the two as well, are TLS in which both sides show a
    /// certificate; every change waits for the replica.
    ///
    /// # Errors
    /// [`PeerError`] if they do not come up, or the replica does not follow.
    pub async fn replicated(
        program: &Path,
        folder: &Path,
        [primary, replica]: [SocketAddr; 2],
    ) -> Result<Self, PeerError> {
        let (files, credentials) = tls::issue(folder)?;
        let mut servers = Vec::new();
        for (name, address) in [("redis-primary", primary), ("redis-replica", replica)] {
            let mut arguments = in_memory();
            arguments.extend(words(&["--bind", "127.0.0.1", "--port", "0", "--tls-port", &address.port().to_string()]));
            arguments.extend(words(&["--tls-replication", "yes", "--tls-auth-clients", "yes"]));
            arguments.extend(["--tls-ca-cert-file".into(), (&files.authority).into()]);
            arguments.extend(["--tls-cert-file".into(), (&files.certificate).into()]);
            arguments.extend(["--tls-key-file".into(), (&files.key).into()]);
            if address == replica {
                arguments.extend(words(&["--replicaof", "127.0.0.1", &primary.port().to_string()]));
            }
            let mut server = Server::start(program, name, folder, arguments)?;
            server.until_it_listens(address).await?;
            servers.push(server);
        }
        let redis = Self { servers, address: primary, credentials: Some(credentials), replicas: 1 };
        redis.until_followed().await?;
        Ok(redis)
    }

    /// Another connection to the primary.
    ///
    /// # Errors
    /// [`PeerError::Io`].
    pub async fn caller(&self) -> Result<RedisCaller, PeerError> {
        RedisCaller::connect(self.address, self.credentials.as_ref(), self.replicas).await
    }

    /// The servers, the primary first.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    async fn until_followed(&self) -> Result<(), PeerError> {
        let mut caller = RedisCaller::connect(self.address, self.credentials.as_ref(), 0).await?;
        let deadline = Instant::now() + IN_SYNC_WITHIN;
        loop {
            let said = caller.text(&[b"INFO", b"replication"]).await?;
            if said.contains("state=online") {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.servers[0].not_ready(format!("no replica follows it: {said:?}")));
            }
            time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Neither snapshots nor a log: sessions are in memory on both sides of the comparison.
fn in_memory() -> Vec<OsString> {
    words(&["--save", "", "--appendonly", "no", "--daemonize", "no", "--repl-diskless-sync-delay", "0"])
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}
