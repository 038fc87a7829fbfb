//! What clients ask (`PROTOCOL.md` 3.1, 3.2, 4, 12).

use std::collections::VecDeque;
use std::time::Duration;

use colony_wire::admin::OnPluginFailure;
use colony_wire::client::{Ack, Attempt, Done, Read, Refusal, ReplyBody, Request, RequestBody, Token};
use colony_wire::op::Change;
use colony_wire::session::{EndKind, Key, Mutation};
use colony_wire::{Position, RequestId};

use super::evaluate::{Bench, Contested, Verdict, check_room, check_tags};
use super::membership::Handover;
use super::{Asker, Desk, Primary};
use crate::Time;
use crate::colony::io::{Caller, Output};
use crate::colony::records::Known;
use crate::colony::session::Session;
use crate::colony::store::answer;
use crate::merge::{Resolution, Ticket, settle};

/// A save that waits for a merge, and what came for the same session meanwhile. The session waits, not the
/// colony (`PROTOCOL.md` 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Parked {
    /// The save as it was asked for.
    asked: Queued,
    contested: Contested,
    queue: VecDeque<Queued>,
}

/// An answer that was judged by an op that is not committed yet. It counts as under way: a repetition of its
/// request waits for it and is not judged anew.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Deferred {
    pub(super) caller: Caller,
    pub(super) request: RequestId,
    pub(super) body: ReplyBody,
}

/// A change that waits for something else to be over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Queued {
    asker: Asker,
    mutation: Mutation,
    deadline: Time,
}

impl Queued {
    /// Who waits for its answer.
    pub(super) fn caller(&self) -> Caller {
        self.asker.caller
    }
}

impl Parked {
    /// Who waits here for the answer to this request.
    fn caller_of(&mut self, request: RequestId) -> Option<&mut Caller> {
        let all = std::iter::once(&mut self.asked).chain(&mut self.queue);
        all.map(|queued| &mut queued.asker).find(|asker| asker.stamp.request == request).map(|asker| &mut asker.caller)
    }

    /// How many changes wait behind it.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Everybody who waits here.
    pub(super) fn callers(self) -> impl Iterator<Item = Caller> {
        self.all().map(|queued| queued.asker.caller)
    }

    /// The save and what waits behind it, in turn.
    fn all(self) -> impl Iterator<Item = Queued> {
        std::iter::once(self.asked).chain(self.queue)
    }
}

impl Primary {
    pub(in crate::colony) fn request(&mut self, desk: &mut Desk<'_>, from: Caller, request: Request) {
        let deadline = desk.now.mono + Duration::from_millis(u64::from(request.deadline_ms));
        match request.body {
            RequestBody::Get { key, read } => self.read(desk, from, &request.token, key, read, deadline),
            RequestBody::Mutate { stamp, mutation, ack } => {
                let asker = Asker { caller: from, stamp, ack, attempt: request.attempt };
                self.mutate(desk, Queued { asker, mutation, deadline });
                self.settle_soon(desk);
            }
            RequestBody::Tagged { tag, after, limit } => {
                let body = self.tagged(desk, &request.token, &tag, after.as_ref(), limit);
                desk.reply(from, body);
            }
            RequestBody::Revoke { stamp, tag } => {
                let asker = Asker { caller: from, stamp, ack: Ack::InSync, attempt: request.attempt };
                self.revoke(desk, asker, &tag, deadline);
                self.settle(desk);
            }
            RequestBody::Overridden { after, limit } => {
                let body = self.overridden(desk, &request.token, after, limit);
                desk.reply(from, body);
            }
            RequestBody::Watch { key, after } => self.watch(desk, from, &request.token, (key, after), deadline),
        }
    }

    /// Committed state only, and only if it holds what the client asks for.
    fn read(&mut self, desk: &mut Desk<'_>, from: Caller, token: &Token, key: Key, read: Read, deadline: Time) {
        let any = Token::default();
        let token = if read == Read::Any { &any } else { token };
        let body = match self.refuse_read(desk, token) {
            Some(Refusal::Behind) if self.may_be_lost(desk, token) && self.shortage(desk).is_none() => {
                return self.read_confirmed(desk, from, key, deadline, Some(token.clone()));
            }
            Some(refusal) => ReplyBody::Refused(refusal),
            // Nobody who is missing can confirm: whoever asks is told so at once.
            None if read == Read::Confirm => match self.shortage(desk) {
                Some(shortage) => ReplyBody::Refused(shortage),
                None => return self.read_confirmed(desk, from, key, deadline, None),
            },
            None => self.found(desk, &key),
        };
        desk.reply(from, body);
    }

    /// What every read asks first: the barrier is committed, and all that the client has seen is held.
    pub(super) fn refuse_read(&self, desk: &Desk<'_>, token: &Token) -> Option<Refusal> {
        let is_settled = self.is_settled(desk.holding) || mutant!(desk.settings, ReadBeforeBarrier);
        if !is_settled || self.confirms.is_doubtful() {
            return Some(self.shortage(desk).unwrap_or(Refusal::NotReady));
        }
        let history = &desk.holding.store.history;
        let is_behind = |seen: &Position| !history.covers(*seen) && !mutant!(desk.settings, IgnoreTokens);
        // Reigns grow along the path: a lower one of a lineage that it came through is a part of it that was given up.
        // Of a lineage that it did not come through or took in once, or in an island, it was seen on another side of a
        // split and is to be taken in yet.
        let is_given_up = |seen: Position| {
            let came_through = history.entries().iter().any(|own| own.0 == seen.lineage);
            let is_past = seen.lineage != desk.entry.lineage && seen.reign < desk.entry.reign;
            came_through && is_past && !desk.is_apart && desk.entry.absorbed_of(seen.lineage).is_none()
        };
        let mut missing = token.positions().filter(is_behind).peekable();
        missing.peek()?;
        Some(if missing.all(is_given_up) { Refusal::LineageLost } else { Refusal::Behind })
    }

    /// Whether what a client has seen and is not held here was seen on other sides of a split, and nobody is left who could
    /// bring it: every process that ever had an acknowledged write of the colony is in sync now, or has none any more. That
    /// those who are in sync are here, and their copies on no other side, is for [`Primary::read_confirmed`] to ask.
    pub(super) fn may_be_lost(&self, desk: &Desk<'_>, token: &Token) -> bool {
        let history = &desk.holding.store.history;
        let mut missing = token.positions().filter(|seen| !history.covers(*seen));
        let is_whole = desk.entry.unaccounted.is_empty() && desk.entry.dead.is_empty() && self.absorbing.is_none();
        is_whole && !desk.is_apart && missing.all(|seen| seen.lineage != desk.entry.lineage)
    }

    /// The session as committed here.
    pub(super) fn found(&self, desk: &Desk<'_>, key: &Key) -> ReplyBody {
        let session =
            if mutant!(desk.settings, ReadUncommitted) { self.current(desk, key) } else { desk.holding.store.get(key) };
        session.map_or(ReplyBody::Absent, |session| ReplyBody::Found(session.view(desk.session_time)))
    }

    pub(super) fn mutate(&mut self, desk: &mut Desk<'_>, asked: Queued) {
        if let Some(answer) = self.refuse_or_repeat(desk, asked.asker, asked.deadline) {
            if let Some(body) = answer {
                desk.reply(asked.asker.caller, body);
            }
            return;
        }
        if self.is_handing_over() {
            return self.hold(desk, asked);
        }
        if let Some(ticket) = self.parked_keys.get(asked.mutation.key()).copied() {
            self.queue_behind(desk, ticket, asked);
            return;
        }
        let key = asked.mutation.key().clone();
        let bench = Bench {
            now: desk.now,
            session_time: desk.session_time,
            reign: self.reign,
            space: desk.space,
            holding: desk.holding,
            current: self.current(desk, &key),
            ending: self.tips.get(&key).map_or(&[], |tip| &tip.ended),
            settings: desk.settings,
        };
        match bench.judge(asked.mutation) {
            Verdict::Log(change) => {
                self.append(desk, change, Some(asked.asker));
            }
            Verdict::PutOff => {
                let Asker { caller, stamp, .. } = asked.asker;
                if let Some(body) = self.put_off(desk, &key) {
                    self.answer(desk, &key, Deferred { caller, request: stamp.request, body });
                }
            }
            Verdict::Answer(body) => {
                let Asker { caller, stamp, .. } = asked.asker;
                self.answer(desk, &key, Deferred { caller, request: stamp.request, body });
            }
            Verdict::Merge(by, contested, mutation) => {
                let Queued { asker, deadline, .. } = asked;
                self.park(desk, Queued { asker, mutation, deadline }, by, *contested);
            }
            Verdict::Decided(change, unread) => {
                desk.out.push(Output::Decided { colony: desk.colony, unread });
                self.append(desk, change, Some(asked.asker));
            }
        }
    }

    /// Restarts a session's time to live here only (`PROTOCOL.md` 11); says what its client is told. No record
    /// is made: a repetition does the same again. Where a change of the session is under way, that restarts the
    /// time to live by itself once it is committed, which is not before now.
    fn put_off(&self, desk: &mut Desk<'_>, key: &Key) -> Option<ReplyBody> {
        let session = self.current(desk, key)?;
        let (version, life) = (session.version, session.life);
        let deadline = session.ttl.map(|ms| desk.session_time + Duration::from_millis(ms));
        if let Some(deadline) = deadline.filter(|_| !self.tips.contains_key(key)) {
            desk.holding.store.put_off(key, deadline);
        }
        let copies = u8::try_from(desk.entry.in_sync.len()).unwrap_or(u8::MAX);
        let done = Done { version, life, copies, merged: false, ack: Ack::InSync, ended: 0, more: false };
        Some(ReplyBody::Done(done))
    }

    /// Says an answer that changes nothing, once what it was judged by is committed.
    fn answer(&mut self, desk: &mut Desk<'_>, key: &Key, answer: Deferred) {
        let tip = self.tips.get(key).filter(|_| !mutant!(desk.settings, RefuseUncommitted));
        let Some(tip) = tip else { return desk.reply(answer.caller, answer.body) };
        if self.deferred.values().map(Vec::len).sum::<usize>() >= desk.settings.max_parked {
            let busy = Refusal::Busy { what: "answers to be confirmed".into() };
            return desk.reply(answer.caller, ReplyBody::Refused(busy));
        }
        self.deferred.entry(tip.last).or_default().push(answer);
    }

    /// What can be said without looking at the session: none if it must be looked at, `Some(None)` if the
    /// answer comes later by itself.
    pub(super) fn refuse_or_repeat(
        &mut self,
        desk: &mut Desk<'_>,
        asker: Asker,
        deadline: Time,
    ) -> Option<Option<ReplyBody>> {
        let refuse = |refusal| Some(Some(ReplyBody::Refused(refusal)));
        let busy = |what: &str| refuse(Refusal::Busy { what: what.to_owned() });
        let Asker { caller, stamp, ack, attempt } = asker;
        let request = stamp.request;
        if ack == Ack::Durable {
            return refuse(Refusal::NotDurable);
        }
        if !self.is_settled(desk.holding) || self.confirms.is_doubtful() {
            return refuse(self.shortage(desk).unwrap_or(Refusal::NotReady));
        }
        // Nothing is changed behind what the other side is told.
        if self.stands_still(desk) {
            return refuse(Refusal::NotReady);
        }
        if desk.now.mono >= deadline {
            return refuse(Refusal::Late);
        }
        if !mutant!(desk.settings, ForgetRequests) {
            match desk.holding.store.records.look(request) {
                Known::Done(done) => {
                    let copies = u8::try_from(desk.entry.in_sync.len()).unwrap_or(u8::MAX);
                    return Some(Some(ReplyBody::Done(Done { copies, ..done })));
                }
                Known::Forgotten if !mutant!(desk.settings, RedoForgotten) => return refuse(Refusal::Unknown),
                Known::Forgotten | Known::New => {}
            }
            if mutant!(desk.settings, AnswerInFlight)
                && let Some(op) = self.in_flight.get(&request).and_then(|seq| desk.holding.log.get(*seq))
            {
                return Some(Some(ReplyBody::Done(answer(op, None, None))));
            }
            // The newest attempt gets the answer. An earlier one may have nobody waiting any more; it is
            // told that it was overtaken, so that the shell forgets it.
            let under_way = if let Some(seq) = self.in_flight.get(&request) {
                self.waiting.get_mut(seq).map(|waiter| waiter.caller.replace(caller))
            } else {
                let deferred = self.deferred.values_mut().flatten();
                let deferred = deferred.filter(|deferred| deferred.request == request).map(|it| &mut it.caller);
                let parked = self.parked.values_mut().find_map(|parked| parked.caller_of(request));
                let held = self.handover.iter_mut().flat_map(Handover::held).map(|held| &mut held.asker);
                let held = held.filter(|asker| asker.stamp.request == request).map(|asker| &mut asker.caller).last();
                deferred.last().or(parked).or(held).map(|before| Some(std::mem::replace(before, caller)))
            };
            if let Some(overtaken) = under_way {
                if let Some(overtaken) = overtaken {
                    desk.reply(overtaken, ReplyBody::Refused(Refusal::Deposed));
                }
                return Some(None);
            }
        }
        if self.is_being_recalled(request) {
            return refuse(Refusal::NotReady);
        }
        // On another side of a split it may have been done, and that side's answers are not here (`PROTOCOL.md` 8).
        let is_elsewhere =
            |attempt: &Attempt| attempt.lineage != desk.lineage && !mutant!(desk.settings, RepeatElsewhere);
        if let Some(Attempt { is_first, .. }) = attempt.filter(is_elsewhere) {
            return refuse(if is_first { Refusal::OtherLineage { lineage: desk.lineage } } else { Refusal::Unknown });
        }
        let has_room = self.has_room(desk);
        let shortage = self.shortage(desk);
        let records = &mut desk.holding.store.records;
        if let Some(shortage) = shortage {
            refuse(shortage)
        } else if !has_room {
            busy("uncommitted changes of the colony")
        } else if records.unanswered(stamp) >= desk.settings.max_records {
            busy("unanswered requests of the client")
        } else if records.is_full_for(request.client) {
            busy("clients of the colony")
        } else {
            None
        }
    }

    fn queue_behind(&mut self, desk: &mut Desk<'_>, ticket: Ticket, asked: Queued) {
        let total: usize = self.parked.values().map(|parked| parked.queue.len()).sum();
        let Some(parked) = self.parked.get_mut(&ticket) else { return };
        if total >= desk.settings.max_parked {
            let busy = Refusal::Busy { what: "changes behind merges".into() };
            desk.reply(asked.asker.caller, ReplyBody::Refused(busy));
        } else {
            parked.queue.push_back(asked);
        }
    }

    fn park(&mut self, desk: &mut Desk<'_>, asked: Queued, by: String, contested: Contested) {
        if self.parked.len() >= desk.settings.max_parked {
            desk.reply(asked.caller(), ReplyBody::Refused(Refusal::Busy { what: "merges".into() }));
            return;
        }
        let ticket = Ticket(desk.next_serial());
        let (key, conflict) = (contested.key.clone(), contested.conflict.clone());
        self.parked_keys.insert(key.clone(), ticket);
        desk.out.push(Output::Merge { ticket, colony: desk.colony, key, by, conflict });
        self.parked.insert(ticket, Parked { asked, contested, queue: VecDeque::new() });
    }

    /// A merge was decided, or failed: the referee has the last word, then the save is logged.
    pub(in crate::colony) fn merged(
        &mut self,
        desk: &mut Desk<'_>,
        ticket: Ticket,
        answer: Result<Resolution, String>,
    ) {
        if self.merged_at_heal(desk, ticket, &answer) {
            return;
        }
        let Some(parked) = self.parked.remove(&ticket) else { return };
        let Contested { key, life, conflict, .. } = &parked.contested;
        self.parked_keys.remove(key);
        // What the other side of a split did may have been taken in meanwhile, and is in what this is based on.
        let has_changed = |session: &Session| session.life == *life && session.version != conflict.ours.version;
        let is_beside = self.current(desk, key).is_some_and(has_changed) && !mutant!(desk.settings, MergeBeside);
        // Or it did the same request, and says so.
        let request = parked.asked.asker.stamp.request;
        let is_told = self.is_being_recalled(request) || desk.holding.store.records.look(request) != Known::New;
        if is_beside || is_told {
            for queued in parked.all() {
                self.mutate(desk, queued);
            }
            return self.settle_soon(desk);
        }
        let settled = settle(conflict, answer);
        let to = desk.space.policy.on_plugin_failure;
        let refused = settled.complaint.clone().filter(|_| to == OnPluginFailure::Refuse);
        if let Some(why) = settled.complaint {
            desk.out.push(Output::FellBack { ticket, to, why });
        }
        let change = parked.contested.change(settled.changes);
        let fits = match (refused, &change, self.current(desk, key)) {
            (_, _, session) if session.is_none_or(|session| session.life != *life) => {
                Err(Refusal::Gone { ended: self.how_ended(desk, key, *life) })
            }
            (Some(why), ..) => Err(Refusal::NotMerged { why }),
            (None, Change::Update { changes, tags, .. }, Some(session)) => {
                check_room(session, changes).and_then(|()| check_tags(Some(session), tags))
            }
            _ => Ok(()),
        };
        let Queued { asker, deadline, .. } = parked.asked;
        match fits {
            _ if deadline <= desk.now.mono => desk.reply(asker.caller, ReplyBody::Refused(Refusal::Late)),
            Ok(()) => {
                self.append(desk, change, Some(asker));
            }
            Err(refusal) => {
                let (caller, request) = (asker.caller, asker.stamp.request);
                self.answer(desk, key, Deferred { caller, request, body: ReplyBody::Refused(refusal) });
            }
        }
        for queued in parked.queue {
            self.mutate(desk, queued);
        }
        self.settle_soon(desk);
    }

    /// How a life ended, if that is still known.
    pub(super) fn how_ended(&self, desk: &Desk<'_>, key: &Key, life: Position) -> Option<EndKind> {
        // Of a life that expired here and was ended on purpose on another side the later word counts.
        let ending = self.tips.get(key).and_then(|tip| tip.ended.iter().rfind(|(ended, _)| *ended == life));
        ending.map(|(_, kind)| *kind).or_else(|| desk.holding.store.ends().of_life(key, life))
    }

    /// Nobody waits for a merge, or behind one, beyond the deadline of the call.
    pub(super) fn refuse_the_late(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now.mono;
        let is_late = |(_, parked): &(&Ticket, &Parked)| parked.asked.deadline <= now;
        let given_up: Vec<Ticket> = self.parked.iter().filter(is_late).map(|(ticket, _)| *ticket).collect();
        for ticket in given_up {
            let Some(parked) = self.parked.remove(&ticket) else { continue };
            self.parked_keys.remove(&parked.contested.key);
            desk.reply(parked.asked.caller(), ReplyBody::Refused(Refusal::Late));
            for queued in parked.queue {
                self.mutate(desk, queued);
            }
        }
        let mut late = Vec::new();
        if let Some(handover) = &mut self.handover {
            let (in_time, too_late): (VecDeque<Queued>, VecDeque<Queued>) =
                std::mem::take(handover.held()).into_iter().partition(|queued| queued.deadline > now);
            *handover.held() = in_time;
            late.extend(too_late.into_iter().map(|queued| queued.asker.caller));
        }
        for parked in self.parked.values_mut() {
            let (in_time, too_late): (VecDeque<Queued>, VecDeque<Queued>) =
                std::mem::take(&mut parked.queue).into_iter().partition(|queued| queued.deadline > now);
            parked.queue = in_time;
            late.extend(too_late.into_iter().map(|queued| queued.asker.caller));
        }
        for caller in late {
            desk.reply(caller, ReplyBody::Refused(Refusal::Late));
        }
    }
}
