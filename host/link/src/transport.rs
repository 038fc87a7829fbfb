//! What a transport can do, whichever it is.

use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use crate::{ConnectError, Connection, Expect};

/// A boxed future: the trait below is used as `dyn Transport`, which `async fn` does not allow.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One address from which connections are dialed and at which they are accepted.
///
/// A transport belongs to the tokio runtime it was made on: its tasks run there, and it ends with that runtime.
/// Dropping it stops accepting; connections that were handed out live on until they are dropped or closed.
pub trait Transport: Send + Sync + Debug + 'static {
    /// The address peers dial. With port 0 asked for, the port that was given.
    fn local_addr(&self) -> SocketAddr;

    /// Dials `to` and returns once the peer has accepted us.
    ///
    /// Both sides have proven who they are by then: an `Ok` means that the peer is whom `expect` asked for *and*
    /// that the peer took our certificate. Ends within `handshake_timeout` of the configuration.
    ///
    /// # Errors
    ///
    /// A [`ConnectError`] that says which side refused and why. Nothing was sent for the caller.
    fn connect(&self, to: SocketAddr, expect: Expect) -> BoxFuture<'_, Result<Connection, ConnectError>>;

    /// The next connection whose peer has proven its identity, or `None` once the transport is closed.
    ///
    /// A handshake that fails is logged and counted; it is never returned and never ends the loop. Handshakes go on
    /// while nobody calls this, up to `accept_backlog`. Cancel safe.
    fn accept(&self) -> BoxFuture<'_, Option<Connection>>;

    /// Closes every connection of this transport and accepts no more. Idempotent.
    ///
    /// Peers are told as the last packets leave: await [`drained`](Self::drained) before the runtime ends, or they
    /// learn it only by their idle timeout.
    fn close(&self);

    /// Waits until every connection has ended and its peer was told, at most a second or two.
    fn drained(&self) -> BoxFuture<'_, ()>;
}
