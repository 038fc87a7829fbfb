//! The numbers of this client's mutations, and which of them are still open.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use colony_wire::op::Stamp;
use colony_wire::{ClientId, RequestId};

use crate::sync::lock;

/// Gives each mutation a number that is never used again and knows the lowest one without an answer.
///
/// Hosts remember what they did for a request until the client says that it has the answer: every stamp
/// carries the lowest open number, and whatever lies below is forgotten (`PROTOCOL.md` 12). So a number is
/// open from its first attempt until the application has its outcome, over all retries.
#[derive(Debug)]
pub(crate) struct RequestIds {
    client: ClientId,
    numbers: Mutex<Numbers>,
}

#[derive(Debug)]
struct Numbers {
    /// The next number.
    next: u64,
    /// Bounded by the calls of the application that are under way.
    open: BTreeSet<u64>,
}

impl RequestIds {
    pub(crate) fn new(client: ClientId) -> Arc<Self> {
        Arc::new(Self { client, numbers: Mutex::new(Numbers { next: 1, open: BTreeSet::new() }) })
    }

    /// Opens the next request. It is closed when the returned value is dropped: also a call that the
    /// application abandons has no use for its answer any more.
    pub(crate) fn open(self: &Arc<Self>) -> OpenRequest {
        let mut numbers = lock(&self.numbers);
        let number = numbers.next;
        numbers.next += 1;
        numbers.open.insert(number);
        OpenRequest { ids: Arc::clone(self), number }
    }
}

/// A request without an outcome yet.
#[derive(Debug)]
pub(crate) struct OpenRequest {
    ids: Arc<RequestIds>,
    number: u64,
}

impl OpenRequest {
    /// What goes with each attempt: the same id, and the lowest open number as it is now.
    pub(crate) fn stamp(&self) -> Stamp {
        let lowest = lock(&self.ids.numbers).open.first().copied();
        Stamp {
            request: RequestId { client: self.ids.client, number: self.number },
            lowest_unanswered: lowest.unwrap_or(self.number),
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        lock(&self.ids.numbers).open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_unanswered_moves_when_the_lowest_open_request_closes() {
        let ids = RequestIds::new(ClientId(7));
        let [first, second, third] = [ids.open(), ids.open(), ids.open()];
        assert_eq!((third.stamp().request.number, third.stamp().lowest_unanswered), (3, 1));
        drop(second);
        assert_eq!(third.stamp().lowest_unanswered, 1, "the first is still open");
        drop(first);
        assert_eq!(third.stamp().lowest_unanswered, 3, "the second closed before");
    }

    #[test]
    fn a_number_is_never_used_twice() {
        let ids = RequestIds::new(ClientId(7));
        drop(ids.open());
        assert_eq!(ids.open().stamp().request, RequestId { client: ClientId(7), number: 2 });
    }
}
