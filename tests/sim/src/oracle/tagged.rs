//! What is listed and ended by a tag, and what watchers are told, held against the committed log.

use colony_wire::client::{Done, ReplyBody, Request, RequestBody};
use colony_wire::op::{Change, Op};
use colony_wire::session::{EndKind, Key, SessionSummary};
use colony_wire::tag::Tag;
use colony_wire::watch::{WatchEvent, WatchedChange};
use colony_wire::{Position, RequestId, Seq};

use super::Truth;
use super::model::Kept;
use crate::seen::{Seen, Sight};
use crate::violation::{Rule, Violation, demand};

impl Truth {
    /// A client asks to end what carries a tag.
    pub(super) fn asks_to_revoke(&mut self, request: RequestId, tag: &Tag) {
        self.revokes.entry(request).or_insert_with(|| tag.clone());
    }

    /// Whether somebody asked for the end of a session that carries these tags.
    pub(super) fn may_be_revoked(&self, before: Option<&Kept>) -> bool {
        before.is_some_and(|kept| self.revokes.values().any(|tag| carries(kept, tag)))
    }

    /// C29: the op that answers a revoke stands behind the ends it counts, and at its place nothing carries the
    /// tag any more.
    pub(super) fn check_revoked(&self, op: &Op, request: RequestId, before: &[Op]) -> Result<(), Violation> {
        let Change::Revoked { ended, more } = op.change else { return Ok(()) };
        let Some(tag) = self.revokes.get(&request) else {
            return Err(Violation::of(Rule::AtMostOnce, format!("nobody asked for {op:?}")));
        };
        let is_end = |op: &&Op| op.stamp.is_none() && matches!(op.change, Change::End { kind: EndKind::Revoke, .. });
        let ends = before.iter().rev().take_while(is_end).count();
        demand(ends == ended as usize, Rule::AtMostOnce, || format!("{op:?} stands behind {ends} ends"))?;
        let left = self.model.all_at(op.position.seq).find(|(_, kept)| carries(kept, tag));
        demand(more || left.is_none(), Rule::NothingLost, || format!("{left:?} carries {tag:?} after {op:?}"))
    }
}

fn carries(kept: &Kept, tag: &Tag) -> bool {
    kept.tags.get(&tag.name) == Some(&tag.value)
}

/// Judges the answers that only these calls get; none for any other.
pub(super) fn judge(
    truth: &Truth,
    request: &Request,
    body: &ReplyBody,
    seen: Position,
    sights: &mut Seen,
) -> Option<Result<(), Violation>> {
    let token = request.token.newest.unwrap_or_default();
    let forward = || demand(seen.seq >= token.seq, Rule::NeverBackward, || format!("{seen} is before {token}"));
    match (&request.body, body) {
        (RequestBody::Tagged { tag, after, limit }, ReplyBody::Sessions { found, more }) => {
            sights.note(Sight::Listed);
            let listed = listed(truth, (tag, after.as_ref(), *limit), seen, (found, *more));
            Some(forward().and(listed))
        }
        (RequestBody::Watch { key, after }, ReplyBody::Events { events, cursor }) => {
            match events.first() {
                Some(WatchEvent::Gap) => sights.note(Sight::WatchGap),
                Some(WatchEvent::Changed { .. } | WatchEvent::Ended { .. }) => sights.note(Sight::WatchTold),
                _ => {}
            }
            Some(forward().and_then(|()| told(truth, key, *after, seen, (events, *cursor))))
        }
        (RequestBody::Revoke { stamp, .. }, ReplyBody::Done(done)) => {
            sights.note(Sight::Revoked);
            Some(revoked(truth, stamp.request, done))
        }
        _ => None,
    }
}

fn revoked(truth: &Truth, request: RequestId, done: &Done) -> Result<(), Violation> {
    let op = truth.effect(request).and_then(|(seq, ..)| truth.op(seq));
    let same = op.is_some_and(|op| {
        op.position == done.version && op.change == Change::Revoked { ended: done.ended, more: done.more }
    });
    demand(same, Rule::NothingLost, || format!("the op that answers it is {op:?}"))
}

fn listed(
    truth: &Truth,
    (tag, after, limit): (&Tag, Option<&Key>, u32),
    seen: Position,
    (found, more): (&[(Key, SessionSummary)], bool),
) -> Result<(), Violation> {
    let mut carriers =
        truth.model.all_at(seen.seq).filter(|(key, kept)| after.is_none_or(|after| *key > after) && carries(kept, tag));
    let expected: Vec<_> =
        carriers.by_ref().take(limit as usize).map(|(key, kept)| (key.clone(), kept.life, kept.version)).collect();
    let told: Vec<_> = found.iter().map(|(key, summary)| (key.clone(), summary.life, summary.version)).collect();
    demand(told == expected && more == carriers.next().is_some(), Rule::TrueReads, || {
        format!("at {seen} {expected:?} carry the tag")
    })
}

/// B8: everything between two cursors is told, in order, or that there is a gap, and then the state.
fn told(
    truth: &Truth,
    key: &Key,
    after: Option<Position>,
    seen: Position,
    (events, cursor): (&[WatchEvent], Position),
) -> Result<(), Violation> {
    let is_committed = truth.op(cursor.seq).is_some_and(|op| op.position == cursor);
    let goes_on = after.is_none_or(|after| after.seq <= cursor.seq) && cursor.seq <= seen.seq;
    demand(is_committed && goes_on, Rule::NeverBackward, || format!("{cursor} is no cursor after {after:?}"))?;
    let (state, after) = match (after, events) {
        (None, [WatchEvent::Current(view)]) | (Some(_), [WatchEvent::Gap, WatchEvent::Current(view)]) => (view, None),
        (after, _) => (&None, after),
    };
    let Some(after) = after else {
        let kept = truth.model.at(key, cursor.seq);
        let told = state.as_ref().map(|view| (view.life, view.version, &view.content, &view.tags));
        let same = told == kept.map(|kept| (kept.life, kept.version, &kept.content, &kept.tags));
        return demand(same && !events.is_empty(), Rule::TrueReads, || format!("at {cursor} it is {kept:?}"));
    };
    let ops = (after.seq.0 + 1..=cursor.seq.0).filter_map(|seq| truth.op(Seq(seq)));
    let expected: Vec<WatchEvent> = ops.filter(|op| op.change.key() == Some(key)).filter_map(event_of).collect();
    demand(events == expected, Rule::TrueReads, || format!("from {after} to {cursor} there is {expected:?}"))
}

fn event_of(op: &Op) -> Option<WatchEvent> {
    let (change, tags) = match &op.change {
        Change::Put { content, tags, .. } => (WatchedChange::Content(content.clone()), tags.clone()),
        Change::Update { changes, tags, .. } => (WatchedChange::Changes(changes.clone()), tags.clone()),
        Change::End { kind, .. } => return Some(WatchEvent::Ended { kind: *kind, at: op.position }),
        Change::Touch { .. }
        | Change::Barrier
        | Change::Forget { .. }
        | Change::Revoked { .. }
        | Change::Open { .. }
        | Change::Freeze
        | Change::Unfreeze
        | Change::Absorb { .. }
        | Change::Absorbed { .. }
        | Change::Recall { .. } => return None,
    };
    Some(WatchEvent::Changed { version: op.position, written_at: op.written_at, change, tags })
}
