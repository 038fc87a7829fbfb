//! Instances of one plugin, and how one of them answers a call.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::component::InstancePre;
use wasmtime::{Store, Trap};

use crate::error::{LoadError, PluginError};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::runtime::Shared;
use crate::sandbox::{Common, Denied, Sandbox};
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
    common: Arc<Common>,
    shared: Arc<Shared>,
    checked: W::Checked,
    idle: Mutex<Vec<Instance<W>>>,
}

/// What a call took of [`Limits::fuel`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fuel {
    /// The start of a fresh instance, if it needed one.
    pub(crate) start: u64,
    /// The call itself.
    pub(crate) call: u64,
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
        let common = Arc::new(Common::new(identity, Arc::clone(&shared.limits)));
        let pool = Self { common, shared, checked, idle: Mutex::new(Vec::new()) };
        pool.start("", &mut 0).map_err(|error| match error {
            // Nothing was asked yet: what does not fit are the functions.
            PluginError::Malformed { reason } => LoadError::WrongTypes { reason },
            error => LoadError::Start(error),
        })?;
        Ok(pool)
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.common.plugin
    }

    /// How many instances there are, those that answer now included.
    pub(crate) fn instances(&self) -> usize {
        self.common.instances.load(Ordering::Relaxed)
    }

    /// Drops the instances that answer nothing now: the next call gets a fresh one.
    pub(crate) fn forget(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Lets an instance answer one question of this namespace, and looks whether the answer can be believed. One that
    /// breaks a rule is dropped with its memory: nothing is known about what it left behind.
    pub(crate) fn call<R, T>(
        &self,
        namespace: &str,
        question: impl FnOnce(&W, &mut Store<Sandbox>) -> wasmtime::Result<R>,
        believe: impl FnOnce(R) -> Result<T, PluginError>,
    ) -> (Result<T, PluginError>, Fuel) {
        let mut fuel = Fuel::default();
        let mut instance = match self.take(namespace) {
            Some(instance) => instance,
            None => match self.start(namespace, &mut fuel.start) {
                Ok(instance) => instance,
                Err(error) => return (Err(error), fuel),
            },
        };
        let Instance { world, store, .. } = &mut instance;
        let answer = self.under_limits(store, &mut fuel.call, |store| question(world, store)).and_then(believe);
        if !answer.as_ref().is_err_and(PluginError::is_fault) {
            instance.calls += 1;
            self.keep(instance);
        }
        (answer, fuel)
    }

    fn start(&self, namespace: &str, fuel: &mut u64) -> Result<Instance<W>, PluginError> {
        let limits = &self.shared.limits;
        let mut store = Store::new(&self.shared.engine, Sandbox::new(Arc::clone(&self.common)));
        store.limiter(|sandbox| sandbox);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        // Start functions are the plugin's code as well.
        let world = self.under_limits(&mut store, fuel, |store| W::start(&self.checked, store))?;
        Ok(Instance { namespace: namespace.to_owned(), calls: 0, world, store })
    }

    fn under_limits<R>(
        &self,
        store: &mut Store<Sandbox>,
        fuel: &mut u64,
        run: impl FnOnce(&mut Store<Sandbox>) -> wasmtime::Result<R>,
    ) -> Result<R, PluginError> {
        let limits = &self.shared.limits;
        let _time = self.shared.ticker.time_passes();
        store.set_epoch_deadline(ticks(limits.call_time));
        store.data_mut().begin_call();
        let answer = store.set_fuel(limits.fuel).and_then(|()| run(store));
        store.data_mut().end_call();
        // Fuel is always on, so that there is an answer.
        *fuel = limits.fuel.saturating_sub(store.get_fuel().unwrap_or(limits.fuel));
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

/// Ticks that a call which begins now sees within its time, less one for a clock that is late.
fn ticks(time: Duration) -> u64 {
    let ticks = time.as_micros() / TICK.as_micros();
    u64::try_from(ticks).unwrap_or(u64::MAX).saturating_sub(1).max(1)
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
