//! One connection to Redis, one call at a time.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::resp::{self, Reply};
use crate::PeerError;
use crate::socket::Socket;
use crate::tls::Credentials;

/// A connection on which one call is under way at a time.
///
/// Every change is followed, in the same write, by `WAIT` for as many replicas as the connection was made for: what is
/// acknowledged to the caller is on them.
#[derive(Debug)]
pub struct RedisCaller {
    socket: Socket,
    replicas: u32,
    out: BytesMut,
}

impl RedisCaller {
    /// Connects, over TLS if there are credentials.
    ///
    /// # Errors
    /// [`PeerError::Io`].
    pub(super) async fn connect(
        address: SocketAddr,
        credentials: Option<&Credentials>,
        replicas: u32,
    ) -> Result<Self, PeerError> {
        Ok(Self { socket: Socket::connect(address, credentials).await?, replicas, out: BytesMut::new() })
    }

    /// Sets a value that lives for `ttl`.
    ///
    /// # Errors
    /// [`PeerError`]; also if too few replicas have it.
    pub async fn set(&mut self, key: &[u8], value: &[u8], ttl: Duration) -> Result<(), PeerError> {
        let seconds = ttl.as_secs().to_string();
        self.begin(&[b"SET", key, value, b"EX", seconds.as_bytes()]);
        self.change(|reply| *reply == Reply::Simple(b"OK")).await
    }

    /// Sets one field of a hash.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn set_field(&mut self, key: &[u8], field: &[u8], value: &[u8]) -> Result<(), PeerError> {
        self.begin(&[b"HSET", key, field, value]);
        self.change(|reply| matches!(reply, Reply::Number(_))).await
    }

    /// Restarts a time to live.
    ///
    /// # Errors
    /// As [`set`](Self::set); also if there is no such key.
    pub async fn touch(&mut self, key: &[u8], ttl: Duration) -> Result<(), PeerError> {
        let seconds = ttl.as_secs().to_string();
        self.begin(&[b"EXPIRE", key, seconds.as_bytes()]);
        self.change(|reply| *reply == Reply::Number(1)).await
    }

    /// The length of a value.
    ///
    /// # Errors
    /// [`PeerError`]; also if there is none.
    pub async fn get(&mut self, key: &[u8]) -> Result<usize, PeerError> {
        self.begin(&[b"GET", key]);
        self.socket.write(&self.out).await?;
        self.answer(|reply| match reply {
            Reply::Bulk(value) => Some(value.len()),
            _ => None,
        })
        .await
    }

    /// The text that a command answers with.
    ///
    /// # Errors
    /// [`PeerError`]; also if it answers otherwise.
    pub async fn text(&mut self, words: &[&[u8]]) -> Result<String, PeerError> {
        self.begin(words);
        self.socket.write(&self.out).await?;
        self.answer(|reply| match reply {
            Reply::Bulk(text) | Reply::Simple(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        })
        .await
    }

    fn begin(&mut self, words: &[&[u8]]) {
        self.out.clear();
        resp::command(&mut self.out, words);
    }

    /// Sends the change that was begun and hears its answer, and that of the replicas.
    async fn change(&mut self, is_done: impl Fn(&Reply<'_>) -> bool) -> Result<(), PeerError> {
        if self.replicas > 0 {
            resp::command(&mut self.out, &[b"WAIT", self.replicas.to_string().as_bytes(), b"0"]);
        }
        self.socket.write(&self.out).await?;
        self.answer(|reply| is_done(reply).then_some(())).await?;
        if self.replicas > 0 {
            let wanted = i64::from(self.replicas);
            self.answer(|reply| matches!(reply, Reply::Number(have) if *have >= wanted).then_some(())).await?;
        }
        Ok(())
    }

    /// The next answer, which must be one that `take` makes something of.
    async fn answer<T>(&mut self, take: impl Fn(&Reply<'_>) -> Option<T>) -> Result<T, PeerError> {
        loop {
            let arrived = self.socket.arrived();
            match resp::reply(arrived).map_err(PeerError::answer)? {
                Some((reply, length)) => {
                    let taken = take(&reply).ok_or_else(|| PeerError::answer(&arrived[..length]));
                    // Also of an answer that is refused: the next call must not hear it again.
                    arrived.advance(length);
                    return taken;
                }
                None => self.socket.more().await?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Bug: a Redis Cluster seemed never to fail over. Cause: a refusal stayed in the buffer, and every later call heard
    /// it again. Fix: an answer is taken off the buffer whatever is made of it.
    #[tokio::test]
    async fn a_refusal_is_heard_once() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in [&b"-MOVED 1 127.0.0.1:1\r\n"[..], b"+OK\r\n"] {
                let _ = stream.read(&mut [0; 256]).await.unwrap();
                stream.write_all(answer).await.unwrap();
            }
        });
        let mut caller = RedisCaller::connect(address, None, 0).await.unwrap();
        let ttl = Duration::from_secs(1);
        assert!(matches!(caller.set(b"key", b"value", ttl).await, Err(PeerError::Answer(_))));
        caller.set(b"key", b"value", ttl).await.unwrap();
        server.await.unwrap();
    }
}
