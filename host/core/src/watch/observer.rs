//! What one host holds of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use colony_wire::StartId;

use super::Config;
use super::health::Health;
use super::peer::{Asked, Peer};
use crate::{Now, Time};

/// What the shell tells the watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The members that are up, with their names. Whoever is new counts as heard of just now.
    Members(Vec<(StartId, String)>),
    /// A beacon of this host was answered: the other lives, and the link works both ways. That a beacon of the
    /// other came in would show half of that, and is told to nobody.
    BeaconAnswered {
        /// By whom.
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
    /// Somebody who was asked by [`Output::Ask`] has answered, or will not.
    Told {
        /// Who is silent.
        peer: StartId,
        /// Who was asked.
        through: StartId,
        /// Whether the silent one answered there; none if nothing came from `through` itself.
        answered: Option<bool>,
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
    /// Ask another host whether it reaches the silent one, then hand in [`Input::Told`].
    Ask {
        /// Who is silent.
        peer: StartId,
        /// Whom to ask.
        through: StartId,
    },
    /// The host lives, and others reach it: it is the link that is broken. For people.
    LinkBroken {
        /// Who is not reached from here.
        peer: StartId,
        /// Who reaches it.
        through: StartId,
    },
    /// The link works again. For people.
    LinkMended {
        /// Who is reached again.
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
    health: Health,
    /// Questions asked so far: they go around among the others.
    turn: usize,
}

impl Watch {
    /// A watch of the host `me` that knows nobody yet.
    #[must_use]
    pub fn new(config: Config, me: StartId, now: Now) -> Self {
        Self { config, me, peers: BTreeMap::new(), tick_due: now.mono, health: Health::default(), turn: 0 }
    }

    /// Takes one input and says what is to be done about it.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        let now = now.mono;
        match input {
            Input::Members(members) => self.members(now, members),
            Input::BeaconAnswered { from } => self.answered(now, from, out),
            Input::SentinelBroken { peer } => self.probe(now, peer, out),
            Input::ProbeResult { peer, answered: true, .. } => self.answered(now, peer, out),
            Input::ProbeResult { peer, answered: false, refused } => self.unanswered(now, peer, refused, out),
            Input::Told { peer, through, answered } => self.told(now, peer, through, answered, out),
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

    /// Who lives and is not reached from here, with their names.
    pub fn broken_links(&self) -> impl Iterator<Item = (StartId, &str)> {
        let broken = self.peers.iter().filter(|(_, peer)| peer.is_link_broken);
        broken.map(|(start, peer)| (*start, peer.name.as_str()))
    }

    /// Who answers this host, whoever did so last before the others.
    #[must_use]
    pub fn reached(&self, now: Now) -> Vec<StartId> {
        let is_heard = |peer: &Peer| now.mono.since(peer.answered) < self.config.suspect_after;
        let mut reached: Vec<(Time, StartId)> =
            self.peers.iter().filter(|(_, peer)| is_heard(peer)).map(|(start, peer)| (peer.answered, *start)).collect();
        reached.sort_unstable_by(|one, other| other.cmp(one));
        reached.into_iter().map(|(_, start)| start).collect()
    }

    fn members(&mut self, now: Time, members: Vec<(StartId, String)>) {
        let mut known = std::mem::take(&mut self.peers);
        for (start, name) in members {
            if start != self.me {
                let peer = known.remove(&start).unwrap_or_else(|| Peer::new(&self.config, name, now));
                self.peers.insert(start, peer);
            }
        }
    }

    fn answered(&mut self, now: Time, from: StartId, out: &mut Vec<Output>) {
        if self.peers.contains_key(&from) && self.is_cut_off(now) {
            self.health.was_cut_off();
            for (start, peer) in self.peers.iter_mut().filter(|(start, _)| **start != from) {
                peer.answered = now;
                peer.lives(now, *start, out);
            }
        }
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.gaps.note(&self.config, now.since(peer.answered));
        peer.answered = now;
        peer.probed = None;
        if std::mem::take(&mut peer.is_link_broken) {
            out.push(Output::LinkMended { peer: from });
        }
        peer.lives(now, from, out);
    }

    /// Whether nobody has answered this host for as long as is suspicious of one. Then it knows nothing of the others,
    /// and accuses none. When one answers it begins anew with all: their links come back one by one.
    fn is_cut_off(&self, now: Time) -> bool {
        let is_silent = |peer: &Peer| now.since(peer.answered) >= self.config.suspect_after;
        self.peers.len() > 1 && self.peers.values().all(is_silent)
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

    fn told(&mut self, now: Time, start: StartId, through: StartId, answered: Option<bool>, out: &mut Vec<Output>) {
        let Some(peer) = self.peers.get_mut(&start) else { return };
        // A question that is over, or was answered by the silent one itself meanwhile.
        let Some(asked) = &mut peer.asked else { return };
        if !asked.open.remove(&through) {
            return;
        }
        asked.was_answered |= answered.is_some();
        if answered == Some(true) {
            let is_silent_here = now.since(peer.answered) >= self.config.suspect_after;
            if is_silent_here && !std::mem::replace(&mut peer.is_link_broken, true) {
                out.push(Output::LinkBroken { peer: start, through });
            }
            peer.lives(now, start, out);
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if now < self.tick_due {
            return;
        }
        let late = now.since(self.tick_due);
        self.tick_due = now + self.config.beacon_interval;
        let is_late = self.health.tick(&self.config, late);
        let has_slept = late > self.config.suspect_after / 2;
        for (start, peer) in &mut self.peers {
            out.push(Output::SendBeacon { to: *start });
            if has_slept {
                // What was concluded from a silence may have been concluded from this host's own.
                peer.answered = now;
                peer.lives(now, *start, out);
            } else if is_late {
                peer.forgive(now, late);
            }
        }
        // What came in meanwhile is not looked at yet.
        if late <= self.config.suspect_after / 4 && !self.is_cut_off(now) {
            let all: Vec<StartId> = self.peers.keys().copied().collect();
            all.into_iter().for_each(|start| self.judge(now, start, out));
        }
    }

    /// Asks others about a host that is silent, and accuses it if it is silent to them too.
    fn judge(&mut self, now: Time, start: StartId, out: &mut Vec<Output>) {
        let Some(peer) = self.peers.get_mut(&start) else { return };
        if peer.end_question(&self.config, now) {
            self.health.unanswered();
        }
        let silent = now.since(peer.alive);
        let suspicious = self.suspicious(start);
        if silent + self.config.relay_within >= suspicious {
            self.ask(now, start, out);
        }
        let Some(peer) = self.peers.get_mut(&start) else { return };
        // A question that was made before and is over was asked in vain, or the host is not silent any more.
        let nobody_to_ask = peer.asked.is_none();
        let is_suspect = silent >= suspicious && (peer.asked_in_vain || nobody_to_ask);
        if peer.accuse_is_due(&self.config, now, is_suspect) {
            peer.accused = Some(now);
            out.push(Output::Accuse { accused: start });
        }
    }

    /// Silence for this long is suspicious: what is out of the ordinary for this host, stretched by doubt of the
    /// own one.
    fn suspicious(&self, start: StartId) -> Duration {
        let (least, most) = (self.config.suspect_after, self.config.suspect_max);
        let unusual = self.peers.get(&start).map_or(least, |peer| peer.gaps.suspicious());
        self.health.stretch(unusual.max(least)).min(most)
    }

    fn ask(&mut self, now: Time, start: StartId, out: &mut Vec<Output>) {
        if self.peers.get(&start).is_none_or(|peer| peer.asked.is_some() || now < peer.ask_due) {
            return;
        }
        let mut others = self.reached(Now { mono: now, wall_ms: 0 });
        others.retain(|other| *other != start);
        others.sort_unstable();
        if others.is_empty() {
            return;
        }
        let first = self.turn % others.len();
        others.rotate_left(first);
        others.truncate(self.config.relays);
        self.turn = self.turn.wrapping_add(self.config.relays);
        out.extend(others.iter().map(|through| Output::Ask { peer: start, through: *through }));
        if let Some(peer) = self.peers.get_mut(&start) {
            peer.ask_due = now + self.config.relay_within;
            peer.asked = Some(Asked { since: now, open: others.into_iter().collect(), was_answered: false });
        }
    }
}
