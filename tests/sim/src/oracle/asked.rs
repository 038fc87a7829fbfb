//! What clients asked for, and whether an op is that.

use std::collections::BTreeMap;

use colony_wire::RequestId;
use colony_wire::admin::OnConflict;
use colony_wire::op::{Change, Op};
use colony_wire::session::{Base, Changes, Content, Key, Mutation, Precondition};

use super::model::{Effect, Kept, Model, changed};
use crate::plugin::{COUNT, counted};
use crate::violation::{Rule, Violation, demand};

/// Every mutation that was ever asked for, and the rules by which they are judged.
#[derive(Debug)]
pub struct Asked {
    mutations: BTreeMap<RequestId, Mutation>,
    /// Whether every save that counts must add exactly its amount.
    counts_exactly: bool,
    /// Whether a save may take the place of a change that its client has not seen.
    overwrites: bool,
}

impl Asked {
    /// Nothing was asked for yet.
    #[must_use]
    pub fn new(counts_exactly: bool, on_conflict: OnConflict) -> Self {
        Self { mutations: BTreeMap::new(), counts_exactly, overwrites: on_conflict == OnConflict::Overwrite }
    }

    /// A client asks for this.
    pub fn note(&mut self, request: RequestId, mutation: &Mutation) {
        self.mutations.entry(request).or_insert_with(|| mutation.clone());
    }

    /// I9: an op with a stamp does what was asked under it, and its conditions hold where it stands.
    pub(super) fn check(&self, op: &Op, request: RequestId, effect: &Effect, model: &Model) -> Result<(), Violation> {
        let mutation = self.mutations.get(&request).filter(|mutation| is_what_was_asked(&op.change, mutation));
        let Some(mutation) = mutation else {
            let wanted = self.mutations.get(&request);
            return Err(Violation::of(Rule::AtMostOnce, format!("{op:?} is not what was asked: {wanted:?}")));
        };
        let before = effect.before.as_ref();
        demand(holds(mutation, before), Rule::Conditions, || format!("{op:?} of {mutation:?} upon {before:?}"))?;
        if let (Some(before), Change::Update { merged: false, .. }, false) = (before, &op.change, self.overwrites) {
            let unseen = unseen_change(mutation, before, model);
            demand(unseen.is_none(), Rule::Conditions, || {
                format!("{op:?} of {mutation:?} overwrites {unseen:?} unseen, upon {before:?}")
            })?;
        }
        if let (Some(before), Some(after), true) = (before, &effect.after, self.counts_exactly)
            && let Some(amount) = amount(mutation, model)
        {
            let (before, after) = (counted(&before.content), counted(&after.content));
            demand(after == before + amount, Rule::AtMostOnce, || {
                format!("{} adds {amount} and counts from {before} to {after}", op.position)
            })?;
        }
        Ok(())
    }
}

fn is_what_was_asked(change: &Change, mutation: &Mutation) -> bool {
    match (change, mutation) {
        (
            Change::Put { key, content, tags, ttl },
            Mutation::Put { key: asked, content: wanted, tags: retag, ttl: lives, .. },
        ) => key == asked && content == wanted && tags == retag && ttl == lives,
        (
            Change::Update { key, changes, tags, merged, .. },
            Mutation::Save { key: asked, changes: wanted, tags: retag, .. },
        ) => key == asked && tags == retag && (*merged || changes == wanted),
        (Change::Touch { key, ttl }, Mutation::Touch { key: asked, ttl: lives }) => key == asked && ttl == lives,
        (Change::End { key, kind }, Mutation::Delete { key: asked, kind: why, .. }) => key == asked && kind == why,
        _ => false,
    }
}

/// Whether what a mutation depends on is so in the session that it met.
fn holds(mutation: &Mutation, before: Option<&Kept>) -> bool {
    match mutation {
        Mutation::Put { precondition, .. } | Mutation::Delete { precondition, .. } => match precondition {
            Precondition::None => true,
            Precondition::Absent => before.is_none(),
            Precondition::Version(version) => before.is_some_and(|kept| kept.version == *version),
        },
        Mutation::Save { base, .. } => before.is_some_and(|kept| kept.life == base.life),
        Mutation::Touch { .. } => before.is_some(),
    }
}

/// A value that the save replaces with another, although it is not the one its client has seen.
fn unseen_change(mutation: &Mutation, before: &Kept, model: &Model) -> Option<String> {
    let Mutation::Save { key, base, changes, .. } = mutation else { return None };
    let base = seen(key, base, model)?;
    match (&before.content, &base.content, changes) {
        (Content::Blob(now), Content::Blob(then), Changes::Blob(new)) => {
            (now != then && now != new).then(|| format!("{now:?}"))
        }
        (Content::Attributes(now), Content::Attributes(then), Changes::Attributes(changes)) => {
            let unseen = |(name, new): &&(String, Option<bytes::Bytes>)| {
                now.get(name) != then.get(name) && now.get(name) != new.as_ref()
            };
            changes.iter().find(unseen).map(|(name, _)| format!("{name} = {:?}", now.get(name)))
        }
        _ => None,
    }
}

/// The session that a save is based on.
fn seen<'a>(key: &Key, base: &Base, model: &'a Model) -> Option<&'a Kept> {
    model.at(key, base.version.seq).filter(|kept| kept.version == base.version)
}

/// What a save adds to a counter: its value less the one at its base.
fn amount(mutation: &Mutation, model: &Model) -> Option<u64> {
    let Mutation::Save { key, base, changes: changes @ Changes::Attributes(list), .. } = mutation else {
        return None;
    };
    list.iter().find(|(name, _)| name == COUNT)?;
    let base = model.at(key, base.version.seq)?;
    let saved = changed(base.content.clone(), changes);
    counted(&saved).checked_sub(counted(&base.content))
}
