//! What stands between a merge plugin and its host: every call is counted, every failure named, and one that fails often
//! is not asked for a while.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use colony_core::Time;
use colony_core::merge::{Breaker, Conflict, Patience, Permit, Resolution, Switch, Turn, check};
use colony_wasm::{LogBudget, MergePlugin, Plugin, PluginError};
use colony_wire::ColonyId;
use colony_wire::plugin::ContentId;
use colony_wire::session::Key;

use super::lock;
use crate::host::seen::PluginMeters;

/// Failures of one plugin that are logged at once, and each second thereafter. The breaker stops one that breaks
/// rules long before; who answers "I cannot" a thousand times a second is bounded here.
const LOGGED_AT_ONCE: u32 = 32;
const LOGGED_PER_SECOND: u32 = 4;

/// Whose conflict it is, for the log: a session is shown as a short hash of its key.
#[derive(Clone, Copy, Debug)]
pub(in crate::host) struct About<'a> {
    pub(in crate::host) colony: ColonyId,
    pub(in crate::host) key: &'a Key,
}

/// The guard of one merge plugin, shared by all shards. Another version of it is counted with it, and begins unblamed.
pub(in crate::host) struct Guard {
    watched: Mutex<Watched>,
    meters: PluginMeters,
    failures: LogBudget,
    origin: Instant,
}

/// The version that was asked last.
struct Watched {
    version: Option<ContentId>,
    breaker: Breaker,
}

/// Why a call gave no usable answer.
struct Failure {
    /// One word, for the metrics.
    kind: &'static str,
    why: String,
    /// Whether it counts against the plugin.
    is_fault: bool,
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        Self { kind: error.kind(), why: error.to_string(), is_fault: error.is_fault() }
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            watched: Mutex::new(Watched { version: None, breaker: Breaker::new(Patience::DEFAULT) }),
            meters: PluginMeters::default(),
            failures: LogBudget::new(LOGGED_AT_ONCE, LOGGED_PER_SECOND),
            origin: Instant::now(),
        }
    }
}

impl Guard {
    /// What the plugin was asked, and what came of it.
    pub(in crate::host) fn meters(&self) -> &PluginMeters {
        &self.meters
    }

    /// Whether this version is asked.
    pub(in crate::host) fn switch(&self, version: ContentId) -> Switch {
        let watched = lock(&self.watched);
        if watched.version == Some(version) { watched.breaker.switch(self.now()) } else { Switch::On }
    }

    /// Has a plugin decide a conflict, and blocks meanwhile. The answer has passed the referee.
    pub(in crate::host) fn merge(
        &self,
        plugin: &Plugin,
        about: About<'_>,
        conflict: &Conflict,
    ) -> Result<Resolution, String> {
        let Plugin::Merge(plugin) = plugin else { return Err(format!("{} does not merge", plugin.identity())) };
        let version = plugin.identity().content_id();
        let permit = self.ask(version);
        if let Permit::Off { until } = permit {
            self.meters.skipped.inc();
            let left = until.since(self.now()).as_secs() + 1;
            return Err(format!("merge plugin {} failed too often and is off for {left} s", plugin.identity()));
        }
        let answer = self.call(plugin, conflict);
        let has_failed = answer.as_ref().is_err_and(|failure| failure.is_fault);
        self.tell(plugin, self.note(version, permit, has_failed));
        answer.map_err(|failure| {
            self.meters.failed(failure.kind);
            self.report(plugin, about, &failure);
            format!("{} {}", plugin.identity(), failure.why)
        })
    }

    fn ask(&self, version: ContentId) -> Permit {
        let mut watched = lock(&self.watched);
        if watched.version != Some(version) {
            *watched = Watched { version: Some(version), breaker: Breaker::new(Patience::DEFAULT) };
        }
        watched.breaker.ask(self.now())
    }

    /// What was asked of a version that is asked no more says nothing of the one that is.
    fn note(&self, version: ContentId, permit: Permit, has_failed: bool) -> Turn {
        let mut watched = lock(&self.watched);
        if watched.version == Some(version) { watched.breaker.note(self.now(), permit, has_failed) } else { Turn::None }
    }

    fn call(&self, plugin: &MergePlugin, conflict: &Conflict) -> Result<Resolution, Failure> {
        let began = Instant::now();
        // The sandbox does not panic. If it did, this thread would serve no plugin any more; the instance is dropped
        // on the way out, and nothing else is shared.
        let asked = catch_unwind(AssertUnwindSafe(|| plugin.ask(conflict)));
        self.meters.call(began.elapsed(), asked.as_ref().map_or(0, |asked| asked.fuel));
        match asked {
            Ok(asked) => {
                let resolution = asked.answer?;
                check(conflict, &resolution).map_err(|why| Failure { kind: "answer", why, is_fault: true })?;
                Ok(resolution)
            }
            Err(_) => Err(Failure { kind: "host", why: "made the sandbox panic".to_owned(), is_fault: true }),
        }
    }

    fn tell(&self, plugin: &MergePlugin, turn: Turn) {
        let identity = plugin.identity();
        let (name, content) = (identity.name(), identity.content_hex());
        match turn {
            Turn::None => {}
            Turn::Off(off) => {
                self.meters.switched_off.inc();
                // The trial shall not meet what earlier calls left behind.
                plugin.forget_instances();
                tracing::error!(
                    plugin = name,
                    content,
                    off_s = off.as_secs(),
                    "a merge plugin failed too often and is off"
                );
            }
            Turn::On => tracing::info!(plugin = name, content, "a merge plugin answered its trial and is on again"),
        }
    }

    fn report(&self, plugin: &MergePlugin, about: About<'_>, failure: &Failure) {
        let Some(unlogged) = self.failures.take(Instant::now()) else { return };
        let identity = plugin.identity();
        let (name, content) = (identity.name(), identity.content_hex());
        let (About { colony, key }, Failure { kind, why, .. }) = (about, failure);
        tracing::warn!(plugin = name, content, %colony, session = %key, kind, %why, unlogged, "a merge plugin failed");
    }

    fn now(&self) -> Time {
        Time::default() + self.origin.elapsed()
    }
}

/// How a plugin that is not asked stands, in words for people; none if it is asked.
pub(super) fn trouble(name: &str, switch: Switch) -> Option<String> {
    let for_how_long = match switch {
        Switch::On => return None,
        Switch::Off(left) => format!("is off for {} s", left.max(Duration::from_secs(1)).as_secs()),
        Switch::Trial => "is asked once more with the next conflict".to_owned(),
    };
    Some(format!(
        "merge plugin {name} failed too often and {for_how_long}: each namespace that names it does what its \
         --on-plugin-failure says"
    ))
}
