//! Panics of the hosts' tasks. A task that nobody waits for takes its panic with it; a run must not.

use std::any::Any;
use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    /// Panics on this thread since they were last taken, in words. Few, and each ends its run.
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

static HOOK: Once = Once::new();

/// Begins to note every panic of this process. What was printed of panics before is printed still.
pub(crate) fn watch() {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            SEEN.with_borrow_mut(|seen| seen.push(info.to_string()));
            before(info);
        }));
    });
}

/// The first panic on this thread since the last call, if there was one.
pub(crate) fn take() -> Option<String> {
    SEEN.take().into_iter().next()
}

/// What a panic said.
pub(crate) fn words(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", said.unwrap_or("without a message"))
}
