//! Chunks of a stream in, frames out.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::{PREAMBLE, PREFIX_LEN, Side};
use crate::RecvError;

/// What is allocated at first for a frame that spans chunks. A peer that announces a long frame and sends nothing
/// costs this much, not the length it announced.
const ASSEMBLY_START: usize = 64 << 10;

/// Finds the frames in a sequence of chunks. Knows no I/O.
#[derive(Debug)]
pub(super) struct Decoder {
    max_frame: usize,
    chunks: VecDeque<Bytes>,
    /// The prefix, or the preamble, as far as it has come.
    head: [u8; PREFIX_LEN],
    head_len: usize,
    expect_preamble: bool,
    /// A frame that spans chunks, as far as it has come, and what is missing of it.
    partial: Option<(BytesMut, usize)>,
}

impl Decoder {
    pub(super) fn new(side: Side, max_frame: usize) -> Self {
        Self {
            max_frame,
            chunks: VecDeque::new(),
            head: [0; PREFIX_LEN],
            head_len: 0,
            expect_preamble: side == Side::Acceptor,
            partial: None,
        }
    }

    /// Where the next chunks of the stream go, in order.
    pub(super) fn chunks(&mut self) -> &mut VecDeque<Bytes> {
        &mut self.chunks
    }

    /// The next frame, or `None` if more chunks are needed. A slice of its chunk where it lies within one.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, RecvError> {
        loop {
            if self.partial.is_some() {
                return Ok(self.assemble());
            }
            if !self.fill_head() {
                return Ok(None);
            }
            self.head_len = 0;
            if self.expect_preamble {
                if self.head != PREAMBLE {
                    return Err(RecvError::Foreign);
                }
                self.expect_preamble = false;
                continue;
            }
            let len = self.announced()?;
            match front(&mut self.chunks) {
                Some(chunk) if chunk.len() >= len => return Ok(Some(chunk.split_to(len))),
                _ => self.partial = Some((BytesMut::with_capacity(len.min(ASSEMBLY_START)), len)),
            }
        }
    }

    /// The stream has ended: nothing may be half there.
    pub(super) fn finish(&self) -> Result<(), RecvError> {
        match &self.partial {
            Some((_, missing)) => Err(RecvError::Truncated { missing: *missing }),
            None if self.head_len > 0 => Err(RecvError::Truncated { missing: PREFIX_LEN - self.head_len }),
            None if self.expect_preamble => Err(RecvError::Foreign),
            None => Ok(()),
        }
    }

    /// The length in the head, if a frame may have it.
    fn announced(&self) -> Result<usize, RecvError> {
        let len = u32::from_le_bytes(self.head);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len == 0 {
            return Err(RecvError::Empty);
        }
        if len > self.max_frame {
            return Err(RecvError::TooLarge { len, limit: self.max_frame });
        }
        Ok(len)
    }

    /// Moves bytes into the head; whether it is whole.
    fn fill_head(&mut self) -> bool {
        while self.head_len < PREFIX_LEN {
            let Some(chunk) = front(&mut self.chunks) else { return false };
            let missing = &mut self.head[self.head_len..];
            let len = chunk.len().min(missing.len());
            chunk.copy_to_slice(&mut missing[..len]);
            self.head_len += len;
        }
        true
    }

    /// Moves bytes into the partial frame; returns it once it is whole.
    fn assemble(&mut self) -> Option<Bytes> {
        let (mut frame, mut missing) = self.partial.take()?;
        while missing > 0 {
            let Some(chunk) = front(&mut self.chunks) else {
                self.partial = Some((frame, missing));
                return None;
            };
            let len = chunk.len().min(missing);
            frame.extend_from_slice(&chunk.split_to(len));
            missing -= len;
        }
        Some(frame.freeze())
    }
}

/// The first chunk that is not empty.
fn front(chunks: &mut VecDeque<Bytes>) -> Option<&mut Bytes> {
    while chunks.front().is_some_and(Bytes::is_empty) {
        chunks.pop_front();
    }
    chunks.front_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder() -> Decoder {
        Decoder::new(Side::Opener, 1000)
    }

    fn stream(frames: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(frame);
        }
        bytes
    }

    #[test]
    fn frames_come_out_the_same_however_the_stream_is_cut() {
        let long = vec![9; 1000];
        let frames: [&[u8]; 4] = [b"a", b"bcd", &long, b"e"];
        let bytes = stream(&frames);
        for cut in 1..=bytes.len() {
            let mut decoder = decoder();
            let mut got = Vec::new();
            for piece in bytes.chunks(cut) {
                decoder.chunks().push_back(Bytes::copy_from_slice(piece));
                while let Some(frame) = decoder.next().unwrap() {
                    got.push(frame);
                }
            }
            assert_eq!(got, frames, "cut every {cut} bytes");
            assert_eq!(decoder.finish(), Ok(()));
        }
    }

    #[test]
    fn a_frame_within_one_chunk_is_not_copied() {
        let chunk = Bytes::from(stream(&[b"abc", b"de"]));
        let mut decoder = decoder();
        decoder.chunks().push_back(chunk.clone());
        let frame = decoder.next().unwrap().unwrap();
        assert_eq!(frame.as_ptr(), chunk[PREFIX_LEN..].as_ptr());
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_anything_is_allocated() {
        let mut decoder = decoder();
        decoder.chunks().push_back(Bytes::from(1001_u32.to_le_bytes().to_vec()));
        assert_eq!(decoder.next(), Err(RecvError::TooLarge { len: 1001, limit: 1000 }));
        assert!(decoder.partial.is_none());
    }

    #[test]
    fn a_length_of_zero_is_refused() {
        let mut decoder = decoder();
        decoder.chunks().push_back(Bytes::from_static(&[0; 4]));
        assert_eq!(decoder.next(), Err(RecvError::Empty));
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_truncated() {
        let whole = stream(&[b"abcdef"]);
        for (cut, missing) in [(2, 2), (4, 6), (7, 3)] {
            let mut decoder = decoder();
            decoder.chunks().push_back(Bytes::copy_from_slice(&whole[..cut]));
            assert_eq!(decoder.next(), Ok(None));
            assert_eq!(decoder.finish(), Err(RecvError::Truncated { missing }));
        }
    }

    #[test]
    fn an_accepted_stream_must_begin_with_the_preamble() {
        let mut decoder = Decoder::new(Side::Acceptor, 1000);
        decoder.chunks().push_back(Bytes::from(stream(&[b"abc"])));
        assert_eq!(decoder.next(), Err(RecvError::Foreign));

        let mut decoder = Decoder::new(Side::Acceptor, 1000);
        decoder.chunks().push_back(Bytes::from_static(&PREAMBLE));
        decoder.chunks().push_back(Bytes::from(stream(&[b"abc"])));
        assert_eq!(decoder.next(), Ok(Some(Bytes::from_static(b"abc"))));
    }
}
