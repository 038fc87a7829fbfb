//! The one task that writes a stream.

use std::mem;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::queue::{End, Queue};
use super::{PREAMBLE, PREFIX_LEN, SendHalf, Side};

/// Frames up to this many bytes are copied behind their prefix; longer ones go as they are. A transport pays for
/// every chunk it is given, again for every packet, so that copying a few KiB is the cheaper way.
const COPY_MAX: usize = 8 << 10;

/// Copied frames go in chunks of about this many bytes: a transport frees a chunk only once all of it is
/// acknowledged.
const CHUNK_LEN: usize = 64 << 10;

/// Writes what `queue` holds to `half` until the stream ends, one way or the other.
pub(super) async fn run(side: Side, queue: Arc<Queue>, mut half: SendHalf) {
    // A task that is dropped with its runtime must not leave senders waiting.
    let guard = EndGuard(Arc::clone(&queue));
    let mut ended = half.ended();
    let mut batch = Vec::new();
    let mut chunks = Vec::new();
    let mut scratch = BytesMut::new();
    let mut preamble = side == Side::Opener;
    loop {
        if mem::take(&mut preamble) {
            // Let the task that opened the stream put its first frames beside the preamble.
            tokio::task::yield_now().await;
            scratch.put_slice(&PREAMBLE);
        } else {
            let more = tokio::select! {
                biased;
                _ = &mut ended => return,
                more = queue.take(&mut batch) => more,
            };
            if !more {
                break;
            }
        }
        let (frames, bytes) = encode(&mut batch, &mut scratch, &mut chunks);
        let written = half.write(&mut chunks).await;
        chunks.clear();
        queue.release(frames, bytes);
        if written.is_err() {
            return;
        }
    }
    half.finish();
    if ended.await {
        queue.end(End::Delivered);
    }
    drop(guard);
}

/// Ends the queue as broken unless it has ended otherwise.
struct EndGuard(Arc<Queue>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.end(End::Broken);
    }
}

/// Turns frames into chunks for one write; returns how many frames and bytes of the queue they were.
fn encode(batch: &mut Vec<Bytes>, scratch: &mut BytesMut, chunks: &mut Vec<Bytes>) -> (usize, usize) {
    let frames = batch.len();
    let mut bytes = 0;
    for frame in batch.drain(..) {
        bytes += frame.len() + PREFIX_LEN;
        let len = u32::try_from(frame.len()).expect("the queue takes no frame above max_frame, a u32");
        scratch.put_u32_le(len);
        if frame.len() <= COPY_MAX {
            scratch.put_slice(&frame);
            if scratch.len() >= CHUNK_LEN {
                chunks.push(scratch.split().freeze());
            }
        } else {
            chunks.push(scratch.split().freeze());
            chunks.push(frame);
        }
    }
    if !scratch.is_empty() {
        chunks.push(scratch.split().freeze());
    }
    (frames, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(frames: &[usize]) -> Vec<Bytes> {
        let mut batch = frames.iter().map(|len| Bytes::from(vec![7; *len])).collect();
        let mut chunks = Vec::new();
        encode(&mut batch, &mut BytesMut::new(), &mut chunks);
        chunks
    }

    #[test]
    fn short_frames_share_a_chunk() {
        let chunks = encoded(&[1, 2, 3]);
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].as_ref(), [1, 0, 0, 0, 7, 2, 0, 0, 0, 7, 7, 3, 0, 0, 0, 7, 7, 7]);
    }

    #[test]
    fn a_long_frame_is_not_copied() {
        let frame = Bytes::from(vec![7; COPY_MAX + 1]);
        let mut batch = vec![Bytes::from_static(b"a"), frame.clone(), Bytes::from_static(b"b")];
        let mut chunks = Vec::new();
        encode(&mut batch, &mut BytesMut::new(), &mut chunks);
        assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [9, COPY_MAX + 1, 5]);
        assert_eq!(chunks[1].as_ptr(), frame.as_ptr());
    }

    #[test]
    fn no_chunk_of_short_frames_grows_far_beyond_its_length() {
        let chunks = encoded(&[COPY_MAX; 100]);
        assert!(chunks.iter().all(|chunk| chunk.len() <= CHUNK_LEN + COPY_MAX + PREFIX_LEN));
    }
}
