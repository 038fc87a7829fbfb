//! What surrounds one instance: it counts what the plugin takes, and passes on what it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use wasmtime::ResourceLimiter;

use crate::bindings::log;
use crate::budget::LogBudget;
use crate::identity::Identity;
use crate::limits::Limits;
use crate::text::one_line;

/// Core instances of one component: the plugin's module and the linker's adapters around it, four today.
const INSTANCES: usize = 16;
/// Tables of one component: the plugin's own and the adapters'.
const TABLES: usize = 8;
/// The component model needs one memory, and so does a plugin.
pub(crate) const MEMORIES: usize = 1;

/// What the instances of one plugin have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) plugin: Identity,
    pub(crate) limits: Arc<Limits>,
    logs: LogBudget,
    /// Instances there are.
    pub(crate) instances: AtomicUsize,
}

impl Common {
    pub(crate) fn new(plugin: Identity, limits: Arc<Limits>) -> Self {
        let logs = LogBudget::new(limits.log_burst, limits.log_per_second);
        Self { plugin, limits, logs, instances: AtomicUsize::new(0) }
    }
}

/// What surrounds one instance.
pub(crate) struct Sandbox {
    common: Arc<Common>,
    table_elements: usize,
    log_lines: u32,
    log_lines_dropped: u32,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.common.instances.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Sandbox {
    pub(crate) fn new(common: Arc<Common>) -> Self {
        common.instances.fetch_add(1, Ordering::Relaxed);
        Self { common, table_elements: 0, log_lines: 0, log_lines_dropped: 0 }
    }

    /// A call begins.
    pub(crate) fn begin_call(&mut self) {
        self.log_lines = 0;
        self.log_lines_dropped = 0;
    }

    /// A call has ended, well or not.
    pub(crate) fn end_call(&mut self) {
        let lines = u64::from(self.log_lines_dropped);
        if lines == 0 {
            return;
        }
        match self.common.logs.take(Instant::now()) {
            Some(others) => self.tell_dropped(lines.saturating_add(others)),
            None => self.common.logs.drop_lines(lines),
        }
    }

    fn tell_dropped(&self, lines: u64) {
        tracing::warn!(plugin = %self.common.plugin, lines, "plugin logs too much, lines dropped");
    }
}

/// The plugin asked for more than it may have. Raised as an error rather than told to the plugin as a failed
/// growth: the call ends there, the same on every host, and the cause is known.
#[derive(Debug, thiserror::Error)]
#[error("more than {0}")]
pub(crate) struct Denied(pub(crate) String);

impl ResourceLimiter for Sandbox {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let limit = self.common.limits.memory_bytes;
        if desired > limit {
            return Err(wasmtime::Error::new(Denied(format!("{limit} bytes of memory"))));
        }
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let limit = self.common.limits.table_elements;
        let all = self.table_elements.saturating_add(desired.saturating_sub(current));
        if all > limit {
            return Err(wasmtime::Error::new(Denied(format!("{limit} table elements"))));
        }
        self.table_elements = all;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

impl log::Host for Sandbox {
    fn write(&mut self, level: log::Level, message: String) {
        if self.log_lines >= self.common.limits.log_lines {
            self.log_lines_dropped = self.log_lines_dropped.saturating_add(1);
            return;
        }
        self.log_lines += 1;
        let Some(dropped) = self.common.logs.take(Instant::now()) else { return };
        if dropped > 0 {
            self.tell_dropped(dropped);
        }
        let line = one_line(&message, self.common.limits.log_line_bytes);
        let plugin = &self.common.plugin;
        match level {
            log::Level::Debug => tracing::debug!(%plugin, "{line}"),
            log::Level::Info => tracing::info!(%plugin, "{line}"),
            log::Level::Warn => tracing::warn!(%plugin, "{line}"),
            log::Level::Error => tracing::error!(%plugin, "{line}"),
        }
    }
}
