//! One connection to NATS, one call at a time.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, BytesMut};
use serde_json::Value;

use super::protocol::{self, Heard};
use crate::PeerError;
use crate::socket::Socket;

/// Where answers to calls of a connection arrive. Each connection hears only its own subscriptions, but subjects are
/// shared by all, so that the name has a number of the connection's in it.
const INBOX: &str = "_INBOX.peers";
/// What a client says of itself. Without `no_responders` a call to a stream that is not there would wait for ever.
const HELLO: &[u8] =
    b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"name\":\"peers\"}\r\n";

/// A connection on which one call is under way at a time.
#[derive(Debug)]
pub struct NatsCaller {
    socket: Socket,
    inbox: String,
    bucket: String,
    out: BytesMut,
}

impl NatsCaller {
    /// Connects; `number` is this connection's alone, among all that are open.
    ///
    /// # Errors
    /// [`PeerError`].
    pub(super) async fn connect(address: SocketAddr, bucket: &str, number: u64) -> Result<Self, PeerError> {
        let inbox = format!("{INBOX}.{}.{number}", std::process::id());
        let socket = Socket::connect(address, None).await?;
        let mut caller = Self { socket, inbox, bucket: bucket.to_owned(), out: BytesMut::new() };
        caller.out.put_slice(HELLO);
        caller.out.put_slice(format!("SUB {} 1\r\nPING\r\n", caller.inbox).as_bytes());
        caller.socket.write(&caller.out).await?;
        while caller.next(|heard, _| Ok(*heard != Heard::Pong)).await? {}
        Ok(caller)
    }

    /// Puts a value; the answer comes when most copies have it.
    ///
    /// # Errors
    /// [`PeerError`]; also if the stream declines.
    pub async fn put(&mut self, key: &str, value: &[u8]) -> Result<(), PeerError> {
        let subject = format!("$KV.{}.{key}", self.bucket);
        self.begin(&subject, value.len());
        self.out.put_slice(value);
        self.answer(|_, content| {
            // An acknowledgement is `{"stream":...,"seq":...}`, a refusal has an `error` in it.
            let is_refused = content.windows(7).any(|part| part == b"\"error\"");
            if is_refused { Err(PeerError::answer(content)) } else { Ok(()) }
        })
        .await
    }

    /// The length of a value, as the server that is asked has it.
    ///
    /// # Errors
    /// [`PeerError`]; also if there is none.
    pub async fn get(&mut self, key: &str) -> Result<usize, PeerError> {
        let subject = format!("$JS.API.DIRECT.GET.KV_{bucket}.$KV.{bucket}.{key}", bucket = self.bucket);
        self.begin(&subject, 0);
        self.answer(|head, content| {
            // A value has fields and no status; what is not there has a status.
            let has_status = !head.starts_with(b"NATS/1.0\r\n");
            if has_status { Err(PeerError::answer(head)) } else { Ok(content.len()) }
        })
        .await
    }

    /// Asks the servers themselves.
    ///
    /// # Errors
    /// [`PeerError`]; also if they decline.
    pub(super) async fn ask(&mut self, subject: &str, question: &Value) -> Result<Value, PeerError> {
        let question = question.to_string();
        self.begin(&format!("$JS.API.{subject}"), question.len());
        self.out.put_slice(question.as_bytes());
        let answer: Value = self
            .answer(
                |head, content| {
                    if content.is_empty() { Err(PeerError::answer(head)) } else { Ok(content.to_vec()) }
                },
            )
            .await
            .and_then(|content| serde_json::from_slice(&content).map_err(|_| PeerError::answer(&content)))?;
        match answer.get("error") {
            Some(error) => Err(PeerError::Answer(error.to_string())),
            None => Ok(answer),
        }
    }

    fn begin(&mut self, subject: &str, length: usize) {
        self.out.clear();
        self.out.put_slice(format!("PUB {subject} {} {length}\r\n", self.inbox).as_bytes());
    }

    /// Sends the call that was begun and makes something of its answer.
    async fn answer<T>(&mut self, take: impl Fn(&[u8], &[u8]) -> Result<T, PeerError>) -> Result<T, PeerError> {
        self.out.put_slice(b"\r\n");
        self.socket.write(&self.out).await?;
        loop {
            let taken = self.next(|heard, bytes| match heard {
                Heard::Message { head, content } => take(&bytes[head.clone()], &bytes[content.clone()]).map(Some),
                _ => Ok(None),
            });
            if let Some(taken) = taken.await? {
                return Ok(taken);
            }
        }
    }

    /// Hears the next thing that the server sends.
    async fn next<T>(&mut self, take: impl Fn(&Heard, &[u8]) -> Result<T, PeerError>) -> Result<T, PeerError> {
        loop {
            let arrived = self.socket.arrived();
            let Some((heard, length)) = protocol::heard(arrived).map_err(PeerError::answer)? else {
                self.socket.more().await?;
                continue;
            };
            if heard == Heard::Error {
                return Err(PeerError::answer(&arrived[..length]));
            }
            let taken = take(&heard, arrived);
            arrived.advance(length);
            if heard == Heard::Ping {
                self.socket.write(b"PONG\r\n").await?;
            }
            return taken;
        }
    }
}
