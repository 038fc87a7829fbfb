//! A colony that stays takes in what another side of a split did (`PROTOCOL.md` 9, 10).
//!
//! It goes on serving meanwhile. Every session that the other side changed becomes one op: taken as it is if nothing
//! changed here since the common point, joined if something did. The op marks the session with the place where the other
//! side stood still, so that nothing is taken in twice. When all is committed, the group is asked for a new reign, which
//! begins by uniting both paths.

use std::collections::{BTreeMap, VecDeque};

use colony_wire::admin::MergeBy;
use colony_wire::heal::{Answers, HealBody, HealMessage, Item, Portrait, Value, Version};
use colony_wire::op::{Absorption, Change};
use colony_wire::session::{Content, EndKind, Key};
use colony_wire::{LineageId, Position, RequestId, Seq, StartId};

use super::{Desk, Primary};
use crate::Time;
use crate::colony::history::History;
use crate::colony::io::{Joined, Output};
use crate::colony::session::Session;
use crate::group::Command;
use crate::merge::{
    Conflict, Contest, DecidedBy, Fitted, Join, Resolution, Settled, Sides, Ticket, built_in, by_rules, fit, join,
    longer, settle,
};

/// A merge is asked so often for one session that is changed here meanwhile; then the built-in decides at once, and what it
/// does not choose is kept for people. Far more often than a session is changed while one merge is out.
const MAX_ASKED_AGAIN: u32 = 16;
/// After so many merges of one colony that gave no usable answer the built-in decides the others at once.
const MAX_FAILURES: u32 = 3;
/// A part is worked on so far ahead of what is committed at most.
const MAX_AHEAD: usize = 64;

/// What another side brings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Absorbing {
    /// Who brings it, by its start on this side.
    from: StartId,
    lineage: LineageId,
    round: u64,
    /// What both sides had.
    common: History,
    /// All that the other side covers.
    theirs: History,
    /// The part that comes next, or is worked on.
    next: u32,
    part: Option<Part>,
    heard: Time,
    end: Option<End>,
    /// Merges that gave no usable answer.
    failures: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Part {
    at: Position,
    items: VecDeque<Item>,
    answers: Vec<Answers>,
    /// Whether the answers are logged.
    is_recalled: bool,
    asked: BTreeMap<Ticket, Asked>,
    /// The last op it came to so far.
    last: Seq,
}

/// A session that a merge decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    item: Item,
    contest: Contest,
    /// What it was here when the merge was asked.
    version: Position,
    times: u32,
}

/// Everything was brought.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct End {
    at: Position,
    /// The op that says so.
    op: Seq,
    proposed: Option<Time>,
}

impl Primary {
    /// Another side speaks.
    pub(in crate::colony) fn heard_of_absorbing(&mut self, desk: &mut Desk<'_>, message: HealMessage) {
        let HealMessage { from, from_lineage, body, .. } = message;
        match body {
            HealBody::Ask { round, path } => self.be_asked(desk, from, from_lineage, round, &History::from_path(&path)),
            HealBody::Part { round, index, at, items, answers } => {
                let Some(absorbing) = self.absorbing.as_mut().filter(|it| it.from == from && it.round == round) else {
                    return;
                };
                absorbing.heard = desk.now.mono;
                if index < absorbing.next {
                    return self.say_taken(desk, index);
                }
                if index == absorbing.next && absorbing.part.is_none() {
                    let store = &desk.holding.store;
                    let done = store.records.doubled(&answers, from_lineage, &store.history);
                    // What is under way here will be done here; but for what both sides inherited and neither had committed.
                    let common = &absorbing.common;
                    let others = answers.iter().flat_map(|Answers { client, kept, .. }| {
                        let own = kept.iter().filter(|(_, done)| !common.covers(done.version));
                        own.map(|(number, _)| RequestId { client: *client, number: *number })
                    });
                    let under_way = others.filter(|request| self.in_flight.contains_key(request));
                    for request in done.chain(under_way) {
                        desk.out.push(Output::Doubled { colony: desk.colony, request });
                    }
                    absorbing.theirs.extend_to(at);
                    let last = desk.holding.committed();
                    absorbing.part = Some(Part {
                        at,
                        items: items.into(),
                        answers,
                        is_recalled: false,
                        asked: BTreeMap::new(),
                        last,
                    });
                    self.absorb(desk);
                    self.settle(desk);
                }
            }
            HealBody::End { round, index, at, path } => {
                let Some(absorbing) = self.absorbing.as_mut().filter(|it| it.from == from && it.round == round) else {
                    return;
                };
                absorbing.heard = desk.now.mono;
                if index != absorbing.next || absorbing.part.is_some() || absorbing.end.is_some() {
                    return;
                }
                let covers = History::from_path(&path).stretches().collect();
                let op = self.append(desk, Change::Absorbed { end: at, covers }, None);
                if let Some(absorbing) = &mut self.absorbing {
                    absorbing.end = Some(End { at, op, proposed: None });
                }
                self.settle(desk);
            }
            HealBody::Ready { .. } | HealBody::Taken { .. } => {}
        }
    }

    /// Whether the other side says that it has done this, and that is not in the state yet.
    pub(super) fn is_being_recalled(&self, request: RequestId) -> bool {
        let part = self.absorbing.as_ref().and_then(|absorbing| absorbing.part.as_ref());
        part.is_some_and(|part| all_of(&part.answers).any(|answered| answered == request))
    }

    fn be_asked(&mut self, desk: &mut Desk<'_>, from: StartId, lineage: LineageId, round: u64, theirs: &History) {
        let now = desk.now.mono;
        let is_another = |it: &Absorbing| (it.from, it.round) != (from, round);
        let is_over = |it: &Absorbing| Self::is_over(now, it.heard, desk.settings.give_within) || it.from == from;
        if self.absorbing.as_ref().is_some_and(|it| is_another(it) && !is_over(it)) {
            return;
        }
        // What an earlier round brought must be marked before anything is judged by the marks.
        if !self.is_settled(desk.holding) || self.handover.is_some() || self.absorbed > desk.holding.committed() {
            return;
        }
        if !desk.intakes.admit(desk.colony, desk.settings.intake_parallel) {
            return;
        }
        let path = desk.holding.store.history.to_path();
        if self.absorbing.as_ref().is_none_or(is_another) {
            // What the other side does is compared with what stands here, and that has what is not committed yet: some of
            // it may be what both sides inherited.
            let mut ours = desk.holding.store.history.clone();
            ours.extend_to(Position { lineage: desk.entry.lineage, reign: self.reign, seq: desk.holding.prepared() });
            let common = ours.common_with(theirs);
            self.absorbing = Some(Absorbing {
                from,
                lineage,
                round,
                common,
                theirs: theirs.clone(),
                next: 0,
                part: None,
                heard: now,
                end: None,
                failures: 0,
            });
        }
        self.tell_other_side(desk, HealBody::Ready { round, path });
    }

    /// Whether another side is about to be taken in, and not only the group's word is waited for.
    pub(in crate::colony) fn is_taking_in(&self) -> bool {
        self.absorbing.as_ref().is_some_and(|absorbing| absorbing.end.is_none())
    }

    /// Goes on with what was brought.
    pub(super) fn absorb(&mut self, desk: &mut Desk<'_>) {
        let Some(absorbing) = &self.absorbing else { return };
        // As long as what it told is not committed, this alone knows which requests are done there.
        let is_logged = self.absorbed <= desk.holding.committed();
        let is_over = Self::is_over(desk.now.mono, absorbing.heard, desk.settings.give_within) && is_logged;
        if is_over && absorbing.end.is_none() {
            self.absorbing = None;
            return;
        }
        self.take_in_part(desk);
        self.ask_for_union(desk);
    }

    fn take_in_part(&mut self, desk: &mut Desk<'_>) {
        loop {
            let has_room = self.has_room(desk);
            let Some(part) = self.absorbing.as_mut().and_then(|absorbing| absorbing.part.as_mut()) else { return };
            if part.asked.len() >= MAX_AHEAD || !has_room {
                return;
            }
            let Some(item) = part.items.pop_front() else { break };
            self.take_in(desk, item, 0);
        }
        self.end_part(desk);
    }

    /// All of the part is logged; if it is committed as well, the other side hears so.
    fn end_part(&mut self, desk: &mut Desk<'_>) {
        let Some(part) = self.absorbing.as_mut().and_then(|it| it.part.as_mut()) else { return };
        if !part.items.is_empty() || !part.asked.is_empty() {
            return;
        }
        if !part.answers.is_empty() && !part.is_recalled {
            part.is_recalled = true;
            let answers = part.answers.clone();
            let last = self.append(desk, Change::Recall { answers }, None);
            self.note_absorbed(last);
        }
        let Some(absorbing) = &mut self.absorbing else { return };
        let last = absorbing.part.as_ref().map_or(Seq(0), |part| part.last);
        if desk.holding.committed() >= last {
            absorbing.part = None;
            let index = absorbing.next;
            absorbing.next += 1;
            self.say_taken(desk, index);
        }
    }

    fn say_taken(&self, desk: &mut Desk<'_>, index: u32) {
        if let Some(round) = self.absorbing.as_ref().map(|absorbing| absorbing.round) {
            self.tell_other_side(desk, HealBody::Taken { round, index });
        }
    }

    fn tell_other_side(&self, desk: &mut Desk<'_>, body: HealBody) {
        let Some(Absorbing { from, lineage, .. }) = self.absorbing else { return };
        let (from_lineage, to_lineage) = (desk.lineage, lineage);
        let message = HealMessage { colony: desk.colony, from: desk.me, to: from, from_lineage, to_lineage, body };
        desk.out.push(Output::Heal(message));
    }

    fn note_absorbed(&mut self, seq: Seq) {
        self.absorbed = self.absorbed.max(seq);
        if let Some(part) = self.absorbing.as_mut().and_then(|it| it.part.as_mut()) {
            part.last = part.last.max(seq);
        }
    }

    /// One session that the other side changed.
    fn take_in(&mut self, desk: &mut Desk<'_>, item: Item, times: u32) {
        let Some(absorbing) = &self.absorbing else { return };
        let Some(at) = absorbing.part.as_ref().map(|part| part.at) else { return };
        let Some(now) = item.versions.last() else { return };
        // Who brings it may have gone on alone from the side that told of it before: its path says so.
        let marks = &desk.holding.store.absorbing.marks;
        let all = (item.key.clone(), LineageId(0))..=(item.key.clone(), LineageId(u128::MAX));
        let on_path = marks
            .range(all)
            .map(|(_, mark)| mark)
            .filter(|mark| mark.lineage == at.lineage || absorbing.theirs.is_on_path(**mark));
        let mark = on_path.max_by_key(|mark| mark.seq).filter(|_| !mutant!(desk.settings, IgnoreMarks));
        let since = mark.map_or_else(|| absorbing.common.clone(), |mark| absorbing.theirs.up_to(*mark));
        let current = self.current(desk, &item.key);
        let ours = current.map(|session| session.portrait(Some(desk.session_time)));
        let is_unchanged_here = current.is_some_and(|session| since.covers(session.version));
        if since.covers(now.at) {
            return self.take_in_touch(desk, &item.key, &now.value);
        }
        match &now.value {
            Value::Lost => {}
            Value::Ended { life, kind } => {
                let is_it = |ours: &Portrait| Some(ours.life) == *life;
                let explicit = kind.filter(|kind| *kind != EndKind::Expiry);
                match (ours.filter(is_it), explicit) {
                    (Some(ours), Some(kind)) => {
                        let overridden = (!is_unchanged_here).then(|| Box::new(ours));
                        let how = if overridden.is_some() { Joined::Overridden { why: None } } else { Joined::Ended };
                        self.log_absorbed(desk, item.key, Absorption::End(kind), overridden, how);
                    }
                    (None, Some(kind)) => self.note_end(desk, item.key, *life, kind),
                    // That it expired there is no evidence: here it lives as long as it lives.
                    (_, None) => self.log_absorbed(desk, item.key, Absorption::Keep, None, Joined::Same),
                }
            }
            Value::Alive(theirs) => {
                let theirs = (**theirs).clone();
                let ended_here = self.how_ended(desk, &item.key, theirs.life);
                let Some(ours) = ours else {
                    // An end on purpose is final, whatever was done there since; and so is one that is not remembered, of a
                    // life that both sides had.
                    let is_forgotten = since.covers(theirs.life) && !mutant!(desk.settings, ForgetEndsEarly);
                    let is_final = ended_here.map_or(is_forgotten, |kind| kind != EndKind::Expiry);
                    if !is_final {
                        return self.log_taken(desk, item.key, theirs);
                    }
                    let how = Joined::Overridden { why: None };
                    return self.log_absorbed(desk, item.key, Absorption::Keep, Some(Box::new(theirs)), how);
                };
                if ours.life != theirs.life {
                    return self.choose_life(desk, item, ours, theirs, is_unchanged_here);
                }
                if is_unchanged_here {
                    let expires_in = longer(ours.expires_in, theirs.expires_in);
                    return self.log_taken(desk, item.key, Portrait { expires_in, ..theirs });
                }
                let base = item.versions.iter().rev().skip(1).find(|version| since.covers(version.at));
                let base = base.and_then(alive).filter(|_| !mutant!(desk.settings, MergeWithoutBase)).cloned();
                self.join_sides(desk, item, base.as_ref(), &ours, &theirs, times);
            }
        }
    }

    /// A life that is over here was ended on purpose on the other side. If it only expired here, that is noted: a third
    /// side where it was used must not bring it back.
    fn note_end(&mut self, desk: &mut Desk<'_>, key: Key, life: Option<Position>, kind: EndKind) {
        let is_final = |life: &Position| self.how_ended(desk, &key, *life).is_some_and(|kind| kind != EndKind::Expiry);
        match life.filter(|life| !is_final(life)) {
            Some(life) => self.log_absorbed(desk, key, Absorption::Over { life, kind }, None, Joined::Ended),
            None => self.log_absorbed(desk, key, Absorption::Keep, None, Joined::Same),
        }
    }

    /// Nothing changed there but when the session ends.
    fn take_in_touch(&mut self, desk: &mut Desk<'_>, key: &Key, theirs: &Value) {
        let Value::Alive(theirs) = theirs else { return };
        let current = self.current(desk, key);
        let lives = current.map(|ours| {
            let is_sure = ours.surely_lives_for(theirs.expires_in, self.reign, desk.session_time);
            (ours.life, is_sure, ours.ttl, ours.expires_in(desk.session_time))
        });
        match lives {
            Some((life, false, ttl, expires_in)) if life == theirs.life => {
                let is_longer_there = longer(expires_in, theirs.expires_in) != expires_in;
                // Here it may live longer by what this copy alone counts on.
                let ttl = if is_longer_there { theirs.ttl } else { longer(ttl, theirs.ttl) };
                let seq = self.append(desk, Change::Touch { key: key.clone(), ttl }, None);
                self.note_absorbed(seq);
            }
            // It was let expire here while somebody used it there.
            None if self.how_ended(desk, key, theirs.life) == Some(EndKind::Expiry) => {
                self.log_taken(desk, key.clone(), (**theirs).clone());
            }
            _ => {}
        }
    }

    /// Two lives of one key: one that the other side saw the end of is over; of two that know nothing of each other the
    /// one with the later write stays, and the other is kept for people.
    fn choose_life(&mut self, desk: &mut Desk<'_>, item: Item, ours: Portrait, theirs: Portrait, is_unchanged: bool) {
        let Some(absorbing) = &self.absorbing else { return };
        let is_ours_over = absorbing.theirs.covers(ours.life);
        let is_ended = self.how_ended(desk, &item.key, theirs.life).is_some_and(|kind| kind != EndKind::Expiry);
        let is_theirs_over = is_ended || desk.holding.store.history.covers(theirs.life);
        let takes_theirs = !is_ended && (is_ours_over || (!is_theirs_over && theirs.written_at > ours.written_at));
        if takes_theirs {
            let overridden = (!is_ours_over || !is_unchanged).then(|| Box::new(ours));
            let how = if overridden.is_some() { Joined::Overridden { why: None } } else { Joined::Taken };
            self.log_absorbed(desk, item.key, Absorption::Become(Box::new(theirs)), overridden, how);
        } else {
            let how = Joined::Overridden { why: None };
            self.log_absorbed(desk, item.key, Absorption::Keep, Some(Box::new(theirs)), how);
        }
    }

    fn join_sides(
        &mut self,
        desk: &mut Desk<'_>,
        item: Item,
        base: Option<&Portrait>,
        ours: &Portrait,
        theirs: &Portrait,
        times: u32,
    ) {
        let version = self.current(desk, &item.key).map_or(Position::default(), |session| session.version);
        let their_version = item.versions.last().map_or(Position::default(), |last| last.at);
        let contest = match join(&desk.space.name, Sides { base, ours, theirs }, (version, their_version)) {
            Join::Clear(joined) => {
                let is_same = joined.content == ours.content && joined.tags == ours.tags;
                let is_sure = |ours: &Session| ours.surely_lives_for(joined.expires_in, self.reign, desk.session_time);
                return if is_same && self.current(desk, &item.key).is_some_and(is_sure) {
                    self.log_absorbed(desk, item.key, Absorption::Keep, None, Joined::Same);
                } else {
                    self.log_fitted(desk, item.key, fit(*joined, &[], None, ours, theirs), None);
                };
            }
            Join::Contested(contest) => *contest,
        };
        let failures = self.absorbing.as_ref().map_or(0, |absorbing| absorbing.failures);
        match &desk.space.policy.merge {
            MergeBy::Plugin(by) if times < MAX_ASKED_AGAIN && failures < MAX_FAILURES && !contest.is_of_two_kinds() => {
                let ticket = Ticket(desk.next_serial());
                let conflict = contest.conflict.clone();
                let key = item.key.clone();
                desk.out.push(Output::Merge { ticket, colony: desk.colony, key, by: by.clone(), conflict });
                let asked = Asked { item, contest, version, times };
                if let Some(part) = self.absorbing.as_mut().and_then(|it| it.part.as_mut()) {
                    part.asked.insert(ticket, asked);
                }
            }
            MergeBy::Plugin(_) => {
                let settled = by_built_in(&contest.conflict, "merges of this colony failed too often".to_owned());
                self.log_settled(desk, item.key, contest, settled, (ours, theirs));
            }
            MergeBy::LastWrite => {
                let settled = settle(&contest.conflict, Ok(built_in(&contest.conflict)));
                self.log_settled(desk, item.key, contest, settled, (ours, theirs));
            }
            MergeBy::Rules(rules) => {
                let settled = match by_rules(rules, &contest.conflict).filter(|_| !contest.is_of_two_kinds()) {
                    Some(decided) => {
                        let settled = settle(&contest.conflict, Ok(decided.resolution));
                        Settled { complaint: decided.unread.or(settled.complaint), ..settled }
                    }
                    // Nobody is there who could be refused.
                    None => by_built_in(&contest.conflict, "a rule refuses to decide".to_owned()),
                };
                self.log_settled(desk, item.key, contest, settled, (ours, theirs));
            }
        }
    }

    /// A merge that was asked for while another side is taken in was decided, or failed. False if it was for something else.
    pub(super) fn merged_at_heal(
        &mut self,
        desk: &mut Desk<'_>,
        ticket: Ticket,
        answer: &Result<Resolution, String>,
    ) -> bool {
        let Some(absorbing) = &mut self.absorbing else { return false };
        let Some(asked) = absorbing.part.as_mut().and_then(|part| part.asked.remove(&ticket)) else { return false };
        let Asked { item, contest, version, times } = asked;
        let as_asked = self.current(desk, &item.key).filter(|session| session.version == version);
        let ours = as_asked.map(|session| session.portrait(Some(desk.session_time)));
        let theirs = item.versions.last().and_then(alive).cloned();
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            let settled = settle(&contest.conflict, answer.clone());
            if settled.by == DecidedBy::BuiltIn
                && let Some(absorbing) = &mut self.absorbing
            {
                absorbing.failures += 1;
            }
            self.log_settled(desk, item.key, contest, settled, (&ours, &theirs));
        } else {
            self.take_in(desk, item, times + 1);
        }
        self.absorb(desk);
        self.settle_soon(desk);
        true
    }

    fn log_settled(
        &mut self,
        desk: &mut Desk<'_>,
        key: Key,
        contest: Contest,
        settled: Settled,
        whole: (&Portrait, &Portrait),
    ) {
        let (ours, theirs) = (contest.conflict.ours.content.clone(), contest.conflict.theirs.content.clone());
        let decided = contest.conflict.attributes.clone();
        let times = (contest.conflict.ours.written_at, contest.conflict.theirs.written_at);
        let Some(joined) = contest.settled(&settled.changes) else {
            return self.log_absorbed(desk, key, Absorption::End(EndKind::Logout), None, Joined::Ended);
        };
        let not_chosen = not_chosen(&joined.content, (&ours, times.0), (&theirs, times.1));
        self.log_fitted(desk, key, fit(joined, &decided, not_chosen, whole.0, whole.1), settled.complaint);
    }

    /// Both sides are in it, or what is not is kept for people. `why` is a complaint of whoever was asked.
    fn log_fitted(&mut self, desk: &mut Desk<'_>, key: Key, fitted: Fitted, why: Option<String>) {
        let Fitted { joined, overridden } = fitted;
        let how = if overridden.is_some() { Joined::Overridden { why } } else { Joined::Merged };
        self.log_absorbed(desk, key, Absorption::Become(Box::new(joined)), overridden.map(Box::new), how);
    }

    fn log_taken(&mut self, desk: &mut Desk<'_>, key: Key, theirs: Portrait) {
        self.log_absorbed(desk, key, Absorption::Become(Box::new(theirs)), None, Joined::Taken);
    }

    fn log_absorbed(
        &mut self,
        desk: &mut Desk<'_>,
        key: Key,
        into: Absorption,
        overridden: Option<Box<Portrait>>,
        how: Joined,
    ) {
        let Some(mark) = self.absorbing.as_ref().and_then(|it| it.part.as_ref()).map(|part| part.at) else { return };
        desk.out.push(Output::Joined { colony: desk.colony, how });
        let seq = self.append(desk, Change::Absorb { key, mark, into, overridden }, None);
        self.note_absorbed(seq);
    }

    /// All is taken in: the group is asked for the reign that unites the paths.
    fn ask_for_union(&mut self, desk: &mut Desk<'_>) {
        let Some(end) = self.absorbing.as_mut().and_then(|absorbing| absorbing.end.as_mut()) else { return };
        let is_due = end.proposed.is_none_or(|at| Self::is_over(desk.now.mono, at, desk.settings.propose_again_after));
        if desk.holding.committed() < end.op || !is_due {
            return;
        }
        end.proposed = Some(desk.now.mono);
        let (colony, cfg, by, end) = (desk.colony, desk.entry.cfg, desk.me, end.at);
        desk.out.push(Output::Propose(Command::Absorbed { colony, cfg, by, end, above: end.reign }));
    }
}

/// The requests that were answered.
fn all_of(answers: &[Answers]) -> impl Iterator<Item = RequestId> {
    answers.iter().flat_map(|Answers { client, kept, .. }| {
        kept.iter().map(|(number, _)| RequestId { client: *client, number: *number })
    })
}

fn alive(version: &Version) -> Option<&Portrait> {
    match &version.value {
        Value::Alive(portrait) => Some(portrait),
        Value::Ended { .. } | Value::Lost => None,
    }
}

/// What of the two sides was contested and not chosen, with when the later of it was written: value by value, for one may
/// be of this side and the next of that. Where both went into what it became, nothing was overridden.
fn not_chosen(joined: &Content, ours: (&Content, u64), theirs: (&Content, u64)) -> Option<(Content, u64)> {
    let ((ours, our_time), (theirs, their_time)) = (ours, theirs);
    let (Content::Attributes(all), Content::Attributes(ours), Content::Attributes(theirs)) = (joined, ours, theirs)
    else {
        return match (holds(joined, ours), holds(joined, theirs)) {
            (true, false) => Some((theirs.clone(), their_time)),
            (false, true) => Some((ours.clone(), our_time)),
            _ => None,
        };
    };
    let mut lost = BTreeMap::new();
    let mut written_at = 0;
    for name in ours.keys().chain(theirs.keys()) {
        let (is, our, their) = (all.get(name), ours.get(name), theirs.get(name));
        let (value, time) = if is == our { (their, their_time) } else { (our.filter(|_| is == their), our_time) };
        if let Some(value) = value.filter(|value| Some(*value) != is) {
            lost.insert(name.clone(), value.clone());
            written_at = written_at.max(time);
        }
    }
    (!lost.is_empty()).then_some((Content::Attributes(lost), written_at))
}

/// Whether all that `part` says stands in `content`.
fn holds(content: &Content, part: &Content) -> bool {
    match (content, part) {
        (Content::Blob(all), Content::Blob(part)) => all == part,
        (Content::Attributes(all), Content::Attributes(part)) => {
            part.iter().all(|(name, value)| all.get(name) == Some(value))
        }
        _ => false,
    }
}

fn by_built_in(conflict: &Conflict, why: String) -> Settled {
    settle(conflict, Err(why))
}
