//! A session id is a bearer token: it stands in no log (`PROTOCOL.md` 1).

use bytes::Bytes;
use colony_wire::peer::{Chunk, PeerBody, PeerMessage};
use colony_wire::session::Key;
use colony_wire::{Cfg, ColonyId, Frame, LineageId, NamespaceId, Reign, StartId};

use crate::{examples, for_every_message};

/// The session id of every example.
const ID: &str = "alice";

fn shown(frame: &Frame) -> String {
    macro_rules! by_kind {
        ($($name:ident: $message:ty,)*) => {
            match frame.kind {
                $(<$message as colony_wire::Message>::KIND => {
                    format!("{:?}", frame.decode::<$message>().expect("an example decodes"))
                })*
                kind => panic!("{kind:?} is nobody's"),
            }
        };
    }
    for_every_message!(by_kind)
}

#[test]
fn no_message_shows_a_session_id() {
    let mut with_id = 0;
    for (name, bytes) in examples::all() {
        with_id += usize::from(bytes.windows(ID.len()).any(|part| part == ID.as_bytes()));
        let frame = Frame::parse(bytes).expect("an example parses");
        for text in [shown(&frame), format!("{frame:?}")] {
            assert!(!text.contains(ID), "{name}: {text}");
        }
    }
    assert!(with_id >= 6, "the examples have ids to show");
}

#[test]
fn a_part_of_a_snapshot_shows_its_size_only() {
    let bytes = Bytes::from_static(b"sessions of alice and others");
    let (reign, cfg) = (Reign(1), Cfg(1));
    let chunk = PeerBody::Chunk(Chunk { reign, cfg, transfer: 1, index: 0, crc: 0, bytes });
    let colony = ColonyId { namespace: NamespaceId(1), bucket: 1 };
    let message = PeerMessage { colony, lineage: LineageId(1), from: StartId(1), to: StartId(2), body: chunk };
    assert!(!format!("{message:?}").contains(ID));
}

#[test]
fn a_key_shows_a_reference_and_equals_itself_alone() {
    let key = |text: &str| Key::new(Bytes::copy_from_slice(text.as_bytes())).expect("a short key");
    assert!(!format!("{0} {0:?}", key(ID)).contains(ID));
    assert_eq!(key(ID), key(ID));
    for other in ["alicf", "blice", "alic", "alicea"] {
        assert_ne!(key(ID), key(other));
    }
}
