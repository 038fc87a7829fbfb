//! Encoding loses nothing.

use colony_wire::{Frame, Kind, Message};
use proptest::prelude::*;

use crate::{arbitrary, for_every_message};

fn there_and_back<M: Message>(message: &M, call: u64) -> M {
    let frame = Frame::parse(message.to_frame(call).expect("it encodes")).expect("it parses");
    assert_eq!((frame.kind, frame.call), (M::KIND, call));
    frame.decode().expect("it decodes")
}

macro_rules! round_trips {
    ($($name:ident: $message:ty,)*) => {
        proptest! {
            $(
                #[test]
                fn $name(message in arbitrary::$name(), call in any::<u64>()) {
                    prop_assert_eq!(there_and_back(&message, call), message);
                }
            )*
        }
    };
}
for_every_message!(round_trips);

/// A number in a header means one message for ever.
#[test]
fn every_kind_number_names_one_message() {
    macro_rules! kinds {
        ($($name:ident: $message:ty,)*) => {
            [$((<$message>::KIND, stringify!($message).rsplit(' ').next().unwrap_or_default()),)*]
        };
    }
    assert_eq!(
        for_every_message!(kinds),
        [
            (Kind(0x0101), "Request"),
            (Kind(0x0102), "Reply"),
            (Kind(0x0103), "RoutesRequest"),
            (Kind(0x0104), "Routes"),
            (Kind(0x0201), "PeerMessage"),
            (Kind(0x0202), "HealMessage"),
            (Kind(0x0301), "Beacon"),
            (Kind(0x0302), "ControlRequest"),
            (Kind(0x0304), "IslandRequest"),
            (Kind(0x0303), "ControlReply"),
            (Kind(0x0401), "AdminRequest"),
            (Kind(0x0402), "AdminReply"),
            (Kind(0x0403), "PluginPart"),
        ]
    );
    let numbers: std::collections::BTreeSet<Kind> = for_every_message!(kinds).iter().map(|(kind, _)| *kind).collect();
    assert_eq!(numbers.len(), for_every_message!(kinds).len());
}
