//! Whoever is put to the test.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use colony_guest::merge::{Merge, Outcome, SessionConflict};

/// A merge, asked as a host asks it.
pub trait Subject {
    /// Asks about a session.
    fn ask(&mut self, question: &SessionConflict) -> Reply;

    /// Makes it forget what it was asked, as far as that can be had: a host that restarts has a plugin that remembers
    /// nothing, and its answers must be the same.
    fn restart(&mut self);
}

/// An answer, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The answer; or why there is none, in words for people.
    pub answer: Result<Outcome, String>,
    /// Work that the call took in the host's units of fuel, if it was counted.
    pub fuel: Option<u64>,
}

/// A plugin as plain Rust, on its author's machine. A panic counts as the trap that it is in a component. What it keeps
/// in statics outlives [`restart`](Subject::restart).
pub(crate) struct Native<'a, M: ?Sized>(pub(crate) &'a M);

impl<M: Merge + ?Sized> Subject for Native<'_, M> {
    fn ask(&mut self, question: &SessionConflict) -> Reply {
        let answer = catch_unwind(AssertUnwindSafe(|| self.0.session(question.clone())));
        let answer = answer.unwrap_or_else(|panic| Err(format!("panicked: {}", words(&*panic))));
        Reply { answer, fuel: None }
    }

    fn restart(&mut self) {}
}

/// What a panic said.
pub(crate) fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}
