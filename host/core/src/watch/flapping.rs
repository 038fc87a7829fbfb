//! Hosts that come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colony_wire::StartId;
use colony_wire::limits::MAX_HOSTS;

use super::Config;
use crate::{Now, Time};

/// Who was declared dead how often, by name, and how long it waits for it before it is admitted again.
///
/// It is worked out from the group state as each host sees it change, so no clock is in that state, and every host
/// can go on with it when it becomes the leader. A host that has just started knows of no deaths: a mistake costs
/// one move of copies to and fro.
#[derive(Clone, Debug)]
pub struct Flapping {
    config: Config,
    /// Who was up when this was told last.
    up: BTreeMap<StartId, String>,
    /// By name; at most [`MAX_HOSTS`], those that died last.
    deaths: BTreeMap<String, Deaths>,
}

#[derive(Clone, Copy, Debug)]
struct Deaths {
    count: u32,
    last: Time,
}

impl Flapping {
    pub(super) fn new(config: Config) -> Self {
        Self { config, up: BTreeMap::new(), deaths: BTreeMap::new() }
    }

    /// The members changed: these are up with their names, and those were declared dead. Whoever was up before and
    /// is dead now has died since; whoever left by will has not.
    pub fn members<'a>(
        &mut self,
        now: Now,
        up: impl IntoIterator<Item = (StartId, &'a str)>,
        dead: impl IntoIterator<Item = StartId>,
    ) {
        let up: BTreeMap<StartId, String> = up.into_iter().map(|(start, name)| (start, name.to_owned())).collect();
        let dead: BTreeSet<StartId> = dead.into_iter().collect();
        for (start, name) in std::mem::replace(&mut self.up, up) {
            if dead.contains(&start) {
                self.died(now.mono, name);
            }
        }
    }

    /// How long a host of this name has yet to wait until it may be admitted.
    #[must_use]
    pub fn wait(&self, now: Now, name: &str) -> Duration {
        let Some(deaths) = self.deaths.get(name) else { return Duration::ZERO };
        let Some(doublings) = self.counted(now.mono, deaths).checked_sub(2) else { return Duration::ZERO };
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        let whole = self.config.return_after.saturating_mul(factor).min(self.config.return_max);
        whole.saturating_sub(now.mono.since(deaths.last))
    }

    /// Whether a host died so shortly ago that its copies are not to be made anew yet, and is not back.
    #[must_use]
    pub fn awaits_return(&self, now: Now) -> bool {
        let is_back = |name: &str| self.up.values().any(|up| up == name);
        let is_recent = |deaths: &Deaths| now.mono.since(deaths.last) < self.config.reclone_delay;
        self.deaths.iter().any(|(name, deaths)| is_recent(deaths) && !is_back(name))
    }

    fn died(&mut self, now: Time, name: String) {
        let count = self.deaths.get(&name).map_or(0, |deaths| self.counted(now, deaths)) + 1;
        self.deaths.insert(name, Deaths { count, last: now });
        if self.deaths.len() > MAX_HOSTS
            && let Some((oldest, _)) = self.deaths.iter().min_by_key(|(_, deaths)| deaths.last)
        {
            let oldest = oldest.clone();
            self.deaths.remove(&oldest);
        }
    }

    /// Deaths that are not forgiven yet.
    fn counted(&self, now: Time, deaths: &Deaths) -> u32 {
        let forgiven = now.since(deaths.last).as_micros() / self.config.return_forgiven.as_micros().max(1);
        deaths.count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
}
