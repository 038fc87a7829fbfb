//! What is under way between hosts.

use colony_wire::StartId;
use colony_wire::peer::PeerMessage;

use crate::hashed::Hashed;

/// A window that no link fills.
pub(crate) const UNBOUNDED: usize = usize::MAX;

/// Messages under way. Any of them may arrive next, whatever was sent before or after it, and any may never arrive:
/// so every order and every loss is walked, and with it every split of the network, of whichever hosts and however
/// often. A split is nothing but messages that do not arrive while others do.
///
/// A link from one process to another may be given a window: it holds the newest so many, and what is older is lost.
/// Messages of different links overtake each other without bound; on one link a message is overtaken by the window
/// less one at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Net {
    window: usize,
    /// By link; on a link without a window by digest, else as they were sent.
    messages: Vec<Hashed<PeerMessage>>,
}

impl Net {
    pub(crate) fn new(window: usize) -> Self {
        Self { window, messages: Vec::new() }
    }

    /// Those under way, each once.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Hashed<PeerMessage>> {
        self.messages.iter()
    }

    /// A message is under way. One that is so already is not so twice.
    pub(crate) fn send(&mut self, message: PeerMessage) {
        let message = Hashed::new(message);
        self.take(&message);
        let link = link(&message);
        let begin = self.messages.partition_point(|other| self::link(other) < link);
        let end = self.messages.partition_point(|other| self::link(other) <= link);
        if self.window == UNBOUNDED {
            let place = self.messages[begin..end].partition_point(|other| other.digest() < message.digest());
            self.messages.insert(begin + place, message);
            return;
        }
        self.messages.insert(end, message);
        if end + 1 - begin > self.window {
            self.messages.remove(begin);
        }
    }

    /// A message is under way no longer.
    pub(crate) fn take(&mut self, message: &Hashed<PeerMessage>) {
        self.messages.retain(|other| other != message);
    }
}

fn link(message: &PeerMessage) -> (StartId, StartId) {
    (message.from, message.to)
}
