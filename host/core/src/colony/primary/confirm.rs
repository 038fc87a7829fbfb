//! Reads that are linearizable, and a primary that doubts its own reign (`PROTOCOL.md` 4).
//!
//! Before it answers, the primary asks everybody who could have been promoted instead of it whether a higher
//! reign is known there. A later primary comes out of the in-sync set, so it is one of those asked, and it
//! refuses. With nobody else in the set the group is asked. Nothing relies on a clock.

use std::collections::{BTreeSet, VecDeque};

use colony_wire::StartId;
use colony_wire::client::{Refusal, ReplyBody, Token};
use colony_wire::peer::PeerBody;
use colony_wire::session::Key;

use super::{Desk, Primary};
use crate::Time;
use crate::colony::io::{Caller, Lane, Output};
use crate::colony::settings::Settings;
use crate::group::Entry;

/// A read that waits until the reign is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reader {
    caller: Caller,
    key: Key,
    deadline: Time,
    /// What its client has seen and is not held here: whether it is lost is known once all have answered.
    missing: Option<Token>,
}

/// What is asked to confirm the reign, and who waits for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Confirms {
    round: Option<Round>,
    /// Reads that came when the round had begun: its answers may be older than they are.
    next: VecDeque<Reader>,
    /// This host slept: nothing is answered before a round has ended.
    doubtful: bool,
    /// A higher reign was heard of: nothing is confirmed any more.
    is_over: bool,
}

/// One question to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Round {
    nonce: u64,
    asked: BTreeSet<StartId>,
    agreed: BTreeSet<StartId>,
    group_asked: bool,
    group_agreed: bool,
    sent: Time,
    readers: VecDeque<Reader>,
}

impl Confirms {
    /// Whether something is under way.
    pub(super) fn is_restless(&self) -> bool {
        self.round.is_some() || self.doubtful
    }

    /// Whether nothing may be answered yet.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Everybody who waits.
    pub(super) fn into_callers(self) -> impl Iterator<Item = Caller> {
        let round = self.round.map(|round| round.readers).unwrap_or_default();
        round.into_iter().chain(self.next).map(|reader| reader.caller)
    }

    /// How many reads wait.
    pub(super) fn len(&self) -> usize {
        self.next.len() + self.round.as_ref().map_or(0, |round| round.readers.len())
    }
}

impl Primary {
    /// Answers once the reign is confirmed by a question that is asked after this.
    pub(super) fn read_confirmed(
        &mut self,
        desk: &mut Desk<'_>,
        caller: Caller,
        key: Key,
        deadline: Time,
        missing: Option<Token>,
    ) {
        if self.confirms.len() >= desk.settings.max_confirms {
            let busy = Refusal::Busy { what: "reads to be confirmed".into() };
            return desk.reply(caller, ReplyBody::Refused(busy));
        }
        self.confirms.next.push_back(Reader { caller, key, deadline, missing });
        self.confirm(desk);
    }

    /// This host slept so long that another may reign by now.
    pub(super) fn doubt(&mut self, desk: &mut Desk<'_>) {
        self.confirms.doubtful = true;
        // What was asked before may have been answered before the sleep.
        if let Some(round) = self.confirms.round.take() {
            self.confirms.next = round.readers.into_iter().chain(std::mem::take(&mut self.confirms.next)).collect();
        }
        self.confirm(desk);
    }

    /// A higher reign was heard of. Whoever waits is told so when the table says who has it.
    pub(in crate::colony) fn end_confirming(&mut self) {
        self.confirms.is_over = true;
    }

    /// Begins a round if one is needed, asks whom it has not asked, ends it if all have agreed.
    pub(super) fn confirm(&mut self, desk: &mut Desk<'_>) {
        let is_idle = self.confirms.round.is_none() && self.confirms.next.is_empty() && !self.confirms.doubtful;
        if is_idle || self.confirms.is_over || !self.is_settled(desk.holding) {
            return;
        }
        loop {
            let confirms = &mut self.confirms;
            if confirms.round.is_none() && (confirms.doubtful || !confirms.next.is_empty()) {
                let readers = std::mem::take(&mut confirms.next);
                confirms.round = Some(Round {
                    nonce: desk.next_serial(),
                    asked: BTreeSet::new(),
                    agreed: BTreeSet::new(),
                    group_asked: false,
                    group_agreed: false,
                    sent: desk.now.mono,
                    readers,
                });
            }
            // The set may have changed since the round began: what counts is who could reign now.
            let needed = self.needed(desk);
            let Some(round) = &mut self.confirms.round else { return };
            round.ask(desk, self.reign, &needed);
            if !round.is_over(&needed, desk.settings) {
                return;
            }
            let Some(round) = self.confirms.round.take() else { return };
            self.confirms.doubtful = false;
            for reader in round.readers {
                let body =
                    match reader.missing.as_ref().and_then(|token| self.refuse_read(desk, token).zip(Some(token))) {
                        // Everybody in sync was here just now, and on no other side.
                        Some((_, token)) if self.may_be_lost(desk, token) => ReplyBody::Refused(Refusal::LineageLost),
                        Some((refusal, _)) => ReplyBody::Refused(refusal),
                        None => self.found(desk, &reader.key),
                    };
                desk.reply(reader.caller, body);
            }
        }
    }

    /// A peer knows of no higher reign.
    pub(in crate::colony) fn confirmed(&mut self, desk: &mut Desk<'_>, from: StartId, nonce: u64) {
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.heard = desk.now.mono;
        }
        if let Some(round) = &mut self.confirms.round
            && round.nonce == nonce
        {
            round.agreed.insert(from);
            self.confirm(desk);
        }
    }

    /// The group's entry, read after the question of this nonce was asked.
    pub(in crate::colony) fn group_read(&mut self, desk: &mut Desk<'_>, nonce: u64, entry: Option<&Entry>) {
        let reigns = entry.is_some_and(|entry| entry.primary == Some(desk.me) && entry.reign == self.reign);
        if let Some(round) = &mut self.confirms.round
            && round.nonce == nonce
            && reigns
        {
            round.group_agreed = true;
            self.confirm(desk);
        }
    }

    /// Questions without answer go out again; readers whose time is over are told.
    pub(super) fn confirm_again(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now.mono;
        let Some(round) = &mut self.confirms.round else { return };
        let again = if round.group_asked { desk.settings.propose_again_after } else { desk.settings.resend_after };
        if Self::is_over(now, round.sent, again) {
            round.sent = now;
            round.asked.clone_from(&round.agreed);
            round.group_asked = false;
        }
        let waiting = round.readers.iter_mut().chain(&mut self.confirms.next);
        let late: Vec<Caller> = waiting.filter(|reader| reader.deadline <= now).map(|reader| reader.caller).collect();
        round.readers.retain(|reader| reader.deadline > now);
        self.confirms.next.retain(|reader| reader.deadline > now);
        for caller in late {
            desk.reply(caller, ReplyBody::Refused(Refusal::Late));
        }
        self.confirm(desk);
    }
}

impl Round {
    fn ask(&mut self, desk: &mut Desk<'_>, reign: colony_wire::Reign, needed: &BTreeSet<StartId>) {
        let nonce = self.nonce;
        for start in needed {
            if self.asked.insert(*start) {
                desk.send(*start, Lane::Replication, PeerBody::Confirm { reign, nonce });
            }
        }
        if needed.is_empty() && !self.group_asked {
            self.group_asked = true;
            desk.out.push(Output::ReadGroup { colony: desk.colony, nonce });
        }
    }

    fn is_over(&self, needed: &BTreeSet<StartId>, settings: &Settings) -> bool {
        if needed.is_empty() {
            self.group_agreed
        } else {
            needed.is_subset(&self.agreed) || mutant!(settings, ConfirmUnasked)
        }
    }
}
