//! What keeps, dials and asks for sentinels, whichever network it is on.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::{DialError, ListenError, Probe, SentinelConnection, SentinelListener, dial, probe};
use crate::BoxFuture;

/// The sentinels of one host: [`TcpSentinels`], or its twin in memory.
pub trait Sentinels: Send + Sync + Debug + 'static {
    /// Listens at `addr` and says `hello` to everyone who connects.
    ///
    /// # Errors
    ///
    /// A [`ListenError`]; nothing is left open.
    fn listen(&self, addr: SocketAddr, hello: Bytes) -> BoxFuture<'_, Result<SentinelListener, ListenError>>;

    /// Dials the sentinel at `addr` and exchanges hellos, all within `limit`.
    ///
    /// # Errors
    ///
    /// A [`DialError`]; nothing is left open.
    fn dial(
        &self,
        addr: SocketAddr,
        hello: Bytes,
        limit: Duration,
    ) -> BoxFuture<'_, Result<(Bytes, SentinelConnection), DialError>>;

    /// Asks whether anybody listens at `addr`, for at most `limit`.
    fn probe(&self, addr: SocketAddr, limit: Duration) -> BoxFuture<'_, Probe>;
}

/// Sentinels over TCP: what a process uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpSentinels;

impl Sentinels for TcpSentinels {
    fn listen(&self, addr: SocketAddr, hello: Bytes) -> BoxFuture<'_, Result<SentinelListener, ListenError>> {
        Box::pin(SentinelListener::bind(addr, hello))
    }

    fn dial(
        &self,
        addr: SocketAddr,
        hello: Bytes,
        limit: Duration,
    ) -> BoxFuture<'_, Result<(Bytes, SentinelConnection), DialError>> {
        Box::pin(async move { dial(addr, &hello, limit).await })
    }

    fn probe(&self, addr: SocketAddr, limit: Duration) -> BoxFuture<'_, Probe> {
        Box::pin(probe(addr, limit))
    }
}
