//! Taking connections: bounded, and never stopped by a peer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::{Connecting, Endpoint, Incoming};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::connection::{QuicConnection, canonical, peer_identity};
use super::{CLOSE_BUSY, CLOSE_NO_IDENTITY, WELCOME, close_code};
use crate::{Connection, LinkConfig};

/// Failed handshakes are logged one by one up to this rate: whoever can reach the port can cause them.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// What became of handshakes, counted from the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) retried: AtomicU64,
}

/// A handshake that failed: whose, and why in words.
struct Failed {
    remote: SocketAddr,
    reason: String,
}

/// Takes what arrives at one endpoint. Runs until the endpoint closes.
pub(super) struct Listener {
    pub(super) endpoint: Endpoint,
    pub(super) config: Arc<LinkConfig>,
    pub(super) ready: mpsc::Sender<Connection>,
    pub(super) counters: Arc<Counters>,
}

impl Listener {
    pub(super) async fn run(self) {
        let mut half_open: JoinSet<Result<(), Failed>> = JoinSet::new();
        let mut log = FailureLog::default();
        loop {
            tokio::select! {
                biased;
                Some(done) = half_open.join_next(), if !half_open.is_empty() => {
                    self.count(done, &mut log);
                }
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.admit(incoming, &mut half_open),
                    None => return,
                },
            }
        }
    }

    /// Decides on one dialer before anything is spent on it.
    fn admit(&self, incoming: Incoming, half_open: &mut JoinSet<Result<(), Failed>>) {
        let crowded = half_open.len() >= self.config.max_half_open
            || self.endpoint.open_connections() >= self.config.max_connections;
        if crowded {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            incoming.refuse();
        } else if half_open.len() >= self.config.retry_above && incoming.may_retry() {
            self.counters.retried.fetch_add(1, Ordering::Relaxed);
            // The only error is that it may not be retried, which was asked.
            let _ = incoming.retry();
        } else {
            let remote = canonical(incoming.remote_address());
            match incoming.accept() {
                Ok(connecting) => {
                    let (config, ready) = (Arc::clone(&self.config), self.ready.clone());
                    half_open.spawn(async move {
                        greet(connecting, config, ready).await.map_err(|reason| Failed { remote, reason })
                    });
                }
                // The first packet did not decrypt: noise, or another version.
                Err(error) => {
                    self.counters.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(%remote, %error, "a dialer's first packet is not usable");
                }
            }
        }
    }

    fn count(&self, done: Result<Result<(), Failed>, tokio::task::JoinError>, log: &mut FailureLog) {
        match done {
            Ok(Ok(())) => {
                self.counters.accepted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Err(failed)) => {
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
                log.write(&failed);
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Finishes the handshake of one dialer and hands it over. In words, why not.
async fn greet(connecting: Connecting, config: Arc<LinkConfig>, ready: mpsc::Sender<Connection>) -> Result<(), String> {
    let handshake = async {
        let connection = connecting.await.map_err(|error| error.to_string())?;
        let peer = match peer_identity(&connection) {
            Ok(peer) => peer,
            Err(reason) => {
                connection.close(close_code(CLOSE_NO_IDENTITY), reason.as_bytes());
                return Err(reason);
            }
        };
        // A place is taken before the welcome: a dialer that was welcomed is not turned away.
        let Ok(place) = ready.try_reserve() else {
            let reason = "too many connections wait to be accepted";
            connection.close(close_code(CLOSE_BUSY), reason.as_bytes());
            return Err(reason.into());
        };
        let mut welcome = connection.open_uni().await.map_err(|error| error.to_string())?;
        welcome.write_all(&[WELCOME]).await.map_err(|error| error.to_string())?;
        welcome.finish().map_err(|error| error.to_string())?;
        place.send(Connection::quic(QuicConnection::new(connection, peer, Arc::clone(&config))));
        Ok(())
    };
    match timeout(config.handshake_timeout, handshake).await {
        Ok(done) => done,
        Err(_) => Err("not done in time".into()),
    }
}

/// Writes failures to the log, at most one in [`LOG_INTERVAL`], and how many it left out.
#[derive(Default)]
struct FailureLog {
    last: Option<Instant>,
    left_out: u64,
}

impl FailureLog {
    fn write(&mut self, failed: &Failed) {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < LOG_INTERVAL) {
            self.left_out += 1;
            return;
        }
        tracing::warn!(
            remote = %failed.remote,
            reason = %failed.reason,
            left_out = self.left_out,
            "the handshake of a dialer failed"
        );
        self.last = Some(now);
        self.left_out = 0;
    }
}
