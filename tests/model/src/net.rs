//! What is under way between hosts.

use colony_wire::StartId;
use colony_wire::peer::PeerMessage;

use crate::hashed::Hashed;
use crate::scope::Order;

/// Messages under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Net {
    order: Order,
    /// By link; on a link as they were sent if that is the order they arrive in, else by digest.
    messages: Vec<Hashed<PeerMessage>>,
}

impl Net {
    pub(crate) fn new(order: Order) -> Self {
        Self { order, messages: Vec::new() }
    }

    /// The order in which messages arrive.
    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// Those under way.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Hashed<PeerMessage>> {
        self.messages.iter()
    }

    /// Those that may arrive next.
    pub(crate) fn arriving(&self) -> impl Iterator<Item = &Hashed<PeerMessage>> {
        let is_next = move |index: &usize| match self.order {
            Order::Any => true,
            Order::Sent => *index == 0 || link(&self.messages[index - 1]) != link(&self.messages[*index]),
        };
        (0..self.messages.len()).filter(is_next).map(|index| &self.messages[index])
    }

    /// A message is under way. One that is so already is not so twice.
    pub(crate) fn send(&mut self, message: Hashed<PeerMessage>) {
        let link = link(&message);
        let begin = self.messages.partition_point(|other| self::link(other) < link);
        let end = self.messages.partition_point(|other| self::link(other) <= link);
        let before = &self.messages[begin..end];
        if before.contains(&message) {
            return;
        }
        let place = match self.order {
            Order::Any => begin + before.partition_point(|other| other.digest() < message.digest()),
            Order::Sent => end,
        };
        self.messages.insert(place, message);
    }

    /// A message is under way no longer.
    pub(crate) fn take(&mut self, message: &Hashed<PeerMessage>) {
        if let Some(place) = self.messages.iter().position(|other| other == message) {
            self.messages.remove(place);
        }
    }

    /// These messages are under way no longer.
    pub(crate) fn lose(&mut self, is_lost: impl Fn(&PeerMessage) -> bool) {
        self.messages.retain(|message| !is_lost(message));
    }
}

/// Between two processes there are two streams, one of them for bulk (`PROTOCOL.md` 6.2).
fn link(message: &PeerMessage) -> (StartId, StartId, bool) {
    (message.from, message.to, message.body.is_bulk())
}

#[cfg(test)]
mod tests {
    use colony_wire::peer::PeerBody;
    use colony_wire::{ColonyId, LineageId, NamespaceId, Reign};

    use super::*;

    fn message(from: u64, to: u64, reign: u64) -> Hashed<PeerMessage> {
        Hashed::new(PeerMessage {
            colony: ColonyId { namespace: NamespaceId(1), bucket: 0 },
            lineage: LineageId(7),
            from: StartId(from),
            to: StartId(to),
            body: PeerBody::Deposed { reign: Reign(reign) },
        })
    }

    fn arriving(net: &Net) -> Vec<Hashed<PeerMessage>> {
        net.arriving().cloned().collect()
    }

    #[test]
    fn a_stream_keeps_its_order_and_another_stream_waits_for_none() {
        let mut net = Net::new(Order::Sent);
        let (first, second, other) = (message(1, 2, 9), message(1, 2, 8), message(1, 3, 7));
        for message in [&first, &second, &first, &other] {
            net.send(message.clone());
        }
        assert_eq!(arriving(&net), [first.clone(), other.clone()]);
        net.take(&first);
        assert_eq!(arriving(&net), [second, other], "what was sent again while under way arrives once");
    }

    #[test]
    fn in_any_order_whatever_is_under_way_may_arrive() {
        let mut net = Net::new(Order::Any);
        for reign in [3, 1, 2, 3] {
            net.send(message(1, 2, reign));
        }
        assert_eq!(arriving(&net).len(), 3);
    }
}
