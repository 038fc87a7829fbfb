//! Locks whose holders cannot panic in the middle.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. Every critical section of this crate leaves its data whole at every step, so a lock that a
/// panicking thread held is as good as any other.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
