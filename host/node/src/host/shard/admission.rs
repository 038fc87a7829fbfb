//! Which calls of clients a shard serves, in which order, and which it refuses (`PROTOCOL.md` 3.11).
//!
//! Readers take calls off their streams as fast as they come and leave them here undecoded. So a call waits where its
//! age is known, and not in the buffers of the transport, where a host would find it after its client has given up and
//! serve it all the same: that is how a short overload becomes a lasting one (Bronson et al., *Metastable Failures in
//! Distributed Systems*, 2021).
//!
//! ```text
//!   connection 1  ->  [ call call call ] \
//!   connection 2  ->  [ call ]            >-- one of each in turn --> the core --> answered
//!   connection 3  ->  [ call call ]      /            |
//!                                                     +--> waited too long: refused, without having been decoded
//! ```
//!
//! How long is too long: [`PATIENCE`], as long as the queue runs empty now and then, so that a burst is served; and
//! [`TARGET`] once it has not for that long, because then it is no burst, and a longer queue would only make every call
//! wait longer (Maurer, *Fail at Scale*, ACM Queue 2015, after CoDel, RFC 8289).
//!
//! Peers' messages never come here. Pure: time is an argument.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use colony_core::Time;

/// Calls of a shard without an answer, those that wait for a session to change included. Each costs a few hundred
/// bytes beside its frame.
const CALLS: usize = 65_536;
/// The same for one connection, so that one client cannot take all places. Twice what our client has under way on a
/// stream: calls that it gave up are still here.
const CALLS_PER_CONNECTION: usize = 2048;
/// Bytes of the frames of all these calls: [`CALLS`] of the longest would be 64 GiB.
const BYTES: usize = 64 << 20;
/// The same for one connection: an eighth, so that eight greedy ones are needed to take all.
const BYTES_PER_CONNECTION: usize = BYTES / 8;
/// How long a call may wait in a burst. Well below the usual deadline of seconds, above what a host sleeps now and
/// then.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long a call may wait in a lasting overload: long beside a round trip, so that the shard never idles for it, and
/// short beside a deadline, so that a refused call can be made again in time.
const TARGET: Duration = Duration::from_millis(50);

/// A client's connection, by a number of this shard's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

/// What a call without an answer takes: given back once it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    connection: ConnectionId,
    bytes: usize,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// As many calls as the shard may have are without an answer.
    Calls,
    /// As many of this connection.
    CallsOfConnection,
    /// They hold as many bytes as they may.
    Bytes,
    /// Those of this connection do.
    BytesOfConnection,
    /// More is asked than the shard can do.
    Overload,
    /// The client has given up meanwhile.
    Late,
}

/// What to do with the next call that waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn<T> {
    /// Serve it; it has waited for so long. Its place is kept until [`Admission::answered`].
    Serve(T, Place, Duration),
    /// Refuse it. Its place is free.
    Refuse(T, Full),
}

/// The calls of clients that wait for this shard, and the places of those without an answer.
#[derive(Debug)]
pub(super) struct Admission<T> {
    /// Of every connection with a call that is not answered.
    lines: BTreeMap<ConnectionId, Line<T>>,
    /// Connections with a call that waits, each once: the next in front.
    turns: VecDeque<ConnectionId>,
    waiting: usize,
    unanswered: usize,
    bytes: usize,
    /// When no call waited last.
    emptied: Time,
}

#[derive(Debug)]
struct Line<T> {
    waiting: VecDeque<Waiting<T>>,
    unanswered: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    call: T,
    bytes: usize,
    came: Time,
    deadline: Time,
}

impl<T> Default for Admission<T> {
    fn default() -> Self {
        Self {
            lines: BTreeMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
            unanswered: 0,
            bytes: 0,
            emptied: Time::default(),
        }
    }
}

impl<T> Admission<T> {
    /// A call came in: `bytes` long, of no use to its client from `deadline` on.
    ///
    /// # Errors
    /// With the call, if there is no place for it.
    pub(super) fn offer(
        &mut self,
        now: Time,
        connection: ConnectionId,
        (bytes, deadline): (usize, Time),
        call: T,
    ) -> Result<(), (T, Full)> {
        if self.unanswered >= CALLS {
            return Err((call, Full::Calls));
        }
        if self.bytes + bytes > BYTES {
            return Err((call, Full::Bytes));
        }
        let line =
            self.lines.entry(connection).or_insert_with(|| Line { waiting: VecDeque::new(), unanswered: 0, bytes: 0 });
        if line.unanswered >= CALLS_PER_CONNECTION {
            return Err((call, Full::CallsOfConnection));
        }
        if line.unanswered > 0 && line.bytes + bytes > BYTES_PER_CONNECTION {
            return Err((call, Full::BytesOfConnection));
        }
        if self.waiting == 0 {
            self.emptied = now;
        }
        if line.waiting.is_empty() {
            self.turns.push_back(connection);
        }
        line.waiting.push_back(Waiting { call, bytes, came: now, deadline });
        line.unanswered += 1;
        line.bytes += bytes;
        self.waiting += 1;
        self.unanswered += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// The next call that waits, one of each connection in turn.
    pub(super) fn next(&mut self, now: Time) -> Option<Turn<T>> {
        let patience = if now.since(self.emptied) > PATIENCE { TARGET } else { PATIENCE };
        let (connection, next) = loop {
            let connection = self.turns.pop_front()?;
            let Some(line) = self.lines.get_mut(&connection) else { continue };
            let Some(next) = line.waiting.pop_front() else { continue };
            if !line.waiting.is_empty() {
                self.turns.push_back(connection);
            }
            break (connection, next);
        };
        self.waiting -= 1;
        if self.waiting == 0 {
            self.emptied = now;
        }
        let place = Place { connection, bytes: next.bytes };
        let waited = now.since(next.came);
        let why = if now >= next.deadline {
            Full::Late
        } else if waited > patience {
            Full::Overload
        } else {
            return Some(Turn::Serve(next.call, place, waited));
        };
        self.answered(place);
        Some(Turn::Refuse(next.call, why))
    }

    /// Whether a call waits.
    pub(super) fn has_next(&self) -> bool {
        self.waiting > 0
    }

    /// A call that was served has its answer, or nobody to hear it.
    pub(super) fn answered(&mut self, place: Place) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(place.bytes);
        if let Some(line) = self.lines.get_mut(&place.connection) {
            line.unanswered = line.unanswered.saturating_sub(1);
            line.bytes = line.bytes.saturating_sub(place.bytes);
            if line.unanswered == 0 {
                self.lines.remove(&place.connection);
            }
        }
    }

    /// A connection has ended: its calls that wait are dropped. Those served are given back one by one.
    pub(super) fn gone(&mut self, connection: ConnectionId) {
        let Some(line) = self.lines.get_mut(&connection) else { return };
        let dropped = std::mem::take(&mut line.waiting);
        self.turns.retain(|other| *other != connection);
        self.waiting -= dropped.len();
        for Waiting { bytes, .. } in dropped {
            self.answered(Place { connection, bytes });
        }
    }
}

impl Full {
    /// What a client is told.
    pub(super) fn refusal(self) -> colony_wire::client::Refusal {
        use colony_wire::client::Refusal;
        let what = match self {
            Self::Late => return Refusal::Late,
            Self::Calls => "calls without an answer",
            Self::CallsOfConnection => "calls of one connection without an answer",
            Self::Bytes => "bytes of calls without an answer",
            Self::BytesOfConnection => "bytes of one connection's calls without an answer",
            Self::Overload => "more is asked of it than it can do",
        };
        Refusal::Busy { what: what.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEDY: ConnectionId = ConnectionId(1);
    const POLITE: ConnectionId = ConnectionId(2);
    const MS: Duration = Duration::from_millis(1);
    const NEVER: Time = Time(u64::MAX);

    fn at(ms: u64) -> Time {
        Time(ms * 1000)
    }

    fn offer(admission: &mut Admission<u64>, now: Time, connection: ConnectionId, call: u64) {
        admission.offer(now, connection, (100, NEVER), call).unwrap();
    }

    /// What is served, and how many were refused before it.
    fn serve(admission: &mut Admission<u64>, now: Time) -> (Option<u64>, usize) {
        let mut refused = 0;
        loop {
            match admission.next(now) {
                Some(Turn::Serve(call, place, _)) => {
                    admission.answered(place);
                    return (Some(call), refused);
                }
                Some(Turn::Refuse(_, Full::Overload)) => refused += 1,
                other => return (other.map(|_| 0), refused),
            }
        }
    }

    #[test]
    fn a_burst_after_a_calm_is_served_though_it_waits() {
        let mut admission = Admission::default();
        for call in 0..10 {
            offer(&mut admission, at(1000), GREEDY, call);
        }
        for call in 0..10 {
            assert_eq!(serve(&mut admission, at(1000 + 20 * call)), (Some(call), 0), "a burst of 180 ms");
        }
    }

    /// F4: three calls come while one is served, for a second: what is served has not waited for long, and the
    /// shard never idles.
    #[test]
    fn in_a_lasting_overload_what_is_served_is_young_and_the_rest_is_refused() {
        let (mut admission, mut served, mut refused) = (Admission::default(), 0, 0);
        let mut came = BTreeMap::new();
        for ms in 0..1000 {
            for one in 0..3 {
                let call = ms * 3 + one;
                offer(&mut admission, at(ms), GREEDY, call);
                came.insert(call, at(ms));
            }
            let (call, more) = serve(&mut admission, at(ms));
            refused += more;
            let waited = at(ms).since(came[&call.expect("something waits at all times")]);
            served += 1;
            let bound = if ms > 300 { TARGET } else { PATIENCE };
            assert!(waited <= bound, "{waited:?} after {ms} ms");
        }
        assert_eq!(served, 1000);
        assert!(refused > 1700, "{refused}");
        assert!(admission.unanswered <= 3 * 51, "{} wait", admission.unanswered);
    }

    #[test]
    fn once_the_queue_has_run_empty_calls_may_wait_again() {
        let mut admission = Admission::default();
        for ms in 0..500 {
            offer(&mut admission, at(ms), GREEDY, ms);
            offer(&mut admission, at(ms), GREEDY, ms);
            serve(&mut admission, at(ms));
        }
        while serve(&mut admission, at(500)).0.is_some() {}
        offer(&mut admission, at(501), GREEDY, 7);
        assert_eq!(serve(&mut admission, at(501 + 150)), (Some(7), 0));
    }

    /// F4, F5: whoever asks for little is served at once beside one that asks for everything.
    #[test]
    fn a_greedy_connection_does_not_delay_another() {
        let mut admission = Admission::default();
        for call in 0..CALLS_PER_CONNECTION as u64 {
            offer(&mut admission, at(0), GREEDY, call);
        }
        let more = admission.offer(at(0), GREEDY, (100, NEVER), 9);
        assert_eq!(more, Err((9, Full::CallsOfConnection)));
        offer(&mut admission, at(1), POLITE, 77_777);
        assert_eq!(serve(&mut admission, at(1)).0, Some(0));
        assert_eq!(serve(&mut admission, at(1)).0, Some(77_777));
    }

    #[test]
    fn a_call_that_its_client_gave_up_is_not_served() {
        let mut admission = Admission::default();
        admission.offer(at(0), POLITE, (100, at(0) + 30 * MS), 1).unwrap();
        assert_eq!(admission.next(at(30)), Some(Turn::Refuse(1, Full::Late)));
        assert_eq!(admission.next(at(30)), None);
    }

    #[test]
    fn bytes_are_bounded_until_calls_are_answered() {
        let mut admission = Admission::default();
        let (mut places, mut calls) = (Vec::new(), 0);
        'all: for connection in 0.. {
            for _ in 0..BYTES_PER_CONNECTION / (1 << 20) {
                let offered = admission.offer(at(0), ConnectionId(connection), (1 << 20, NEVER), calls);
                match offered {
                    Ok(()) => calls += 1,
                    Err((_, why)) => {
                        assert_eq!(why, Full::Bytes);
                        break 'all;
                    }
                }
            }
            let more = admission.offer(at(0), ConnectionId(connection), (1 << 20, NEVER), 0);
            assert!(more.is_err(), "a connection has its share");
        }
        assert_eq!(calls as usize, BYTES >> 20);
        while let Some(turn) = admission.next(at(0)) {
            let Turn::Serve(_, place, _) = turn else { panic!("nothing waits for long") };
            places.push(place);
        }
        assert!(admission.offer(at(0), POLITE, (1 << 20, NEVER), 0).is_err(), "served is not answered");
        places.into_iter().for_each(|place| admission.answered(place));
        assert!(admission.offer(at(0), POLITE, (1 << 20, NEVER), 0).is_ok());
    }

    #[test]
    fn a_connection_that_ends_gives_its_places_back() {
        let mut admission = Admission::default();
        for call in 0..10 {
            offer(&mut admission, at(0), GREEDY, call);
        }
        let Some(Turn::Serve(_, place, _)) = admission.next(at(0)) else { panic!("one waits") };
        admission.gone(GREEDY);
        assert!(!admission.has_next());
        assert_eq!(admission.unanswered, 1);
        admission.answered(place);
        assert_eq!((admission.unanswered, admission.bytes, admission.lines.len()), (0, 0, 0));
    }
}
