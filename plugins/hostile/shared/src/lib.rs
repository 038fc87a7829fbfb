//! What the hostile plugins share: each behaves until an attribute called `now` is in conflict.
//!
//! Until then they answer how often this instance was asked, so that a test can see whether an instance
//! lived on or was replaced by a fresh one.

use std::sync::atomic::{AtomicU64, Ordering};

use colony_guest::merge::{Conflict, Merge, Resolution};

/// The attribute whose conflict sets a hostile plugin off.
pub const FUSE: &str = "now";

/// A merge plugin that does this when it is set off.
pub struct Hostile(pub fn() -> Resolution);

impl Merge for Hostile {
    fn attribute(&self, conflict: &Conflict) -> Resolution {
        if conflict.name == FUSE { (self.0)() } else { count() }
    }
}

/// Answers how often this instance was asked.
pub fn count() -> Resolution {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let asked = ASKED.fetch_add(1, Ordering::Relaxed) + 1;
    Resolution::Value(asked.to_string().into_bytes())
}
