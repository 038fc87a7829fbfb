//! What one host holds of the others.

use std::collections::BTreeMap;

use colony_wire::StartId;

use super::Config;
use crate::{Now, Time};

/// What the shell tells the watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The members that are up, with their names. Whoever is new counts as heard of just now.
    Members(Vec<(StartId, String)>),
    /// A beacon, or the answer to one, came in.
    BeaconHeard {
        /// From whom.
        from: StartId,
    },
    /// The sentinel connection to this host closed.
    SentinelBroken {
        /// To whom it led.
        peer: StartId,
    },
    /// A probe is over.
    ProbeResult {
        /// Who was probed.
        peer: StartId,
        /// Whether it answered within [`Config::probe_within`].
        answered: bool,
        /// Whether a new connection was refused: its host runs, and nothing listens there.
        refused: bool,
    },
    /// Time passed. Due every [`Config::beacon_interval`]: see [`Watch::tick_due`].
    Tick,
}

/// What the watch has the shell do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a beacon, which the other side answers.
    SendBeacon {
        /// To whom.
        to: StartId,
    },
    /// Try a new connection and ask for an answer, then hand in [`Input::ProbeResult`].
    Probe {
        /// Whom.
        peer: StartId,
    },
    /// Tell the group's leader that this host is held for dead.
    Accuse {
        /// Who is.
        accused: StartId,
    },
    /// It is not held for dead any more.
    Clear {
        /// Who is not.
        accused: StartId,
    },
}

/// One host's own judgement of the others. The caller hands in what happens and carries out every output;
/// none of them may be delayed behind bulk data.
#[derive(Clone, Debug)]
pub struct Watch {
    config: Config,
    me: StartId,
    /// By start; never more than the members the group admits.
    peers: BTreeMap<StartId, Peer>,
    tick_due: Time,
}

#[derive(Clone, Debug)]
struct Peer {
    name: String,
    heard: Time,
    /// Since when a probe is under way.
    probed: Option<Time>,
    /// When it was accused last; none if it is not held for dead.
    accused: Option<Time>,
}

impl Watch {
    /// A watch of the host `me` that knows nobody yet.
    #[must_use]
    pub fn new(config: Config, me: StartId, now: Now) -> Self {
        Self { config, me, peers: BTreeMap::new(), tick_due: now.mono }
    }

    /// Takes one input and says what is to be done about it.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        let now = now.mono;
        match input {
            Input::Members(members) => self.members(now, members),
            Input::BeaconHeard { from } => self.heard(now, from, out),
            Input::SentinelBroken { peer } => self.probe(now, peer, out),
            Input::ProbeResult { peer, answered: true, .. } => self.heard(now, peer, out),
            Input::ProbeResult { peer, answered: false, refused } => self.unanswered(now, peer, refused, out),
            Input::Tick => self.tick(now, out),
        }
    }

    /// When the next [`Input::Tick`] is due. Ticks before that do nothing.
    #[must_use]
    pub fn tick_due(&self) -> Time {
        self.tick_due
    }

    /// Whom this host holds for dead, with their names.
    pub fn accused(&self) -> impl Iterator<Item = (StartId, &str)> {
        let accused = self.peers.iter().filter(|(_, peer)| peer.accused.is_some());
        accused.map(|(start, peer)| (*start, peer.name.as_str()))
    }

    fn members(&mut self, now: Time, members: Vec<(StartId, String)>) {
        let mut known = std::mem::take(&mut self.peers);
        for (start, name) in members {
            if start != self.me {
                let fresh = Peer { name, heard: now, probed: None, accused: None };
                self.peers.insert(start, known.remove(&start).unwrap_or(fresh));
            }
        }
    }

    fn heard(&mut self, now: Time, from: StartId, out: &mut Vec<Output>) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.heard = now;
        peer.probed = None;
        if peer.accused.take().is_some() {
            out.push(Output::Clear { accused: from });
        }
    }

    fn probe(&mut self, now: Time, start: StartId, out: &mut Vec<Output>) {
        let Some(peer) = self.peers.get_mut(&start) else { return };
        // One probe at a time; one whose result got lost is not waited for longer than silence takes.
        let under_way = peer.probed.is_some_and(|since| now.since(since) < self.config.suspect_after);
        if peer.accused.is_none() && !under_way {
            peer.probed = Some(now);
            out.push(Output::Probe { peer: start });
        }
    }

    fn unanswered(&mut self, now: Time, start: StartId, refused: bool, out: &mut Vec<Output>) {
        let Some(peer) = self.peers.get_mut(&start) else { return };
        // Heard of since the probe began, or never probed: the result is of no interest any more.
        let Some(began) = peer.probed.take() else { return };
        if now.since(began) > self.config.probe_within + self.config.suspect_after / 2 {
            // This host slept through its own probe, the answer may have passed it by.
            self.probe(now, start, out);
        } else if refused && peer.accused.is_none() {
            peer.accused = Some(now);
            out.push(Output::Accuse { accused: start });
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if now < self.tick_due {
            return;
        }
        let late = now.since(self.tick_due) > self.config.suspect_after / 2;
        self.tick_due = now + self.config.beacon_interval;
        for (start, peer) in &mut self.peers {
            out.push(Output::SendBeacon { to: *start });
            if late {
                peer.start_over(now, *start, out);
            } else {
                peer.accuse_if_silent(&self.config, now, *start, out);
            }
        }
    }
}

impl Peer {
    /// Takes back what was concluded from a silence that may have been this host's own.
    fn start_over(&mut self, now: Time, start: StartId, out: &mut Vec<Output>) {
        self.heard = now;
        if self.accused.take().is_some() {
            out.push(Output::Clear { accused: start });
        }
    }

    fn accuse_if_silent(&mut self, config: &Config, now: Time, start: StartId, out: &mut Vec<Output>) {
        let due = match self.accused {
            Some(last) => now.since(last) >= config.accuse_again_after,
            None => now.since(self.heard) >= config.suspect_after,
        };
        if due {
            self.accused = Some(now);
            out.push(Output::Accuse { accused: start });
        }
    }
}
