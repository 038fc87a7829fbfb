//! The group: one state that changes at once, and the entries that some process may yet hear.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use colony_core::group::{Command, Entry, State};
use colony_wire::{Revision, View};

use crate::hashed::Hashed;
use crate::world::COLONY;

/// What a command comes to.
#[derive(Debug)]
pub(crate) struct Decision {
    /// The group's state as it is now.
    pub(crate) state: Hashed<State>,
    /// The colony's entry, if the command changed it.
    pub(crate) entry: Option<Hashed<Entry>>,
}

/// By state and command.
type Known = HashMap<(u64, u64), Arc<Decision>>;

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Carries a command out, once for each state that it meets.
pub(crate) fn decide(state: &Hashed<State>, command: &Hashed<Command>) -> Arc<Decision> {
    let place = (state.digest(), command.digest());
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&place).cloned()) {
        return known;
    }
    let decision = Arc::new(work_out(state, command));
    KNOWN.with_borrow_mut(|known| known.insert(place, Arc::clone(&decision)));
    decision
}

fn work_out(before: &State, command: &Command) -> Decision {
    let mut after = before.clone();
    after.apply(command);
    // Counters that nothing is decided by: states that differ in them alone are one.
    after.revision = Revision(1);
    after.view = View(1);
    let entry = after.table.get(&COLONY).filter(|entry| before.table.get(&COLONY) != Some(entry));
    Decision { entry: entry.cloned().map(Hashed::new), state: Hashed::new(after) }
}
