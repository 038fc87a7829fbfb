//! What clients are told, judged at the moment they are told it.

use colony_core::colony::{Part, Replica};
use colony_wire::client::{Done, Read, Refusal, Reply, ReplyBody, Request, RequestBody};
use colony_wire::session::{Key, Mutation, SessionView};
use colony_wire::{ColonyId, Position, RequestId};

use super::model::Kept;
use super::{Oracle, Truth, tagged};
use crate::clock::Micros;
use crate::host::Host;
use crate::seen::Sight;
use crate::violation::{Rule, Violation, demand};

impl Oracle {
    /// A host answers a request of a client that had been shown `floor` of the colony when it asked.
    ///
    /// # Errors
    /// If what it says is not true, or the client would read backward.
    pub fn replied(
        &mut self,
        host: &Host,
        request: &Request,
        floor: Option<Position>,
        reply: &Reply,
    ) -> Result<(), Violation> {
        let colony = request.colony;
        if let Some(sight) = sight_of(&reply.body) {
            self.seen.note(sight);
        }
        let kept_for = self.record_ttl;
        let marks = &self.marks;
        let truth = self.truths.entry(colony).or_default();
        truth.counts(self.counted);
        let replica = host.copies(colony).find(|(start, _)| *start == reply.served_by).map(|(_, replica)| replica);
        let told = |violation: Violation| Violation {
            how: format!("{colony} at {}: {} (asked {request:?}, told {reply:?})", host.name, violation.how),
            ..violation
        };
        if let Some(seen) = reply.seen {
            demand(truth.op(seen.seq).is_some_and(|op| op.position == seen), Rule::NothingLost, || {
                format!("{seen} was never committed")
            })
            .map_err(told)?;
        }
        // What ends a reign tells callers so under the start that had it.
        if !matches!(reply.body, ReplyBody::Refused(_)) {
            let now = host.process.as_ref().map(|process| process.start());
            demand(now == Some(reply.served_by), Rule::StaysDead, || format!("{} is {now:?}", host.name))
                .map_err(told)?;
        }
        let seen = reply.seen.unwrap_or_default();
        if let Some(judged) = tagged::judge(truth, request, &reply.body, seen, &mut self.seen) {
            return judged.map_err(told);
        }
        let judged = match (&reply.body, &request.body) {
            (ReplyBody::Found(view), RequestBody::Get { key, .. }) => {
                serves(replica, request, floor, reply).and_then(|seen| found(truth, key, seen, view))
            }
            (ReplyBody::Absent, RequestBody::Get { key, .. }) => {
                serves(replica, request, floor, reply).and_then(|seen| absent(truth, key, seen))
            }
            (ReplyBody::Absent, RequestBody::Mutate { mutation, .. }) => {
                let seen = reply.seen.unwrap_or_default();
                absent(truth, mutation.key(), seen)
            }
            (ReplyBody::Done(done), RequestBody::Mutate { stamp, mutation: Mutation::Touch { key, ttl }, .. })
                if !is_logged_by(truth, replica, stamp.request) =>
            {
                self.seen.note(Sight::Absorbed);
                absorbed_truly(truth, key, *ttl, reply, done)
            }
            (ReplyBody::Done(done), RequestBody::Mutate { stamp, .. }) => {
                let repeated = done_truly(truth, replica, stamp.request, done);
                if repeated.is_ok() && !self.answered.insert((colony, stamp.request)) {
                    self.seen.note(Sight::Repeated);
                }
                repeated
            }
            (ReplyBody::Refused(refusal), RequestBody::Mutate { stamp, .. } | RequestBody::Revoke { stamp, .. }) => {
                let mark = marks.get(&stamp.request.client).copied().unwrap_or(0);
                let may_ask = stamp.request.number >= mark;
                refused_truly(truth, replica, stamp.request, refusal)
                    .and_then(|()| if may_ask { kept(truth, stamp.request, refusal, kept_for) } else { Ok(()) })
            }
            (ReplyBody::NeedBase { .. }, RequestBody::Mutate { .. }) | (ReplyBody::Refused(_), _) => Ok(()),
            _ => Err(Violation::of(Rule::TrueReads, "the answer does not fit the question".into())),
        };
        judged.map_err(told)
    }

    /// What a replica at rest stores is what the model says, session by session.
    ///
    /// # Errors
    /// The first session that differs.
    pub fn compare_sessions(&self, hosts: &[Host], colony: ColonyId) -> Result<(), Violation> {
        let Some(truth) = self.truths.get(&colony) else { return Ok(()) };
        for (_, replica) in hosts.iter().flat_map(|host| host.copies(colony)) {
            let at = replica.committed();
            let modelled = truth
                .model
                .all_at(at)
                .map(|(key, kept)| (key.clone(), kept.life, kept.version, kept.content.clone(), kept.tags.clone()));
            let stored = replica.store().sessions().map(|(key, session)| {
                (key.clone(), session.life, session.version, session.stored.content(), session.tags.clone())
            });
            let (modelled, stored): (Vec<_>, Vec<_>) = (modelled.collect(), stored.collect());
            demand(modelled == stored, Rule::TrueReads, || {
                format!("{colony} at {at} stores {stored:?}, its log makes {modelled:?}")
            })?;
            let modelled = truth.model.ends_at(at);
            let stored: Vec<_> =
                replica.store().ends().tombstones().map(|stays| (stays.life, stays.ended, stays.kind)).collect();
            demand(modelled == stored, Rule::TrueReads, || {
                format!("{colony} at {at} has tombstones {stored:?}, its log leaves {modelled:?}")
            })?;
            let timeless =
                replica.store().sessions().find(|(_, session)| session.ttl.is_some() != session.deadline.is_some());
            demand(timeless.is_none(), Rule::Lifetime, || {
                format!("{colony} at {at}: it is not known when {timeless:?} ends")
            })?;
        }
        Ok(())
    }
}

/// What an answer counts as.
fn sight_of(body: &ReplyBody) -> Option<Sight> {
    Some(match body {
        ReplyBody::NeedBase { .. } => Sight::NeedBase,
        ReplyBody::Refused(Refusal::NotPrimary { .. }) => Sight::NotPrimary,
        ReplyBody::Refused(Refusal::NotReady) => Sight::NotReady,
        ReplyBody::Refused(Refusal::Deposed) => Sight::CallDeposed,
        ReplyBody::Refused(Refusal::Offline) => Sight::CallOffline,
        ReplyBody::Refused(Refusal::Late) => Sight::Late,
        ReplyBody::Refused(Refusal::Behind) => Sight::Behind,
        ReplyBody::Refused(Refusal::Busy { .. }) => Sight::Busy,
        ReplyBody::Refused(Refusal::Exists { .. } | Refusal::Changed { .. }) => Sight::Refused,
        ReplyBody::Refused(Refusal::Gone { .. }) => Sight::Gone,
        ReplyBody::Refused(Refusal::Unknown) => Sight::Unknown,
        _ => return None,
    })
}

/// A read is served at a position that covers what the client has seen, or, if it is to be linearizable, what was
/// acknowledged to anybody before it was asked; by a primary, in its own reign.
fn serves(
    replica: Option<&Replica>,
    request: &Request,
    floor: Option<Position>,
    reply: &Reply,
) -> Result<Position, Violation> {
    let seen = reply.seen.ok_or_else(|| Violation::of(Rule::TrueReads, "served before any commit".into()))?;
    let is_confirmed = matches!(request.body, RequestBody::Get { read: Read::Confirm, .. });
    let rule = if is_confirmed { Rule::Linearizable } else { Rule::NeverBackward };
    demand(floor.is_none_or(|floor| seen.seq >= floor.seq), rule, || format!("{seen} is before {floor:?}"))?;
    let Some(replica) = replica else {
        return Err(Violation::of(Rule::TrueReads, "served without a copy".into()));
    };
    demand(replica.heard() <= replica.reign(), Rule::Fenced, || {
        format!("served in {} by a copy that heard of {}", replica.reign(), replica.heard())
    })?;
    // Within one input it may have committed more since it answered.
    demand(replica.history().covers(seen), Rule::TrueReads, || {
        format!("served at {seen} by a copy at {:?}", replica.position())
    })?;
    demand(replica.part() != Part::Primary || seen.reign == replica.reign(), Rule::NothingLost, || {
        format!("a primary of {} serves before its barrier", replica.reign())
    })?;
    Ok(seen)
}

fn found(truth: &Truth, key: &Key, seen: Position, view: &SessionView) -> Result<(), Violation> {
    let kept = truth.model.at(key, seen.seq);
    let same = kept.is_some_and(|kept| {
        kept.life == view.life && kept.version == view.version && kept.content == view.content && kept.tags == view.tags
    });
    demand(same, Rule::TrueReads, || format!("at {seen} the session is {kept:?}"))
}

fn absent(truth: &Truth, key: &Key, seen: Position) -> Result<(), Violation> {
    let kept = truth.model.at(key, seen.seq);
    // One whose time is over may be hidden before its end is logged.
    demand(kept.is_none_or(|kept| kept.ttl.is_some()), Rule::TrueReads, || format!("at {seen} the session is {kept:?}"))
}

/// I4, I9: what is acknowledged is committed here, and the answer is that of the op.
fn done_truly(truth: &Truth, replica: Option<&Replica>, request: RequestId, done: &Done) -> Result<(), Violation> {
    let effect = truth.effect(request);
    let Some((seq, version, life)) = effect else {
        return Err(Violation::of(Rule::NothingLost, "acknowledged, and not committed".into()));
    };
    demand(replica.is_some_and(|replica| replica.committed() >= seq), Rule::NothingLost, || {
        format!("acknowledged by a copy at {:?}", replica.map(Replica::committed))
    })?;
    demand((done.version, done.life) == (version, life), Rule::AtMostOnce, || {
        format!("it made version {version} of life {life}")
    })?;
    demand(done.copies >= 1, Rule::AtMostOnce, || "held by no copy".into())
}

/// Whether a request took effect in a reign that this copy knows. A touch may be logged by a new primary and, asked again
/// of its predecessor, who has not heard of it, be answered there without an op, as a read is.
fn is_logged_by(truth: &Truth, replica: Option<&Replica>, request: RequestId) -> bool {
    let op = truth.effect(request).and_then(|(seq, ..)| truth.op(seq));
    op.is_some_and(|op| replica.is_none_or(|replica| op.position.reign <= replica.reign()))
}

/// A touch that is not logged is true if the session was there and had this time to live, at a place that is
/// committed: the answer may have waited for that, and more may have been committed with it.
fn absorbed_truly(truth: &Truth, key: &Key, ttl: Option<u64>, reply: &Reply, done: &Done) -> Result<(), Violation> {
    let end = reply.seen.unwrap_or_default().seq;
    let as_told = |kept: &Kept| (kept.version, kept.life, kept.ttl) == (done.version, done.life, ttl);
    demand(truth.model.up_to(key, end).any(as_told), Rule::TrueReads, || {
        format!("touched without an op, and at {end} the session is {:?}", truth.model.at(key, end))
    })
}

/// A request that this copy knows to be done is not judged a second time.
fn refused_truly(
    truth: &Truth,
    replica: Option<&Replica>,
    request: RequestId,
    refusal: &Refusal,
) -> Result<(), Violation> {
    let judged = matches!(
        refusal,
        Refusal::Exists { .. }
            | Refusal::Changed { .. }
            | Refusal::Gone { .. }
            | Refusal::NotFound
            | Refusal::WrongContent
    );
    let done_before =
        truth.effect(request).filter(|(seq, ..)| replica.is_some_and(|replica| replica.committed() >= *seq));
    demand(!judged || done_before.is_none(), Rule::AtMostOnce, || {
        format!("it was done at {done_before:?} and is judged again")
    })?;
    let (Refusal::Exists { version } | Refusal::Changed { version }) = refusal else { return Ok(()) };
    demand(truth.op(version.seq).is_some_and(|op| op.position == *version), Rule::TrueReads, || {
        format!("{version} was never committed")
    })
}

/// The answer to a request that was carried out is kept while its client may ask for it.
fn kept(truth: &Truth, request: RequestId, refusal: &Refusal, kept_for: Micros) -> Result<(), Violation> {
    let age = truth.age(request).filter(|_| *refusal == Refusal::Unknown);
    demand(age.is_none_or(|age| age >= kept_for), Rule::AnswersKept, || {
        format!("its answer was forgotten within {age:?} us on the fastest clock")
    })
}
