//! The frame: sixteen bytes by hand, then a postcard body.
//!
//! ```text
//!  0        2         4        6         8                  16
//!  +--------+---------+--------+---------+-------------------+---------------+
//!  | magic  | version | kind   | flags   | call              | body ...      |
//!  +--------+---------+--------+---------+-------------------+---------------+
//! ```
//!
//! All numbers are little-endian. `flags` must be zero. `call` pairs a reply with its request; it is zero
//! for messages that have no reply. The body's length is the frame's length less the header.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::MAX_FRAME;

/// Bytes before the body.
pub const HEADER_LEN: usize = 16;
const MAGIC: u16 = 0xC01A;
const VERSION: u16 = 1;

/// What a frame carries. Numbers are never used for anything else again; an unknown one is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u16);

/// A body with its kind and bound.
pub trait Message: Serialize + DeserializeOwned {
    /// The number in the header.
    const KIND: Kind;
    /// Largest encoded body in bytes.
    const MAX_BODY: usize = MAX_FRAME - HEADER_LEN;

    /// Refuses a decoded value whose parts exceed their named limits.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] names the first limit that is exceeded.
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }

    /// The message as one frame, `call` in its header.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] if the body exceeds [`Message::MAX_BODY`]; nothing is sent then.
    fn to_frame(&self, call: u64) -> Result<Bytes, EncodeError> {
        let mut head = [0_u8; HEADER_LEN];
        head[0..2].copy_from_slice(&MAGIC.to_le_bytes());
        head[2..4].copy_from_slice(&VERSION.to_le_bytes());
        head[4..6].copy_from_slice(&Self::KIND.0.to_le_bytes());
        head[8..16].copy_from_slice(&call.to_le_bytes());
        // A Vec: postcard extends it slice by slice, a BytesMut byte by byte.
        let buffer = postcard::to_extend(self, head.to_vec())
            .map_err(|error| EncodeError::Unencodable { kind: Self::KIND, error })?;
        let body = buffer.len() - HEADER_LEN;
        if body > Self::MAX_BODY {
            return Err(EncodeError::TooLarge { kind: Self::KIND, len: body, limit: Self::MAX_BODY });
        }
        Ok(Bytes::from(buffer))
    }
}

/// A received frame with its header checked and its body not yet decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What the body is.
    pub kind: Kind,
    /// Pairs a reply with its request; zero if there is none.
    pub call: u64,
    body: Bytes,
}

/// The body may hold session ids: it is for no log.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:?}, call {}, {} bytes)", self.kind, self.call, self.body.len())
    }
}

impl Frame {
    /// Checks the header of one frame as the transport delivered it.
    ///
    /// # Errors
    /// Any [`DecodeError`] but those of bodies. The sender speaks another protocol: close the stream.
    pub fn parse(bytes: Bytes) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_FRAME {
            return Err(DecodeError::TooLarge { len: bytes.len(), limit: MAX_FRAME });
        }
        let Some((head, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(DecodeError::TooShort { len: bytes.len() });
        };
        let [m0, m1, v0, v1, k0, k1, f0, f1, call @ ..] = *head;
        if u16::from_le_bytes([m0, m1]) != MAGIC {
            return Err(DecodeError::NotColony);
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version != VERSION {
            return Err(DecodeError::Version { theirs: version, ours: VERSION });
        }
        if [f0, f1] != [0, 0] {
            return Err(DecodeError::Flags { flags: u16::from_le_bytes([f0, f1]) });
        }
        let kind = Kind(u16::from_le_bytes([k0, k1]));
        Ok(Self { kind, call: u64::from_le_bytes(call), body: bytes.slice(HEADER_LEN..) })
    }

    /// The body as an `M`, whole and within its limits.
    ///
    /// # Errors
    /// [`DecodeError::Kind`] if the frame is of another kind, else what is wrong with the body.
    pub fn decode<M: Message>(&self) -> Result<M, DecodeError> {
        if self.kind != M::KIND {
            return Err(DecodeError::Kind { theirs: self.kind, wanted: M::KIND });
        }
        if self.body.len() > M::MAX_BODY {
            return Err(DecodeError::TooLarge { len: self.body.len(), limit: M::MAX_BODY });
        }
        let (message, rest) =
            postcard::take_from_bytes::<M>(&self.body).map_err(|error| DecodeError::Body { kind: M::KIND, error })?;
        if !rest.is_empty() {
            return Err(DecodeError::Trailing { kind: M::KIND, len: rest.len() });
        }
        message.check()?;
        Ok(message)
    }

    /// The first fields of an `M`'s body, as an `H` that has the same ones in the same order. What is behind them is
    /// not looked at: it may be anything.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), for those fields.
    pub(crate) fn decode_head<M: Message, H: DeserializeOwned>(&self) -> Result<H, DecodeError> {
        if self.kind != M::KIND {
            return Err(DecodeError::Kind { theirs: self.kind, wanted: M::KIND });
        }
        let head = postcard::take_from_bytes::<H>(&self.body);
        head.map(|(head, _)| head).map_err(|error| DecodeError::Body { kind: M::KIND, error })
    }

    /// Bytes that the frame takes, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        HEADER_LEN + self.body.len()
    }
}

/// A message cannot be sent. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The body is larger than its kind allows.
    #[error("message {kind:?} has {len} bytes, the limit is {limit}")]
    TooLarge {
        /// What was to be sent.
        kind: Kind,
        /// Bytes of the body.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A value that has no encoding; a fault of this program.
    #[error("message {kind:?} cannot be encoded: {error}")]
    Unencodable {
        /// What was to be sent.
        kind: Kind,
        /// What the encoder said.
        error: postcard::Error,
    },
}

/// Bytes that are no message of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than a header.
    #[error("frame of {len} bytes is shorter than its header")]
    TooShort {
        /// Bytes received.
        len: usize,
    },
    /// Longer than the limit of frames, or of this kind of message.
    #[error("frame of {len} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Bytes received.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The first two bytes are not ours.
    #[error("not a colony frame")]
    NotColony,
    /// The sender speaks a version that this build does not.
    #[error("peer speaks frame version {theirs}, this build speaks {ours}")]
    Version {
        /// The sender's.
        theirs: u16,
        /// This build's.
        ours: u16,
    },
    /// A flag is set that this version does not know.
    #[error("unknown frame flags {flags:#06x}")]
    Flags {
        /// The flags as received.
        flags: u16,
    },
    /// Another message stands where this one was expected.
    #[error("message {theirs:?} where {wanted:?} was expected")]
    Kind {
        /// Received.
        theirs: Kind,
        /// Expected.
        wanted: Kind,
    },
    /// The body does not decode.
    #[error("body of {kind:?} does not decode: {error}")]
    Body {
        /// Of which message.
        kind: Kind,
        /// What the decoder said.
        error: postcard::Error,
    },
    /// The body goes on after its message ended.
    #[error("body of {kind:?} has {len} bytes too many")]
    Trailing {
        /// Of which message.
        kind: Kind,
        /// Bytes left over.
        len: usize,
    },
    /// A part says what its sender may not say.
    #[error("{what} is not for the sender to say")]
    NotYours {
        /// What it says.
        what: &'static str,
    },
    /// A part exceeds its named limit.
    #[error("{what} is {len}, the limit is {limit}")]
    Limit {
        /// Which part.
        what: &'static str,
        /// Its size or count.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
}

/// Refuses a part that exceeds its named limit.
pub(crate) fn within(what: &'static str, len: usize, limit: usize) -> Result<(), DecodeError> {
    if len > limit { Err(DecodeError::Limit { what, len, limit }) } else { Ok(()) }
}
