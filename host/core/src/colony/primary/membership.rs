//! What the primary proposes to the group: who is in sync, who takes over (`PROTOCOL.md` 3.5, 3.7, 6.3, 6.5).
//!
//! At most one change of an entry is under way. A proposal's outcome is known only when the entry's `cfg`
//! has moved on; until then everything holds that would have to hold if it were decided.

use std::collections::VecDeque;

use colony_wire::client::{Refusal, ReplyBody};
use colony_wire::{Cfg, Seq, StartId};

use super::progress::{Progress, Stage};
use super::requests::Queued;
use super::{Desk, Primary};
use crate::Time;
use crate::colony::io::Output;
use crate::group::Command;

/// A change of the in-sync set whose outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Proposed {
    /// The entry it was decided on.
    pub(super) decided: Cfg,
    /// Whom it may have added.
    pub(super) add: Option<StartId>,
    remove: Vec<StartId>,
    at: Time,
}

/// The reign is being handed to an in-sync peer: nothing new is taken on (`PROTOCOL.md` 6.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Handover {
    to: StartId,
    /// Set once everything is held everywhere and the group was asked.
    proposed: Option<(Cfg, Time)>,
    begun: Time,
    /// Changes that came meanwhile. They are judged if the reign goes on, and sent to the heir if not: in the
    /// usual few milliseconds nobody need ask again.
    held: VecDeque<Queued>,
}

impl Primary {
    /// Proposes what the set needs next, if nothing is under way.
    pub(super) fn look_after_the_set(&mut self, desk: &mut Desk<'_>) {
        self.count_on_near_peers(desk);
        if self.handover.is_some() {
            self.hand_over(desk);
        } else if self.proposed.is_some() {
            self.propose_again(desk);
        } else if let Some((add, remove)) = self.next_change(desk) {
            self.propose(desk, add, remove);
        } else if let Some(to) = self.successor(desk)
            && desk.handovers.admit(desk.colony, desk.settings.handover_parallel)
        {
            let (begun, held) = (desk.now.mono, VecDeque::new());
            self.handover = Some(Handover { to, proposed: None, begun, held });
            self.hand_over(desk);
        }
    }

    /// Whether the set is not as the table wants it.
    pub(super) fn wants_change(&self, desk: &Desk<'_>) -> bool {
        let entry = desk.entry;
        entry.want.first().is_some_and(|first| *first != desk.me)
            || entry.want.iter().any(|start| !entry.is_in_sync(*start))
            || entry.in_sync.iter().any(|start| !entry.is_wanted(*start))
    }

    /// A catching-up peer that is near and answers is needed for every commit from now on, so that it can
    /// close the gap; one that falls silent or slow before it is proposed is needed no longer.
    fn count_on_near_peers(&mut self, desk: &Desk<'_>) {
        let prepared = desk.holding.prepared();
        let proposed = self.proposed.as_ref().and_then(|proposed| proposed.add);
        for (start, peer) in &mut self.peers {
            let is_candidate = desk.entry.is_wanted(*start) && !desk.entry.is_in_sync(*start);
            let near = matches!(peer.stage, Stage::Streaming) && peer.matched.0 + desk.settings.lag_bound >= prepared.0;
            let silent = is_silent(desk, peer.owes_since, peer.heard);
            if !desk.entry.is_in_sync(*start) {
                peer.pace.begins_anew();
            }
            let is_fit = !silent && !peer.pace.is_kept_out(desk.now.mono, desk.settings);
            peer.counted_on = is_candidate && (proposed == Some(*start) || (is_fit && (near || peer.counted_on)));
        }
    }

    /// Whom to add, whom to remove. No change leaves fewer than the namespace's least: who could be removed only
    /// below it stays until somebody takes its place in the same entry (`PROTOCOL.md` 3.8).
    fn next_change(&self, desk: &Desk<'_>) -> Option<(Option<StartId>, Vec<StartId>)> {
        let entry = desk.entry;
        let spare = entry.in_sync.len().saturating_sub(desk.space.policy.least_in_sync());
        let silent = self.silent_in_sync(desk);
        let removable: Vec<StartId> =
            silent.iter().copied().chain(self.slow_in_sync(desk, &silent)).take(spare).collect();
        if !removable.is_empty() {
            return Some((None, removable));
        }
        // What an earlier primary committed is known only once the barrier is committed: before that, a peer
        // at this one's commit position may lack an acknowledged op. One that has the barrier lacks none.
        let waits_for_barrier = !mutant!(desk.settings, AddBeforeBarrier);
        let due = desk.holding.committed().max(if waits_for_barrier { self.barrier } else { Seq(0) });
        let has_caught_up = |start: &&StartId| {
            let Some(peer) = self.peers.get(start) else { return false };
            let is_the_copy = peer.knows >= entry.cfg || mutant!(desk.settings, TrustLostCopy);
            let holds_enough = peer.counted_on && is_the_copy && peer.matched >= due;
            !entry.is_in_sync(**start)
                && (holds_enough || (mutant!(desk.settings, ProposeBelowCommitted) && peer.heard > Time(0)))
        };
        if let Some(start) = entry.want.iter().find(has_caught_up) {
            return Some((Some(*start), silent.into_iter().take(1).collect()));
        }
        let is_complete =
            entry.want.iter().all(|start| entry.is_in_sync(*start)) || mutant!(desk.settings, RemoveBeforeAdded);
        let is_surplus = |start: &&StartId| **start != desk.me && !entry.is_wanted(**start);
        let surplus: Vec<StartId> = entry.in_sync.iter().filter(is_surplus).copied().take(spare).collect();
        (is_complete && !entry.want.is_empty() && !surplus.is_empty()).then_some((None, surplus))
    }

    /// The peers in the set that were declared dead, or owe an answer and say nothing.
    fn silent_in_sync(&self, desk: &Desk<'_>) -> Vec<StartId> {
        let is_silent_peer = |start: &&StartId| {
            let says_nothing = |peer: &Progress| is_silent(desk, peer.owes_since, peer.heard);
            desk.entry.dead.contains(start) || self.peers.get(start).is_some_and(says_nothing)
        };
        desk.entry.in_sync.iter().filter(is_silent_peer).copied().collect()
    }

    /// The peers in the set that answer, and late throughout. Nobody, unless another peer is in time: a slow copy is
    /// better than none, and where all are late the cause may be here (`PROTOCOL.md` 3.10).
    fn slow_in_sync(&self, desk: &Desk<'_>, silent: &[StartId]) -> Vec<StartId> {
        let is_slow =
            |start: &StartId| self.peers.get(start).is_some_and(|peer| peer.pace.is_slow(desk.now.mono, desk.settings));
        let answering = desk.entry.in_sync.iter().copied().filter(|start| *start != desk.me && !silent.contains(start));
        let (slow, in_time): (Vec<StartId>, Vec<StartId>) = answering.partition(is_slow);
        if in_time.is_empty() { Vec::new() } else { slow }
    }

    /// Whether fewer copies answer than the namespace asks for: then nothing can be acknowledged, and whoever
    /// asks is told so (`PROTOCOL.md` 3.8).
    pub(super) fn shortage(&self, desk: &Desk<'_>) -> Option<Refusal> {
        let least = desk.space.policy.least_in_sync();
        let have = desk.entry.in_sync.len() - self.silent_in_sync(desk).len();
        let number = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        (have < least).then(|| Refusal::TooFewCopies { have: number(have), min: number(least) })
    }

    fn propose(&mut self, desk: &mut Desk<'_>, add: Option<StartId>, remove: Vec<StartId>) {
        let cfg = desk.entry.cfg;
        let command = Command::ChangeInSync {
            colony: desk.colony,
            cfg,
            reign: self.reign,
            by: desk.me,
            add,
            remove: remove.clone(),
        };
        desk.out.push(Output::Propose(command));
        for start in &remove {
            if let Some(peer) = self.peers.get_mut(start)
                && peer.pace.is_slow(desk.now.mono, desk.settings)
            {
                peer.pace.moves_out();
            }
        }
        self.proposed = Some(Proposed { decided: cfg, add, remove, at: desk.now.mono });
    }

    /// Asks again on the same entry, for what is still wanted: a peer that fell silent is not added, one that
    /// answers again is not removed. Whichever is decided first makes the others void.
    fn propose_again(&mut self, desk: &mut Desk<'_>) {
        let silent =
            |start: &StartId| self.peers.get(start).is_none_or(|peer| is_silent(desk, peer.owes_since, peer.heard));
        let slow = self.slow_in_sync(desk, &self.silent_in_sync(desk));
        let Some(proposed) = &self.proposed else { return };
        if !Self::is_over(desk.now.mono, proposed.at, desk.settings.propose_again_after) {
            return;
        }
        if mutant!(desk.settings, GiveUpProposal) {
            self.proposed = None;
            return;
        }
        let add = proposed.add.filter(|start| !silent(start));
        let remove = proposed
            .remove
            .iter()
            .filter(|start| silent(start) || slow.contains(start) || !desk.entry.is_wanted(**start));
        // With nothing left to do it only makes the first proposal void: something else may be proposed then.
        let spare =
            (desk.entry.in_sync.len() + usize::from(add.is_some())).saturating_sub(desk.space.policy.least_in_sync());
        let command = Command::ChangeInSync {
            colony: desk.colony,
            cfg: proposed.decided,
            reign: self.reign,
            by: desk.me,
            add,
            remove: remove.copied().take(spare).collect(),
        };
        desk.out.push(Output::Propose(command));
        if let Some(proposed) = &mut self.proposed {
            proposed.at = desk.now.mono;
        }
    }

    /// Who is to reign instead: placement's first choice, once every wanted copy is in sync.
    fn successor(&self, desk: &Desk<'_>) -> Option<StartId> {
        let entry = desk.entry;
        let first = entry.want.first().copied().filter(|first| *first != desk.me)?;
        // What stands still may be the other side's by now, with the copies that it stands still on.
        if desk.now.mono < self.handover_from || self.stands_still(desk) {
            return None;
        }
        let is_complete = entry.want.iter().all(|start| entry.is_in_sync(*start));
        let answers = self.peers.get(&first).is_some_and(|peer| !is_silent(desk, peer.owes_since, peer.heard));
        (is_complete && answers && self.is_settled(desk.holding)).then_some(first)
    }

    /// Stops, flushes, and when everything is held everywhere, asks the group.
    fn hand_over(&mut self, desk: &mut Desk<'_>) {
        let is_flushed = desk.holding.committed() == desk.holding.prepared() && self.parked.is_empty()
            || mutant!(desk.settings, HandOverUnflushed);
        let Some(handover) = &mut self.handover else { return };
        let again = desk.settings.propose_again_after;
        match handover.proposed {
            None if is_flushed => {}
            // It cannot be flushed, or nobody decides: the reign goes on. Should the swap be decided yet,
            // the successor holds all that is acknowledged until it knows: it is in the set.
            _ if Self::is_over(desk.now.mono, handover.begun, again * 2) => {
                self.handover_from = desk.now.mono + desk.settings.handover_pause;
                return self.go_on(desk);
            }
            Some((_, at)) if Self::is_over(desk.now.mono, at, again) => {}
            None | Some(_) => return,
        }
        let cfg = desk.entry.cfg;
        handover.proposed = Some((cfg, desk.now.mono));
        let swap = Command::Swap { colony: desk.colony, cfg, from: desk.me, to: handover.to };
        desk.out.push(Output::Propose(swap));
    }

    /// The entry changed and this start still reigns: what was asked on the old entry is void.
    pub(super) fn handover_after_change(&mut self, desk: &mut Desk<'_>) {
        let cfg = desk.entry.cfg;
        let is_void = |handover: &Handover| match handover.proposed {
            Some((decided, _)) => cfg > decided,
            None => !desk.entry.is_in_sync(handover.to),
        };
        if self.handover.as_ref().is_some_and(is_void) {
            self.go_on(desk);
        }
    }

    /// The hand-over came to nothing: what waited for it is judged.
    fn go_on(&mut self, desk: &mut Desk<'_>) {
        let Some(handover) = self.handover.take() else { return };
        for queued in handover.held {
            self.mutate(desk, queued);
        }
        self.commit(desk);
        self.send_what_is_due(desk);
    }

    /// Keeps a change until the hand-over is over. One for which there is no room is asked again.
    pub(super) fn hold(&mut self, desk: &mut Desk<'_>, asked: Queued) {
        let room = desk.settings.max_parked;
        match &mut self.handover {
            Some(handover) if handover.held.len() < room => handover.held.push_back(asked),
            _ => desk.reply(asked.caller(), ReplyBody::Refused(Refusal::NotReady)),
        }
    }

    /// Whether nothing new is taken on because the reign is being handed over.
    pub(in crate::colony) fn is_handing_over(&self) -> bool {
        self.handover.is_some()
    }
}

impl Handover {
    /// What waits for its end.
    pub(super) fn held(&mut self) -> &mut VecDeque<Queued> {
        &mut self.held
    }

    /// How much that is.
    pub(super) fn holds(&self) -> usize {
        self.held.len()
    }
}

/// Whether a peer owes an acknowledgement and has said nothing for longer than `replica_timeout`.
pub(super) fn is_silent(desk: &Desk<'_>, owes_since: Option<Time>, heard: Time) -> bool {
    let timeout = desk.settings.replica_timeout;
    owes_since.is_some_and(|since| desk.now.mono.since(since) > timeout) && desk.now.mono.since(heard) > timeout
}
