//! What crosses the network when there is nothing behind it.

use bytes::{BufMut, Bytes, BytesMut};

use crate::load::{Load, Profile};

/// Bytes of the head: the number of the call, the length of the secondary's answer, and that of the reply.
const HEAD: usize = 16;
/// A request of a call that carries no state, and a reply that carries none: about what Colony's are.
const SHORT: usize = 64;

/// Lengths of the frames of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lengths {
    request: usize,
    acknowledgement: usize,
    reply: usize,
}

impl Lengths {
    /// Those of the calls of a load.
    pub(super) fn of(load: &Load) -> Self {
        match load.profile {
            Profile::Get => Self { request: SHORT, acknowledgement: HEAD, reply: load.bytes.max(HEAD) },
            _ => Self { request: load.bytes.max(HEAD), acknowledgement: HEAD, reply: SHORT },
        }
    }
}

/// The request of this number.
pub(super) fn request(lengths: Lengths, call: u64) -> Bytes {
    let mut frame = BytesMut::with_capacity(lengths.request);
    frame.put_u64_le(call);
    frame.put_u32_le(u32::try_from(lengths.acknowledgement).unwrap_or(u32::MAX));
    frame.put_u32_le(u32::try_from(lengths.reply).unwrap_or(u32::MAX));
    frame.resize(lengths.request, 0x5A);
    frame.freeze()
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The number of the call.
    pub(super) call: u64,
    /// Length of the secondary's answer.
    pub(super) acknowledgement: usize,
    /// Length of the reply.
    pub(super) reply: usize,
}

impl Asked {
    /// Reads the head of a request; none if it is none, or asks for more than any load does.
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        /// Longest answer: above that of any load, and below the longest frame.
        const ANSWER_MAX: usize = 512 << 10;
        let (call, rest) = frame.split_first_chunk::<8>()?;
        let (acknowledgement, rest) = rest.split_first_chunk::<4>()?;
        let reply = rest.first_chunk::<4>()?;
        let length = |bytes: &[u8; 4]| {
            let length = usize::try_from(u32::from_le_bytes(*bytes)).ok()?;
            (HEAD..=ANSWER_MAX).contains(&length).then_some(length)
        };
        Some(Self { call: u64::from_le_bytes(*call), acknowledgement: length(acknowledgement)?, reply: length(reply)? })
    }
}

/// An answer of this length to the call of this number.
pub(super) fn answer(call: u64, length: usize) -> Bytes {
    let mut frame = BytesMut::with_capacity(length);
    frame.put_u64_le(call);
    frame.resize(length, 0xA5);
    frame.freeze()
}

/// The call that an answer is to; none if it is none.
pub(super) fn answered(frame: &[u8]) -> Option<u64> {
    frame.first_chunk::<8>().map(|call| u64::from_le_bytes(*call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_long_as_those_of_the_calls_they_stand_for() {
        let of = |name: &str| Lengths::of(&name.parse().unwrap());
        assert_eq!(of("set-1k-1x64"), Lengths { request: 1024, acknowledgement: HEAD, reply: SHORT });
        assert_eq!(of("get-1k-1x64"), Lengths { request: SHORT, acknowledgement: HEAD, reply: 1024 });
        assert_eq!(request(of("set-1k-1x64"), 7).len(), 1024);
    }

    #[test]
    fn a_request_says_what_it_asks_for() {
        let lengths = Lengths { request: 100, acknowledgement: 16, reply: 300 };
        let asked = Asked::read(&request(lengths, 7));
        assert_eq!(asked, Some(Asked { call: 7, acknowledgement: 16, reply: 300 }));
        assert_eq!(answered(&answer(7, 300)), Some(7));
    }

    #[test]
    fn what_is_no_request_is_not_answered() {
        assert_eq!(Asked::read(&[0; 15]), None);
        assert_eq!(Asked::read(&[0xFF; 16]), None);
        assert_eq!(answered(&[0; 7]), None);
    }
}
