//! A colony that yields tells the primary of the side that stays what became of its sessions (`PROTOCOL.md` 9).
//!
//! It asks; is told what the other side covers; stands still by an op of its log, so that nothing is changed behind what
//! it tells; tells, part by part, every session that changed since the common point; and stands still until the other
//! side's table says that all of it is taken in, or for `give_within` at most. Nothing is given up here: that is the
//! shard's to do, when the table says so.

use std::collections::VecDeque;

use colony_wire::heal::{Answers, HealBody, HealMessage, Item, Value, Version};
use colony_wire::limits::{MAX_HEAL_ANSWERS, MAX_HEAL_BYTES, MAX_HEAL_ITEMS};
use colony_wire::op::Change;
use colony_wire::session::Key;
use colony_wire::{Cfg, Position, Seq, StartId};

use super::{Desk, Primary, backed_off};
use crate::Time;
use crate::colony::history::History;
use crate::colony::images::Was;
use crate::colony::io::{Output, Staying};
use crate::colony::session::Session;
use crate::group::{Adoption, Command};

/// A part is said again after so many times [`Settings::resend_after`](crate::colony::Settings::resend_after).
const PART_PATIENCE: u32 = 5;
/// The doublings of the time after which something is said again: who does not answer has much to do, and one question more
/// is no help.
const DOUBLINGS: u32 = 2;

/// One attempt to be taken in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Giving {
    round: u64,
    /// Whom it tells, by its start on the side that stays.
    to: StartId,
    /// When what is said last was said.
    sent: Time,
    /// How often that was said.
    said: u32,
    /// Since when the colony stands still, or was to.
    since: Time,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The other side was asked.
    Asking,
    /// The op that stops the colony is not committed yet.
    Stopping { at: Seq, theirs: History },
    /// It is told; all parts after the first of these are still to come.
    Telling { at: Position, index: u32, parts: VecDeque<Part> },
    /// All was told.
    Told { at: Position, index: u32 },
    /// Nobody serves the colony there: its copies there are to be these. Proposed on that entry last.
    Adoption { at: Seq, proposed: Option<Cfg> },
}

/// What one message tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Part {
    items: Vec<Item>,
    answers: Vec<Answers>,
}

impl Giving {
    /// What is said from now on was not said before.
    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.said = 0;
    }

    /// Whether an adoption was proposed that may be decided yet: the entry that it stands on still stands.
    fn may_be_adopted(&self, staying: &Staying) -> bool {
        matches!(self.stage, Stage::Adoption { proposed: Some(cfg), .. } if cfg >= staying.entry.cfg)
    }
}

impl Primary {
    /// Whether nothing may be changed: the colony stands still, or is about to.
    pub(super) fn stands_still(&self, desk: &Desk<'_>) -> bool {
        let is_stopping = self.giving.as_ref().is_some_and(|giving| giving.stage != Stage::Asking);
        is_stopping || is_stopped(desk)
    }

    /// Goes on with being taken in, or begins with it, or gives it up for now.
    pub(super) fn give(&mut self, desk: &mut Desk<'_>) {
        let Some(staying) = desk.staying.cloned() else { return self.go_on_apart(desk) };
        if !self.is_settled(desk.holding) || self.handover.is_some() || self.has_ended(desk, &staying) {
            return;
        }
        let to = staying.entry.primary;
        let Some(giving) = &self.giving else { return self.begin_giving(desk, &staying) };
        let is_over = match giving.stage {
            Stage::Adoption { .. } => !giving.may_be_adopted(&staying) && !staying.may_adopt,
            _ => to != Some(giving.to) || Self::is_over(desk.now.mono, giving.since, desk.settings.give_within),
        };
        if is_over {
            return self.go_on_apart(desk);
        }
        // A part is much to send, and takes its time.
        let patience = if matches!(giving.stage, Stage::Telling { .. }) { PART_PATIENCE } else { 1 };
        let patience = backed_off(desk.settings.resend_after * patience, giving.said, DOUBLINGS);
        let again = Self::is_over(desk.now.mono, giving.sent, patience);
        match &giving.stage {
            Stage::Stopping { at, theirs } if desk.holding.committed() >= *at => {
                let (at, theirs) = (*at, theirs.clone());
                self.begin_telling(desk, &staying, at, &theirs);
            }
            Stage::Adoption { at, .. } if desk.holding.committed() >= *at => self.ask_for_adoption(desk, &staying),
            Stage::Asking | Stage::Telling { .. } | Stage::Told { .. } if again => self.say(desk, &staying),
            _ => {}
        }
    }

    /// Whether the other side has taken in everything up to the end of this one.
    fn has_ended(&self, desk: &Desk<'_>, staying: &Staying) -> bool {
        let Some(end) = desk.holding.store.position() else { return false };
        staying.entry.absorbed_of(end.lineage).is_some_and(|absorbed| absorbed.end == end)
            && desk.holding.prepared() == end.seq
    }

    fn begin_giving(&mut self, desk: &mut Desk<'_>, staying: &Staying) {
        if desk.now.mono < self.give_from || !self.parked.is_empty() {
            return;
        }
        let (round, now) = (desk.next_serial(), desk.now.mono);
        let giving = |to, stage| Giving { round, to, sent: now, said: 0, since: now, stage };
        if staying.may_adopt {
            let at = self.stop(desk);
            self.giving = Some(giving(staying.me, Stage::Adoption { at, proposed: None }));
            self.settle(desk);
        } else if let Some(to) = staying.entry.primary {
            // It may be a process of this side: one that came back may be given a copy of the other. One whose copy went
            // over to this side serves nothing there, and does not answer.
            self.giving = Some(giving(to, Stage::Asking));
            self.say(desk, staying);
        }
    }

    fn stop(&mut self, desk: &mut Desk<'_>) -> Seq {
        match desk.holding.store.frozen() {
            // A reign that ended before it was over left it so, and its barrier stands behind that.
            Some(frozen) if frozen.seq == desk.holding.prepared() => frozen.seq,
            _ => self.append(desk, Change::Freeze, None),
        }
    }

    /// It was not taken in: clients are served here for a while before it is tried again.
    fn go_on_apart(&mut self, desk: &mut Desk<'_>) {
        // Whether an adoption was decided must be known before anything is changed here.
        let is_open = |giving: &Giving| match desk.staying {
            Some(staying) => giving.may_be_adopted(staying),
            None => matches!(giving.stage, Stage::Adoption { proposed: Some(_), .. }),
        };
        if self.giving.as_ref().is_some_and(is_open) {
            return;
        }
        let was_giving = self.giving.take().is_some();
        if was_giving {
            self.give_from = desk.now.mono + desk.settings.give_pause;
        }
        let may_go_on = was_giving || desk.now.mono >= self.give_from + desk.settings.give_within;
        if may_go_on && is_stopped(desk) {
            self.append(desk, Change::Unfreeze, None);
            self.commit(desk);
            self.send_what_is_due(desk);
        }
    }

    /// The other side's primary speaks.
    pub(in crate::colony) fn heard_of_giving(&mut self, desk: &mut Desk<'_>, message: &HealMessage) {
        let Some(staying) = desk.staying.cloned() else { return };
        let Some(giving) = self.giving.as_mut().filter(|giving| giving.to == message.from) else { return };
        match &message.body {
            HealBody::Ready { round, path } if *round == giving.round && giving.stage == Stage::Asking => {
                if !self.parked.is_empty() || self.handover.is_some() {
                    return;
                }
                let theirs = History::from_path(path);
                let since = desk.now.mono;
                let at = self.stop(desk);
                if let Some(giving) = &mut self.giving {
                    giving.enter(Stage::Stopping { at, theirs });
                    giving.since = since;
                }
                self.settle(desk);
            }
            HealBody::Taken { round, index: taken } if *round == giving.round => {
                if let Stage::Telling { at, index, parts } = &mut giving.stage
                    && taken == index
                {
                    parts.pop_front();
                    *index += 1;
                    giving.said = 0;
                    if parts.is_empty() {
                        giving.stage = Stage::Told { at: *at, index: *index };
                    }
                    // As long as it goes on it is not late.
                    giving.since = desk.now.mono;
                    self.say(desk, &staying);
                }
            }
            _ => {}
        }
    }

    fn begin_telling(&mut self, desk: &mut Desk<'_>, staying: &Staying, at: Seq, theirs: &History) {
        let Some(end) = desk.holding.store.position().filter(|end| end.seq == at) else { return };
        let parts = parts(desk, theirs);
        let Some(giving) = &mut self.giving else { return };
        giving.enter(if parts.is_empty() {
            Stage::Told { at: end, index: 0 }
        } else {
            Stage::Telling { at: end, index: 0, parts }
        });
        self.say(desk, staying);
    }

    /// Says what is to be said now.
    fn say(&mut self, desk: &mut Desk<'_>, staying: &Staying) {
        let Some(giving) = &mut self.giving else { return };
        giving.sent = desk.now.mono;
        giving.said = giving.said.saturating_add(1);
        let round = giving.round;
        let path = desk.holding.store.history.to_path();
        let body = match &giving.stage {
            Stage::Asking => HealBody::Ask { round, path },
            Stage::Telling { at, index, parts } => {
                let Some(Part { items, answers }) = parts.front().cloned() else { return };
                HealBody::Part { round, index: *index, at: *at, items, answers }
            }
            Stage::Told { at, index } => HealBody::End { round, index: *index, at: *at, path },
            Stage::Stopping { .. } | Stage::Adoption { .. } => return,
        };
        let message = HealMessage {
            colony: desk.colony,
            from: staying.me,
            to: giving.to,
            from_lineage: desk.lineage,
            to_lineage: staying.lineage,
            body,
        };
        desk.out.push(Output::Heal(message));
    }

    /// Everything is held by every copy, and nothing is changed: these copies may be the other side's as they are.
    fn ask_for_adoption(&mut self, desk: &mut Desk<'_>, staying: &Staying) {
        let Some(giving) = &mut self.giving else { return };
        let Stage::Adoption { proposed, .. } = &mut giving.stage else { return };
        let is_due = Self::is_over(desk.now.mono, giving.sent, desk.settings.propose_again_after);
        if !staying.may_adopt || (*proposed == Some(staying.entry.cfg) && !is_due) {
            return;
        }
        *proposed = Some(staying.entry.cfg);
        giving.sent = desk.now.mono;
        let Some(end) = desk.holding.store.position() else { return };
        let own = |start: &StartId| staying.starts.get(start).copied();
        let others = desk.entry.in_sync.iter().filter(|start| **start != desk.me).filter_map(own);
        let copies = own(&desk.me).into_iter().chain(others).collect();
        let adoption = Adoption {
            colony: desk.colony,
            cfg: staying.entry.cfg,
            end,
            above: self.reign,
            above_cfg: desk.entry.cfg,
            copies,
        };
        desk.out.push(Output::ProposeStaying(Command::Adopt(adoption)));
    }
}

/// Whether the log says that the colony stands still.
fn is_stopped(desk: &Desk<'_>) -> bool {
    let uncommitted = desk.holding.log.after_place(desk.holding.committed());
    let said = uncommitted.filter(|op| matches!(op.change, Change::Freeze | Change::Unfreeze)).last();
    said.map_or(desk.holding.store.frozen().is_some(), |op| op.change == Change::Freeze)
}

/// Every session that changed since the common point, and every answer, in parts.
fn parts(desk: &Desk<'_>, theirs: &History) -> VecDeque<Part> {
    let store = &desk.holding.store;
    let common = store.history.common_with(theirs);
    let mut parts = VecDeque::new();
    let (mut part, mut bytes) = (Part::default(), 0);
    for item in items(desk, &common) {
        let size = item.size();
        if !part.items.is_empty() && (part.items.len() >= MAX_HEAL_ITEMS || bytes + size > MAX_HEAL_BYTES) {
            parts.push_back(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += size;
        part.items.push(item);
    }
    let mut count = 0;
    for answers in store.records.answers() {
        if count > 0 && count + 1 + answers.kept.len() > MAX_HEAL_ANSWERS / 2 {
            parts.push_back(std::mem::take(&mut part));
            count = 0;
        }
        count += 1 + answers.kept.len();
        part.answers.push(answers);
    }
    if part != Part::default() {
        parts.push_back(part);
    }
    parts
}

fn items<'a>(desk: &'a Desk<'_>, common: &'a History) -> impl Iterator<Item = Item> + 'a {
    let store = &desk.holding.store;
    let alive =
        store.sessions().filter(|(key, session)| !common.covers(session.version) || store.images.is_touched(key));
    let alive = alive.map(|(key, session)| item(desk, key, Some(session)));
    let ended = store.images.keys().filter(|key| store.get(key).is_none()).map(|key| item(desk, key, None));
    alive.chain(ended.filter(|item| item.versions.last().is_some_and(|last| !common.covers(last.at))))
}

/// What a session was, and is.
fn item(desk: &Desk<'_>, key: &Key, session: Option<&Session>) -> Item {
    let images = desk.holding.store.images.of(key);
    let mut versions: Vec<Version> = images
        .iter()
        .map(|image| Version {
            at: image.at,
            value: match &image.was {
                Was::Alive(portrait) => Value::Alive(portrait.clone()),
                Was::Ended { life, kind } => Value::Ended { life: Some(*life), kind: Some(*kind) },
                Was::Lost => Value::Lost,
            },
        })
        .collect();
    if let Some(session) = session {
        let portrait = Box::new(session.portrait(Some(desk.session_time)));
        versions.push(Version { at: session.version, value: Value::Alive(portrait) });
    }
    // One session with all that it was must fit a frame.
    let mut surplus =
        versions.iter().map(|version| version.value.size()).sum::<usize>().saturating_sub(MAX_HEAL_BYTES * 2);
    let last = versions.len().saturating_sub(1);
    for version in versions.iter_mut().take(last) {
        if surplus > 0 {
            surplus = surplus.saturating_sub(version.value.size());
            version.value = Value::Lost;
        }
    }
    Item { key: key.clone(), versions }
}
