//! How an island comes to be, at one host.

use std::collections::{BTreeMap, BTreeSet};

use colony_wire::StartId;
use xxhash_rust::xxh3::Xxh3;

use super::{Config, Sight};
use crate::{Now, Time};

/// So many times a host that is not ready yet is asked again. Those that are cut off together find it out within a
/// beacon or two of each other; who still is not ready then sees something else, and is left to it.
const ASKED_AGAIN: u32 = 5;

/// What the opening has the shell do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask these hosts for their consent, then hand in [`Opening::consented`], [`Opening::refused`] or
    /// [`Opening::silent`] for each.
    Ask {
        /// Names the attempt.
        nonce: u64,
        /// Their starts.
        hosts: Vec<StartId>,
    },
    /// Tell these hosts that nothing comes of the attempt.
    Cancel {
        /// Names the attempt.
        nonce: u64,
        /// Their starts.
        hosts: Vec<StartId>,
    },
    /// Acknowledge nothing for colonies of island namespaces until then; none lifts it.
    Fence {
        /// Until when.
        until: Option<Time>,
    },
    /// Make the island's group out of this host and these, who consented. Once it stands and before any copy is taken
    /// over, hand in [`Opening::founded`], and [`Opening::failed`] if it does not come to that.
    Found {
        /// Names the attempt.
        nonce: u64,
        /// Who comes along; nobody if this host is alone.
        with: Vec<StartId>,
    },
}

/// Why a host does not come into an island, or not into this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The group still decides for it.
    #[error("this host is attached to the group")]
    Attached,
    /// It may not be cut off, as far as it sees.
    #[error("this host does not find itself cut off")]
    NotCut,
    /// It asks others itself, or has consented to one who goes before the asker.
    #[error("this host opens an island with another")]
    Promised,
    /// It lives in an island.
    #[error("this host lives in an island")]
    InIsland,
    /// It or the founder is no member that is up.
    #[error("one of the two hosts is not up")]
    NotUp,
    /// It did not consent to this attempt, or too long ago.
    #[error("there is no such attempt any more")]
    NoAttempt,
}

impl Refusal {
    /// Whether it may consent when it is asked again.
    #[must_use]
    pub fn is_for_now(self) -> bool {
        match self {
            Self::Attached | Self::NotCut | Self::Promised => true,
            Self::InIsland | Self::NotUp | Self::NoAttempt => false,
        }
    }
}

/// What a host that is cut off does about it. It founds an island, or comes into another's, or waits.
///
/// Every method is given what the host sees at that moment. [`tick`](Self::tick) is due every beacon interval.
#[derive(Clone, Debug)]
pub struct Opening {
    config: Config,
    me: StartId,
    /// Where nonces come from.
    seed: u64,
    attempts: u64,
    ticked: Time,
    /// Since when this host has been awake.
    listening: Time,
    /// How often others were not ready, since this host was last attached.
    unready: BTreeMap<StartId, u32>,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Not cut off, or since then.
    Watching { cut_since: Option<Time> },
    /// Others were asked.
    Asking(Asking),
    /// This host consented to another's attempt.
    Promised { nonce: u64, founder: StartId, until: Time },
    /// The shell makes the island's group.
    Founding { nonce: u64, with: Vec<StartId>, until: Time },
    /// Lives in an island.
    Settled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Asking {
    nonce: u64,
    until: Time,
    /// Who has not answered.
    open: BTreeSet<StartId>,
    consented: BTreeSet<StartId>,
    /// Somebody is not ready yet: this attempt comes to nothing.
    is_early: bool,
}

impl Asking {
    fn cancel(self) -> Output {
        Output::Cancel { nonce: self.nonce, hosts: self.open.into_iter().chain(self.consented).collect() }
    }
}

impl Opening {
    /// Of a host whose start in the root group is `me`. `seed` is drawn at random.
    #[must_use]
    pub fn new(config: Config, me: StartId, seed: u64, now: Now) -> Self {
        Self {
            config,
            me,
            seed,
            attempts: 0,
            ticked: now.mono,
            listening: now.mono,
            unready: BTreeMap::new(),
            stage: Stage::Watching { cut_since: None },
        }
    }

    /// Whether this host is cut off, and lives in no island yet. For people.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        !matches!(self.stage, Stage::Watching { cut_since: None } | Stage::Settled)
    }

    /// Time passed.
    pub fn tick(&mut self, now: Now, sight: &Sight<'_>, out: &mut Vec<Output>) {
        let slept = now.mono.since(self.ticked) > self.config.asleep_after;
        self.ticked = now.mono;
        if slept {
            self.listening = now.mono;
        }
        if sight.attachment.is_attached(now) {
            self.unready.clear();
        }
        match &self.stage {
            Stage::Watching { cut_since } => self.watch(now, sight, *cut_since, out),
            Stage::Asking(asking) if !self.is_cut(now, sight) || asking.is_early => self.give_up(now, out),
            Stage::Asking(asking) if asking.open.is_empty() || now.mono >= asking.until => {
                let (nonce, with) = (asking.nonce, asking.consented.iter().copied().collect());
                self.found(now, nonce, with, out);
            }
            // The founder is gone: all who waited for it begin anew, and do so one after the other.
            Stage::Promised { until, .. } if now.mono >= *until => self.stage = Stage::Watching { cut_since: None },
            Stage::Asking(_) | Stage::Promised { .. } | Stage::Founding { .. } | Stage::Settled => {}
        }
    }

    /// A host consented to this attempt.
    pub fn consented(&mut self, nonce: u64, from: StartId) {
        if let Stage::Asking(asking) = &mut self.stage
            && asking.nonce == nonce
            && asking.open.remove(&from)
        {
            asking.consented.insert(from);
        }
    }

    /// A host did not consent to this attempt. If that is for now it is asked again, else it is left out.
    pub fn refused(&mut self, nonce: u64, from: StartId, is_for_now: bool) {
        if let Stage::Asking(asking) = &mut self.stage
            && asking.nonce == nonce
            && asking.open.remove(&from)
        {
            let times = self.unready.entry(from).or_default();
            *times = if is_for_now { *times + 1 } else { ASKED_AGAIN };
            asking.is_early |= *times < ASKED_AGAIN;
        }
    }

    /// A host could not be asked, or gave no answer: nobody waits for it.
    pub fn silent(&mut self, nonce: u64, from: StartId) {
        if let Stage::Asking(asking) = &mut self.stage
            && asking.nonce == nonce
        {
            asking.open.remove(&from);
        }
    }

    /// Another host opens an island and asks this one to come along. The answer holds until the time that is returned:
    /// till then nothing is acknowledged for colonies of island namespaces, from before the answer on.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub fn asked(
        &mut self,
        now: Now,
        sight: &Sight<'_>,
        nonce: u64,
        founder: StartId,
        out: &mut Vec<Output>,
    ) -> Result<Time, Refusal> {
        // A founder that this host has not heard of yet may be a newer member.
        let is_over =
            |start| sight.state.is_over(start) || sight.state.members.get(&start).is_some_and(|it| !it.state.is_up());
        if !sight.state.is_up(self.me) || is_over(founder) {
            return Err(Refusal::NotUp);
        }
        if matches!(self.stage, Stage::Settled | Stage::Founding { .. }) {
            return Err(Refusal::InIsland);
        }
        if sight.attachment.is_attached(now) {
            return Err(Refusal::Attached);
        }
        if !sight.may_come_along(&self.config, now, self.me, now.mono.since(self.listening)) {
            return Err(Refusal::NotCut);
        }
        let is_taken = match &self.stage {
            Stage::Asking(_) => !sight.precedes(founder, self.me),
            Stage::Promised { founder: first, until, .. } => {
                now.mono < *until && founder != *first && !sight.precedes(founder, *first)
            }
            Stage::Watching { .. } | Stage::Founding { .. } | Stage::Settled => false,
        };
        if is_taken {
            return Err(Refusal::Promised);
        }
        let until = now.mono + self.config.fence;
        if let Stage::Asking(asking) = std::mem::replace(&mut self.stage, Stage::Promised { nonce, founder, until }) {
            out.push(asking.cancel());
        }
        out.push(Output::Fence { until: Some(until) });
        Ok(until)
    }

    /// The island that this host consented to is open. From now on it lives there: its copies are to be taken over
    /// before anything else is answered.
    ///
    /// # Errors
    /// [`Refusal`] if it did not consent to that, or too long ago, or the group decides for it again.
    pub fn open(&mut self, now: Now, sight: &Sight<'_>, nonce: u64) -> Result<(), Refusal> {
        match self.stage {
            Stage::Promised { nonce: promised, until, .. } if promised == nonce && now.mono < until => {}
            Stage::Settled => return Err(Refusal::InIsland),
            _ => return Err(Refusal::NoAttempt),
        }
        if sight.attachment.is_attached(now) {
            return Err(Refusal::Attached);
        }
        self.stage = Stage::Settled;
        Ok(())
    }

    /// Nothing comes of the attempt that this host consented to.
    pub fn cancelled(&mut self, now: Now, nonce: u64, out: &mut Vec<Output>) {
        if matches!(self.stage, Stage::Promised { nonce: promised, .. } if promised == nonce) {
            self.wait_anew(now, out);
        }
    }

    /// The group of the island that this host founds stands. From now on it lives there: its copies are to be taken
    /// over before anything else is answered, then the others are told.
    ///
    /// # Errors
    /// [`Refusal`] if it took too long, or the group decides for this host again: the island is to be given up, the
    /// others are told so.
    pub fn founded(&mut self, now: Now, sight: &Sight<'_>, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let refusal = match &self.stage {
            Stage::Founding { until, .. } if now.mono >= *until => Refusal::NoAttempt,
            Stage::Founding { .. } if sight.attachment.is_attached(now) => Refusal::Attached,
            Stage::Founding { .. } => {
                self.stage = Stage::Settled;
                return Ok(());
            }
            _ => return Err(Refusal::NoAttempt),
        };
        self.failed(now, out);
        Err(refusal)
    }

    /// The island's group could not be made.
    pub fn failed(&mut self, now: Now, out: &mut Vec<Output>) {
        if let Stage::Founding { nonce, with, .. } = &mut self.stage {
            let (nonce, hosts) = (*nonce, std::mem::take(with));
            if !hosts.is_empty() {
                out.push(Output::Cancel { nonce, hosts });
            }
            self.wait_anew(now, out);
        }
    }

    /// This host lives in no island any more.
    pub fn left(&mut self, now: Now) {
        if self.stage == Stage::Settled {
            self.stage = Stage::Watching { cut_since: None };
            self.unready.clear();
            // What it heard of the group before is no evidence that it is cut off again.
            self.listening = now.mono;
        }
    }

    fn is_cut(&self, now: Now, sight: &Sight<'_>) -> bool {
        let listened = now.mono.since(self.listening);
        sight.state.is_up(self.me) && sight.is_cut(&self.config, now, self.me, listened)
    }

    fn watch(&mut self, now: Now, sight: &Sight<'_>, cut_since: Option<Time>, out: &mut Vec<Output>) {
        if !self.is_cut(now, sight) {
            self.stage = Stage::Watching { cut_since: None };
            return;
        }
        let since = cut_since.unwrap_or(now.mono);
        self.stage = Stage::Watching { cut_since: Some(since) };
        let mut line = sight.line(self.me);
        line.retain(|start| self.unready.get(start).is_none_or(|times| *times < ASKED_AGAIN));
        if !sight.is_worth_it(&line) {
            return;
        }
        let rank = line.iter().position(|start| *start == self.me).unwrap_or_default();
        if now.mono < since + self.config.rank_pause * u32::try_from(rank).unwrap_or(u32::MAX) {
            return;
        }
        self.attempts += 1;
        let nonce = self.nonce();
        out.push(Output::Fence { until: Some(now.mono + self.config.fence) });
        line.remove(rank);
        if line.is_empty() {
            self.found(now, nonce, Vec::new(), out);
            return;
        }
        let until = now.mono + self.config.consent_within;
        let (open, consented) = (line.iter().copied().collect(), BTreeSet::new());
        self.stage = Stage::Asking(Asking { nonce, until, open, consented, is_early: false });
        out.push(Output::Ask { nonce, hosts: line });
    }

    fn found(&mut self, now: Now, nonce: u64, with: Vec<StartId>, out: &mut Vec<Output>) {
        // The first who consented did so when this host asked.
        let until = match &self.stage {
            Stage::Asking(asking) => asking.until - self.config.consent_within + self.config.fence,
            _ => now.mono + self.config.fence,
        };
        if now.mono >= until {
            // It slept through its own question.
            self.give_up(now, out);
            return;
        }
        self.stage = Stage::Founding { nonce, with: with.clone(), until };
        out.push(Output::Found { nonce, with });
    }

    /// The attempt comes to nothing.
    fn give_up(&mut self, now: Now, out: &mut Vec<Output>) {
        if let Stage::Asking(asking) = std::mem::replace(&mut self.stage, Stage::Watching { cut_since: None }) {
            out.push(asking.cancel());
        }
        self.wait_anew(now, out);
    }

    /// Lifts the fence and takes its place in the line from now on.
    fn wait_anew(&mut self, now: Now, out: &mut Vec<Output>) {
        // At once it would find what it just found.
        self.stage = Stage::Watching { cut_since: Some(now.mono + self.config.rank_pause) };
        out.push(Output::Fence { until: None });
    }

    fn nonce(&self) -> u64 {
        let mut hash = Xxh3::with_seed(self.seed);
        hash.update(&self.me.0.to_le_bytes());
        hash.update(&self.attempts.to_le_bytes());
        hash.digest()
    }
}
