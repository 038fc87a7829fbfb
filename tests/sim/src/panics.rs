//! Panics of the core are findings, not crashes: they are caught where the core is called.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

thread_local! {
    static IN_CORE: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Lets a panic of the core be kept with its place in the source instead of being printed; all others are
/// printed as before. For the whole process, so for programs only.
pub fn keep_quiet() {
    let print = take_hook();
    set_hook(Box::new(move |info| {
        if IN_CORE.get() {
            LAST.set(Some(info.to_string().replace('\n', " ")));
        } else {
            print(info);
        }
    }));
}

/// Runs a part of the core.
///
/// # Errors
/// The words of its panic.
pub fn caught(work: impl FnOnce()) -> Result<(), String> {
    IN_CORE.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    IN_CORE.set(false);
    result.map_err(|panic| LAST.take().unwrap_or_else(|| words_of(&*panic)))
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::caught;

    #[test]
    fn a_panic_becomes_its_words() {
        assert_eq!(caught(|| ()), Ok(()));
        assert_eq!(caught(|| panic!("no {}", 7)), Err("no 7".to_owned()));
    }
}
