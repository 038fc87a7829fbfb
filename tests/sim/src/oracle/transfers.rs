//! Which transfers go on where an earlier primary's was cut off.

use std::collections::BTreeMap;

use colony_wire::peer::{PeerBody, PeerMessage};
use colony_wire::{ColonyId, Reign, StartId};

/// The states that are on their way, by colony and receiver.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    /// The newest offer: its reign and how many parts have bytes.
    offered: BTreeMap<(ColonyId, StartId), (Reign, u32)>,
    /// The reign in which something was taken last and not all.
    taken: BTreeMap<(ColonyId, StartId), Reign>,
}

impl Transfers {
    /// Takes note of a message. True if a peer that took a part of a state in an earlier reign says that it lacks
    /// only some of what is offered now.
    pub(super) fn note(&mut self, message: &PeerMessage) -> bool {
        let colony = message.colony;
        match &message.body {
            PeerBody::Offer(offer) => {
                let parts = offer.parts.iter().filter(|part| part.bytes > 0).count() as u32;
                self.offered.insert((colony, message.to), (offer.reign, parts));
            }
            PeerBody::ChunkTaken { reign, .. } => {
                self.taken.insert((colony, message.from), *reign);
            }
            PeerBody::Appended { .. } => {
                self.taken.remove(&(colony, message.from));
            }
            PeerBody::Wanted { reign, parts, .. } => {
                let receiver = (colony, message.from);
                let wanted: u32 = parts.iter().map(|byte| byte.count_ones()).sum();
                let began_before = self.taken.get(&receiver).is_some_and(|before| before < reign);
                let lacks_some = self.offered.get(&receiver).is_some_and(|(of, parts)| of == reign && wanted < *parts);
                return began_before && lacks_some;
            }
            _ => {}
        }
        false
    }
}
