//! A lock whose holders cannot leave its contents half changed.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks also after a panic of another holder: every critical section here makes one change or none.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
