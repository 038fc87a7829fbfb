//! One direction between two ends, and the task that moves what is on it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::end::{End, Incoming};
use super::net::Hub;
use super::pipe::Pipe;
use crate::LinkError;
use crate::sync::lock;

/// What travels reliably and in order.
#[derive(Debug)]
pub(super) enum Packet {
    Open(Incoming),
    Data(Arc<Pipe>, Bytes),
    Finish(Arc<Pipe>),
    Stop(Arc<Pipe>),
    /// The sender has ended; what its peer is to believe.
    Last(LinkError),
}

/// One direction between two ends.
#[derive(Debug)]
pub(super) struct Wire {
    hub: Arc<Hub>,
    from: String,
    to: String,
    datagram_bytes_max: usize,
    state: Mutex<WireState>,
    /// Something was put on the wire, or an end or the network has changed.
    changed: Notify,
    /// Nothing will move any more.
    done: Notify,
}

#[derive(Debug, Default)]
struct WireState {
    /// With their times of arrival, which never fall. Bounded by the windows and places of the streams.
    packets: VecDeque<(Instant, Packet)>,
    /// With their times of arrival, in any order. Bounded by `datagram_bytes_max`.
    datagrams: VecDeque<(Instant, Bytes)>,
    datagram_bytes: usize,
    /// The sender's last word is on the wire: it takes no more.
    last: bool,
    done: bool,
}

impl Wire {
    pub(super) fn new(hub: Arc<Hub>, from: &str, to: &str, datagram_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            hub,
            from: from.to_owned(),
            to: to.to_owned(),
            datagram_bytes_max,
            state: Mutex::default(),
            changed: Notify::new(),
            done: Notify::new(),
        })
    }

    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Puts a packet on the wire, behind all others.
    pub(super) fn push(&self, packet: Packet) {
        let flight = self.hub.flight(&self.from, &self.to);
        let mut state = lock(&self.state);
        if state.last || state.done {
            return;
        }
        let earliest = state.packets.back().map(|(at, _)| *at);
        let arrival = Instant::now() + flight;
        state.packets.push_back((earliest.map_or(arrival, |at| at.max(arrival)), packet));
        drop(state);
        self.wake();
    }

    /// Puts the sender's last word on the wire; all else that is on it is lost.
    pub(super) fn push_last(&self, word: LinkError) {
        let flight = self.hub.flight(&self.from, &self.to);
        let mut state = lock(&self.state);
        if !state.done {
            state.packets.clear();
            state.datagrams.clear();
            state.datagram_bytes = 0;
            state.packets.push_back((Instant::now() + flight, Packet::Last(word)));
            state.last = true;
        }
        drop(state);
        self.wake();
    }

    /// Puts a datagram on the wire, if chance will.
    pub(super) fn push_datagram(&self, datagram: Bytes) {
        let Some(flight) = self.hub.datagram_flight(&self.from, &self.to) else { return };
        let mut state = lock(&self.state);
        if state.last || state.done {
            return;
        }
        state.datagram_bytes += datagram.len();
        state.datagrams.push_back((Instant::now() + flight, datagram));
        while state.datagram_bytes > self.datagram_bytes_max {
            match state.datagrams.pop_front() {
                Some((_, oldest)) => state.datagram_bytes -= oldest.len(),
                None => break,
            }
        }
        drop(state);
        self.wake();
    }

    /// Waits until nothing will move on this wire any more.
    pub(super) async fn done(&self) {
        loop {
            let mut done = pin!(self.done.notified());
            done.as_mut().enable();
            if lock(&self.state).done {
                return;
            }
            done.await;
        }
    }

    fn set_done(&self) {
        let mut state = lock(&self.state);
        state.done = true;
        state.packets.clear();
        state.datagrams.clear();
        drop(state);
        self.done.notify_waiters();
    }

    fn is_cut(&self) -> bool {
        self.hub.is_cut(&self.from, &self.to)
    }

    /// Takes what has arrived by `now`.
    fn due(&self, now: Instant) -> (Vec<Packet>, Vec<Bytes>) {
        let mut state = lock(&self.state);
        let mut packets = Vec::new();
        while state.packets.front().is_some_and(|(at, _)| *at <= now) {
            packets.extend(state.packets.pop_front().map(|(_, packet)| packet));
        }
        let mut datagrams = Vec::new();
        state.datagrams.retain(|(at, datagram)| {
            let due = *at <= now;
            if due {
                datagrams.push(datagram.clone());
            }
            !due
        });
        state.datagram_bytes -= datagrams.iter().map(Bytes::len).sum::<usize>();
        (packets, datagrams)
    }

    /// Loses the datagrams on the wire.
    fn lose_datagrams(&self) {
        let mut state = lock(&self.state);
        state.datagrams.clear();
        state.datagram_bytes = 0;
    }

    /// When the next thing arrives.
    fn next_arrival(&self) -> Option<Instant> {
        let state = lock(&self.state);
        let packet = state.packets.front().map(|(at, _)| *at);
        let datagram = state.datagrams.iter().map(|(at, _)| *at).min();
        packet.into_iter().chain(datagram).min()
    }

    /// Whether the sender's last word is still to arrive.
    fn has_last(&self) -> bool {
        lock(&self.state).last
    }
}

/// Moves what is on `wire` from `source` to `dest` until `dest` has ended.
///
/// Also plays the part of QUIC's idle timer: an end that hears nothing, because the direction is cut or the other
/// end gave up without a word, ends after the idle timeout.
pub(super) async fn pump(wire: Arc<Wire>, source: Arc<End>, dest: Arc<End>, idle: Duration) {
    // If this task's runtime ends, both ends' process is gone.
    let _guard = Abandon { wire: Arc::clone(&wire), dest: Arc::clone(&dest) };
    let mut quiet_since: Option<Instant> = None;
    while dest.reason().is_none() {
        let now = Instant::now();
        let cut = wire.is_cut();
        if cut {
            wire.lose_datagrams();
        } else {
            let (packets, datagrams) = wire.due(now);
            packets.into_iter().for_each(|packet| dest.arrive(packet));
            datagrams.into_iter().for_each(|datagram| dest.arrive_datagram(datagram));
        }
        let quiet = cut || (source.reason().is_some() && !wire.has_last());
        quiet_since = if quiet { quiet_since.or(Some(now)) } else { None };
        let silence = quiet_since.map(|since| since + idle);
        if silence.is_some_and(|at| at <= now) {
            dest.end(LinkError::Silent);
            break;
        }
        let arrival = if cut { None } else { wire.next_arrival() };
        match arrival.into_iter().chain(silence).min() {
            Some(at) => tokio::select! {
                biased;
                () = wire.changed.notified() => {}
                () = sleep_until(at) => {}
            },
            None => wire.changed.notified().await,
        }
    }
}

/// Leaves nobody waiting when a pump ends, however it ends.
struct Abandon {
    wire: Arc<Wire>,
    dest: Arc<End>,
}

impl Drop for Abandon {
    fn drop(&mut self) {
        self.dest.end(LinkError::Reset);
        self.wire.set_done();
    }
}
