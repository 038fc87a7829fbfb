//! What one host holds of one other.

use std::collections::BTreeSet;
use std::time::Duration;

use colony_wire::StartId;

use super::gaps::Gaps;
use super::{Config, Output};
use crate::Time;

#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) name: String,
    /// When it answered this host last.
    pub(super) answered: Time,
    /// When it gave its last sign of life, to this host or to one that was asked.
    pub(super) alive: Time,
    pub(super) gaps: Gaps,
    /// Since when a probe is under way.
    pub(super) probed: Option<Time>,
    /// The others that were asked whether they reach it.
    pub(super) asked: Option<Asked>,
    /// Not before this are others asked again.
    pub(super) ask_due: Time,
    /// Whether others were asked in vain since its last sign of life.
    pub(super) asked_in_vain: bool,
    /// Whether others reach it and this host does not.
    pub(super) is_link_broken: bool,
    /// When it was accused last; none if it is not held for dead.
    pub(super) accused: Option<Time>,
}

/// A question to others, under way.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) since: Time,
    /// Who has not said anything yet.
    pub(super) open: BTreeSet<StartId>,
    /// Whether somebody said something.
    pub(super) was_answered: bool,
}

impl Peer {
    pub(super) fn new(config: &Config, name: String, now: Time) -> Self {
        Self {
            name,
            answered: now,
            alive: now,
            gaps: Gaps::steady(config),
            probed: None,
            asked: None,
            ask_due: now,
            asked_in_vain: false,
            is_link_broken: false,
            accused: None,
        }
    }

    /// It lives: what was concluded from its silence is taken back.
    pub(super) fn lives(&mut self, now: Time, start: StartId, out: &mut Vec<Output>) {
        self.alive = now;
        self.asked = None;
        self.asked_in_vain = false;
        if self.accused.take().is_some() {
            out.push(Output::Clear { accused: start });
        }
    }

    /// This host was asleep for a while: that was no silence of others.
    pub(super) fn forgive(&mut self, now: Time, asleep: Duration) {
        let later = |time: Time| (time + asleep).min(now);
        self.answered = later(self.answered);
        self.alive = later(self.alive);
        if let Some(asked) = &mut self.asked {
            asked.since = later(asked.since);
        }
    }

    /// A question is over once all have spoken or the time is up; says whether it was and nobody spoke.
    pub(super) fn end_question(&mut self, config: &Config, now: Time) -> bool {
        let is_over = |asked: &Asked| asked.open.is_empty() || now.since(asked.since) >= config.relay_within;
        if !self.asked.as_ref().is_some_and(is_over) {
            return false;
        }
        self.asked_in_vain = true;
        self.asked.take().is_some_and(|asked| !asked.was_answered)
    }

    /// Whether the accusation is to be made, or made again.
    pub(super) fn accuse_is_due(&self, config: &Config, now: Time, is_suspect: bool) -> bool {
        match self.accused {
            Some(last) => now.since(last) >= config.accuse_again_after,
            None => is_suspect,
        }
    }
}
