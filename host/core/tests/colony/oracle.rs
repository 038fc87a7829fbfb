//! What a client of the soup was told, and whether all of it is true in the end.

use std::collections::{BTreeMap, BTreeSet};

use colony_core::colony::Caller;
use colony_wire::client::{Ack, Done, ReplyBody};
use colony_wire::{Position, RequestId, Seq};

use crate::calls::{blob, request_of};
use crate::world::{A, B, C, World};

/// One client: it remembers everything.
#[derive(Default)]
pub(crate) struct Oracle {
    /// Which request each call was for.
    calls: Vec<(Caller, usize)>,
    /// The newest position a read came with.
    token: Option<Position>,
    /// Every position that a read showed.
    seen: Vec<Position>,
    /// What was found last, as a base for saves.
    found: BTreeMap<&'static str, Done>,
}

impl Oracle {
    pub(crate) fn called(&mut self, caller: Caller, request: usize) {
        self.calls.push((caller, request));
    }

    pub(crate) fn token(&self) -> Option<Position> {
        self.token
    }

    pub(crate) fn found(&self, key: &str) -> Option<Done> {
        self.found.get(key).copied()
    }

    /// A read with the token was answered. I7: never from before it.
    pub(crate) fn read(&mut self, key: &'static str, seen: Option<Position>, body: &ReplyBody) {
        match body {
            ReplyBody::Found(view) => {
                self.seen.extend([view.version, view.life]);
                self.found.insert(
                    key,
                    Done {
                        version: view.version,
                        life: view.life,
                        copies: 1,
                        merged: false,
                        ack: Ack::InSync,
                        ended: 0,
                        more: false,
                    },
                );
            }
            ReplyBody::Absent => drop(self.found.remove(key)),
            _ => return,
        }
        assert!(seen.map(|seen| seen.seq) >= self.token.map(|token| token.seq), "a client never reads backward");
        self.seen.extend(seen);
        self.token = seen;
    }

    /// The end: B reigns over three equal copies, in which everything holds that anybody was told.
    pub(crate) fn judge(&self, w: &mut World) {
        let entry = w.entry();
        assert_eq!(entry.primary, Some(w.start(B)), "it is led by whom placement wants");
        assert_eq!(entry.in_sync.len(), 3, "all copies are in sync");
        for host in A..=C {
            assert_eq!(w.replica(host).committed(), w.replica(B).prepared());
            assert_eq!(w.replica(host).store().digest(), w.replica(B).store().digest());
        }
        for position in &self.seen {
            assert!(w.replica(B).history().covers(*position), "what was read is there: {position}");
        }
        self.judge_answers(w);
        self.judge_log(w);
        let caller = w.ask(B, request_of(2, 1, 1, blob("after", "v")));
        w.quiet();
        assert!(w.is_done(caller), "and it takes writes");
    }

    /// I4, I9: what was acknowledged is there, and a request has one answer.
    fn judge_answers(&self, w: &World) {
        let mut answers: BTreeMap<usize, Position> = BTreeMap::new();
        for (caller, request) in &self.calls {
            let Some(ReplyBody::Done(done)) = w.answer(*caller) else { continue };
            assert!(w.replica(B).history().covers(done.version), "what was acknowledged is there");
            let earlier = answers.insert(*request, done.version);
            assert!(earlier.is_none_or(|earlier| earlier == done.version), "one request, one effect");
        }
    }

    /// I9 by the log, as far back as it goes: no request is in it twice, and none whose every attempt was
    /// answered as leaving no trace.
    fn judge_log(&self, w: &World) {
        let mut done: BTreeSet<RequestId> = BTreeSet::new();
        for seq in 1..=w.replica(B).prepared().0 {
            if let Some(stamp) = w.replica(B).op(Seq(seq)).and_then(|op| op.stamp) {
                assert!(done.insert(stamp.request), "{:?} is done twice", stamp.request);
            }
        }
        let mut may_be_done: BTreeMap<usize, bool> = BTreeMap::new();
        for (caller, request) in &self.calls {
            let leaves_no_trace = match w.answer(*caller) {
                Some(ReplyBody::Refused(refusal)) => refusal.leaves_no_trace(),
                Some(ReplyBody::NeedBase { .. }) => true,
                _ => false,
            };
            *may_be_done.entry(*request).or_default() |= !leaves_no_trace;
        }
        for (request, _) in may_be_done.into_iter().filter(|(_, may_be)| !may_be) {
            let number = 1 + request as u64;
            assert!(!done.iter().any(|done| done.number == number), "request {number} was said not to be done");
        }
    }
}
