//! What the group's leader makes of accusations.

use std::collections::{BTreeMap, BTreeSet};

use colony_wire::StartId;

use super::{Config, Flapping};
use crate::{Now, Time};

/// Collects accusations and finds when enough observers agree. The leader's own watch counts as one of them.
/// Every host has one, for any may lead. A new leader has heard no accusations: they are repeated. Who died how
/// often, each has seen for itself.
#[derive(Clone, Debug)]
pub struct Jury {
    config: Config,
    members: BTreeSet<StartId>,
    /// By accused, then by observer. Both are members, so it is bounded by the square of those.
    accusations: BTreeMap<StartId, BTreeMap<StartId, Time>>,
    /// When it was found last against whom.
    verdicts: BTreeMap<StartId, Time>,
    flapping: Flapping,
}

impl Jury {
    /// A jury that knows no members yet, and so listens to nobody.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let flapping = Flapping::new(config);
        Self { config, members: BTreeSet::new(), accusations: BTreeMap::new(), verdicts: BTreeMap::new(), flapping }
    }

    /// These are up. What was said by or of others is forgotten.
    pub fn members(&mut self, up: impl IntoIterator<Item = StartId>) {
        self.members = up.into_iter().collect();
        let members = &self.members;
        self.accusations.retain(|accused, _| members.contains(accused));
        for observers in self.accusations.values_mut() {
            observers.retain(|observer, _| members.contains(observer));
        }
        self.verdicts.retain(|accused, _| members.contains(accused));
    }

    /// Takes an accusation. The accused is returned once enough distinct living observers agree:
    /// [`Config::observers`], or all members but the accused if there are fewer.
    ///
    /// A verdict is returned once. Should the accused still be a member and accused after
    /// [`Config::accusation_holds`], the proposal must have failed, and it is returned again.
    #[must_use = "a verdict is to be proposed to the group"]
    pub fn accuse(&mut self, now: Now, observer: StartId, accused: StartId) -> Option<StartId> {
        let now = now.mono;
        let both_are_members = self.members.contains(&observer) && self.members.contains(&accused);
        if observer == accused || !both_are_members {
            return None;
        }
        let held = self.config.accusation_holds;
        let observers = self.accusations.entry(accused).or_default();
        observers.insert(observer, now);
        observers.retain(|_, made| now.since(*made) <= held);
        let needed = self.config.observers.min(self.members.len() - 1);
        let was_found = self.verdicts.get(&accused).is_some_and(|found| now.since(*found) <= held);
        if observers.len() < needed || was_found {
            return None;
        }
        self.verdicts.insert(accused, now);
        Some(accused)
    }

    /// An observer takes its accusation back.
    pub fn withdraw(&mut self, observer: StartId, accused: StartId) {
        if let Some(observers) = self.accusations.get_mut(&accused) {
            observers.remove(&observer);
        }
    }

    /// Who died, and who came back.
    #[must_use]
    pub fn flapping(&self) -> &Flapping {
        &self.flapping
    }

    /// Who died, and who came back: to be told of it.
    pub fn flapping_mut(&mut self) -> &mut Flapping {
        &mut self.flapping
    }
}
