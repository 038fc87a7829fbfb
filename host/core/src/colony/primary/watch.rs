//! What happened to a session, told from the colony's log (requirements B8, E7).
//!
//! A watcher names the position up to which it has been told. What the log holds beyond that is told, op by
//! op; if the log does not reach back so far, it is told that there is a gap, and the state. One that has been
//! told everything waits here, for the next commit or its deadline. Only committed ops are told, so nothing is
//! ever taken back; every later primary covers the positions it told, so a watcher goes on there.

use std::collections::{BTreeMap, BTreeSet};

use colony_wire::Position;
use colony_wire::client::{Refusal, ReplyBody, Token};
use colony_wire::limits::{MAX_EVENT_BYTES, MAX_EVENTS};
use colony_wire::op::{Absorption, Change, Op};
use colony_wire::session::Key;
use colony_wire::watch::{WatchEvent, WatchedChange};

use super::{Desk, Primary};
use crate::Time;
use crate::colony::holding::Committed;
use crate::colony::io::Caller;

/// Who waits for something to happen to a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Watchers {
    waiting: BTreeMap<Key, BTreeMap<Caller, Time>>,
    /// By the time at which each is answered at the latest.
    due: BTreeSet<(Time, Caller, Key)>,
}

impl Watchers {
    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    fn wait(&mut self, key: Key, caller: Caller, deadline: Time) {
        let earlier = self.waiting.entry(key.clone()).or_default().insert(caller, deadline);
        if let Some(earlier) = earlier {
            // A call that arrived twice waits once: else it would be told, and then told that nothing happened.
            self.due.remove(&(earlier, caller, key.clone()));
        }
        self.due.insert((deadline, caller, key));
    }

    fn is_watched(&self, key: &Key) -> bool {
        self.waiting.contains_key(key)
    }

    /// Everybody who waits for this session, no longer waiting.
    fn wake(&mut self, key: &Key) -> Vec<Caller> {
        let woken = self.waiting.remove(key).unwrap_or_default();
        for (caller, deadline) in &woken {
            self.due.remove(&(*deadline, *caller, key.clone()));
        }
        woken.into_keys().collect()
    }

    /// One whose deadline has passed, no longer waiting.
    fn overdue(&mut self, now: Time) -> Option<Caller> {
        self.due.first().filter(|(deadline, ..)| *deadline <= now)?;
        let (_, caller, key) = self.due.pop_first()?;
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.remove(&caller);
            if waiting.is_empty() {
                self.waiting.remove(&key);
            }
        }
        Some(caller)
    }

    /// Everybody who waits here.
    pub(super) fn callers(self) -> impl Iterator<Item = Caller> {
        self.due.into_iter().map(|(_, caller, _)| caller)
    }
}

impl Primary {
    /// A client asks what happened to a session after a position.
    pub(super) fn watch(
        &mut self,
        desk: &mut Desk<'_>,
        caller: Caller,
        token: &Token,
        (key, after): (Key, Option<Position>),
        deadline: Time,
    ) {
        let answer = match self.look_back(desk, token, &key, after) {
            Err(refusal) => ReplyBody::Refused(refusal),
            Ok((events, cursor)) if !events.is_empty() || deadline <= desk.now.mono => {
                ReplyBody::Events { events, cursor }
            }
            Ok(_) if self.watchers.len() >= desk.settings.max_watchers => {
                ReplyBody::Refused(Refusal::Busy { what: "watchers of the colony".into() })
            }
            Ok(_) => return self.watchers.wait(key, caller, deadline),
        };
        desk.reply(caller, answer);
    }

    /// What can be told at once, and the position it reaches to.
    fn look_back(
        &self,
        desk: &Desk<'_>,
        token: &Token,
        key: &Key,
        after: Option<Position>,
    ) -> Result<(Vec<WatchEvent>, Position), Refusal> {
        if let Some(refusal) = self.refuse_read(desk, token) {
            return Err(refusal);
        }
        let (store, log) = (&desk.holding.store, &desk.holding.log);
        let end = store.position().ok_or(Refusal::NotReady)?;
        let current = || WatchEvent::Current(store.get(key).map(|session| session.view(desk.session_time)));
        let Some(after) = after else { return Ok((vec![current()], end)) };
        match self.refuse_read(desk, &Token::from(after)) {
            None if (after.seq >= log.base() && desk.holding.is_on_path(after)) || mutant!(desk.settings, HideGap) => {}
            // What the log has forgotten, what another side of a split did, or what was given up with a part of the path, is not told one by one.
            None | Some(Refusal::LineageLost) => return Ok((vec![WatchEvent::Gap, current()], end)),
            Some(refusal) => return Err(refusal),
        }
        let ops = log.after_place(after.seq).take_while(|op| op.position.seq <= end.seq);
        Ok(tell(ops.filter(|op| op.change.key() == Some(key)), end))
    }

    /// Tells watchers what was committed just now. They are told from these ops and not from the log, which
    /// may have forgotten some of them already.
    pub(super) fn tell_watchers(&mut self, desk: &mut Desk<'_>, committed: &[Committed]) {
        if self.watchers.is_empty() {
            return;
        }
        let mut news: BTreeMap<&Key, Vec<&Op>> = BTreeMap::new();
        for Committed { op, .. } in committed {
            if let Some(key) = op.change.key().filter(|key| self.watchers.is_watched(key)) {
                news.entry(key).or_default().push(op);
            }
        }
        let Some(end) = desk.holding.store.position() else { return };
        for (key, ops) in news {
            let (events, cursor) = tell(ops.into_iter(), end);
            if events.is_empty() {
                continue;
            }
            for caller in self.watchers.wake(key) {
                desk.reply(caller, ReplyBody::Events { events: events.clone(), cursor });
            }
        }
    }

    /// Nobody waits beyond the deadline of the call: an answer without events says from where to go on.
    pub(super) fn end_watches(&mut self, desk: &mut Desk<'_>) {
        let Some(cursor) = desk.holding.store.position() else { return };
        while let Some(caller) = self.watchers.overdue(desk.now.mono) {
            desk.reply(caller, ReplyBody::Events { events: Vec::new(), cursor });
        }
    }
}

/// The events of these ops, as many as one answer takes, and the position they reach to: `end` if that is all.
fn tell<'a>(ops: impl Iterator<Item = &'a Op>, end: Position) -> (Vec<WatchEvent>, Position) {
    let mut events = Vec::new();
    let mut bytes = 0;
    let mut reached = end;
    for op in ops {
        let Some(event) = event_of(op) else { continue };
        bytes += event.size();
        if !events.is_empty() && (events.len() >= MAX_EVENTS || bytes > MAX_EVENT_BYTES) {
            return (events, reached);
        }
        events.push(event);
        reached = op.position;
    }
    (events, end)
}

/// What an op is to those who watch its session; a touch is nothing.
fn event_of(op: &Op) -> Option<WatchEvent> {
    let (version, written_at) = (op.position, op.written_at);
    let changed = |change, tags: &Vec<_>| WatchEvent::Changed { version, written_at, change, tags: tags.clone() };
    match &op.change {
        Change::Put { content, tags, .. } => Some(changed(WatchedChange::Content(content.clone()), tags)),
        Change::Update { changes, tags, .. } => Some(changed(WatchedChange::Changes(changes.clone()), tags)),
        Change::End { kind, .. } => Some(WatchEvent::Ended { kind: *kind, at: op.position }),
        Change::Absorb { into: Absorption::Become(portrait), .. } => {
            let tags = portrait.tags.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
            Some(changed(WatchedChange::Content(portrait.content.clone()), &tags))
        }
        Change::Absorb { into: Absorption::End(kind), .. } => Some(WatchEvent::Ended { kind: *kind, at: op.position }),
        Change::Barrier
        | Change::Touch { .. }
        | Change::Forget { .. }
        | Change::Revoked { .. }
        | Change::Open { .. }
        | Change::Freeze
        | Change::Unfreeze
        | Change::Absorb { into: Absorption::Keep | Absorption::Over { .. }, .. }
        | Change::Absorbed { .. }
        | Change::Recall { .. } => None,
    }
}
