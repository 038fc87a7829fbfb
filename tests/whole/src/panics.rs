//! Panics of the hosts' tasks. A task that nobody waits for takes its panic with it; a run must not.

use std::panic;
use std::sync::{Mutex, Once, PoisonError};

/// Panics since they were last taken, in words. Few, and each ends its run.
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

/// Begins to note every panic of this process. What was printed of panics before is printed still.
pub(crate) fn watch() {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(info.to_string());
            before(info);
        }));
    });
}

/// The first panic since the last call, if there was one.
pub(crate) fn take() -> Option<String> {
    let seen = std::mem::take(&mut *SEEN.lock().unwrap_or_else(PoisonError::into_inner));
    seen.into_iter().next()
}
