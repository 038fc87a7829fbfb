//! The few bytes with which a sentinel connection begins.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest hello in bytes: room for an id, a name's hash and a number, no more, since anybody can make us read it.
pub const HELLO_LEN_MAX: usize = 64;

/// What a greeting begins with: the name and version of this protocol. Also keeps a stray client of another protocol
/// from being taken for a sentinel.
const MAGIC: [u8; 4] = *b"cls1";

/// Why a greeting is none.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// The hello is empty or longer than [`HELLO_LEN_MAX`]: ours, or the one the peer announced.
    #[error("a hello of {0} bytes; it needs 1 to {HELLO_LEN_MAX}")]
    Length(usize),
    /// The peer does not speak this protocol.
    #[error("the peer does not greet as a sentinel")]
    Foreign,
    /// The peer broke off, or the system failed.
    #[error("the greeting broke off: {0}")]
    Io(#[from] io::Error),
}

/// Checks a hello of ours.
pub(crate) fn check(hello: &Bytes) -> Result<(), HelloError> {
    if hello.is_empty() || hello.len() > HELLO_LEN_MAX {
        return Err(HelloError::Length(hello.len()));
    }
    Ok(())
}

/// Says our hello and hears the peer's. Both speak at once, so that it takes one way, not two.
pub(super) async fn greet(stream: &mut TcpStream, hello: &Bytes) -> Result<Bytes, HelloError> {
    check(hello)?;
    stream.set_nodelay(true)?;
    let mut ours = BytesMut::with_capacity(MAGIC.len() + 1 + hello.len());
    ours.put_slice(&MAGIC);
    ours.put_u8(u8::try_from(hello.len()).map_err(|_| HelloError::Length(hello.len()))?);
    ours.put_slice(hello);
    stream.write_all(&ours).await?;

    let mut magic = [0; MAGIC.len()];
    stream.read_exact(&mut magic).await?;
    if magic != MAGIC {
        return Err(HelloError::Foreign);
    }
    let len = usize::from(stream.read_u8().await?);
    if len == 0 || len > HELLO_LEN_MAX {
        return Err(HelloError::Length(len));
    }
    let mut theirs = vec![0; len];
    stream.read_exact(&mut theirs).await?;
    Ok(theirs.into())
}
