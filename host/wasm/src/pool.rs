//! Instances of one plugin, and how one of them answers a call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::component::InstancePre;
use wasmtime::{Store, Trap};

use crate::error::{LoadError, PluginError};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::runtime::Shared;
use crate::sandbox::{Denied, Sandbox};
use crate::text;
use crate::ticker::TICK;

/// A world of the contract, as its generated bindings.
pub(crate) trait World: Sized {
    /// What people call a plugin of this world.
    const KIND: &'static str;
    /// The export that makes a component one of this world.
    const EXPORT: &'static str;
    /// The component, its types checked against the world.
    type Checked: Send + Sync;

    /// Checks the component's types.
    fn check(component: InstancePre<Sandbox>) -> wasmtime::Result<Self::Checked>;

    /// Makes an instance.
    fn start(checked: &Self::Checked, store: &mut Store<Sandbox>) -> wasmtime::Result<Self>;
}

/// Instances of one plugin.
pub(crate) struct Pool<W: World> {
    identity: Identity,
    shared: Arc<Shared>,
    checked: W::Checked,
    idle: Mutex<Vec<Instance<W>>>,
}

struct Instance<W> {
    /// Whose questions it has seen. Another namespace gets another instance: what a plugin keeps in its
    /// memory, by design or by mistake, does not cross.
    namespace: String,
    calls: u32,
    world: W,
    store: Store<Sandbox>,
}

impl<W: World> Pool<W> {
    /// A pool that has proved that an instance starts.
    pub(crate) fn new(
        identity: Identity,
        shared: Arc<Shared>,
        component: InstancePre<Sandbox>,
    ) -> Result<Self, LoadError> {
        let checked = W::check(component)
            .map_err(|error| LoadError::WrongTypes { reason: text::reason(&format!("{error:#}")) })?;
        let pool = Self { identity, shared, checked, idle: Mutex::new(Vec::new()) };
        pool.start("").map_err(LoadError::Start)?;
        Ok(pool)
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Lets an instance answer one question of this namespace. One that fails is dropped with its memory:
    /// after a trap nothing is known about what it left behind.
    pub(crate) fn call<R>(
        &self,
        namespace: &str,
        question: impl FnOnce(&W, &mut Store<Sandbox>) -> wasmtime::Result<R>,
    ) -> Result<R, PluginError> {
        let (answer, _) = self.trial(namespace, question);
        if let Err(error) = &answer {
            tracing::warn!(plugin = %self.identity, %error, "plugin call failed");
        }
        answer
    }

    /// As [`call`](Self::call), with the fuel that the call took, and without a line in the log: whoever tries a plugin
    /// out tells what came of it.
    pub(crate) fn trial<R>(
        &self,
        namespace: &str,
        question: impl FnOnce(&W, &mut Store<Sandbox>) -> wasmtime::Result<R>,
    ) -> (Result<R, PluginError>, u64) {
        let mut instance = match self.take(namespace).map_or_else(|| self.start(namespace), Ok) {
            Ok(instance) => instance,
            Err(error) => return (Err(error), 0),
        };
        let Instance { world, store, .. } = &mut instance;
        let answer = self.under_limits(store, |store| question(world, store));
        let fuel = self.shared.limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
        if answer.is_ok() {
            instance.calls += 1;
            self.keep(instance);
        }
        (answer, fuel)
    }

    /// Drops every instance: the next question meets one that was asked nothing before.
    pub(crate) fn forget(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn start(&self, namespace: &str) -> Result<Instance<W>, PluginError> {
        let limits = &self.shared.limits;
        let sandbox = Sandbox::new(self.identity.clone(), Arc::clone(limits));
        let mut store = Store::new(&self.shared.engine, sandbox);
        store.limiter(|sandbox| sandbox);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        // Start functions are the plugin's code as well.
        let world = self.under_limits(&mut store, |store| W::start(&self.checked, store))?;
        Ok(Instance { namespace: namespace.to_owned(), calls: 0, world, store })
    }

    fn under_limits<R>(
        &self,
        store: &mut Store<Sandbox>,
        run: impl FnOnce(&mut Store<Sandbox>) -> wasmtime::Result<R>,
    ) -> Result<R, PluginError> {
        let limits = &self.shared.limits;
        let _time = self.shared.ticker.time_passes();
        store.set_epoch_deadline(ticks(limits.call_time));
        store.data_mut().begin_call();
        let answer = store.set_fuel(limits.fuel).and_then(|()| run(store));
        store.data_mut().end_call();
        answer.map_err(|error| why(&error, limits))
    }

    fn take(&self, namespace: &str) -> Option<Instance<W>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = idle.iter().rposition(|instance| instance.namespace == namespace)?;
        Some(idle.remove(newest))
    }

    fn keep(&self, instance: Instance<W>) {
        let limits = &self.shared.limits;
        if instance.calls >= limits.calls_per_instance {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(instance);
        if idle.len() > limits.idle_instances {
            idle.remove(0);
        }
    }
}

/// Ticks after which a call that begins now has had its time; one more, since the first comes early.
fn ticks(time: Duration) -> u64 {
    let ticks = time.as_micros() / TICK.as_micros();
    u64::try_from(ticks).unwrap_or(u64::MAX - 1).saturating_add(1)
}

/// What a failed call says, in our words.
fn why(error: &wasmtime::Error, limits: &Limits) -> PluginError {
    if let Some(Denied(limit)) = error.downcast_ref() {
        return PluginError::OutOfMemory { limit: limit.clone() };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => PluginError::OutOfFuel { limit: limits.fuel },
        Some(Trap::Interrupt) => PluginError::TooSlow { limit: limits.call_time },
        Some(trap) => PluginError::Trap { reason: trap.to_string().trim_start_matches("wasm trap: ").to_owned() },
        None => {
            let reason = format!("{error:#}");
            // Wasmtime has no public type for this one; a test holds it to its words.
            if reason.contains("fuel allocated for hostcalls has been exhausted") {
                PluginError::AnswerTooLarge { limit: limits.hostcall_bytes }
            } else {
                PluginError::Malformed { reason: text::reason(&reason) }
            }
        }
    }
}
