//! Plugins on their way in from a person, piece by piece.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use colony_wire::limits::MAX_PLUGIN_BYTES;
use colony_wire::plugin::{ContentId, PluginPart};

use super::lock;

/// Plugins that may be on their way at a time. Beyond it the one that got its last piece longest ago goes.
const AT_A_TIME: usize = 4;

/// What has come in so far. Whoever sends a plugin a second time goes on where the first one was.
#[derive(Default)]
pub(in crate::host) struct Uploads {
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    /// Pieces taken, of all.
    count: u64,
    uploads: BTreeMap<ContentId, Upload>,
}

#[derive(Default)]
struct Upload {
    bytes: Vec<u8>,
    /// The number of its last piece.
    last: u64,
}

/// What came of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::host) enum Taken {
    /// So many bytes are here; the next piece begins there.
    More(u32),
    /// All of it. Whether it is what it says is not looked at here.
    Whole(Bytes),
}

impl Uploads {
    /// Takes a piece. One that does not go on where the last ended changes nothing.
    pub(in crate::host) fn take(&self, part: &PluginPart) -> Taken {
        let mut under_way = lock(&self.under_way);
        let UnderWay { count, uploads } = &mut *under_way;
        *count += 1;
        let upload = uploads.entry(part.content).or_default();
        upload.last = *count;
        let size = (part.size as usize).min(MAX_PLUGIN_BYTES);
        if part.offset as usize == upload.bytes.len() {
            let room = size.saturating_sub(upload.bytes.len());
            upload.bytes.extend(part.bytes.iter().take(room));
        }
        let taken = if upload.bytes.len() >= size {
            let whole = uploads.remove(&part.content).unwrap_or_default();
            Taken::Whole(whole.bytes.into())
        } else {
            Taken::More(u32::try_from(upload.bytes.len()).unwrap_or(u32::MAX))
        };
        if uploads.len() > AT_A_TIME
            && let Some(oldest) = uploads.iter().min_by_key(|(_, upload)| upload.last).map(|(content, _)| *content)
        {
            uploads.remove(&oldest);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(content: u8, offset: u32, bytes: &'static [u8]) -> PluginPart {
        PluginPart { content: ContentId([content; 32]), size: 6, offset, bytes: Bytes::from_static(bytes) }
    }

    #[test]
    fn pieces_make_a_whole_in_order_only() {
        let uploads = Uploads::default();
        assert_eq!(uploads.take(&part(1, 3, b"def")), Taken::More(0));
        assert_eq!(uploads.take(&part(1, 0, b"abc")), Taken::More(3));
        assert_eq!(uploads.take(&part(1, 0, b"abc")), Taken::More(3));
        assert_eq!(uploads.take(&part(1, 3, b"defgh")), Taken::Whole(Bytes::from_static(b"abcdef")));
        assert_eq!(uploads.take(&part(1, 3, b"def")), Taken::More(0), "it is not kept here");
    }

    #[test]
    fn what_nobody_goes_on_with_makes_room() {
        let uploads = Uploads::default();
        for content in 0..=u8::try_from(AT_A_TIME).expect("a few") {
            assert_eq!(uploads.take(&part(content, 0, b"a")), Taken::More(1));
        }
        assert_eq!(uploads.take(&part(0, 1, b"b")), Taken::More(0), "the oldest went");
    }
}
